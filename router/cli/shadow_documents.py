"""What the admin API answers about shadows, as far as people are shown it.

As in `router.cli.documents`: fields of a later release are ignored, weights and shares of requests
are percent, times seconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any

import msgspec

from router.cli.documents import Shadow


class Copying(msgspec.Struct, frozen=True):
    """What the configuration or a step of the rollout says."""

    version: str
    percent: float


class Override(msgspec.Struct, frozen=True, rename="camel"):
    """What a person has set; `noise_percent` None: as configured."""

    version: str
    percent: float
    holder: str
    reason: str
    since: float
    noise_percent: float | None = None


class Copies(msgspec.Struct, frozen=True, rename="camel"):
    """How the copies for a version have ended; the stable version's are its twins."""

    version: str
    sampled: int
    in_flight: int = 0
    answered: int = 0
    error: int = 0
    timeout: int = 0
    dropped: dict[str, int] = {}


class Standing(msgspec.Struct, frozen=True):
    """Which shadow is in force and who wants one; `why` nothing is copied, if so."""

    route: str
    shadow: Shadow | None = None
    why: str | None = None
    override: Override | None = None
    step: Copying | None = None
    configured: Copying | None = None
    copies: tuple[Copies, ...] = ()
    limits: dict[str, Any] | None = None


class Comparison(msgspec.Struct, frozen=True, rename="camel"):
    """A recorded pair of answers, without texts."""

    id: int
    time: float
    stable: str
    shadow: str
    verdict: str
    rule: str = ""
    differing: tuple[str, ...] = ()
    error: str = ""
    request_id: str = ""


class Comparisons(msgspec.Struct, frozen=True):
    """A page of recorded pairs, the newest first."""

    comparisons: tuple[Comparison, ...]
    next: int | None = None


class Estimate(msgspec.Struct, frozen=True):
    """A number with its confidence interval; shares are 0 to 1, times seconds."""

    value: float
    low: float
    high: float


class FieldReport(msgspec.Struct, frozen=True, rename="camel"):
    """How often a field of the answers differs, and how much of that is beyond noise."""

    conclusion: str
    pairs: int = 0
    twins: int = 0
    shadow: Estimate | None = None
    twin: Estimate | None = None
    beyond_noise: Estimate | None = None


class Report(msgspec.Struct, frozen=True):
    """What all pairs of a shadow tell."""

    route: str
    stable: str
    shadow: str
    since: float
    pairs: int
    compared: int
    twins: int
    any: FieldReport
    fields: dict[str, FieldReport] = {}
    verdicts: dict[str, int] = {}
    errors: dict[str, int] = {}
    summary: tuple[str, ...] = ()
