"""One step after the other, as far as they let it.

A step that changes the routing table has passed when every worker serves the change; so each of
several setWeights in a row is seen by clients, if only for a moment.  Raising a share, and making
the target stable, also waits until it has a healthy endpoint: its share of the requests would
fail.  Such waits are what the progress deadline bounds; pauses, gates and analyses take as long
as they take.
"""

from dataclasses import dataclass

from router.analysis.phases import Phase as RunPhase
from router.rollouts import ending, gates, runs
from router.rollouts.effects import Action
from router.rollouts.events import Observation
from router.rollouts.phases import Happening, Phase, Reason
from router.rollouts.spec import (
    Analysis,
    GateKind,
    Pause,
    SetHeaderRoute,
    SetShadow,
    SetWeight,
    Step,
)
from router.rollouts.turn import Turn


@dataclass(frozen=True, slots=True)
class Wait:
    """What the rollout waits for; `bounded` by the progress deadline."""

    what: str
    bounded: bool = False


PATIENT = Wait("time, a person, a gate or an analysis")
WORKERS = Wait("the workers to serve its share", bounded=True)


def walk(turn: Turn, observation: Observation) -> None:
    """Take steps until one waits."""
    wait = None
    while wait is None and turn.in_flight:
        runs.start_background(turn)
        wait = _take_step(turn, observation)
    if wait is not None and wait.bounded:
        watch_the_clock(turn, wait)


def settle_share(turn: Turn, observation: Observation) -> None:
    """Give the target what its steps say, or nothing while it has no healthy endpoint.

    Unless stable is known to have none either: then there is nowhere better to go.
    """
    rollout, state = turn.rollout, turn.state
    dead = observation.is_dead(rollout.target) and not observation.is_dead(state.stable)
    wanted = 0 if dead else rollout.weight_bp
    had = state.weights.get(rollout.target, 0)
    if wanted == had:
        return
    turn.give(wanted)
    if dead:
        why = f"{rollout.target} has no healthy endpoint: its share is 0 until it has one"
        turn.note(Action.SHARE_WITHHELD, why, weight_bp=had)
    else:
        why = f"{rollout.target} gets the {wanted / 100:g} % that its steps say"
        turn.note(Action.SHARE_RESTORED, why, weight_bp=wanted)


def _take_step(turn: Turn, observation: Observation) -> Wait | None:
    """Take the current step; None when it has passed."""
    rollout, steps = turn.rollout, turn.spec.canary.steps
    if rollout.step == 0 and gates.is_shut(turn, GateKind.CONFIRM_ROLLOUT, observation):
        return PATIENT
    if rollout.full or rollout.step >= len(steps):
        return _finish(turn, observation)
    step = steps[rollout.step]
    wait = _wait_at(turn, step, observation)
    if wait is None:
        number = rollout.step + 1
        turn.note(Action.STEP_PASSED, f"step {number} of {len(steps)} has passed", step=number)
        ending.step_passed(turn)
    return wait


def _wait_at(turn: Turn, step: Step, observation: Observation) -> Wait | None:
    match step:
        case SetWeight():
            return _set_weight(turn, step, observation)
        case Pause():
            return _pause(turn, step)
        case Analysis():
            return _analyse(turn, step)
        case SetHeaderRoute():
            return _set_header_route(turn, step, observation)
        case SetShadow():
            return _set_shadow(turn, step, observation)


def _set_weight(turn: Turn, step: SetWeight, observation: Observation) -> Wait | None:
    rollout = turn.rollout
    if step.weight_bp > rollout.weight_bp and gates.is_shut(
        turn, GateKind.CONFIRM_TRAFFIC_INCREASE, observation
    ):
        return PATIENT
    if step.weight_bp and observation.is_dead(rollout.target):
        return _endpoints_of(rollout.target)
    if step.weight_bp != rollout.weight_bp:
        turn.update(weight_bp=step.weight_bp)
        turn.give(step.weight_bp)
        why = f"{rollout.target} gets {step.weight_bp / 100:g} % of the traffic"
        turn.note(Action.WEIGHT_SET, why, weight_bp=step.weight_bp, before_bp=rollout.weight_bp)
    return _until_applied(turn, observation)


