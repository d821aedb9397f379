"""One stage of a blue-green rollout after the other, as far as they let it.

The traffic moves in one decision and only to enough healthy endpoints; the version that gets it
becomes stable when every worker serves that and the analysis after it, if there is one, is good.
Until then the state remembers both: all weight on the target, and the stable version to go back
to.  Whatever ends the rollout earlier gives all traffic back at once.

Passing the health stage is not bound to the interval: enough healthy endpoints are enough
whenever they are seen.  The interval only counts how often that was in vain.
"""

from router.analysis.phases import Phase as RunPhase
from router.rollouts import ending, gates, health, runs, warmups
from router.rollouts.effects import Action, RunKind
from router.rollouts.events import Observation
from router.rollouts.phases import Happening, Phase, Reason
from router.rollouts.rollout import Rollout, clip
from router.rollouts.spec import Analysis, BlueGreenSpec, GateKind, SetHeaderRoute
from router.rollouts.stage import Stage
from router.rollouts.turn import Turn
from router.rollouts.walk import PATIENT, WORKERS, Wait, watch_the_clock
from router.snapshot import FULL

PREVIEW = "preview"
"""The name of the header route that reaches the target before the switch."""

_WARMING = Wait("the warm-up of every endpoint", bounded=True)


def pass_stages(turn: Turn, observation: Observation) -> None:
    """Pass stages until one waits."""
    wait = None
    while wait is None and turn.in_flight:
        wait = _pass_stage(turn, observation)
    if wait is not None and wait.bounded:
        watch_the_clock(turn, wait)


def settle_preview(turn: Turn) -> None:
    """Let the preview header reach the target until it has all traffic anyway."""
    rollout = turn.rollout
    wanted = () if rollout.full or rollout.switched else _previews(turn.spec.blue_green)
    if wanted == rollout.header_routes:
        return
    turn.update(header_routes=wanted)
    why = f"the preview header {'reaches' if wanted else 'no longer reaches'} {rollout.target}"
    turn.note(Action.HEADER_ROUTE_SET, why)


def _previews(strategy: BlueGreenSpec) -> tuple[SetHeaderRoute, ...]:
    if strategy.preview is None:
        return ()
    return (SetHeaderRoute(name=PREVIEW, matches=(strategy.preview,)),)


def _pass_stage(turn: Turn, observation: Observation) -> Wait | None:
    """Pass the current stage; None when it has passed."""
    stage = turn.rollout.stage
    assert stage is not None, "only called for a blue-green rollout"
    wait = _wait_at(turn, stage, observation)
    if wait is None and turn.in_flight:
        turn.note(Action.STEP_PASSED, f"stage {stage} has passed", stage=stage)
        ending.stage_passed(turn)
    return wait


def _wait_at(turn: Turn, stage: Stage, observation: Observation) -> Wait | None:
    strategy = turn.spec.blue_green
    match stage:
        case Stage.HEALTH:
            return _await_health(turn, strategy, observation)
        case Stage.WARM_UP:
            return _warm_up(turn, strategy)
        case Stage.PRE_PROMOTION:
            return _analyse(turn, strategy.pre_promotion)
        case Stage.PROMOTION:
            return _pause(turn, strategy)
        case Stage.SWITCH:
            return _switch(turn, strategy, observation)
        case Stage.SERVED:
            return None if turn.is_applied(observation) else WORKERS
        case Stage.POST_PROMOTION:
            return _analyse(turn, None if turn.rollout.full else strategy.post_promotion)


# -- health ----------------------------------------------------------------------------------------


def _await_health(turn: Turn, strategy: BlueGreenSpec, observation: Observation) -> Wait | None:
    if gates.is_shut(turn, GateKind.CONFIRM_ROLLOUT, observation):
        return PATIENT
    return _look_for_health(turn, strategy, observation)


