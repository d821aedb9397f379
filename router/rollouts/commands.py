"""What a person says, and what the controller makes of it.

A command changes the state at once; what follows from it (the next step, another analysis) is
for the next tick, which has something to look at.
"""

from typing import Final, assert_never

from router.rollouts import ending, events, gates, runs, warmups
from router.rollouts.effects import Action, RunKind
from router.rollouts.health import check_health
from router.rollouts.phases import Happening, IllegalEventError, Phase, Reason, next_phase
from router.rollouts.spec import SetHeaderRoute, SetShadow, SetWeight
from router.rollouts.stage import Stage
from router.rollouts.switching import switch
from router.rollouts.turn import Turn
from router.rollouts.walk import header_routes_after
from router.snapshot import FULL

Command = (
    events.Start
    | events.Pause
    | events.Resume
    | events.Promote
    | events.PromoteFull
    | events.Abort
    | events.Retry
    | events.Rollback
)

HAPPENINGS: Final[dict[type[Command], Happening]] = {
    events.Start: Happening.STARTED,
    events.Pause: Happening.PAUSED_BY_HAND,
    events.Resume: Happening.RESUMED,
    events.Promote: Happening.SKIPPED,
    events.PromoteFull: Happening.PROMOTED_FULL,
    events.Abort: Happening.ABORTED,
    events.Retry: Happening.RETRIED,
    events.Rollback: Happening.ROLLED_BACK,
}

_MOVE_TRAFFIC: Final = (events.Start, events.Promote, events.PromoteFull, events.Rollback)
"""Commands that would have no effect, or a late one, while a person holds the weights."""


def obey(turn: Turn, command: Command | events.Switch) -> None:
    """Do what a person says.

    Raises:
        IllegalEventError: it cannot be done now; nothing was changed.
    """
    if isinstance(command, events.Switch):
        switch(turn, command)
        return
    happening = HAPPENINGS[type(command)]
    next_phase(turn.phase, happening)
    override = turn.state.override
    if override is not None and isinstance(command, _MOVE_TRAFFIC):
        raise _refusal(
            turn, happening, f"{override.holder} holds the weights; release the override first"
        )
    _obey(turn, command)


def _obey(turn: Turn, command: Command) -> None:
    match command:
        case events.Start():
            _start(turn, command)
        case events.Pause():
            _pause(turn, command.reason)
        case events.Resume():
            _resume(turn, command.reason)
        case events.Promote():
            _skip(turn, command.reason)
        case events.PromoteFull():
            _promote_full(turn, command.reason)
        case events.Abort():
            ending.abort(turn, Happening.ABORTED, Reason.ABORTED, f"abort: {command.reason}")
        case events.Retry():
            _retry(turn, command.reason)
        case events.Rollback():
            _roll_back(turn, command)
        case _:
            assert_never(command)


def _refusal(turn: Turn, happening: Happening, why: str) -> IllegalEventError:
    return IllegalEventError(turn.phase, happening, why)


def _start(turn: Turn, command: events.Start) -> None:
    target = command.to if command.to is not None else turn.spec.release
    if target is None:
        raise _refusal(turn, Happening.STARTED, "say to which version; there is no release")
    _check_target(turn, Happening.STARTED, target)
    ending.begin(turn, target, Happening.STARTED, f"start: {command.reason}")


def _check_target(turn: Turn, happening: Happening, target: str) -> None:
    if target not in turn.spec.versions:
        known = ", ".join(turn.spec.versions)
        raise _refusal(turn, happening, f"no version {target}; the route has {known}")
    if target == turn.state.stable:
        raise _refusal(turn, happening, f"{target} is stable already")


def _pause(turn: Turn, why: str) -> None:
    if turn.rollout.reason is Reason.MANUAL:
        raise _refusal(turn, Happening.PAUSED_BY_HAND, "it is paused by a person already")
    turn.move(Happening.PAUSED_BY_HAND, Reason.MANUAL, f"pause: {why}")
    turn.note(Action.PAUSED, why)


def _resume(turn: Turn, why: str) -> None:
    """End the pause; a step's own pause comes back after one by hand, an analysis anew."""
    reason = turn.rollout.reason
    if reason is Reason.OVERRIDE:
        raise _refusal(turn, Happening.RESUMED, "a person holds the weights; release the override")
    if reason is Reason.GATE_CLOSED:
        raise _refusal(turn, Happening.RESUMED, "the gate is closed; promote goes through it")
    turn.note(Action.RESUMED, why, after=reason)
    if reason is Reason.INCONCLUSIVE:
        runs.forget_undecided(turn)
    turn.move(Happening.RESUMED)
    turn.update(progress_s=turn.now)
    if reason is Reason.CANARY_PAUSE:
        ending.step_passed(turn)
    elif reason is Reason.BLUE_GREEN_PAUSE:
        ending.stage_passed(turn)


