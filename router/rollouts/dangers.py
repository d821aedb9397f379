"""What ends a rollout or holds it, whatever step it is at.

Looked at first, and also while a person holds the weights: then the stable version gets all
traffic as soon as the weights are released.
"""

from collections.abc import Iterator
from typing import Any

from router.rollouts import ending, runs
from router.rollouts.effects import Action
from router.rollouts.events import Observation
from router.rollouts.phases import Happening, Reason
from router.rollouts.spec import CanarySpec
from router.rollouts.turn import Turn

_Danger = tuple[Reason, str, dict[str, Any]]


def guard(turn: Turn, observation: Observation) -> None:
    """Abort on the first danger; hold where a run leaves it to a person."""
    runs.take_outcomes(turn, observation)
    danger = next(_dangers(turn, observation), None)
    if danger is not None:
        reason, why, evidence = danger
        ending.abort(turn, Happening.FAILED, reason, why, **evidence)
    else:
        _hold_undecided(turn)


def _dangers(turn: Turn, observation: Observation) -> Iterator[_Danger]:
    target = turn.rollout.target
    if target not in turn.spec.versions:
        yield Reason.VERSION_GONE, f"{target} has left the configuration", {}
    if _has_lost_strategy(turn):
        yield Reason.STRATEGY_GONE, "the canary strategy has left the configuration", {}
    trip = observation.tripped.get(target)
    if trip is not None and trip.since_s >= turn.rollout.attempt_s:
        why = f"the breaker of {target} has tripped: {trip.message}"
        yield Reason.BREAKER, why, {"since_s": trip.since_s, "message": trip.message}
    for kind, ref in runs.open_runs(turn):
        if ref.outcome in runs.FAILED:
            why = f"{kind} analysis {ref.outcome}: {ref.message}"
            yield Reason.ANALYSIS, why, runs.evidence(kind, turn)


def _has_lost_strategy(turn: Turn) -> bool:
    # Without this the missing steps would count as passed, and the canary get all traffic.
    return not isinstance(turn.spec.strategy, CanarySpec) and is_edited(turn)


def is_edited(turn: Turn) -> bool:
    """Whether the steps are others than those that the rollout has walked so far."""
    rollout = turn.rollout
    return rollout.steps_digest != turn.spec.canary.digest and not rollout.full


def _hold_undecided(turn: Turn) -> None:
    if turn.rollout.reason in (Reason.INCONCLUSIVE, Reason.MANUAL):
        return
    for kind, ref in runs.open_runs(turn):
        if ref.outcome in runs.UNDECIDED:
            why = f"{kind} analysis {ref.outcome}: {ref.message}"
            turn.move(Happening.INCONCLUSIVE, Reason.INCONCLUSIVE, why)
            turn.note(Action.PAUSED, why, **runs.evidence(kind, turn))
            return