def _look_for_health(turn: Turn, strategy: BlueGreenSpec, observation: Observation) -> Wait | None:
    """Pass with enough healthy endpoints; count the looks in vain, and give up after the last."""
    least, target = strategy.min_healthy_endpoints, turn.rollout.target
    lack = health.lack_of(observation, target, least)
    if lack is None:
        return None
    looks = looks_by(turn.rollout, strategy, turn.now)
    if looks >= strategy.health_check_retries:
        why = f"given up after {looks} looks: {lack}"
        ending.abort(turn, Happening.FAILED, Reason.UNHEALTHY, why, needs=least)
    elif looks != turn.rollout.looks or not turn.rollout.message.startswith(health.head_of(lack)):
        # Why not on every tick: an endpoint's reason may be another each time it is probed, and
        # each change of the state is a transaction.
        turn.update(looks=looks, message=clip(lack))
        if turn.rollout.stage is Stage.SWITCH:
            turn.note(Action.SHARE_WITHHELD, lack, looks=looks, needs=least)
    return PATIENT


def looks_by(rollout: Rollout, strategy: BlueGreenSpec, now: float) -> int:
    """How many intervals have passed since the wait for health began."""
    interval_s = strategy.health_check_interval_s
    looks = max(0, int((now - rollout.progress_s) // interval_s))
    while next_look_s(rollout, strategy, looks) <= now:  # the division may round down
        looks += 1
    return looks


def next_look_s(rollout: Rollout, strategy: BlueGreenSpec, looks: int) -> float:
    """When the next look counts, after so many."""
    return rollout.progress_s + (looks + 1) * strategy.health_check_interval_s


# -- before the switch -----------------------------------------------------------------------------


def _warm_up(turn: Turn, strategy: BlueGreenSpec) -> Wait | None:
    ref = turn.rollout.warmup
    if strategy.warmup is None or (ref is not None and ref.ok):
        warmups.forget(turn, "no warm-up is asked for any more")
        return None
    if ref is None:
        warmups.start(turn, strategy.warmup)
    return _WARMING


def _analyse(turn: Turn, analysis: Analysis | None) -> Wait | None:
    run = turn.rollout.inline
    if analysis is None:
        runs.forget(turn, RunKind.INLINE, why="no analysis is asked for any more")
        return None
    if run is None:
        runs.start_inline(turn, analysis)
    elif run.outcome is RunPhase.SUCCESSFUL:
        turn.update(inline=None)
        return None
    return PATIENT


def _pause(turn: Turn, strategy: BlueGreenSpec) -> Wait | None:
    end_s = promotion_s(turn.rollout, strategy)
    if end_s is not None and turn.now >= end_s:
        return None
    if turn.phase is Phase.PROGRESSING:
        length = "" if end_s is None else f" or for {strategy.auto_promotion_s:.15g} s"
        text = f"{turn.rollout.target} waits for the traffic until a person promotes it{length}"
        turn.move(Happening.PAUSE_BEGAN, Reason.BLUE_GREEN_PAUSE, text)
        turn.note(Action.PAUSED, text, stage=Stage.PROMOTION)
    return PATIENT


def promotion_s(rollout: Rollout, strategy: BlueGreenSpec) -> float | None:
    """When the pause before the switch ends by itself; None: a person ends it."""
    if not strategy.auto_promotion_enabled:
        return None
    return rollout.step_s + (strategy.auto_promotion_s or 0.0)


# -- the switch ------------------------------------------------------------------------------------

_GATES = (GateKind.CONFIRM_TRAFFIC_INCREASE, GateKind.CONFIRM_PROMOTION)
"""Who is asked before the switch: it raises a share, and there is no way to promote but this."""


def _switch(turn: Turn, strategy: BlueGreenSpec, observation: Observation) -> Wait | None:
    if any(gates.is_shut(turn, kind, observation) for kind in _GATES):
        return PATIENT
    wait = _look_for_health(turn, strategy, observation)
    if wait is not None:
        return wait
    target, former = turn.rollout.target, turn.state.stable
    turn.give(FULL)
    turn.update(header_routes=(), weight_bp=FULL)
    turn.note(
        Action.SWITCHED,
        f"{target} gets all traffic at once",
        former=former,
        target=target,
        healthy=observation.count_healthy(target),
    )
    return None
