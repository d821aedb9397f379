"""Who may use the admin API: bearer tokens, of which only SHA-256 digests are known here.

Fails closed: a digest that cannot be read admits nobody.
"""

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from router.admin.problems import Problem, ProblemType
from router.config import Config
from router.config.models import Auth, Role, Token
from router.controller.plane import ControlPlane
from router.errors import ConfigError

log: Final = logging.getLogger(__name__)

_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Credential:
    """One token: who it is, what it may do, and the digest of its secret."""

    name: str
    role: Role
    digest: bytes

    def fits(self, secret: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), self.digest)


def read_credentials(
    auth: Auth, environment: Mapping[str, str] = os.environ
) -> tuple[Credential, ...]:
    """Find every token's digest, in the configuration, the environment or a file.

    Raises:
        ConfigError: one of them is not there or is no digest.
    """
    return tuple(_credential(token, environment) for token in auth.tokens)


class Guard:
    """Pure ASGI: lets a request through that carries a known token, or where none is configured."""

    def __init__(self, app: ASGIApp) -> None:
        self._app: Final = app
        self._config: Config | None = None
        self._credentials: tuple[Credential, ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        plane: ControlPlane = scope["app"].state.plane
        self._follow(plane.config)
        if plane.config.auth.tokens:
            scope.setdefault("state", {})["credential"] = self._identify(HTTPConnection(scope))
        await self._app(scope, receive, send)

    def _follow(self, config: Config) -> None:
        if config is self._config:
            return
        self._config = config
        try:
            self._credentials = read_credentials(config.auth)
        except ConfigError as error:
            log.error("nobody can use the admin API: %s", error)
            self._credentials = ()

    def _identify(self, connection: HTTPConnection) -> Credential:
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            # Every digest is compared, so that time does not tell which one was close.
            fitting = [one for one in self._credentials if one.fits(secret.strip())]
            if fitting:
                return fitting[0]
        raise Problem(
            ProblemType.UNAUTHENTICATED,
            "send `Authorization: Bearer TOKEN` with a token of this router",
            {"www-authenticate": "Bearer"},
        )


def _credential(token: Token, environment: Mapping[str, str]) -> Credential:
    where = f"auth.tokens: token {token.name}"
    if token.sha256 is not None:
        text = token.sha256
    elif token.sha256_env is not None:
        if token.sha256_env not in environment:
            raise ConfigError(f"{where}: environment variable {token.sha256_env} is not set")
        text = environment[token.sha256_env]
    else:
        assert token.sha256_file is not None, "a token has one source"
        text = _read(where, token.sha256_file)
    match = _DIGEST.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{where}: its source holds no SHA-256 digest (64 hexadecimal digits)")
    return Credential(token.name, token.role, bytes.fromhex(match[1]))


def _read(where: str, file: str) -> str:
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{where}: cannot read {file}: {reason}") from None
