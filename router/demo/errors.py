"""Why a demo ends with 1."""

from __future__ import annotations


class DemoError(Exception):
    """The demo has not shown what it should; its text is one clear line."""


class StartError(DemoError):
    """A process did not start, or the router ended before it was told to."""


class StoryError(DemoError):
    """Everything ran, and what happened is not what should have."""
