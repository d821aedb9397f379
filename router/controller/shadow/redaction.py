"""What of a pair may be written down.  Pure.

In doubt it is hidden:
  * header fields that carry credentials are hidden whatever the configuration says;
  * a target's query keeps its parameters' names only: some APIs take their key there;
  * a body in which something has to be hidden, and that cannot be read, is left out whole;
  * where anything of the bodies is hidden, a stream is kept as its message only, and of a
    difference neither excerpts nor place: that one may be a key below what is hidden.

With `prompts: digest` nothing of the request's body is kept.  An answer is kept as it is: if it
may repeat the prompt (`echo`), its place belongs into `redact.paths` as well.

Guarantee (a property in tests/unit/controller/test_shadow_redaction.py): what stands in a hidden
place or field is nowhere in what comes out.
"""

import base64
import re
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final

import msgspec
import orjson

from router.comparison import Comparison, Difference
from router.comparison.events import payloads
from router.comparison.json_paths import Path
from router.comparison.streams import fold
from router.controller.shadow.answers import unpacked, value_of
from router.controller.shadow.paths import MARKER, hide
from router.link.messages import Fields

MAX_BODY: Final = 64 * 1024
"""Bytes of a body that are kept."""
MAX_READ: Final = 1024 * 1024
"""A longer body is not searched for what has to be hidden: it is left out."""
MAX_DEPTH: Final = 64
"""A JSON body that is nested deeper is kept as text: what writes and shows it may recurse."""
MAX_VALUE: Final = 1_000
"""Characters of a header field, a target or a reason that are kept."""
MAX_FIELDS: Final = 100

ALWAYS_HIDDEN: Final = frozenset(
    (
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "x-api-key",
        "api-key",
    )
)
# Everybody has their own (x-goog-api-key, x-auth-token, x-amz-signature …).
_SECRET_NAME: Final = re.compile(
    r"authorization|cookie|api-?_?key|(^|-)(token|key)$|secret|passw|credential|signature"
)
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0e-\x1f]")


