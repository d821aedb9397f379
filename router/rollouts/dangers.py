"""What ends a rollout or holds it, whatever step it is at.

Looked at first, and also while a person holds the weights: then the stable version gets all
traffic as soon as the weights are released.
"""

from collections.abc import Iterator
from typing import Any

from router.rollouts import ending, runs, warmups
from router.rollouts.effects import Action
from router.rollouts.events import Observation
from router.rollouts.phases import Happening, Reason
from router.rollouts.spec import NO_STEPS, BlueGreenSpec, CanarySpec
from router.rollouts.turn import Turn

_Danger = tuple[Reason, str, dict[str, Any]]


def guard(turn: Turn, observation: Observation) -> None:
    """Abort on the first danger; hold where a run leaves it to a person."""
    runs.take_outcomes(turn, observation)
    warmups.take_outcome(turn, observation)
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
        kind = "canary" if turn.rollout.stage is None else "blue-green"
        yield Reason.STRATEGY_GONE, f"the {kind} strategy has left the configuration", {}
    trip = observation.tripped.get(target)
    if trip is not None and trip.since_s >= turn.rollout.attempt_s:
        why = f"the breaker of {target} has tripped: {trip.message}"
        yield Reason.BREAKER, why, {"since_s": trip.since_s, "message": trip.message}
    for kind, ref in runs.open_runs(turn):
        if ref.outcome in runs.FAILED:
            why = f"{kind} analysis {ref.outcome}: {ref.message}"
            yield Reason.ANALYSIS, why, runs.evidence(kind, turn)
    yield from _dangers_of_a_switch(turn, observation)


def _dangers_of_a_switch(turn: Turn, observation: Observation) -> Iterator[_Danger]:
    rollout, stable = turn.rollout, turn.state.stable
    if rollout.warmup is not None and rollout.warmup.ok is False:
        why = f"the warm-up of {rollout.target} failed: {rollout.warmup.message}"
        yield Reason.WARM_UP, why, {"warmUp": rollout.warmup.id}
    dead = observation.is_dead(rollout.target) and not observation.is_dead(stable)
    if rollout.switched and dead:
        why = f"{rollout.target} has all traffic and no healthy endpoint"
        yield Reason.UNHEALTHY, why, {"stable": stable}


def _has_lost_strategy(turn: Turn) -> bool:
    # Without this the missing steps would count as passed, and the canary get all traffic.
    rollout = turn.rollout
    kind = CanarySpec if rollout.stage is None else BlueGreenSpec
    walked = rollout.steps_digest != NO_STEPS.digest and not rollout.full
    return walked and not isinstance(turn.spec.strategy, kind)


def is_edited(turn: Turn) -> bool:
    """Whether the steps are others than those that the rollout has walked so far.

    After a blue-green switch that is too late to ask: only the last analysis is to come.
    """
    rollout = turn.rollout
    return rollout.steps_digest != turn.spec.digest and not (rollout.full or rollout.switched)


def _hold_undecided(turn: Turn) -> None:
    if turn.rollout.reason in (Reason.INCONCLUSIVE, Reason.MANUAL):
        return
    for kind, ref in runs.open_runs(turn):
        if ref.outcome in runs.UNDECIDED:
            why = f"{kind} analysis {ref.outcome}: {ref.message}"
            turn.move(Happening.INCONCLUSIVE, Reason.INCONCLUSIVE, why)
            turn.note(Action.PAUSED, why, **runs.evidence(kind, turn))
            return
