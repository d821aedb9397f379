"""`/routes/{route}/rollout`: how a release is doing, and what people say to it."""

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from router.admin.changes import answer_change, call_of
from router.admin.operation import Asked
from router.admin.problems import invalid
from router.admin.reply import json_response
from router.admin.requests import ChangeParameters, RouteParameters, StartWhy, Why
from router.admin.runs import told_run
from router.controller.plane import ControlPlane
from router.rollouts import events
from router.rollouts.rollout import Rollout, RunRef
from router.rollouts.spec import Analysis, Pause, SetHeaderRoute, SetWeight, Step

Making = Callable[[Any], events.Event]

COMMANDS: Final[dict[str, Making]] = {
    "start": lambda body: events.Start(reason=body.reason, to=body.to),
    "pause": lambda body: events.Pause(reason=body.reason),
    "resume": lambda body: events.Resume(reason=body.reason),
    "promote": lambda body: events.Promote(reason=body.reason),
    "promote-full": lambda body: events.PromoteFull(reason=body.reason),
    "abort": lambda body: events.Abort(reason=body.reason),
    "retry": lambda body: events.Retry(reason=body.reason),
}


async def show_rollout(asked: Asked[RouteParameters, None]) -> Response:
    """How the newest rollout of a route is doing, or that there was none."""
    return json_response(await rollout_document(asked.plane, asked.parameters.route))


def commanding(name: str) -> Callable[[Asked[ChangeParameters, Why | StartWhy]], Any]:
    """The handler of one command."""

    async def handle(asked: Asked[ChangeParameters, Why | StartWhy]) -> Response:
        if isinstance(asked.body, StartWhy) and asked.body.to is not None:
            check_target(asked.plane, asked.parameters.route, asked.body.to)
        change = await asked.plane.command(
            asked.parameters.route, COMMANDS[name](asked.body), call_of(asked, asked.body.reason)
        )
        return await answer_change(asked, change)

    return handle


def check_target(plane: ControlPlane, name: str, to: str) -> None:
    """Refuse a version that the route does not have.

    Raises:
        Problem: naming the field `to`.
        UnknownRouteError: no route has this name.
    """
    route, _ = plane.route(name)
    if to not in route.versions:
        known = ", ".join(route.versions)
        raise invalid([("to", f"unknown version; the route has {known}")])


async def rollout_document(plane: ControlPlane, name: str) -> dict[str, Any]:
    """A route's rollout as people read it.

    Raises:
        UnknownRouteError: no route has this name.
    """
    route, state = plane.route(name)
    now = plane.status(name)
    rollout = state.rollout
    return {
        "route": name,
        "generation": plane.touched(name),
        "phase": now.phase,
        "reason": now.reason,
        "message": now.text,
        "stable": state.stable,
        "release": route.release,
        "target": now.target,
        "weight": 0.0 if now.target is None else state.share(now.target) / 100,
        "step": now.step,
        "steps": [told_step(step) for step in plane.steps(name)],
        "stage": now.stage,
        "pausedUntil": now.until_s,
        "possible": list(now.possible),
        "held": state.override is not None,
        "number": None if rollout is None else rollout.number,
        "attempt": None if rollout is None else rollout.attempt,
        "started": None if rollout is None else rollout.started_s,
        "finished": None if rollout is None else rollout.finished_s,
        "analyses": await _analyses(plane, rollout),
    }


async def _analyses(plane: ControlPlane, rollout: Rollout | None) -> list[dict[str, Any]]:
    if rollout is None:
        return []
    refs: tuple[tuple[str, RunRef | None], ...] = (
        ("inline", rollout.inline),
        ("background", rollout.background),
    )
    found = [(kind, await plane.run(ref.id)) for kind, ref in refs if ref is not None]
    return [{"kind": kind, **told_run(run)} for kind, run in found if run is not None]


def told_step(step: Step) -> dict[str, Any]:
    """One step, in the words of the configuration."""
    match step:
        case SetWeight():
            return {"setWeight": step.weight_bp / 100}
        case Pause():
            return {"pause": {"seconds": step.duration_s}}
        case Analysis():
            return {"analysis": {"templates": list(step.ref.templates)}}
        case SetHeaderRoute():
            headers = [match.name for match in step.matches]
            return {"setHeaderRoute": {"name": step.name, "headers": headers}}
        case _:
            return {"setShadow": {"version": step.version, "percent": step.percent_bp / 100}}
