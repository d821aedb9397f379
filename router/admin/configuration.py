"""`/config`: what is declared against what runs, and why they differ.

Nothing here is copied from a configuration as a whole: each field is named, and a field that the
models mark as a secret (`repr=False`) is never told.
"""

from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel
from starlette.responses import Response

from router.admin.operation import Asked
from router.admin.paging import page_of
from router.admin.reply import json_response
from router.admin.requests import PageParameters
from router.config import Config
from router.config.models import BlueGreen, Canary, Route, Step, Strategy
from router.controller.changes import percent, told_override, told_shadow
from router.controller.plane import ControlPlane
from router.rollouts.phases import Phase
from router.rollouts.state import RouteState
from router.rollouts.status import Status
from router.snapshot import Shadow

MAX_STEPS_TOLD: Final = 20
"""Of a strategy in one line; the rest is counted."""


async def show_configuration(asked: Asked[PageParameters, None]) -> Response:
    """A page of routes, each as it is declared and as it runs."""
    plane = asked.plane
    config, refusal = plane.config, plane.refusal
    page = page_of((route.name for route in config.routes), asked.parameters)
    declared = {route.name: route for route in config.routes}
    shadows = {route.name: route.shadow for route in plane.snapshot.routes}
    return json_response(
        {
            "file": plane.source,
            "loadedAt": plane.loaded_s,
            "generation": plane.snapshot.generation,
            "lastProblem": None
            if refusal is None
            else {"time": refusal.time_s, "text": refusal.problem},
            "restartNeeded": list(plane.restart_needed),
            "server": server_of(config),
            "total": page.total,
            "next": page.following,
            "routes": [
                _route(declared[name], plane, shadows.get(name))
                for name in page.names
                if name in plane.states
            ],
        }
    )


def server_of(config: Config) -> dict[str, Any]:
    """What holds for the whole process, without secrets."""
    return {
        **_without_secrets(config.server),
        "store": config.store.partition(":")[0],
        "tokens": len(config.auth.tokens),
    }


def _without_secrets(section: BaseModel) -> dict[str, Any]:
    """A section as JSON, without the fields that its model does not show either."""
    told: dict[str, Any] = section.model_dump(mode="json", by_alias=True)
    for name, info in type(section).model_fields.items():
        key, value = info.alias or name, getattr(section, name)
        if not info.repr:
            told.pop(key, None)
        elif isinstance(value, BaseModel):
            told[key] = _without_secrets(value)
    return told


def _route(route: Route, plane: ControlPlane, shadow: Shadow | None) -> dict[str, Any]:
    state, status = plane.states[route.name], plane.status(route.name)
    return {
        "name": route.name,
        "declared": {
            "release": route.release,
            "strategy": strategy_text(route.strategy),
            "versions": {
                name: {
                    "endpoints": [endpoint.text for endpoint in version.endpoints],
                    "model": version.model,
                }
                for name, version in route.versions.items()
            },
            "initialWeights": None
            if route.initial_weights is None
            else percent(route.initial_weights),
            "shadow": _declared_shadow(route),
        },
        "running": {
            "stable": state.stable,
            "weights": percent(state.shares),
            "rejected": state.rejected,
            "override": None if state.override is None else told_override(state.override),
            "phase": status.phase.value,
            "shadow": None if shadow is None else told_shadow(shadow, state),
        },
        "differences": list(differences(route, state, status)),
    }


def _declared_shadow(route: Route) -> dict[str, Any] | None:
    if route.shadow is None or route.shadow.version is None:
        return None
    return {"version": route.shadow.version, "percent": route.shadow.percent / 100}


# -- what differs, in words --------------------------------------------------------------------


def differences(route: Route, state: RouteState, status: Status) -> Iterator[str]:
    """Why what runs is not what is declared; nothing: it is."""
    if route.release is not None and route.release != state.stable:
        yield f"release {route.release} is declared, {state.stable} is stable: {_why(status)}"
    if state.override is not None:
        yield (
            f"weights are held by {state.override.holder}, so the controller moves nothing: "
            f"{state.override.reason}"
        )
    if state.shadow is not None:
        copied = f"{state.shadow.percent_bp / 100:g} % to {state.shadow.version}"
        yield f"the shadow was set by {state.shadow.holder} ({copied}): {state.shadow.reason}"


def _why(status: Status) -> str:
    if status.step is not None:
        return f"the rollout is {_word(status.phase)} at step {status.step} of {status.steps}"
    if status.text:
        return status.text
    if status.phase is Phase.HEALTHY:
        return "the rollout has not begun yet"
    return f"the rollout is {_word(status.phase)}"


def _word(phase: Phase) -> str:
    return phase.value.lower()


# -- a strategy in one line --------------------------------------------------------------------


def strategy_text(strategy: Strategy | None) -> str:
    """How traffic moves, for people."""
    if strategy is None:
        return "none: a release waits for a switch"
    if strategy.blue_green is not None:
        return _blue_green(strategy.blue_green)
    return _canary(strategy.canary) if strategy.canary is not None else "none"


def _canary(canary: Canary) -> str:
    steps = [_step(step, canary) for step in canary.steps[:MAX_STEPS_TOLD]]
    if more := len(canary.steps) - len(steps):
        steps.append(f"{more} more")
    text = " → ".join([*steps, "100 %"])
    return f"canary: {text}{', with an analysis beside it' if canary.analysis else ''}"


def _step(step: Step, canary: Canary) -> str:
    if step.set_weight is not None:
        return f"{canary.weight_bp(step.set_weight) / 100:g} %"
    if step.pause is not None:
        seconds = step.pause.duration_s
        return "pause" if seconds is None else f"pause {seconds:g} s"
    if step.analysis is not None:
        return "analysis"
    if step.set_header_route is not None:
        return f"header route {step.set_header_route.name}"
    assert step.set_shadow is not None, "a step is one of these"
    return f"shadow {step.set_shadow.percent / 100:g} %"


def _blue_green(blue_green: BlueGreen) -> str:
    parts = [f"blue-green: {blue_green.min_healthy_endpoints} healthy"]
    if blue_green.warmup is not None:
        parts.append("warm-up")
    if blue_green.pre_promotion_analysis is not None:
        parts.append("analysis")
    if not blue_green.auto_promotion_enabled:
        parts.append("a person promotes")
    elif blue_green.auto_promotion_s is not None:
        parts.append(f"pause {blue_green.auto_promotion_s:g} s")
    parts.append("100 %")
    if blue_green.post_promotion_analysis is not None:
        parts.append("analysis")
    return " → ".join(parts)