class Redaction(msgspec.Struct, frozen=True, kw_only=True):
    """A route's rules; `headers` in lower case, beside those that are always hidden."""

    paths: tuple[Path, ...] = ()
    headers: frozenset[str] = frozenset()
    digest_prompts: bool = False

    @property
    def hides_content(self) -> bool:
        """Whether anything of the bodies is hidden."""
        return bool(self.paths) or self.digest_prompts

    def hides_field(self, name: str) -> bool:
        """Whether a header field's value is hidden."""
        name = name.lower()
        return (
            name in self.headers or name in ALWAYS_HIDDEN or _SECRET_NAME.search(name) is not None
        )

    def fields(self, fields: Fields) -> list[list[str]]:
        """Header fields as they are kept."""
        return [
            [name[:MAX_VALUE], MARKER if self.hides_field(name) else clip(value)]
            for name, value in fields[:MAX_FIELDS]
        ]

    def request_id(self, id_: str) -> str:
        """The request's id; it may be what its client has sent in a field that is hidden."""
        return MARKER if self.hides_field("x-request-id") else id_

    def request_body(self, body: bytes | None, fields: Fields) -> dict[str, Any]:
        """A request's body as it is kept."""
        if body is None:
            return {"omitted": "the pair would have been too long with it"}
        if self.digest_prompts:
            return {"length": len(body), "sha256": sha256(body).hexdigest(), "omitted": "prompts"}
        return self.body(body, fields)

    def body(self, body: bytes, fields: Fields) -> dict[str, Any]:
        """A body as it is kept: as JSON, text or base64, with its length and digest.

        If something may be hidden in it, the digest is that of what is left: the digest of all of
        it would let anybody try what the hidden part was.
        """
        plain = unpacked(body, fields)
        if not plain:
            return {"length": 0}
        is_stream = value_of(fields, "content-type").lower().startswith("text/event-stream")
        if not self.paths:
            return {"length": len(plain), **_kept(plain, is_stream=is_stream)}
        if len(plain) > MAX_READ:
            return _left_out(plain, f"longer than {MAX_READ} bytes: not searched for redact.paths")
        try:
            document = self._message(plain) if is_stream else _read(plain)
        except ValueError as error:
            return _left_out(plain, f"redact.paths cannot be found in it: {error}")
        hidden = orjson.dumps(hide(document, self.paths))
        told = {"length": len(plain), **_kept(hidden, is_stream=False)}
        return told | {"folded": True} if is_stream else told

    def differences(self, comparison: Comparison) -> list[dict[str, Any]]:
        """The compared fields as they are kept."""
        return [self._difference(each) for each in comparison.fields]

    def error(self, text: str) -> str:
        """Why there was nothing to compare; words of the answer stand in brackets at its end."""
        return clip(text.partition(" (")[0] if self.hides_content else text)

    def _difference(self, difference: Difference) -> dict[str, Any]:
        told = msgspec.to_builtins(difference)
        if self.hides_content:
            told |= {name: MARKER for name in ("place", "primary", "other") if told[name]}
        return dict(told)

    def _message(self, body: bytes) -> Any:
        """The message of a stream, with its events hidden already.

        So a path is heard both as that of an event (`$.choices[*].delta.content`) and as that of
        the answer in one piece (`$.choices[*].message.content`).

        Raises:
            ValueError: it cannot be told; the text quotes nothing of it.
        """
        folded = fold(b"".join(self._event(payload) for payload in payloads(body)))
        if folded.problem:
            raise ValueError(self.error(folded.problem))
        return folded.document

    def _event(self, payload: str) -> bytes:
        # Written anew from what was read: of a key that comes twice only one was hidden.
        try:
            said = orjson.dumps(hide(_read(payload.encode()), self.paths))
        except ValueError:
            said = b"[DONE]" if payload == "[DONE]" else orjson.dumps(MARKER)
        return b"data: " + said + b"\n\n"


def target(text: str) -> str:
    """A request's target without the values of its query."""
    path, question, query = text.partition("?")
    if not path.startswith("/"):  # an absolute form may hold a password
        path = MARKER
    return clip(path + question + "&".join(_parameters(query)))


def clip(text: str) -> str:
    """A text from outside, as long as a record may hold it."""
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _parameters(query: str) -> Iterable[str]:
    for parameter in query.split("&") if query else ():
        name, equals, _ = parameter.partition("=")
        yield f"{name}={MARKER}" if equals else MARKER


def _left_out(body: bytes, why: str) -> dict[str, Any]:
    return {"length": len(body), "omitted": why}


def _kept(body: bytes, *, is_stream: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"sha256": sha256(body).hexdigest()}
    if len(body) <= MAX_BODY and not is_stream and body.lstrip()[:1] in (b"{", b"["):
        try:
            return {**told, "json": _read(body)}
        except ValueError:
            pass  # as text, then
    if len(body) > MAX_BODY:
        told["clipped"] = True
    text = _text(body)
    if text is not None:
        return {**told, "text": text}
    return {**told, "base64": base64.b64encode(body[:MAX_BODY]).decode()}


def _text(body: bytes) -> str | None:
    """The text that a body begins with; None if it is none."""
    start = body[:MAX_BODY]
    # A cut may go through a character, which has at most four bytes.
    for end in range(len(start), max(len(start) - 4, 0), -1) if len(body) > MAX_BODY else (None,):
        try:
            text = start[:end].decode()
        except UnicodeDecodeError:
            continue
        return None if _NOT_TEXT.search(text) else text
    return None


def _read(body: bytes) -> Any:
    """A JSON document that can be written again.

    Raises:
        ValueError: it is none, or nested too deep; the text quotes nothing of it.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ValueError("it is no JSON, or not all of it") from None
    if _is_deep(document):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH}")
    return document


def _is_deep(document: Any) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
