"""Who calls?  Stands before everything below `/api/`, and knows a caller or refuses the call.

Without configured tokens the caller is `local`, an admin, as far as it is on this host
(`router.admin.origins`).  With tokens every call needs a known one; guesses are limited, counted
and told in the audit trail (`router.admin.logins`), the guessed secrets nowhere.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from router.admin.logins import Failures, Logins
from router.admin.origins import why_exposed, why_foreign
from router.admin.problems import Problem, ProblemType
from router.admin.tokens import Credential, Secret, read_credentials
from router.audit.entry import Actor, Draft
from router.config import Config
from router.config.models import Role
from router.controller.changes import Action
from router.controller.plane import ControlPlane
from router.errors import ConfigError
from router.store.base import StoreError

log: Final = logging.getLogger(__name__)

LOCAL: Final = "local"
UNKNOWN: Final = "unknown"
"""Who has no known token, and where there is no address (a Unix socket)."""


class Guard:
    """Pure ASGI: lets a request through whose caller is known, and says who it is.

    `request.state.actor` is the caller; `request.state.is_welcome()` says whether it still is one.
    """

    def __init__(self, app: ASGIApp, logins: Logins) -> None:
        self._app: Final = app
        self._logins: Final = logins
        self._config: Config | None = None
        self._credentials: tuple[Credential, ...] = ()
        self._telling: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] == "websocket":  # an application that embeds us may let them through
            await WebSocketClose()(scope, receive, send)
            return
        plane: ControlPlane = scope["app"].state.plane
        self._follow(plane.config)
        try:
            actor, is_welcome = self._admit(HTTPConnection(scope), plane)
        finally:
            self._tell_failures(plane)
        scope.setdefault("state", {}).update(actor=actor, is_welcome=is_welcome)
        await self._app(scope, receive, send)

    def _admit(
        self, connection: HTTPConnection, plane: ControlPlane
    ) -> tuple[Actor, Callable[[], bool]]:
        headers, peer = connection.headers, _peer(connection)
        host = headers.get("host", "")
        why = why_foreign(connection.scope["method"], host, headers.get("origin"))
        has_tokens = bool(plane.config.auth.tokens)
        if why is None and not has_tokens:
            why = why_exposed(host, peer, plane.config.server.admin.host)
        if why is not None:
            raise Problem(ProblemType.FOREIGN, why)
        address = peer or ""
        if not has_tokens:
            return Actor(LOCAL, Role.ADMIN.value, address), lambda: not plane.config.auth.tokens
        now = plane.clock.monotonic()
        credential = self._identify(headers.get("authorization", ""), peer or UNKNOWN, now)
        actor = Actor(credential.name, credential.role.value, address)
        return actor, lambda: self._knows(credential, plane)

    def _knows(self, credential: Credential, plane: ControlPlane) -> bool:
        self._follow(plane.config)
        return credential in self._credentials

    def _follow(self, config: Config) -> None:
        if config is self._config:
            return
        self._config = config
        try:
            self._credentials = read_credentials(config.auth)
        except ConfigError as error:
            log.error("nobody can use the admin API: %s", error)
            self._credentials = ()

    def _identify(self, authorization: str, address: str, now: float) -> Credential:
        """The credential that fits.

        Raises:
            Problem: none does, or the address has guessed too often.
        """
        scheme, _, rest = authorization.strip().partition(" ")
        if not scheme or (not rest.strip() and scheme.lower() == "bearer"):
            self._logins.on_missing()
            raise _unauthenticated()
        secret = _secret(rest.strip())
        wait_s = self._logins.wait_s(address, now)
        if wait_s and not self._logins.trusts(address, secret.digest, now):
            self._logins.on_limited(address, now)
            raise _limited(wait_s)
        # Every digest is compared, so that time does not tell which one was close.
        fitting = [one for one in self._credentials if one.fits(secret)]
        if scheme.lower() != "bearer" or not fitting:
            if not wait_s:
                self._logins.on_wrong(address, now)
                raise _unauthenticated()
            self._logins.on_limited(address, now)
            raise _limited(wait_s)
        self._logins.on_right(address, secret.digest, now)
        return fitting[0]

    # -- the audit trail -----------------------------------------------------------------------

    def _tell_failures(self, plane: ControlPlane) -> None:
        """Write what is due, beside the calls: nobody waits for it, one task at a time."""
        if self._telling is not None and not self._telling.done():
            return
        if (failures := self._logins.due(plane.clock.monotonic())) is not None:
            self._telling = asyncio.create_task(self._tell(failures, plane))

    async def _tell(self, failures: Failures, plane: ControlPlane) -> None:
        following: Failures | None = failures
        while following is not None:
            log.warning("%d failed logins from %s", following.count, following.address)
            try:
                await plane.note(_entry(following, plane.clock.wall()))
            except StoreError as error:
                log.error("failed logins are not in the audit trail: %s", error)
            following = self._logins.due(plane.clock.monotonic())


def _secret(text: str) -> Secret:
    """A header's text stands for its bytes, one each; a token is UTF-8."""
    return Secret(text.encode("latin-1").decode("utf-8", "surrogateescape"))


def _peer(connection: HTTPConnection) -> str | None:
    return connection.client.host if connection.client is not None else None


def _entry(failures: Failures, now: float) -> Draft:
    evidence = {"failures": failures.count}
    if failures.forgotten:
        evidence["failuresOfOtherAddresses"] = failures.forgotten
    return Draft(
        time_s=now,
        actor=Actor(UNKNOWN, "none", failures.address),
        action=Action.LOGIN_FAILED,
        evidence=evidence,
    )


def _unauthenticated() -> Problem:
    return Problem(
        ProblemType.UNAUTHENTICATED,
        "send `Authorization: Bearer TOKEN` with a token of this router",
        {"www-authenticate": "Bearer"},
    )


def _limited(wait_s: float) -> Problem:
    return Problem(
        ProblemType.TOO_MANY_FAILED_LOGINS,
        "too many unknown tokens came from your address: wait, then send a known one",
        {"retry-after": str(max(1, math.ceil(wait_s)))},
    )
