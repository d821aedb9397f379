"""Stands before everything below `/api/`: a known caller passes, anybody else is refused.

Without configured tokens the caller is `local`, an admin, as far as it is on this host
(`router.admin.origins`).  With tokens every call needs a known one, or the session that the
console was given for one (`router.admin.authority`).
"""

from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from router.admin.authority import Authority


class Guard:
    """Pure ASGI: lets a request through whose caller is known, and says who it is.

    `request.state.actor` is the caller, `request.state.is_welcome()` says whether it still is one,
    `request.state.expires_s` when its session ends (None: it has none).
    """

    def __init__(self, app: ASGIApp, authority: Authority) -> None:
        self._app: Final = app
        self._authority: Final = authority

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] == "websocket":  # an application that embeds us may let them through
            await WebSocketClose()(scope, receive, send)
            return
        try:
            caller = self._authority.admit(HTTPConnection(scope))
        finally:
            self._authority.tell_failures()
        scope.setdefault("state", {}).update(
            actor=caller.actor, is_welcome=caller.is_welcome, expires_s=caller.expires_s
        )
        await self._app(scope, receive, send)
