"""What a request's body says that routing needs, and the one value that routing may change.

A JSON body is never parsed into objects: msgspec skips everything but the wanted top-level
fields, three to seven times faster than a full parse.  When a version has its own name for the
model, only the bytes of that JSON value change.

Guarantees (tests/properties/test_body.py):
  * `rename_model` changes the top-level `model` and not one other byte, or refuses;
  * nothing here takes more than linear time in the (bounded) body.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from router.errors import ErrorCode, RouterError

MODEL: Final = "model"
_MODEL_KEY: Final = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*+")')
_MAX_CANDIDATES: Final = 64
_BOUNDARY: Final = re.compile(
    rb'multipart/form-data\b.*?;[ \t]*boundary=(?:"([^"]{1,70})"|([^ \t;"]{1,70}))', re.IGNORECASE
)
_DISPOSITION: Final = re.compile(
    rb'content-disposition:[ \t]*form-data;(?:[^\r\n]*;)?[ \t]*name="?([^";\r\n]*)"?',
    re.IGNORECASE,
)
_STRING: Final = rb'"(?:[^"\\]|\\.)*+"'
# One token is a bracket, a string, or a whole list of strings; a lone quote begins a string that
# the prefix cuts off.
_TOKEN: Final = re.compile(
    _STRING + rb"(?:[ \t\r\n]*,[ \t\r\n]*" + _STRING + rb'(?![ \t\r\n]*:))*+|[][{}"]'
)
_MAX_TOKENS: Final = 100_000


class BodyError(RouterError):
    """The body cannot be routed by; `code` is the answer."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.INVALID_JSON) -> None:
        super().__init__(message)
        self.code = code


class BodyReader:
    """Reads the wanted top-level fields of a JSON body."""

    __slots__ = ("_decode", "_names")

    def __init__(self, names: Iterable[str]) -> None:
        self._names: Final = tuple(dict.fromkeys(names))
        # Attribute names are ours: a JSON key may be anything, and collide with Python's.
        fields = [(f"f{index}", Any, None) for index in range(len(self._names))]
        renames = {f"f{index}": name for index, name in enumerate(self._names)}
        struct = msgspec.defstruct("Wanted", fields, rename=renames)
        self._decode: Final = msgspec.json.Decoder(struct).decode

    def read(self, body: bytes) -> Mapping[str, object]:
        """The wanted fields that are there.

        Raises:
            BodyError: not a JSON object.
        """
        try:
            wanted = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BodyError(f"the body is not a JSON object: {error}") from None
        values = {}
        for index, name in enumerate(self._names):
            value = getattr(wanted, f"f{index}")
            if value is not None:
                values[name] = value
        return values


_read_model: Final = BodyReader((MODEL,))


def model_of_prefix(prefix: bytes) -> str | None:
    """Find the top-level `model` in the beginning of a longer JSON body, None if not there.

    The search ends after `_MAX_TOKENS` tokens: such a body is no inference request.
    """
    depth = 0
    for number, match in enumerate(_TOKEN.finditer(prefix)):
        first = prefix[match.start()]
        if number > _MAX_TOKENS or match[0] == b'"':
            break
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        elif depth == 1 and match[0] == b'"model"':
            found = _MODEL_KEY.match(prefix, match.start())
            if found is not None:
                return _as_text(found[1])
    return None


def _as_text(literal: bytes) -> str | None:
    try:
        value: str = msgspec.json.decode(literal, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return value


def rename_model(body: bytes, new: str, *, complete: bool = True) -> bytes:
    """Change the value of the top-level `model` if there is one, and no other byte.

    The right one of several places that look like it is found by reading the outcome: only the
    top-level value changes what a reader sees.

    Raises:
        BodyError: there is no such value that can be changed alone.
    """
    read = _model if complete else model_of_prefix
    literal = msgspec.json.encode(new)
    old = read(body)
    if old is None:
        return body
    for number, match in enumerate(_MODEL_KEY.finditer(body)):
        if number >= _MAX_CANDIDATES:
            break
        if _as_text(match[1]) != old:
            continue
        renamed = body[: match.start(1)] + literal + body[match.end(1) :]
        if old == new or read(renamed) == new:
            return renamed
    raise BodyError("cannot find one top-level model to rename", ErrorCode.MODEL_REQUIRED)


def _model(body: bytes) -> object:
    return _read_model.read(body).get(MODEL)


def form_boundary(content_type: bytes) -> bytes | None:
    """The boundary of a multipart form (RFC 7578), or None for any other body."""
    match = _BOUNDARY.match(content_type)
    return None if match is None else match[1] or match[2]


def find_form_field(body: bytes, boundary: bytes, name: bytes) -> tuple[int, int] | None:
    """Where the value of a form field stands; it may come behind a file."""
    delimiter = b"--" + boundary
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    while at >= 0 and body.startswith(delimiter, at):
        head_end = body.find(b"\r\n\r\n", at)
        end = body.find(b"\r\n" + delimiter, at + len(delimiter))
        if head_end < 0 or end < 0:
            return None
        disposition = _DISPOSITION.search(body, at, head_end)
        if disposition is not None and disposition[1] == name and head_end + 4 <= end:
            return head_end + 4, end
        at = end + 2
    return None