def _pause(turn: Turn, step: Pause) -> Wait | None:
    if step.duration_s is not None and turn.now >= turn.rollout.step_s + step.duration_s:
        return None
    if turn.phase is Phase.PROGRESSING:
        length = "" if step.duration_s is None else f" or for {step.duration_s:.15g} s"
        text = f"step {turn.rollout.step + 1} waits until a person resumes{length}"
        turn.move(Happening.PAUSE_BEGAN, Reason.CANARY_PAUSE, text)
        turn.note(Action.PAUSED, text, step=turn.rollout.step + 1)
    return PATIENT


def _analyse(turn: Turn, step: Analysis) -> Wait | None:
    run = turn.rollout.inline
    if run is None:
        runs.start_inline(turn, step)
    elif run.outcome is RunPhase.SUCCESSFUL:
        turn.update(inline=None)
        return None
    return PATIENT


def _set_header_route(turn: Turn, step: SetHeaderRoute, observation: Observation) -> Wait | None:
    wanted = header_routes_after(turn.rollout.header_routes, step)
    if wanted != turn.rollout.header_routes:
        turn.update(header_routes=wanted)
        why = f"header route {step.name} {'is set' if step.matches else 'ends'}"
        turn.note(Action.HEADER_ROUTE_SET, why)
    return _until_applied(turn, observation)


def header_routes_after(
    routes: tuple[SetHeaderRoute, ...], step: SetHeaderRoute
) -> tuple[SetHeaderRoute, ...]:
    """Replace the header route of this name in its place, add it at the end, or remove it."""
    names = [route.name for route in routes]
    if not step.matches:
        return tuple(route for route in routes if route.name != step.name)
    if step.name in names:
        return tuple(step if route.name == step.name else route for route in routes)
    return (*routes, step)


def _set_shadow(turn: Turn, step: SetShadow, observation: Observation) -> Wait | None:
    wanted = step if step.percent_bp else None
    if wanted != turn.rollout.shadow:
        turn.update(shadow=wanted)
        why = f"{step.percent_bp / 100:g} % of the requests are copied"
        turn.note(Action.SHADOW_SET, why, version=step.version or turn.rollout.target)
    return _until_applied(turn, observation)


def _finish(turn: Turn, observation: Observation) -> Wait | None:
    """Past the last step: the target becomes stable."""
    if gates.is_shut(turn, GateKind.CONFIRM_PROMOTION, observation):
        return PATIENT
    if observation.is_dead(turn.rollout.target):
        return _endpoints_of(turn.rollout.target)
    if turn.phase is Phase.PAUSED:
        turn.move(Happening.PAUSE_ENDED)
    ending.promote(turn)
    return None


def _until_applied(turn: Turn, observation: Observation) -> Wait | None:
    return None if turn.is_applied(observation) else WORKERS


def _endpoints_of(version: str) -> Wait:
    return Wait(f"a healthy endpoint of {version}", bounded=True)


def watch_the_clock(turn: Turn, wait: Wait) -> None:
    """Mark a rollout that has waited longer than its progress deadline, or abort it."""
    rollout, spec = turn.rollout, turn.spec
    if turn.now < rollout.progress_s + spec.progress_deadline_s:
        return
    text = f"no progress for {spec.progress_deadline_s:.15g} s: waits for {wait.what}"
    if spec.progress_deadline_abort:
        ending.abort(turn, Happening.FAILED, Reason.LATE, text, waits_for=wait.what)
    elif rollout.reason is not Reason.LATE:
        turn.move(Happening.LATE, Reason.LATE, text)
        turn.note(Action.LATE, text, waits_for=wait.what)
