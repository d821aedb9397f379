"""The admin port: probes, metrics and the API, for people, Kubernetes and Prometheus.

Never traffic: a client of a model has no business here.  Errors are `application/problem+json`
(RFC 9457).  Without tokens the port is bound to loopback only; with tokens everything below
`/api/` asks for one, while probes and metrics stay open to those who reach the port.
"""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from router import __version__
from router.admin import probes, routes
from router.admin.problems import exception_handlers
from router.admin.tokens import Guard
from router.controller.plane import ControlPlane


def create_admin(plane: ControlPlane) -> Starlette:
    """The admin port's application over a control plane."""
    app = Starlette(
        routes=[
            Route("/", _index),
            *probes.ROUTES,
            Mount("/api/v1", routes=routes.ROUTES, middleware=[Middleware(Guard)]),
        ],
        exception_handlers=exception_handlers,
    )
    app.state.plane = plane
    return app


async def _index(request: Request) -> JSONResponse:
    root = request.scope.get("root_path", "")
    places = ("/livez", "/readyz", "/metrics", "/api/v1/routes")
    return JSONResponse(
        {
            "name": "inference-router",
            "version": __version__,
            "links": {place.rpartition("/")[2]: root + place for place in places},
        }
    )
