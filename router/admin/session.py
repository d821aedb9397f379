"""The console's sessions: what a browser keeps instead of a token.

A session is a signed text, `NAME:EXPIRES:SIGNATURE`; nothing is kept here.  The signature is made
with a key that only the router has (`router.store.session_key`) over the name, the end and the
token's digest.

Guarantees (each is a test in tests/unit/admin/test_admin_session.py):
  * it is no token, and none can be had from it: who steals one has it until it ends, not longer;
  * whoever knows the configuration, with every digest in it, can make none;
  * it ends after `LIFETIME_S`, and at once when its token is withdrawn or replaced;
  * it grants what its token's role grants now.

Pure: the time comes in as an argument (seconds since 1970 UTC).
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from router.admin.tokens import Credential
from router.http1.request import SESSION_COOKIE

COOKIE: Final = SESSION_COOKIE
LIFETIME_S: Final = 12 * 3600

_SESSION: Final = re.compile(r"([A-Za-z0-9._-]{1,63}):([0-9]{1,12}):([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Session:
    """Whose it is, and when it ends (seconds since 1970 UTC)."""

    credential: Credential
    expires_s: int


class Sessions:
    """Makes sessions and recognises them; `key` is the router's secret."""

    def __init__(self, key: bytes) -> None:
        self._key: Final = key

    def issue(self, credential: Credential, now: float) -> str:
        """What the browser keeps."""
        expires_s = int(now) + LIFETIME_S
        return f"{credential.name}:{expires_s}:{self._sign(credential, expires_s)}"

    def recognise(self, text: str, credentials: Iterable[Credential], now: float) -> Session | None:
        """Whose session it is; None: nobody's, it has ended, or its token is gone."""
        match = _SESSION.fullmatch(text)
        if match is None or (expires_s := int(match[2])) <= now:
            return None
        for credential in credentials:
            if credential.name == match[1] and hmac.compare_digest(
                self._sign(credential, expires_s), match[3]
            ):
                return Session(credential, expires_s)
        return None

    def _sign(self, credential: Credential, expires_s: int) -> str:
        # A name has no colon, and a digest one length: no two sessions have one text.
        text = b"%b:%d:%b" % (credential.name.encode(), expires_s, credential.digest)
        return hmac.new(self._key, text, sha256).hexdigest()


def set_cookie(session: str, *, secure: bool) -> str:
    """The header that has the browser keep a session."""
    return _cookie(session, LIFETIME_S, secure=secure)


def clear_cookie() -> str:
    """The header that has the browser forget it."""
    return _cookie("", 0, secure=False)


def _cookie(value: str, max_age_s: int, *, secure: bool) -> str:
    # HttpOnly: no script reads it.  Strict: no other site's page has it sent.
    text = f"{COOKIE}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict"
    return f"{text}; Secure" if secure else text
