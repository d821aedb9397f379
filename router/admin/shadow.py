"""`/routes/{route}/shadow`: which version gets copies, and what its answers tell."""

from typing import Any

from starlette.responses import Response

from router.admin.changes import answer_change, call_of, reason_of
from router.admin.copies import copies_of
from router.admin.operation import Asked
from router.admin.reply import json_response
from router.admin.requests import (
    ChangeParameters,
    ReleaseParameters,
    RouteParameters,
    ShadowWish,
    Why,
)
from router.config.models import OnCancel, Route
from router.config.shadow import shadow_of
from router.controller.changes import Copying, told_shadow, told_shadow_override
from router.controller.plane import ControlPlane
from router.rollouts.state import RouteState
from router.snapshot import Rule, Shadow


async def set_shadow(asked: Asked[ChangeParameters, ShadowWish]) -> Response:
    """A person's shadow replaces what configuration and rollout say."""
    body = asked.body
    wanted = Copying(body.version, body.percent, body.noise_percent)
    call = call_of(asked, body.reason)
    change = await asked.plane.set_shadow(asked.parameters.route, wanted, call)
    return await answer_change(asked, change)


async def clear_shadow(asked: Asked[ReleaseParameters, Why | None]) -> Response:
    """Configuration and rollout say again what is copied."""
    call = call_of(asked, reason_of(asked))
    change = await asked.plane.clear_shadow(asked.parameters.route, call)
    return await answer_change(asked, change)


async def show_shadow(asked: Asked[RouteParameters, None]) -> Response:
    """Which shadow is in force, who wants one, and why nothing is copied if so."""
    document = standing_document(asked.plane, asked.parameters.route)
    return json_response(document, headers={"etag": f'"{document["generation"]}"'})


def standing_document(plane: ControlPlane, name: str) -> dict[str, Any]:
    """A route's shadow as people read it.

    Raises:
        UnknownRouteError: no route has this name.
    """
    route, state = plane.route(name)
    in_force = shadow_of(route, state)
    step, configured = _of_step(state), _of_configuration(route)
    return {
        "route": name,
        "generation": plane.touched(name),
        "shadow": None if in_force is None else told_shadow(in_force, state),
        "why": why_nothing(route, state),
        "override": None if state.shadow is None else told_shadow_override(state.shadow),
        "step": None if step is None else _told_copying(step),
        "configured": None if configured is None else _told_copying(configured),
        "copies": copies_of(name, route.versions, plane.fleet),
        "limits": None if in_force is None else _told_limits(in_force),
    }


def why_nothing(route: Route, state: RouteState) -> str | None:
    """Why no request is copied; None: there is a shadow in force."""
    if shadow_of(route, state) is not None:
        return None
    wanted = _of_person(state) or _of_step(state) or _of_configuration(route)
    if wanted is None:
        return "nobody wants a shadow: neither a person, nor a rollout, nor the configuration"
    name = wanted.version
    if name not in route.versions:
        return f"the route has no version {name} any more"
    if name == state.stable:
        return f"{name} is the stable version: its requests are those that are copied"
    if share := state.share(name):
        return f"{name} has {share / 100:g} % of the traffic, and a shadow has no users"
    return f"{name} is to get copies of 0 % of the requests"


# What each of those who may want a shadow says, in the order in which they are heard.


def _of_person(state: RouteState) -> Copying | None:
    shadow = state.shadow
    return None if shadow is None else Copying(shadow.version, shadow.percent_bp, shadow.noise_bp)


def _of_step(state: RouteState) -> Copying | None:
    rollout = state.rollout
    if rollout is None or not rollout.in_flight or rollout.shadow is None:
        return None
    return Copying(rollout.shadow.version or rollout.target, rollout.shadow.percent_bp)


def _of_configuration(route: Route) -> Copying | None:
    shadow = route.shadow
    if shadow is None or shadow.version is None:  # then it only says the limits
        return None
    return Copying(shadow.version, int(shadow.percent))


def _told_copying(copying: Copying) -> dict[str, Any]:
    return {"version": copying.version, "percent": copying.percent_bp / 100}


def _told_limits(shadow: Shadow) -> dict[str, Any]:
    return {
        "noisePercent": shadow.noise_bp / 100,
        "sampleBy": shadow.sample_by.value,
        "match": [_told_rule(rule) for rule in shadow.rules],
        "includeStateful": shadow.stateful,
        "maxConcurrency": shadow.max_concurrency,
        "maxQueue": shadow.max_queue,
        "maxBodyBytes": shadow.max_body_bytes,
        "maxResponseBytes": shadow.max_response_bytes,
        "maxPerHour": shadow.max_per_hour,
        "maxPairsPerSecond": shadow.max_pairs_per_s,
        "timeoutSeconds": shadow.timeout_s,
        "onCancel": (OnCancel.KEEP if shadow.keep else OnCancel.CANCEL).value,
        "credentials": {
            "mode": shadow.credentials.mode.value,
            "header": shadow.credentials.header,
        },
    }


def _told_rule(rule: Rule) -> dict[str, Any]:
    """A rule in the words of the configuration; of headers only the names."""
    told = {
        "path": rule.path,
        "prefix": rule.path_prefix,
        "model": rule.model,
        "methods": list(rule.methods),
        "headers": [header.name for header in rule.headers],
    }
    return {name: value for name, value in told.items() if value}
