"""`/api/v1/routes`: what every route serves now."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route as Path

from router.admin.problems import Problem, ProblemType
from router.controller.fleet import Fleet
from router.controller.plane import ControlPlane
from router.link.messages import EndpointHealth
from router.snapshot import Route, Version


async def list_routes(request: Request) -> JSONResponse:
    """Every route, in the configuration's order."""
    plane: ControlPlane = request.app.state.plane
    snapshot = plane.snapshot
    routes = [_route(route, plane.fleet) for route in snapshot.routes]
    return _answer(snapshot.generation, {"routes": routes})


async def show_route(request: Request) -> JSONResponse:
    """One route."""
    plane: ControlPlane = request.app.state.plane
    name = request.path_params["route"]
    for route in plane.snapshot.routes:
        if route.name == name:
            return _answer(plane.snapshot.generation, _route(route, plane.fleet))
    raise Problem(ProblemType.NOT_FOUND, f"no route is called {name!r}")


def _answer(generation: int, body: dict[str, Any]) -> JSONResponse:
    # The ETag is for If-Match: it says which weights were seen.  Health in the body changes
    # without a new generation, so it is not for If-None-Match.
    return JSONResponse({"generation": generation, **body}, headers={"etag": f'"{generation}"'})


def _route(route: Route, fleet: Fleet) -> dict[str, Any]:
    return {
        "name": route.name,
        "stable": route.stable.name,
        "versions": [_version(route, version, fleet) for version in route.versions],
    }


def _version(route: Route, version: Version, fleet: Fleet) -> dict[str, Any]:
    said = fleet.endpoints(route.name, version.name)
    urls = dict.fromkeys([endpoint.url for endpoint in version.endpoints])
    urls |= dict.fromkeys(said)  # a dns:// endpoint may be reported address by address
    return {
        "name": version.name,
        "role": version.role.value,
        "weight": version.weight_bp / 100,
        "model": version.model,
        "endpoints": [_endpoint(url, said.get(url, [])) for url in urls],
    }


def _endpoint(url: str, said: list[EndpointHealth]) -> dict[str, Any]:
    healthy = sum(one.healthy for one in said)
    reasons = sorted({one.reason for one in said if one.reason})
    return {
        "url": url,
        "healthy": bool(said) and healthy == len(said),
        "healthyWorkers": healthy,
        "workers": len(said),
        "reasons": reasons,
    }


ROUTES: Final = [
    Path("/routes", list_routes),
    Path("/routes/{route}", show_route),
]
