"""How a request proves who sends it: `basic`, `bearer`, or nothing.

A secret stands in an environment variable, in a file (read for each request, so that a token
which something else keeps fresh is never stale), or in an argument of the template.
"""

import asyncio
import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pydantic import SecretStr, model_validator

from router.analysis.providers.base import ProviderError
from router.analysis.providers.settings import Settings, Text

MAX_SECRET_BYTES: Final = 64 * 1024
_UNSUPPORTED: Final = ("oauth2", "sigv4")


class Basic(Settings):
    """A user and a password (RFC 7617)."""

    username: str
    password: SecretStr | None = None
    password_env: Text | None = None
    password_file: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _only_one(self, "password")
        return self


class Bearer(Settings):
    """A token (RFC 6750)."""

    token: SecretStr | None = None
    token_env: Text | None = None
    token_file: Text | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        _only_one(self, "token")
        return self


class Authentication(Settings):
    """One way to authenticate, or none."""

    basic: Basic | None = None
    bearer: Bearer | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_unsupported(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name in _UNSUPPORTED:
            if value.get(name):  # Argo's own dumps have empty ones
                raise ValueError(
                    f"{name} is not supported: use bearer with tokenFile, and let something else "
                    "keep the file fresh"
                )
        return {name: way for name, way in value.items() if name not in _UNSUPPORTED}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.basic is not None and self.bearer is not None:
            raise ValueError("takes basic or bearer, not both")
        return self


@dataclass(frozen=True, slots=True)
class Proof:
    """The value of an Authorization header, and the secret that is in it."""

    header: SecretStr
    secret: SecretStr


async def make_proof(how: Authentication) -> Proof | None:
    """Find the secret, and say it as the header does.

    Raises:
        ProviderError: the secret is not where it should be.
    """
    if how.basic is not None:
        basic = how.basic
        secret = await _secret(basic.password, basic.password_env, basic.password_file)
        user = f"{basic.username}:{secret}".encode()
        return Proof(SecretStr(f"Basic {b64encode(user).decode()}"), SecretStr(secret))
    if how.bearer is not None:
        bearer = how.bearer
        secret = await _secret(bearer.token, bearer.token_env, bearer.token_file)
        return Proof(SecretStr(f"Bearer {secret}"), SecretStr(secret))
    return None


def _only_one(settings: Settings, name: str) -> None:
    given = [way for way in (name, f"{name}_env", f"{name}_file") if getattr(settings, way)]
    if len(given) != 1:
        raise ValueError(f"takes exactly one of {name}, {name}Env, {name}File")


async def _secret(text: SecretStr | None, variable: str | None, file: str | None) -> str:
    if variable is not None:
        found = os.environ.get(variable, "").strip()
        if not found:
            raise ProviderError(f"environment variable {variable} is not set or empty")
        return _one_line(found, f"environment variable {variable}")
    if file is not None:
        return _one_line(await asyncio.to_thread(_read, Path(file)), file)
    assert text is not None
    return _one_line(text.get_secret_value(), "the secret")


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_SECRET_BYTES + 1)
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise ProviderError(f"cannot read a secret from {file}: it is no text") from None
    except OSError as error:
        raise ProviderError(f"cannot read a secret from {file}: {error.strerror}") from None
    if not text or len(content) > MAX_SECRET_BYTES:
        raise ProviderError(f"cannot read a secret from {file}: it is empty or too long")
    return text


def _one_line(text: str, where: str) -> str:
    if not text.isprintable():
        raise ProviderError(f"{where} has a line break or another control character")
    return text
