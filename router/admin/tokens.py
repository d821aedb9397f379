"""Who may use the admin API: bearer tokens, of which only SHA-256 digests are known here.

Fails closed: a digest that cannot be read admits nobody.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router.config.models import Auth, Role, Token
from router.errors import ConfigError

_DIGEST: Final = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Credential:
    """One token: who it is, what it may do, and the digest of its secret."""

    name: str
    role: Role
    digest: bytes

    def fits(self, secret: "Secret") -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(secret.digest, self.digest)


class Secret:
    """What a caller sent; only its digest is kept, and nothing shows it."""

    __slots__ = ("digest",)

    def __init__(self, text: str) -> None:
        self.digest: Final = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()

    def __repr__(self) -> str:
        return "<secret>"


def read_credentials(
    auth: Auth, environment: Mapping[str, str] = os.environ
) -> tuple[Credential, ...]:
    """Find every token's digest, in the configuration, the environment or a file.

    Raises:
        ConfigError: one of them is not there or is no digest.
    """
    return tuple(_credential(token, environment) for token in auth.tokens)


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
