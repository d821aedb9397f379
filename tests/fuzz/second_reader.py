"""A second reading of HTTP/1.1, to hold the router's own against.

Written from RFC 9112 and 9110 alone, octet by octet, with nothing of `router` and without a regular
expression, so that one mistake is hardly made in both.  It takes what the RFCs call valid, and of
the rest only what they tell a recipient to repair in one way; in all else it refuses.

    Refused     the bytes are no HTTP/1.1, whatever comes behind them
    Incomplete  they may be the beginning of a message
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TOKEN: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
DIGITS: Final = frozenset(b"0123456789")
HEX: Final = frozenset(b"0123456789abcdefABCDEF")
BLANK: Final = b" \t"
VALUE: Final = frozenset((0x09, *range(0x20, 0x7F), *range(0x80, 0x100)))

Fields = list[tuple[bytes, bytes]]
"""Names in lower case and values without the blanks around them, in their order."""


class Refused(Exception):  # noqa: N818 - a verdict, not a fault
    """No valid message begins with these bytes."""


class Incomplete(Exception):  # noqa: N818 - a verdict, not a fault
    """The message has not ended yet; `body` is what there is of its payload."""

    def __init__(self, body: bytes = b"") -> None:
        super().__init__()
        self.body = body


@dataclass(frozen=True)
class Request:
    """One request; `last` says that nothing behind it is a request."""

    method: bytes
    target: bytes
    fields: Fields
    body: bytes
    last: bool

    @property
    def told(self) -> tuple[bytes, bytes, bytes]:
        """What a server acts on, with an absolute target in origin form (RFC 9112 §3.2.2)."""
        return self.method, origin_form(self.target), self.body


@dataclass(frozen=True)
class Response:
    """One final response; `last` says that its connection is not used again."""

    status: int
    fields: Fields
    body: bytes
    last: bool


@dataclass(frozen=True)
class Requests:
    """What a connection's bytes say: whole requests, and what stands behind them.

    `end` is "whole" (nothing more), "begun" (the beginning of a request), "refused", or "last".
    """

    whole: list[Request]
    end: str


# -- connections ---------------------------------------------------------------------------------


def read_requests(data: bytes) -> Requests:
    """Everything that one client said on one connection."""
    whole: list[Request] = []
    at = 0
    while at < len(data):
        try:
            request, at = read_request(data, at)
        except Refused:
            return Requests(whole, "refused")
        except Incomplete:
            return Requests(whole, "begun")
        whole.append(request)
        if request.last:
            return Requests(whole, "last")
    return Requests(whole, "whole")


def read_request(data: bytes, at: int) -> tuple[Request, int]:
    """One request and the place behind it."""
    if data[at : at + 2] == b"\r\n":  # §2.2: an empty line before a request is passed over
        at += 2
    elif data[at:] == b"\r":
        raise Incomplete
    line, fields, at = read_head(data, at)
    parts = line.split(b" ")
    if len(parts) != 3 or not is_token(parts[0]) or parts[2] not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise Refused("request line")
    method, target, version = parts
    if not is_target(method, target):
        raise Refused("request target")
    hosts = values_of(fields, b"host")
    if len(hosts) > 1 or (version == b"HTTP/1.1" and not hosts and target[:1] in b"/*"):
        raise Refused("host")
    length, chunked = framing(fields, version)
    options = connection_options(fields)
    last = b"close" in options or (version == b"HTTP/1.0" and b"keep-alive" not in options)
    if chunked:
        last = last or bool(values_of(fields, b"content-length"))  # §6.3: the two together
        body, at = read_chunked(data, at)
    else:
        body = data[at : at + (length or 0)]
        at += length or 0
        if at > len(data):
            raise Incomplete(body)
    return Request(method, target, fields, body, last), at


def read_response(data: bytes, method: bytes, *, closed: bool) -> tuple[Response, int]:
    """The final response to a request, behind interim ones; `closed`: the connection has ended."""
    at = 0
    while True:
        line, fields, at = read_head(data, at)
        version, _, rest = line.partition(b" ")
        status, _, _ = rest.partition(b" ")
        if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(status) != 3 or not is_digits(status):
            raise Refused("status line")
        if not b"100" <= status < b"600":
            raise Refused("status")
        if status == b"101":
            raise Refused("a switch that nobody asked for")
        if not status.startswith(b"1"):
            break
    length, chunked = framing(fields, version)
    options = connection_options(fields)
    last = b"close" in options or (version == b"HTTP/1.0" and b"keep-alive" not in options)
    if method == b"HEAD" or status in (b"204", b"304"):
        return Response(int(status), fields, b"", last), at
    if chunked:
        last = last or bool(values_of(fields, b"content-length"))
        body, at = read_chunked(data, at)
    elif length is not None:
        body = data[at : at + length]
        at += length
        if at > len(data):
            raise Incomplete(body)
    elif closed:
        body, at, last = data[at:], len(data), True
    else:
        raise Incomplete(data[at:])
    return Response(int(status), fields, body, last), at


# -- heads ---------------------------------------------------------------------------------------


def read_head(data: bytes, at: int) -> tuple[bytes, Fields, int]:
    """A start line and fields, and the place behind the empty line."""
    line, at = read_line(data, at)
    if not line:
        raise Refused("an empty start line")
    fields: Fields = []
    while True:
        text, at = read_line(data, at)
        if not text:
            return line, fields, at
        fields.append(read_field(text))


def read_line(data: bytes, at: int) -> tuple[bytes, int]:
    """A line without its CRLF; a CR or an LF alone ends nothing (§2.2)."""
    for place in range(at, len(data)):
        octet = data[place]
        if octet == 0x0D:
            if place + 1 == len(data):
                raise Incomplete
            if data[place + 1] != 0x0A:
                raise Refused("a bare CR")
            return data[at:place], place + 2
        if octet not in VALUE:
            raise Refused("a control character")
    raise Incomplete


def read_field(line: bytes) -> tuple[bytes, bytes]:
    """One field line (§5); a folded one begins with a blank, and so has no name."""
    name, colon, value = line.partition(b":")
    if not colon or not is_token(name):
        raise Refused("field name")
    return name.lower(), value.strip(BLANK)


def framing(fields: Fields, version: bytes) -> tuple[int | None, bool]:
    """Content-Length, and whether the body is chunked (§6.3)."""
    lengths = set(values_of(fields, b"content-length"))
    if any(not is_digits(value) for value in lengths) or len({int(v) for v in lengths}) > 1:
        raise Refused("content-length")
    codings = values_of(fields, b"transfer-encoding")
    if codings and (version == b"HTTP/1.0" or [c.lower() for c in codings] != [b"chunked"]):
        raise Refused("transfer-encoding")
    length = int(lengths.pop()) if lengths else None
    return (None, True) if codings else (length, False)


def connection_options(fields: Fields) -> list[bytes]:
    """The options of every Connection field, in lower case (RFC 9110 §7.6.1)."""
    joined = b",".join(values_of(fields, b"connection"))
    return [option.strip(BLANK).lower() for option in joined.split(b",")]


def values_of(fields: Fields, name: bytes) -> list[bytes]:
    """Every value of a field."""
    return [value for each, value in fields if each == name]


def origin_form(target: bytes) -> bytes:
    """Path and query of an absolute target; any other as it is."""
    if target[:1] in b"/*":
        return target
    _, _, rest = target.partition(b"://")
    for place, octet in enumerate(rest):
        if octet == 0x2F:
            return rest[place:]
        if octet == 0x3F:
            return b"/" + rest[place:]
    return b"/"


def is_target(method: bytes, target: bytes) -> bool:
    """Origin, absolute or asterisk form; what CONNECT wants is not for a reverse proxy."""
    if method == b"CONNECT" or not target or any(not 0x21 <= octet <= 0x7E for octet in target):
        return False
    if target == b"*":
        return method == b"OPTIONS"
    if b"#" in target:
        return False
    scheme, mark, rest = target.partition(b"://")
    return target[:1] == b"/" or (
        bool(mark) and scheme.lower() in (b"http", b"https") and rest[:1] not in (b"", b"/", b"?")
    )


def is_token(text: bytes) -> bool:
    """1*tchar (RFC 9110 §5.6.2)."""
    return bool(text) and all(octet in TOKEN for octet in text)


def is_digits(text: bytes) -> bool:
    """1*DIGIT, of a length that no integer conversion minds."""
    return 0 < len(text) <= 4_000 and all(octet in DIGITS for octet in text)


# -- chunked bodies ------------------------------------------------------------------------------


def read_chunked(data: bytes, at: int) -> tuple[bytes, int]:
    """The payload of a chunked body (§7.1), and the place behind its trailers."""
    payload = b""
    try:
        while True:
            line, at = read_line(data, at)
            size = read_size(line)
            if size == 0:
                break
            payload += data[at : at + size]
            at += size
            ending = data[at : at + 2]
            if not b"\r\n".startswith(ending):
                raise Refused("a chunk does not end where its size says")
            if ending != b"\r\n":
                raise Incomplete
            at += 2
        while line:  # trailers
            line, at = read_line(data, at)
            if line:
                read_field(line)
    except Incomplete:
        raise Incomplete(payload) from None
    return payload, at


def read_size(line: bytes) -> int:
    """A chunk's size; its extensions are checked and dropped (§7.1.1)."""
    digits = 0
    while digits < len(line) and line[digits] in HEX:
        digits += 1
    if digits == 0:
        raise Refused("chunk size")
    check_extensions(line[digits:])
    return int(line[:digits], 16)


def check_extensions(text: bytes) -> None:
    """*( BWS ";" BWS name [ BWS "=" BWS value ] )."""
    at = 0
    while at < len(text):
        at = after_mark(text, at, b";")
        at = after_token(text, at)
        after = skip_blanks(text, at)
        if text[after : after + 1] == b"=":
            at = skip_blanks(text, after + 1)
            at = after_quoted(text, at) if text[at : at + 1] == b'"' else after_token(text, at)


def skip_blanks(text: bytes, at: int) -> int:
    while text[at : at + 1] in (b" ", b"\t"):
        at += 1
    return at


def after_mark(text: bytes, at: int, mark: bytes) -> int:
    at = skip_blanks(text, at)
    if text[at : at + 1] != mark:
        raise Refused("chunk extension")
    return skip_blanks(text, at + 1)


def after_token(text: bytes, at: int) -> int:
    start = at
    while at < len(text) and text[at] in TOKEN:
        at += 1
    if at == start:
        raise Refused("chunk extension")
    return at


def after_quoted(text: bytes, at: int) -> int:
    at += 1
    while at < len(text):
        if text[at] == 0x22:
            return at + 1
        at += 2 if text[at] == 0x5C else 1
    raise Refused("chunk extension")
