"""What people are told about a route, and when the loop has to look again by itself."""

from collections.abc import Iterator

from router.rollouts.blue_green import next_look_s, promotion_s
from router.rollouts.phases import Phase, Reason, commands_in
from router.rollouts.rollout import Rollout
from router.rollouts.spec import (
    Pause,
    RouteSpec,
    SetHeaderRoute,
    SetShadow,
    SetWeight,
    Value,
)
from router.rollouts.stage import Stage, wait_of
from router.rollouts.state import RouteState


class Status(Value, frozen=True):
    """How a route is doing.

    `step` counts from 1 and is None where no step is under way; `stage` is what a blue-green
    rollout waits for, and `text` says which endpoints it lacks.  `until_s` is the end of a pause.
    `possible` are the commands that its phase allows.
    """

    phase: Phase
    reason: Reason | None
    text: str
    target: str | None = None
    step: int | None = None
    steps: int = 0
    stage: Stage | None = None
    until_s: float | None = None
    possible: tuple[str, ...] = ()


def status(spec: RouteSpec, state: RouteState) -> Status:
    """Say how a route is doing."""
    rollout = state.rollout
    phase = rollout.phase if rollout is not None else Phase.HEALTHY
    steps = len(spec.canary.steps)
    stage = rollout.stage if rollout is not None else None
    walking = rollout is not None and rollout.in_flight and not rollout.full and stage is None
    return Status(
        phase=phase,
        reason=rollout.reason if rollout is not None else None,
        text=_waits_for_person(spec, state) or (_told(rollout) if rollout is not None else ""),
        target=rollout.target if rollout is not None else None,
        step=rollout.step + 1 if rollout is not None and walking and rollout.step < steps else None,
        steps=steps,
        stage=stage,
        until_s=_pause_end(spec, rollout) if rollout is not None else None,
        possible=commands_in(phase),
    )


def _told(rollout: Rollout) -> str:
    if rollout.message or rollout.stage is None:
        return rollout.message
    return wait_of(rollout.stage, rollout.target)


def _waits_for_person(spec: RouteSpec, state: RouteState) -> str:
    """Why a release does not begin by itself."""
    release, rollout = spec.release, state.rollout
    if release in (None, state.stable) or (rollout is not None and rollout.in_flight):
        return ""
    if release == state.rejected:
        if rollout is not None and rollout.phase is Phase.DEGRADED:
            return rollout.message
        return f"release {release} was given up; it waits for `retry`, or for another release"
    return "" if spec.strategy is not None else f"no strategy: release {release} waits for `switch`"


def next_at(spec: RouteSpec, state: RouteState) -> float | None:
    """When to look again although nothing happens; None: not before something does."""
    return min(_alarms(spec, state), default=None)


def _alarms(spec: RouteSpec, state: RouteState) -> Iterator[float]:
    override, rollout = state.override, state.rollout
    if override is not None:
        if override.expires_s is not None:
            yield override.expires_s
    elif rollout is not None and rollout.in_flight:
        if (end := _pause_end(spec, rollout)) is not None:
            yield end
        if _looks_for_health(rollout):
            yield next_look_s(rollout, spec.blue_green, rollout.looks)
        if _is_bounded(spec, rollout):
            yield rollout.progress_s + spec.progress_deadline_s


def _looks_for_health(rollout: Rollout) -> bool:
    """Whether looks for healthy endpoints are counted."""
    if rollout.stage not in (Stage.HEALTH, Stage.SWITCH) or rollout.gate is not None:
        return False
    return rollout.phase is Phase.PROGRESSING and rollout.reason is not Reason.SUPERSEDED


def _pause_end(spec: RouteSpec, rollout: Rollout) -> float | None:
    if rollout.reason is Reason.BLUE_GREEN_PAUSE:
        return promotion_s(rollout, spec.blue_green)
    steps = spec.canary.steps
    if rollout.reason is not Reason.CANARY_PAUSE or rollout.step >= len(steps):
        return None
    step = steps[rollout.step]
    if not isinstance(step, Pause) or step.duration_s is None:
        return None
    return rollout.step_s + step.duration_s


_UNBOUNDED = frozenset({Reason.LATE, Reason.SUPERSEDED})


_BOUNDED_STAGES = frozenset({Stage.WARM_UP, Stage.SERVED})


def _is_bounded(spec: RouteSpec, rollout: Rollout) -> bool:
    """Whether the progress deadline runs and has not been noticed yet."""
    if rollout.phase is not Phase.PROGRESSING or rollout.reason in _UNBOUNDED:
        return False
    if rollout.gate is not None:
        return False
    if rollout.stage is not None:
        return rollout.stage in _BOUNDED_STAGES
    steps = spec.canary.steps
    if rollout.full or rollout.step >= len(steps):
        return True
    return isinstance(steps[rollout.step], SetWeight | SetHeaderRoute | SetShadow)
