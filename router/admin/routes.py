"""`/routes`: what every route serves now, and how far it has come."""

import asyncio
from collections.abc import Mapping, Set
from typing import Any, Final

import orjson
from starlette.responses import Response

from router.admin.fields import Parameters
from router.admin.operation import Asked
from router.admin.pressure import Pressure, pressure
from router.admin.reply import bytes_response, json_response
from router.admin.requests import RouteParameters
from router.controller.changes import told_override, told_shadow
from router.controller.endpoints import list_endpoints
from router.controller.fleet import Fleet
from router.controller.plane import ControlPlane
from router.link.messages import EndpointHealth
from router.rollouts.state import RouteState
from router.routing.slow_start import share_at
from router.snapshot import Route, Version

Trips = Mapping[tuple[str, str], str]
"""Why a worker has taken a version out of the split, by (route, version)."""
Panics = Set[tuple[str, str]]
"""Versions of which a worker uses endpoints that it had left alone."""

AT_ONCE: Final = 100
"""Routes that are told before others get their turn: 10 000 take 0.4 s, 100 of them 4 ms."""


async def list_routes(asked: Asked[Parameters, None]) -> Response:
    """Every route, in the configuration's order; all of one generation."""
    plane = asked.plane
    snapshot, states = plane.snapshot, plane.states
    touched = {route.name: plane.touched(route.name) for route in snapshot.routes}
    trips, panics, now = plane.fleet.trips(), plane.fleet.panics(), plane.clock.wall()
    full = pressure(plane.fleet, snapshot.routes)
    parts: list[bytes] = []
    for place, route in enumerate(snapshot.routes, 1):
        told = _route(route, states[route.name], plane.fleet, trips, panics, full, now)
        parts.append(orjson.dumps({"generation": touched[route.name], **told}))
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)
    body = b'{"generation":%d,"routes":[%b]}' % (snapshot.generation, b",".join(parts))
    return bytes_response(body, headers={"etag": f'"{snapshot.generation}"'})


async def show_route(asked: Asked[RouteParameters, None]) -> Response:
    """One route."""
    document = route_document(asked.plane, asked.parameters.route)
    # The ETag is for If-Match: it says which weights were seen.  Health in the body changes
    # without a new generation, so it is not for If-None-Match.
    return json_response(document, headers={"etag": f'"{document["generation"]}"'})


def route_document(plane: ControlPlane, name: str) -> dict[str, Any]:
    """A route as it is now.

    Raises:
        UnknownRouteError: no route has this name.
    """
    _, state = plane.route(name)
    route = next(each for each in plane.snapshot.routes if each.name == name)
    fleet, now = plane.fleet, plane.clock.wall()
    full = pressure(fleet, (route,))
    told = _route(route, state, fleet, fleet.trips(), fleet.panics(), full, now)
    return {"generation": plane.touched(name), **told}


def _route(
    route: Route,
    state: RouteState,
    fleet: Fleet,
    trips: Trips,
    panics: Panics,
    full: Pressure,
    now: float,
) -> dict[str, Any]:
    held = state.override
    versions = [
        {
            **_version(route, version, state, fleet, now),
            "tripped": trips.get((route.name, version.name)),
            "panic": (route.name, version.name) in panics,
            "circuit": full.circuit(route, version),
        }
        for version in route.versions
    ]
    return {
        "name": route.name,
        "stable": state.stable,
        "override": None if held is None else told_override(held),
        "past": list(state.past),
        "rejected": state.rejected,
        "shadow": None if route.shadow is None else told_shadow(route.shadow, state),
        "admission": full.admission(route, versions),
        "versions": versions,
    }


def _version(
    route: Route, version: Version, state: RouteState, fleet: Fleet, now: float
) -> dict[str, Any]:
    said = fleet.endpoints(route.name, version.name)
    labels = list_endpoints((endpoint.url for endpoint in version.endpoints), said)
    wanted = None if state.override is None else state.weights.get(version.name, 0) / 100
    return {
        "name": version.name,
        "role": version.role.value,
        "weight": version.weight_bp / 100,
        "wanted": wanted,
        "model": version.model,
        "inFlight": fleet.in_flight(route.name, version.name),
        "drainUntil": _if_ahead(version.drain_until_s, now),
        "warmUntil": state.warm[version.name] if state.is_warm(version.name, now) else None,
        "lineage": state.lineage.get(version.name, {}),
        "endpoints": [_endpoint(label, said.get(label, []), now) for label in labels],
    }


def _if_ahead(time_s: float | None, now: float) -> float | None:
    return time_s if time_s is not None and now < time_s else None


def _endpoint(label: str, said: list[EndpointHealth], now: float) -> dict[str, Any]:
    healthy = sum(one.healthy for one in said)
    reasons = sorted({one.reason for one in said if one.reason})
    return {
        "url": label,
        "healthy": bool(said) and healthy == len(said),
        "healthyWorkers": healthy,
        "workers": len(said),
        "reasons": reasons,
        "ejections": sum(one.ejections for one in said),
        "ejectedUntil": _if_ahead(max((one.ejected_until_s for one in said), default=0.0), now),
        "slowStart": _slow_start([one for one in said if one.warm_until_s > now], now),
        "idleSeconds": min((one.idle_s for one in said if one.idle_s), default=None),
    }


def _slow_start(warming: list[EndpointHealth], now: float) -> dict[str, float] | None:
    if not warming:
        return None
    shares = [share_at(now - w.warm_from_s, w.warm_until_s - w.warm_from_s) for w in warming]
    return {
        "percent": round(100 * min(shares), 1),
        "until": max(one.warm_until_s for one in warming),
    }
