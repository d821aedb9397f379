"""`/overview`: what an SRE has to see within five seconds: which version has how much traffic,
whether it is worse, and what the controller will do next."""

import math
from typing import Any

from starlette.responses import Response

from router.admin.operation import Asked
from router.admin.paging import page_of
from router.admin.reply import json_response
from router.admin.requests import PageParameters
from router.controller.changes import told_override
from router.controller.endpoints import list_endpoints
from router.controller.plane import ControlPlane
from router.rollouts.status import Status
from router.snapshot import Route, Version
from router.telemetry import families
from router.telemetry.merge import Rows
from router.telemetry.windows import Timing, Window

Windows = dict[tuple[str, str], Window]
"""What each version did in the last minute."""


async def show_overview(asked: Asked[PageParameters, None]) -> Response:
    """A page of routes with the numbers of the last minute."""
    plane = asked.plane
    snapshot = plane.snapshot
    page = page_of((route.name for route in snapshot.routes), asked.parameters)
    by_name = {route.name: route for route in snapshot.routes}
    routes = [by_name[name] for name in page.names]
    versions = {(route.name, version.name) for route in routes for version in route.versions}
    windows = await plane.chronicler.recent(versions)
    in_flight = plane.fleet.look(versions).merged(families.IN_FLIGHT)
    trips = plane.fleet.trips()
    readiness = plane.readiness()
    return json_response(
        {
            "generation": snapshot.generation,
            "ready": readiness.ready,
            "reasons": readiness.reasons,
            "warnings": readiness.warnings,
            "workers": _workers(plane),
            "total": page.total,
            "next": page.following,
            "routes": [
                {
                    **_route(route, plane),
                    "versions": [
                        {
                            **_version(route, version, plane, windows, in_flight),
                            "tripped": trips.get((route.name, version.name)),
                        }
                        for version in route.versions
                    ],
                }
                for route in routes
                if route.name in plane.states  # a reload may have taken it away meanwhile
            ],
        }
    )


def _workers(plane: ControlPlane) -> list[dict[str, Any]]:
    return [
        {
            "name": worker.name,
            "live": worker.live,
            "generation": worker.generation,
            "inFlight": worker.in_flight,
        }
        for worker in plane.fleet.roster()
    ]


def _route(route: Route, plane: ControlPlane) -> dict[str, Any]:
    state, status = plane.states[route.name], plane.status(route.name)
    return {
        "name": route.name,
        "generation": plane.touched(route.name),
        "stable": state.stable,
        "override": None if state.override is None else told_override(state.override),
        **_told(status),
    }


def _told(status: Status) -> dict[str, Any]:
    return {
        "phase": status.phase.value,
        "text": status.text,
        "target": status.target,
        "step": status.step,
        "steps": status.steps,
        "until": status.until_s,
    }


def _version(
    route: Route, version: Version, plane: ControlPlane, windows: Windows, in_flight: Rows
) -> dict[str, Any]:
    key = (route.name, version.name)
    override = plane.states[route.name].override
    wanted = plane.states[route.name].weights.get(version.name, 0) / 100
    said = plane.fleet.endpoints(*key)
    endpoints = list_endpoints((endpoint.url for endpoint in version.endpoints), said)
    serving = in_flight.get(key, 0)
    return {
        "name": version.name,
        "role": version.role.value,
        "weight": version.weight_bp / 100,
        "wanted": None if override is None else wanted,
        **numbers(windows.get(key)),
        "inFlight": int(serving) if isinstance(serving, int | float) else 0,
        "healthyEndpoints": sum(all(one.healthy for one in each) for each in said.values()),
        "endpoints": len(endpoints),
    }


def numbers(window: Window | None) -> dict[str, float | None]:
    """What a version did; null is what was not measured."""
    if window is None:
        return dict.fromkeys(("requestRate", "errorRatio", "p50", "p99", "ttftP50", "ttftP99"))
    return {
        "requestRate": known(window.request_rate),
        "errorRatio": known(window.error_ratio),
        "p50": known(window.quantile(Timing.DURATION, 0.5)),
        "p99": known(window.quantile(Timing.DURATION, 0.99)),
        "ttftP50": known(window.quantile(Timing.FIRST_TOKEN, 0.5)),
        "ttftP99": known(window.quantile(Timing.FIRST_TOKEN, 0.99)),
    }


def known(number: float) -> float | None:
    """A number with six digits that matter, or null; more digits nobody has measured."""
    return None if math.isnan(number) else float(f"{number:.6g}")
