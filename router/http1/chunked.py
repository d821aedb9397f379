"""The chunked transfer coding (RFC 9112 §7.1), read strictly, in both directions.

Extensions and trailers are read, bounded and dropped; a size is 1*HEXDIG with a bound; every
line ends in CRLF exactly.
"""

import re
from typing import Final

from router.errors import ErrorCode
from router.http1.grammar import FIELD_LINES, ProtocolError
from router.http1.rules import RULES, ClientRules

MAX_CHUNK_LINE: Final = RULES.max_chunk_line_bytes
MAX_TRAILERS: Final = RULES.max_trailer_bytes
MAX_EXTENSIONS: Final = 16 * 1024

_QUOTED: Final = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_NAME: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE: Final = re.compile(
    rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[ \t]*"
    + _NAME
    + rb"(?:[ \t]*=[ \t]*(?:"
    + _NAME
    + rb"|"
    + _QUOTED
    + rb"))?)*)"
)
_PLAIN: Final = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")
_TRAILERS: Final = re.compile(FIELD_LINES)

END: Final = b"0\r\n\r\n"


def frame_chunk(payload: bytes) -> bytes:
    """Frame a non-empty payload as one chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class ChunkedDecoder:
    """Takes a chunked body apart, over any split of its bytes into reads.

    After `feed`: `done` tells that the body has ended, `rest` holds what came behind it, and
    `whole` tells that the read was nothing but whole chunks without extensions, so that the very
    bytes may be sent on.
    """

    __slots__ = (
        "_aligned",
        "_buffer",
        "_extensions",
        "_in_trailers",
        "_remaining",
        "_rules",
        "_usual_length",
        "_usual_line",
        "done",
        "rest",
        "whole",
    )

    def __init__(self, rules: ClientRules = RULES) -> None:
        self._rules = rules
        self._buffer = b""
        self._remaining = 0  # payload bytes and CRLF that the current chunk still lacks
        self._in_trailers = False
        self._extensions = 0
        self._aligned = True  # the next byte begins a chunk
        self._usual_length = 0
        self._usual_line = b""
        self.done = False
        self.whole = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take one read, give the payload in it.

        Raises:
            ProtocolError: the framing is broken; nothing of this read may be used.
        """
        if not self._aligned:
            return self._feed(data, 0, [])
        # One whole chunk a read is what model servers send, often of one size: then there is
        # nothing to parse.
        line = self._usual_line
        if len(data) == self._usual_length and data.startswith(line) and data.endswith(b"\r\n"):
            self.whole = True
            return data[len(line) : -2]
        return self._feed_whole_chunks(data)

    def _feed_whole_chunks(self, data: bytes) -> bytes:
        """Take plain chunks as long as they are whole, and leave the rest to the slow way."""
        payload: list[bytes] = []
        at = 0
        match = _PLAIN.match(data)
        while match is not None:
            start = match.end()
            end = start + int(match[1], 16) + 2
            if end == start + 2 or data[end - 2 : end] != b"\r\n":
                break
            payload.append(data[start : end - 2])
            if end == len(data):
                self.whole = True
                if at == 0:
                    self._usual_length = end
                    self._usual_line = match[0]
                    return payload[0]
                return b"".join(payload)
            at = end
            match = _PLAIN.match(data, at)
        return self._feed(data, at, payload)

    def _feed(self, data: bytes, at: int, payload: list[bytes]) -> bytes:
        aligned = self._aligned
        extensions = self._extensions
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        while at < len(data) and not self.done:
            if self._in_trailers:
                at = self._read_trailers(data, at)
            elif self._remaining:
                at = self._read_payload(data, at, payload)
            else:
                at = self._read_size(data, at)
        self._aligned = not (self._buffer or self._remaining or self._in_trailers)
        self.whole = aligned and self._aligned and extensions == self._extensions
        if self.done:
            self.rest = data[at:]
            self.whole = False
        return b"".join(payload)

    def _read_size(self, data: bytes, at: int) -> int:
        longest = self._rules.max_chunk_line_bytes
        end = data.find(b"\n", at, at + longest)
        if end < 0:
            if len(data) - at >= longest:
                raise ProtocolError("chunk_line", "chunk line too long", ErrorCode.BAD_REQUEST)
            if b"\r" in data[at:-1]:
                raise ProtocolError("chunk_line", "malformed chunk line")
            self._buffer = data[at:]
            return len(data)
        match = _LINE.fullmatch(data, at, end - 1) if data[end - 1 : end] == b"\r" else None
        if match is None or end == at:
            raise ProtocolError("chunk_line", "malformed chunk line")
        self._extensions += len(match[2])
        if self._extensions > MAX_EXTENSIONS:
            raise ProtocolError("chunk_extensions", "too many chunk extensions")
        size = int(match[1], 16)
        if size:
            self._remaining = size + 2
        else:
            self._in_trailers = True
        return end + 1

    def _read_payload(self, data: bytes, at: int, payload: list[bytes]) -> int:
        remaining = self._remaining
        end = at + remaining
        if remaining > 2 and data[end - 2 : end] == b"\r\n":
            payload.append(data[at : end - 2])
            self._remaining = 0
            return end
        take = min(remaining, len(data) - at)
        body = min(take, max(0, remaining - 2))
        if body:
            payload.append(data[at : at + body])
        ending = data[at + body : at + take]
        expected = b"\r\n" if remaining - body == 2 else b"\n"
        if not expected.startswith(ending):
            raise ProtocolError("chunk_end", "a chunk does not end in CRLF")
        self._remaining -= take
        return at + take

    def _read_trailers(self, data: bytes, at: int) -> int:
        """Drop trailers: nothing behind a body may change what its head said."""
        if data.startswith(b"\r\n", at):
            self.done = True
            return at + 2
        largest = self._rules.max_trailer_bytes
        end = data.find(b"\r\n\r\n", at)
        if end < 0 or end - at > largest:
            if end >= 0 or len(data) - at > largest + 3:
                raise ProtocolError("trailers", "trailers too large", ErrorCode.HEAD_TOO_LARGE)
            self._buffer = data[at:]
            return len(data)
        if not _TRAILERS.fullmatch(data, at, end + 2):
            raise ProtocolError("trailers", "malformed trailers")
        self.done = True
        return end + 4
