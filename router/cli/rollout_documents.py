"""What the admin API answers about rollouts and analyses, as far as people are shown it.

As in `router.cli.documents`: fields of a later release are ignored, weights are percent, times
seconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any

import msgspec

from router.rollouts.phases import IN_FLIGHT


class Measurement(msgspec.Struct, frozen=True):
    """One answer of a provider; `finished_s` None: it has not come yet."""

    phase: str
    started_s: float
    finished_s: float | None = None
    value: str = ""
    message: str = ""
    samples: int | None = None


class Judged(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a metric should be, and what was measured; as an entry of the trail tells it, too."""

    phase: str
    success_condition: str | None = None
    failure_condition: str | None = None
    measurements: tuple[Measurement, ...] = ()

    @property
    def answered(self) -> tuple[Measurement, ...]:
        """The measurements whose answer has come, the newest last."""
        return tuple(each for each in self.measurements if each.finished_s is not None)


class Evidence(msgspec.Struct, frozen=True):
    """What an entry of the trail was decided on, where that was a run: its metrics by name."""

    metrics: dict[str, Judged]


class Metric(Judged, frozen=True, kw_only=True, rename="camel"):
    """A metric of a run and its counters; `count` None: until the run ends."""

    name: str
    provider: str
    message: str = ""
    interval: float | None = None
    count: int | None = None
    dry_run: bool = False
    measured: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0
    no_data: int = 0


class Run(msgspec.Struct, frozen=True):
    """One analysis run; `kind` only where it is told with its rollout: inline or background."""

    id: str
    route: str
    canary: str
    stable: str
    phase: str
    started: float
    message: str = ""
    finished: float | None = None
    metrics: tuple[Metric, ...] = ()
    kind: str = ""


class Runs(msgspec.Struct, frozen=True):
    """Analysis runs, the newest first."""

    runs: tuple[Run, ...]


class Rollout(msgspec.Struct, frozen=True, rename="camel"):
    """How a route's newest rollout is doing; `step` counts from 1, None: none is under way."""

    route: str
    phase: str
    stable: str
    reason: str | None = None
    message: str = ""
    release: str | None = None
    target: str | None = None
    weight: float = 0.0
    step: int | None = None
    steps: tuple[dict[str, Any], ...] = ()
    paused_until: float | None = None
    possible: tuple[str, ...] = ()
    held: bool = False
    number: int | None = None
    attempt: int | None = None
    started: float | None = None
    finished: float | None = None
    analyses: tuple[Run, ...] = ()

    @property
    def in_flight(self) -> bool:
        """Whether it has not ended."""
        return self.phase in IN_FLIGHT
