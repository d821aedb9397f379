"""The warm-up of a blue-green rollout: begun, judged, stopped.

Asked for once, as an effect.  Whoever does it goes on after a restart for as long as the state
names its id without an outcome.
"""

from router.rollouts.effects import Action, StopWarmUp, WarmUp
from router.rollouts.events import Observation
from router.rollouts.rollout import WarmupRef, clip
from router.rollouts.spec import Warmup
from router.rollouts.turn import Turn


def start(turn: Turn, warmup: Warmup) -> None:
    """Begin the warm-up that the rollout waits for."""
    id_, target = turn.next_id("warmUp"), turn.rollout.target
    turn.update(warmup=WarmupRef(id=id_))
    turn.emit(WarmUp(id=id_, version=target, warmup=warmup))
    why = f"each endpoint of {target} has to answer {warmup.requests} x {warmup.path}"
    turn.note(Action.WARM_UP_STARTED, why, warmUp=id_)


def take_outcome(turn: Turn, observation: Observation) -> None:
    """Write down what has become of it; a completed one never changes again."""
    ref = turn.rollout.warmup
    outcome = observation.warmups.get(ref.id) if ref is not None else None
    if ref is None or ref.ok is not None or outcome is None:
        return
    message = clip(outcome.message)
    turn.update(warmup=WarmupRef(id=ref.id, ok=outcome.ok, message=message))
    if outcome.ok:
        why = f"{turn.rollout.target} is warmed up: {message}"
        turn.note(Action.WARMED_UP, why, warmUp=ref.id)


def forget(turn: Turn, why: str) -> None:
    """Let go of it, stopping one without an outcome; a later one has another id."""
    rollout = turn.state.rollout
    if rollout is None or rollout.warmup is None:
        return
    turn.update(warmup=None)
    if rollout.warmup.ok is None:
        turn.emit(StopWarmUp(id=rollout.warmup.id, why=clip(why)))
