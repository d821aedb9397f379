"""Decides who calls: by a token, by the console's session, or as `local` where no token exists.

Guesses of tokens are limited, counted and told in the audit trail (`router.admin.logins`), the
guessed secrets nowhere.  A session cannot be guessed, so a wrong one is only counted.
"""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import HTTPConnection

from router.admin.logins import Failures, Logins
from router.admin.origins import SAFE_METHODS, why_exposed, why_foreign, why_forged
from router.admin.problems import Problem, ProblemType
from router.admin.session import COOKIE, Session, Sessions, clear_cookie
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; `is_welcome` says whether it still is, `expires_s` when its session ends."""

    actor: Actor
    is_welcome: Callable[[], bool]
    expires_s: int | None = None


class Authority:
    """Knows the tokens of the configuration in force, and the sessions that were given for them."""

    def __init__(self, plane: ControlPlane, logins: Logins, sessions: Sessions) -> None:
        self._plane: Final = plane
        self._logins: Final = logins
        self._sessions: Final = sessions
        self._config: Config | None = None
        self._known: tuple[Credential, ...] = ()
        self._telling: asyncio.Task[None] | None = None

    def admit(self, connection: HTTPConnection) -> Caller:
        """Who calls the API.

        Raises:
            Problem: nobody who may.
        """
        headers, method = connection.headers, connection.scope["method"]
        host, address = headers.get("host", ""), _address(connection)
        why = why_foreign(method, host, headers.get("origin"))
        if why is None and not self.has_tokens:
            why = why_exposed(host, address, self._plane.config.server.admin.host)
        if why is not None:
            raise Problem(ProblemType.FOREIGN, why)
        if not self.has_tokens:
            actor = Actor(LOCAL, Role.ADMIN.value, address or "")
            return Caller(actor, lambda: not self.has_tokens)
        if "authorization" not in headers and COOKIE in connection.cookies:
            return self._admit_session(connection)
        credential = self._identify(headers.get("authorization", ""), connection)
        return Caller(_actor(credential, connection), lambda: credential in self._credentials)

    def log_in(self, token: str, connection: HTTPConnection) -> str:
        """A session for a token, under the limits of every call with one.

        Raises:
            Problem: it is unknown, or the address has guessed too often.
        """
        credential = self._look_up(Secret(token), connection)
        return self._sessions.issue(credential, self._plane.clock.wall())

    @property
    def has_tokens(self) -> bool:
        """Whether any are configured."""
        return bool(self._plane.config.auth.tokens)

    @property
    def _credentials(self) -> tuple[Credential, ...]:
        config = self._plane.config
        if config is not self._config:
            self._config = config
            try:
                self._known = read_credentials(config.auth)
            except ConfigError as error:
                log.error("nobody can use the admin API: %s", error)
                self._known = ()
        return self._known

    # -- sessions ------------------------------------------------------------------------------

    def _admit_session(self, connection: HTTPConnection) -> Caller:
        text = connection.cookies[COOKIE]
        session = self._recognise(text)
        if session is None:
            self._logins.on_missing()
            raise _session_over()
        if connection.scope["method"] not in SAFE_METHODS:
            why = why_forged(connection.headers)
            if why is not None:
                raise Problem(ProblemType.FOREIGN, why)
        return Caller(
            _actor(session.credential, connection),
            lambda: self._recognise(text) is not None,
            session.expires_s,
        )

    def _recognise(self, text: str) -> Session | None:
        return self._sessions.recognise(text, self._credentials, self._plane.clock.wall())

    # -- tokens --------------------------------------------------------------------------------

    def _identify(self, authorization: str, connection: HTTPConnection) -> Credential:
        scheme, _, rest = authorization.strip().partition(" ")
        if not scheme or (not rest.strip() and scheme.lower() == "bearer"):
            self._logins.on_missing()
            raise _unauthenticated()
        return self._look_up(_secret(rest.strip()), connection, usable=scheme.lower() == "bearer")

    def _look_up(
        self, secret: Secret, connection: HTTPConnection, *, usable: bool = True
    ) -> Credential:
        """The credential that fits; not `usable`: it is a guess, whatever it says.

        Raises:
            Problem: none does, or the address has guessed too often.
        """
        address, now = _address(connection) or UNKNOWN, self._plane.clock.monotonic()
        wait_s = self._logins.wait_s(address, now)
        if wait_s and not self._logins.trusts(address, secret.digest, now):
            self._logins.on_limited(address, now)
            raise _limited(wait_s)
        # Every digest is compared, so that time does not tell which one was close.
        fitting = [one for one in self._credentials if one.fits(secret)]
        if not usable or not fitting:
            if not wait_s:
                self._logins.on_wrong(address, now)
                raise _unauthenticated()
            self._logins.on_limited(address, now)
            raise _limited(wait_s)
        self._logins.on_right(address, secret.digest, now)
        return fitting[0]

    # -- the audit trail -----------------------------------------------------------------------

    def tell_failures(self) -> None:
        """Write what is due, beside the calls: nobody waits for it, one task at a time."""
        if self._telling is not None and not self._telling.done():
            return
        if (failures := self._logins.due(self._plane.clock.monotonic())) is not None:
            self._telling = asyncio.create_task(self._tell(failures))

    async def _tell(self, failures: Failures) -> None:
        following: Failures | None = failures
        while following is not None:
            log.warning("%d failed logins from %s", following.count, following.address)
            try:
                await self._plane.note(_entry(following, self._plane.clock.wall()))
            except StoreError as error:
                log.error("failed logins are not in the audit trail: %s", error)
            following = self._logins.due(self._plane.clock.monotonic())


def _secret(text: str) -> Secret:
    """A header's text stands for its bytes, one each; a token is UTF-8."""
    return Secret(text.encode("latin-1").decode("utf-8", "surrogateescape"))


def _address(connection: HTTPConnection) -> str | None:
    return connection.client.host if connection.client is not None else None


def _actor(credential: Credential, connection: HTTPConnection) -> Actor:
    return Actor(credential.name, credential.role.value, _address(connection) or "")


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


def _session_over() -> Problem:
    return Problem(
        ProblemType.UNAUTHENTICATED,
        "the console's session has ended, or its token was withdrawn: log in again",
        {"www-authenticate": "Bearer", "set-cookie": clear_cookie()},
    )


def _limited(wait_s: float) -> Problem:
    return Problem(
        ProblemType.TOO_MANY_FAILED_LOGINS,
        "too many unknown tokens came from your address: wait, then send a known one",
        {"retry-after": str(max(1, math.ceil(wait_s)))},
    )
