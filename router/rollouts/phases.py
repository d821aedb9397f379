"""Phases of a rollout, why it is in one, and every legal move from one to another.

A route that has never had a rollout is `Healthy`.  What is not in `TRANSITIONS` is illegal: a
person who asks for it is told what is possible instead.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from router.errors import RouterError


class Phase(StrEnum):
    """How a route is doing, in Argo's words."""

    HEALTHY = "Healthy"
    """At rest: the stable version has all traffic and nothing is under way."""
    PROGRESSING = "Progressing"
    """Under way, waiting for nothing but workers, endpoints and measurements."""
    PAUSED = "Paused"
    """Under way, waiting for time or for a person."""
    DEGRADED = "Degraded"
    """At rest: the release was aborted; the stable version has all traffic again."""


IN_FLIGHT: Final = frozenset({Phase.PROGRESSING, Phase.PAUSED})
"""Phases of a rollout that has not ended."""


class Reason(StrEnum):
    """Why a rollout is in its phase."""

    # Healthy
    PROMOTED = "Promoted"
    WITHDRAWN = "ReleaseWithdrawn"
    ROLLED_BACK = "RolledBack"
    SWITCHED = "Switched"
    # Progressing
    SUPERSEDED = "NewRelease"
    LATE = "ProgressDeadlineExceeded"
    # Paused; the first three may end by themselves
    CANARY_PAUSE = "CanaryPauseStep"
    BLUE_GREEN_PAUSE = "BlueGreenPause"
    GATE_CLOSED = "GateClosed"
    INCONCLUSIVE = "InconclusiveAnalysisRun"
    MANUAL = "ManualPause"
    OVERRIDE = "WeightsHeld"
    # Degraded (and LATE)
    ANALYSIS = "AnalysisFailed"
    BREAKER = "BreakerTripped"
    UNHEALTHY = "EndpointsUnhealthy"
    WARM_UP = "WarmUpFailed"
    ABORTED = "AbortedByPerson"
    VERSION_GONE = "VersionGone"
    STRATEGY_GONE = "StrategyGone"


class Happening(StrEnum):
    """What moves a rollout from phase to phase."""

    NEW_RELEASE = "new release"
    STARTED = "start"
    STEP_PASSED = "step passed"
    STEPS_EDITED = "steps edited"
    LATE = "progress deadline passed"
    PAUSE_BEGAN = "pause began"
    PAUSE_ENDED = "pause ended"
    GATE_CLOSED = "gate closed"
    GATE_OPENED = "gate opened"
    INCONCLUSIVE = "analysis inconclusive"
    HELD = "weights held by a person"
    PAUSED_BY_HAND = "pause"
    RESUMED = "resume"
    SKIPPED = "promote"
    PROMOTED_FULL = "promote-full"
    FAILED = "analysis or warm-up failed, breaker tripped, unhealthy, out of time, or version gone"
    ABORTED = "abort"
    RETRIED = "retry"
    ROLLED_BACK = "rollback"
    SWITCHED = "switch"
    WITHDRAWN = "release set back to stable"
    COMPLETED = "last step passed"


COMMANDS: Final = frozenset(
    {
        Happening.STARTED,
        Happening.PAUSED_BY_HAND,
        Happening.RESUMED,
        Happening.SKIPPED,
        Happening.PROMOTED_FULL,
        Happening.ABORTED,
        Happening.RETRIED,
        Happening.ROLLED_BACK,
    }
)
"""Those that a person makes happen and a phase may refuse; their values are the commands' names.

A switch is none of them: every phase allows it."""

_UNDER_WAY: Final = {
    Happening.STEPS_EDITED: Phase.PROGRESSING,
    Happening.INCONCLUSIVE: Phase.PAUSED,  # a human decides, not a coin
    Happening.PAUSED_BY_HAND: Phase.PAUSED,
    Happening.SKIPPED: Phase.PROGRESSING,
    Happening.PROMOTED_FULL: Phase.PROGRESSING,  # Healthy once an endpoint is there to take it
    Happening.NEW_RELEASE: Phase.PROGRESSING,
    Happening.FAILED: Phase.DEGRADED,
    Happening.ABORTED: Phase.DEGRADED,
    Happening.ROLLED_BACK: Phase.DEGRADED,
    Happening.WITHDRAWN: Phase.HEALTHY,
    Happening.SWITCHED: Phase.HEALTHY,
}

TRANSITIONS: Final[Mapping[Phase, Mapping[Happening, Phase]]] = {
    Phase.HEALTHY: {
        Happening.NEW_RELEASE: Phase.PROGRESSING,
        Happening.STARTED: Phase.PROGRESSING,
        Happening.RETRIED: Phase.PROGRESSING,  # of a release that was rolled back
        Happening.ROLLED_BACK: Phase.HEALTHY,
        Happening.SWITCHED: Phase.HEALTHY,
    },
    Phase.PROGRESSING: {
        **_UNDER_WAY,
        Happening.STEP_PASSED: Phase.PROGRESSING,
        Happening.LATE: Phase.PROGRESSING,  # a mark; FAILED follows where the spec says so
        Happening.PAUSE_BEGAN: Phase.PAUSED,
        Happening.GATE_CLOSED: Phase.PAUSED,
        Happening.HELD: Phase.PAUSED,
        Happening.COMPLETED: Phase.HEALTHY,
    },
    Phase.PAUSED: {
        **_UNDER_WAY,
        Happening.PAUSE_ENDED: Phase.PROGRESSING,
        Happening.GATE_OPENED: Phase.PROGRESSING,
        Happening.RESUMED: Phase.PROGRESSING,
    },
    # No rollback: whoever asks for it in the second in which the controller aborts must not
    # land one version further back than he looked at.
    Phase.DEGRADED: {
        Happening.NEW_RELEASE: Phase.PROGRESSING,
        Happening.STARTED: Phase.PROGRESSING,
        Happening.RETRIED: Phase.PROGRESSING,
        Happening.PROMOTED_FULL: Phase.PROGRESSING,
        Happening.WITHDRAWN: Phase.HEALTHY,
        Happening.SWITCHED: Phase.HEALTHY,
    },
}


class IllegalEventError(RouterError):
    """What a person asked for cannot be done now; nothing was changed.

    `possible` are the commands that the phase allows.
    """

    def __init__(self, phase: Phase, happening: Happening, why: str = "") -> None:
        self.phase: Final = phase
        self.happening: Final = happening
        self.possible: Final = commands_in(phase)
        because = f": {why}" if why else ""
        super().__init__(
            f"{happening} is not possible while {phase}{because}"
            f" (a {phase} route takes {', '.join(self.possible)})"
        )


def commands_in(phase: Phase) -> tuple[str, ...]:
    """The commands that a phase allows, in the order of `Happening`."""
    return tuple(word for word in Happening if word in COMMANDS and word in TRANSITIONS[phase])


def next_phase(phase: Phase, happening: Happening) -> Phase:
    """Where it leads.

    Raises:
        IllegalEventError: the table does not have it.
    """
    try:
        return TRANSITIONS[phase][happening]
    except KeyError:
        raise IllegalEventError(phase, happening) from None