def _skip(turn: Turn, why: str) -> None:
    """Go through the gate that is waited for, else past the current step or stage."""
    rollout = turn.rollout
    if rollout.gate is None:
        _check_skip(turn)
    runs.forget_undecided(turn)
    turn.move(Happening.SKIPPED)
    turn.update(progress_s=turn.now)
    turn.note(Action.SKIPPED, why, step=rollout.step + 1, stage=rollout.stage)
    if rollout.gate is not None:
        gates.pass_gate(turn, why)
    elif rollout.stage is not None:
        _pass_stage(turn, why)
    else:
        _pass_step(turn, why)


_NEVER_SKIPPED: Final = {
    Stage.HEALTH: "health is never skipped",
    Stage.SWITCH: "health is never skipped",
    Stage.SERVED: "it has switched already and waits for the workers",
}


def _check_skip(turn: Turn) -> None:
    rollout, steps = turn.rollout, turn.spec.canary.steps
    if rollout.stage is not None:
        why = _NEVER_SKIPPED.get(rollout.stage)
        if why is not None:
            raise _refusal(turn, Happening.SKIPPED, f"{why} ({rollout.message or rollout.stage})")
    elif rollout.full or rollout.step >= len(steps):
        raise _refusal(turn, Happening.SKIPPED, "the last step has passed already")


def _pass_stage(turn: Turn, why: str) -> None:
    """What is waited for is not waited for any more; the tick that follows looks at health."""
    runs.forget(turn, RunKind.INLINE, why=why)
    warmups.forget(turn, why)
    ending.stage_passed(turn)


def _pass_step(turn: Turn, why: str) -> None:
    """What a step would have set is set; what it would have waited for is not.

    Its share is given by the next tick, which knows whether an endpoint is there to take it.
    """
    steps = turn.spec.canary.steps
    step = steps[turn.rollout.step]
    if isinstance(step, SetWeight):
        turn.update(weight_bp=step.weight_bp)
    elif isinstance(step, SetHeaderRoute):
        turn.update(header_routes=header_routes_after(turn.rollout.header_routes, step))
    elif isinstance(step, SetShadow):
        turn.update(shadow=step if step.percent_bp else None)
    runs.forget(turn, RunKind.INLINE, why=why)
    ending.step_passed(turn)


def _promote_full(turn: Turn, why: str) -> None:
    """All traffic on the next tick that sees a healthy endpoint; until then it can be aborted."""
    _check_target(turn, Happening.PROMOTED_FULL, turn.rollout.target)
    stage = _stage_before_all_traffic(turn)
    if turn.phase is Phase.DEGRADED:
        turn.update(attempt_s=turn.now, finished_s=None)
        turn.change(rejected=None)
    runs.forget(turn, *RunKind, why=why)
    warmups.forget(turn, why)
    target = turn.rollout.target
    turn.move(Happening.PROMOTED_FULL, message=f"{target} is promoted without steps: {why}")
    turn.update(full=True, gate=None, stage=stage, looks=0, step_s=turn.now, progress_s=turn.now)
    turn.note(Action.PROMOTED_FULL, why, target=target)


def _stage_before_all_traffic(turn: Turn) -> Stage | None:
    """Where a blue-green rollout goes on that skips everything but health."""
    rollout = turn.rollout
    if not turn.in_flight:
        return ending.first_stage(turn, skips=True)
    return rollout.stage if rollout.stage is None or rollout.switched else Stage.SWITCH


def _retry(turn: Turn, why: str) -> None:
    if turn.phase is Phase.DEGRADED:
        _check_target(turn, Happening.RETRIED, turn.rollout.target)
        ending.retry(turn, why)
        return
    rejected = turn.state.rejected
    if rejected is None:
        raise _refusal(turn, Happening.RETRIED, "no release was rolled back")
    _check_target(turn, Happening.RETRIED, rejected)
    ending.begin(turn, rejected, Happening.RETRIED, f"retry: {why}")


def _roll_back(turn: Turn, command: events.Rollback) -> None:
    why = command.reason
    if turn.in_flight:
        ending.abort(turn, Happening.ROLLED_BACK, Reason.ROLLED_BACK, f"rollback: {why}")
        return
    state = turn.state
    to = next((name for name in state.past if name in turn.spec.versions), None)
    if to is None:
        raise _refusal(turn, Happening.ROLLED_BACK, "no version that was stable before is left")
    if command.observation is not None and not command.force:
        least = turn.spec.min_healthy_endpoints
        check_health(turn.phase, Happening.ROLLED_BACK, command.observation, to, least)
    refused = turn.spec.release if turn.spec.release not in (None, to) else state.stable
    turn.change(
        stable=to,
        weights={to: FULL},
        past=tuple(name for name in state.past if name != to),
        rejected=refused,
        warm={name: until for name, until in state.warm.items() if name != to},
    )
    text = f"back from {state.stable} to {to}: {why}"
    if state.rollout is not None:
        turn.move(Happening.ROLLED_BACK, Reason.ROLLED_BACK, text)
    turn.note(Action.ROLLED_BACK, text, former=state.stable, stable=to, forced=command.force)
