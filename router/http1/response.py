"""The head of a response: read strictly, relayed with the client's framing.

A model server that breaks the protocol is answered for with a 502: nothing of a message that
could be read in two ways is ever relayed (RFC 9112 §6.3, §9.2).
"""

import re
from typing import Final

from router.http1.grammar import (
    FIELD_LINES,
    MAX_FIELDS,
    VALUE,
    ProtocolError,
    connection_options,
    content_length,
    field_pairs,
    field_value,
    lines_of,
    special_fields,
    without_lines,
)

_HEAD: Final = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: (" + VALUE + rb"*+))?+(\r\n" + FIELD_LINES + rb")\r\n"
)
_SPECIAL: Final = special_fields(
    "connection content-length content-type keep-alive proxy-connection te trailer"
    " transfer-encoding upgrade x-model-version x-request-id x-router-*"
)
_BODILESS: Final = frozenset((204, 304))


class ResponseHead:
    """One response's head; `start` is its status line and the fields that are relayed.

    Shared between the responses of a connection that differ only in Content-Length (see
    `HeadReader`), so nothing may change it once it is read.
    """

    __slots__ = (
        "_cuts",
        "bodiless",
        "chunked",
        "content_length",
        "content_type",
        "fields",
        "is_event_stream",
        "is_json",
        "keep_alive",
        "lowered",
        "pairs",
        "start",
        "status",
    )

    def __init__(self, status: int, reason: bytes, minor: int, fields: bytes) -> None:
        self.status = status
        self.bodiless = status in _BODILESS
        self.fields = fields
        self.lowered = fields.lower()
        self.keep_alive = minor == 1
        self.content_length: int | None = None
        self.content_type = b""
        self.chunked = False
        self._cuts: list[tuple[int, int]] = []
        self._read_special_fields(minor)
        self.is_event_stream = self.content_type.startswith(b"text/event-stream")
        self.is_json = self.content_type.startswith(b"application/json")
        kept = without_lines(fields, self._cuts)
        self.start = b"HTTP/1.1 %d %b%b" % (status, reason, kept)
        self.pairs: list[tuple[bytes, bytes]] | None = None

    def field(self, name: bytes) -> bytes | None:
        """The value of a field by its lower-case name."""
        return field_value(self.fields, self.lowered, name)

    def _read_special_fields(self, minor: int) -> None:
        lowered = self.lowered
        options: list[bytes] = []
        for match in _SPECIAL.finditer(lowered):
            start = match.start() + 1
            end = lowered.index(b"\r", start)
            name = match[1]
            value = lowered[match.end() : end].strip(b" \t")
            if name == b"content-type":
                self.content_type = value
                continue
            self._cuts.append((start, end + 2))
            if name == b"content-length":
                length = content_length(value)
                if self.content_length not in (None, length):
                    raise ProtocolError("content_length", "two Content-Length fields differ")
                self.content_length = length
            elif name == b"transfer-encoding":
                if value != b"chunked" or self.chunked or minor == 0:
                    raise ProtocolError("transfer_encoding", "unknown transfer coding")
                self.chunked = True
            elif name == b"connection":
                options += connection_options(value)
        if options:
            self._read_connection(options, minor)
        if self.chunked and self.content_length is not None:
            # RFC 9112 §6.3: Transfer-Encoding overrides; the pair smells of response splitting,
            # so the connection is not used again.
            self.content_length = None
            self.keep_alive = False

    def _read_connection(self, options: list[bytes], minor: int) -> None:
        if b"close" in options:
            self.keep_alive = False
        elif b"keep-alive" in options and minor == 0:
            self.keep_alive = True
        for option in options:
            if option not in (b"close", b"keep-alive", b"upgrade"):
                self._leave_out(option)

    def kept_pairs(self) -> list[tuple[bytes, bytes]]:
        """The relayed fields as (lower-case name, value); made once, nothing may change it."""
        if self.pairs is None:
            self.pairs = field_pairs(self.start[self.start.index(b"\n") + 1 :])
        return self.pairs

    def _leave_out(self, name: bytes) -> None:
        spans = set(self._cuts)
        spans.update(lines_of(self.lowered, name))
        self._cuts = sorted(spans)

    def has_body(self, method: bytes) -> bool:
        """Whether a body can follow (RFC 9112 §6.3, rule 1)."""
        return not self.bodiless and method != b"HEAD"


def parse_response(head: bytes) -> ResponseHead:
    """Read a head that ends in an empty line.

    Raises:
        ProtocolError: the model server broke the protocol.
    """
    match = _HEAD.fullmatch(head)
    if match is None:
        raise ProtocolError("response_head", "malformed response head")
    minor, status, reason, fields = match.groups()
    if fields.count(b"\n") > MAX_FIELDS + 1:
        raise ProtocolError("too_many_fields", "too many header fields")
    return ResponseHead(int(status), reason or b"", 1 if minor == b"1" else 0, fields)
