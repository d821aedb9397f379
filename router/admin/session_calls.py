"""`/ui/login`, `/ui/logout` and `/session`: a token becomes a session of the console, and back.

Only a page of this very port logs in or out (`Origin`), so that no other site changes whose session
a browser has.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from router.admin.authority import Authority
from router.admin.fields import Parameters
from router.admin.intake import read_body_as
from router.admin.operation import Asked
from router.admin.origins import why_exposed, why_not_own
from router.admin.problems import Problem, ProblemType
from router.admin.reply import NOT_KEPT, json_response
from router.admin.requests import Login
from router.admin.session import clear_cookie, set_cookie
from router.controller.plane import ControlPlane


async def show_session(asked: Asked[Parameters, None]) -> Response:
    """Who the caller is."""
    return json_response(
        {
            "name": asked.actor.name,
            "role": asked.actor.role,
            "tokens": bool(asked.plane.config.auth.tokens),
            "expires": asked.request.state.expires_s,
        }
    )


async def _log_in(request: Request) -> Response:
    authority: Authority = request.app.state.authority
    plane: ControlPlane = request.app.state.plane
    _check_origin(request, plane)
    if not authority.has_tokens:
        raise Problem(
            ProblemType.CONFLICT, "no tokens are configured: whoever may call needs no login"
        )
    login = await read_body_as(Login, request)
    try:
        session = authority.log_in(login.token.strip(), request)
    finally:
        authority.tell_failures()
    cookie = set_cookie(session, secure=_is_https(request))
    return Response(status_code=204, headers={**NOT_KEPT, "set-cookie": cookie})


async def _log_out(request: Request) -> Response:
    _check_origin(request, request.app.state.plane)
    return Response(status_code=204, headers={**NOT_KEPT, "set-cookie": clear_cookie()})


def _check_origin(request: Request, plane: ControlPlane) -> None:
    why = why_not_own(request.headers)
    if why is None and not plane.config.auth.tokens:
        address = request.client.host if request.client is not None else None
        host = request.headers.get("host", "")
        why = why_exposed(host, address, plane.config.server.admin.host)
    if why is not None:
        raise Problem(ProblemType.FOREIGN, why)


def _is_https(request: Request) -> bool:
    """Whether the browser came by https, also to a proxy in front: it says so in Origin itself,
    which a page cannot forge, so that no proxy has to be believed."""
    return request.url.scheme == "https" or request.headers["origin"].startswith("https://")


ROUTES: Final = [
    Route("/ui/login", _log_in, methods=["POST"]),
    Route("/ui/logout", _log_out, methods=["POST"]),
]
