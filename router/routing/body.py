"""What a request's body says that routing needs, and the one value that routing may change.

A JSON body is never parsed into objects: msgspec skips everything but the wanted top-level
fields, three to seven times faster than a full parse.  When a version has its own name for the
model, only the bytes of that JSON value change.

Guarantees (tests/properties/test_body.py, tests/unit/routing/test_body_costs.py):
  * `rename_model` changes the top-level `model` and not one other byte, or refuses;
  * nothing here takes more than linear time in the (bounded) body: a form is searched about
    twice; to rename a model a whole body is read at most four times, a beginning once.
"""

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, cast

import msgspec

from router.errors import ErrorCode, RouterError

MODEL: Final = "model"
_MODEL_KEY: Final = re.compile(rb'"model"[ \t\r\n]*:[ \t\r\n]*("(?:[^"\\]|\\.)*+")')
_MAX_CANDIDATES: Final = 10_000
_BOUNDARY: Final = re.compile(
    rb'multipart/form-data\b.*?;[ \t]*boundary=(?:"([^"]{1,70})"|([^ \t;"]{1,70}))', re.IGNORECASE
)
_DISPOSITION: Final = re.compile(
    rb'content-disposition:[ \t]*form-data((?:;[^\r\n;"]*(?:"(?:[^"\\\r\n]|\\.)*")?[ \t]*)*)',
    re.IGNORECASE,
)
_PARAMETER: Final = re.compile(rb';[ \t]*([^=;"\r\n \t]+)="?((?<!")[^;"\r\n]*|(?:[^"\\]|\\.)*)"?')
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


class BodyFields(msgspec.Struct):
    """What a body says; `get` finds any of the fields that its reader was asked for."""

    model: Any = None

    def get(self, name: str) -> object:
        """The value of a top-level field, None where it is not there or was not asked for."""
        place = self.__struct_encode_fields__
        return getattr(self, self.__struct_fields__[place.index(name)]) if name in place else None


NO_FIELDS: Final = BodyFields()


class BodyReader:
    """Reads the wanted top-level fields of a JSON body, `model` always among them.

    `read` raises msgspec's errors; `why_not` puts one in words.
    """

    __slots__ = ("names", "read")

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: Final = tuple(dict.fromkeys(names))
        others = [name for name in self.names if name != MODEL]
        # Attribute names are ours: a JSON key may be anything, and collide with Python's.
        fields = [(f"field_{index}", Any, None) for index in range(len(others))]
        renames = {f"field_{index}": name for index, name in enumerate(others)}
        wanted = msgspec.defstruct("Wanted", fields, bases=(BodyFields,), rename=renames)
        decode = msgspec.json.Decoder(wanted).decode
        self.read: Final = cast(Callable[[bytes], BodyFields], decode)


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What `BodyReader.read` raises for a body that is not a JSON object."""


def why_not(error: Exception) -> BodyError:
    """The error of a body that could not be read."""
    return BodyError(f"the body is not a JSON object: {error}")


_read_model: Final = BodyReader().read


def model_of_prefix(prefix: bytes) -> str | None:
    """Find the top-level `model` in the beginning of a longer JSON body, None if not there.

    The search ends after `_MAX_TOKENS` tokens: such a body is no inference request.
    """
    span = _find_in_prefix(prefix)
    return None if span is None else _as_text(prefix[slice(*span)])


def _find_in_prefix(prefix: bytes) -> tuple[int, int] | None:
    """Where the string stands that is the first top-level `model`."""
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
                return found.span(1)
    return None


def _as_text(literal: bytes) -> str | None:
    try:
        value: str = msgspec.json.decode(literal, type=str)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return value


def rename_model(body: bytes, new: str, *, complete: bool = True) -> bytes:
    """Change the value of the top-level `model` if there is one, and no other byte.

    Raises:
        BodyError: there is no such value that can be changed alone.
    """
    if not complete:
        return _rename_in_prefix(body, new)
    old = _model(body)
    if old is None or old == new:
        return body
    literal = msgspec.json.encode(new)
    for find in (_find_first, _find_in_whole):  # nearly always it is the first
        span = find(body)
        if span is not None:
            renamed = body[: span[0]] + literal + body[span[1] :]
            if _model(renamed) == new:
                return renamed
    raise BodyError("cannot find one top-level model to rename", ErrorCode.MODEL_REQUIRED)


def _rename_in_prefix(prefix: bytes, new: str) -> bytes:
    span = _find_in_prefix(prefix)
    if span is None or _as_text(prefix[slice(*span)]) in (None, new):
        return prefix
    # Needs no second look: what comes before the value is what made it the one.
    return prefix[: span[0]] + msgspec.json.encode(new) + prefix[span[1] :]


def _find_first(body: bytes) -> tuple[int, int] | None:
    """Where the first value stands that looks like the top-level `model`."""
    match = _MODEL_KEY.search(body)
    return None if match is None else match.span(1)


def _find_in_whole(body: bytes) -> tuple[int, int] | None:
    """Where of several places the top-level `model` may stand; reading the outcome will tell.

    Every place that looks like it is given its number for a name: the name that a reader then
    sees tells which place it is.  JSON remains JSON, because in JSON each of them is a value.
    """
    spans = [match.span(1) for match in islice(_MODEL_KEY.finditer(body), _MAX_CANDIDATES)]
    if len(spans) < 2:
        return None
    names = {str(number): span for number, span in enumerate(spans)}
    pieces: list[bytes] = []
    at = 0
    for name, (start, end) in names.items():
        pieces += (body[at:start], b'"%b"' % name.encode())
        at = end
    seen = _model(b"".join((*pieces, body[at:])))
    return names.get(seen) if isinstance(seen, str) else None


def _model(body: bytes) -> object:
    try:
        return _read_model(body).model
    except UNREADABLE as error:
        raise why_not(error) from None


def form_boundary(content_type: bytes) -> bytes | None:
    """The boundary of a multipart form (RFC 7578), or None for any other body."""
    match = _BOUNDARY.match(content_type)
    return None if match is None else match[1] or match[2]


def find_form_field(body: bytes, boundary: bytes, name: bytes) -> tuple[int, int] | None:
    """Where the value of a form field stands; it may come behind a file."""
    delimiter = b"--" + boundary
    at = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter) + 2
    while at >= 0 and body.startswith(delimiter, at):
        end = body.find(b"\r\n" + delimiter, at + len(delimiter))
        if end < 0:
            return None
        # Up to the part's end only: to the body's, for each part, would take quadratic time.
        head_end = body.find(b"\r\n\r\n", at, end)
        if head_end >= 0 and _field_name(body, at, head_end) == name:
            return head_end + 4, end
        at = end + 2
    return None


def _field_name(body: bytes, start: int, end: int) -> bytes | None:
    """The name in a part's Content-Disposition (RFC 7578 §4.2)."""
    disposition = _DISPOSITION.search(body, start, end)
    if disposition is None:
        return None
    for parameter in _PARAMETER.finditer(disposition[1]):
        if parameter[1].lower() == b"name":
            return parameter[2]
    return None
