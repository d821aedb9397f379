"""The admin port's application: what is served where, and who guards it."""

import asyncio
import secrets
from functools import lru_cache
from typing import Final

import orjson
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, Router

from router import __version__
from router.admin import openapi, probes, session_calls, ui
from router.admin.authority import Authority
from router.admin.guard import Guard
from router.admin.logins import Logins
from router.admin.place import places
from router.admin.problems import exception_handlers
from router.admin.reply import bytes_response
from router.admin.session import Sessions
from router.admin.table import OPERATIONS
from router.controller.plane import ControlPlane
from router.store.session_key import KEY_BYTES

API: Final = "/api/v1"


def create_admin(plane: ControlPlane, key: bytes | None = None) -> Starlette:
    """The admin port's application over a control plane.

    `key` signs the console's sessions (`router.store.session_key`); without it they end with this
    application.
    """
    logins = Logins()
    authority = Authority(plane, logins, Sessions(key or secrets.token_bytes(KEY_BYTES)))
    api = [*places(OPERATIONS), Route("/openapi.json", _openapi)]
    guarded = [Middleware(Guard, authority=authority)]
    app = Starlette(
        routes=[
            Route("/", _index),
            *probes.ROUTES,
            Mount(API, Router(api, redirect_slashes=False), middleware=guarded),
            *session_calls.ROUTES,
            *ui.ROUTES,
        ],
        exception_handlers=exception_handlers,
    )
    app.router.redirect_slashes = False  # what is nearly right is not there
    app.state.plane = plane
    app.state.logins = logins
    app.state.authority = authority
    return app


async def _openapi(request: Request) -> Response:
    root = request.scope.get("app_root_path", "")
    # 0.7 s of work, once: not on the loop that watches over the rollouts.
    return bytes_response(await asyncio.to_thread(_described, f"{root}{API}"))


@lru_cache(maxsize=4)
def _described(server: str) -> bytes:
    return orjson.dumps(openapi.document(OPERATIONS, server))


async def _index(request: Request) -> JSONResponse:
    root = request.scope.get("root_path", "")
    places_ = ("/livez", "/readyz", "/metrics", f"{API}/routes", f"{API}/openapi.json")
    return JSONResponse(
        {
            "name": "inference-router",
            "version": __version__,
            "links": {
                "console": f"{root}/ui/",
                **{
                    place.rpartition("/")[2].removesuffix(".json"): root + place
                    for place in places_
                },
            },
        }
    )
