"""Why a run cannot be judged."""

from __future__ import annotations


class LoadTestError(Exception):
    """Something did not start, broke off or cannot be read; its text is one clear line."""
