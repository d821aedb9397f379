"""The words of a run's progress: phases and policies.

The names and their order are Argo Rollouts' (`utils/analysis/helpers.go:analysisStatusOrder`),
so that people and tools read them without a dictionary; two are ours, and only one each of a
metric and of a measurement ever has them.
"""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """How far a run, a metric or a measurement is."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    ERROR = "Error"
    INCONCLUSIVE = "Inconclusive"
    TERMINATED = "Terminated"
    """Ours, of a metric: it was stopped before it came to a verdict.  Argo says Successful."""
    NO_DATA = "NoData"
    """Ours, of a measurement: there was nothing to measure, and it is asked again later."""


BAD: Final = frozenset((Phase.FAILED, Phase.ERROR, Phase.INCONCLUSIVE))
"""Phases of a metric that end its whole run."""

COMPLETED: Final = BAD | {Phase.SUCCESSFUL, Phase.TERMINATED}
"""Phases that a run or a metric never leaves."""

_FROM_BEST_TO_WORST: Final = (
    Phase.SUCCESSFUL,
    Phase.RUNNING,
    Phase.PENDING,
    Phase.INCONCLUSIVE,
    Phase.ERROR,
    Phase.FAILED,
)
_RANK: Final = {phase: rank for rank, phase in enumerate(_FROM_BEST_TO_WORST)}


def is_worse(phase: Phase, than: Phase) -> bool:
    """Whether `phase` is strictly worse; the two of ours count as neither good nor bad."""
    return _RANK.get(phase, 0) > _RANK.get(than, 0)


class Compat(StrEnum):
    """Whose rules a metric follows where Argo's and ours differ.

    `router`: no data is its own outcome, provider errors are retried for a while before they
    count as Error, and a metric that is stopped with its run is Terminated, not Successful.
    """

    ARGO = "argo"
    ROUTER = "router"


class NoData(StrEnum):
    """What a measurement counts as when there was nothing to measure."""

    WAIT = "wait"
    """As not taken: it is asked again, until the run's deadline."""
    INCONCLUSIVE = "inconclusive"
    FAIL = "fail"
    PASS = "pass"  # noqa: S105  # a word, not a password


class OnDeadline(StrEnum):
    """What a run without a verdict counts as when its deadline has come."""

    PAUSE = "pause"
    ABORT = "abort"
    PROMOTE = "promote"
