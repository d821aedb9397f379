"""A strict reading of HTTP/1.1, for judging: nothing lenient, and nothing of `router.http1`."""

import re
from typing import Final

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") (/[\x21-\x7e]*|\*) HTTP/1\.1")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")


class Message:
    """A message as far as it has come.  `problems` are the rules that its sender broke."""

    def __init__(self, line: bytes) -> None:
        self.line: Final = line
        self.method = b""
        self.target = b""
        self.status = 0
        self.fields: Final[list[tuple[bytes, bytes]]] = []
        self.body = b""
        self.whole = False
        self.problems: Final[list[str]] = []
        self.size = 0

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Every value of a field, by its lower-case name."""
        return tuple(value for key, value in self.fields if key == name)

    @property
    def closes(self) -> bool:
        """Whether its sender will close the connection."""
        return b"close" in b",".join(self.values(b"connection")).lower()

    @property
    def broken(self) -> bool:
        """Whether nothing behind it can be read."""
        return bool(self.problems)


def read_request(data: bytes) -> Message | None:
    """The request that begins here; None as long as its head is not whole."""
    message = _read_head(data)
    if message is None:
        return None
    line = _REQUEST_LINE.fullmatch(message.line)
    if line is None:
        message.problems.append("request line")
    else:
        message.method, message.target = line[1], line[2]
    if len(message.values(b"host")) != 1:
        message.problems.append("not one Host")
    if not message.problems:
        _read_body(message, data, until_end=None)
    return message


def read_answer(data: bytes, *, method: bytes, ended: bool) -> Message | None:
    """The answer that begins here; None as long as its head is not whole."""
    message = _read_head(data)
    if message is None:
        return None
    line = _STATUS_LINE.fullmatch(message.line)
    if line is None:
        message.problems.append("status line")
        return message
    message.status = int(line[1])
    if message.status < 200 or message.status in (204, 304) or method == b"HEAD":
        message.whole = not message.problems
    elif not message.problems:
        _read_body(message, data, until_end=ended)
    return message


def read_answers(data: bytes, *, method: bytes, ended: bool) -> list[Message]:
    """All answers in here, interim ones too; the last one may lack its end.

    A rest that is no head is an answer with a problem.
    """
    found: list[Message] = []
    while data:
        message = read_answer(data, method=method, ended=ended)
        if message is None:
            message = Message(data[:80])
            message.problems.append("no whole head")
            return [*found, message]
        found.append(message)
        if not message.whole:
            return found
        if message.status >= 200:
            method = b"GET"  # whatever follows is no answer to that request
        data = data[message.size :]
    return found


def _read_head(data: bytes) -> Message | None:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    line, *lines = data[:end].split(b"\r\n")
    message = Message(line)
    message.size = end + 4
    for each in lines:
        field = _FIELD.fullmatch(each)
        if field is None:
            message.problems.append(f"field line {each[:40]!r}")
        else:
            message.fields.append((field[1].lower(), field[2].rstrip(b" \t")))
    return message


def _read_body(message: Message, data: bytes, *, until_end: bool | None) -> None:
    """Read as the framing says; `until_end` tells of an answer whether its connection ended."""
    codings, lengths = message.values(b"transfer-encoding"), message.values(b"content-length")
    if codings and lengths:
        message.problems.append("both framings")
    elif codings:
        if codings == (b"chunked",):
            _read_chunks(message, data)
        else:
            message.problems.append("transfer coding")
    elif lengths:
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            message.problems.append("Content-Length")
            return
        end = message.size + int(lengths[0])
        message.body = data[message.size : end]
        message.whole = len(data) >= end
        message.size = end
    elif until_end is None:
        message.whole = True
    else:
        message.body = data[message.size :]
        message.whole = until_end
        message.size = len(data)


def _read_chunks(message: Message, data: bytes) -> None:
    at = message.size
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return
        if not _SIZE.fullmatch(data, at, end):
            message.problems.append(f"chunk line {data[at:end][:40]!r}")
            return
        size = int(data[at:end], 16)
        at = end + 2
        if size == 0:
            break
        if len(data) < at + size + 2:
            message.body += data[at : at + size]
            return
        if data[at + size : at + size + 2] != b"\r\n":
            message.problems.append("chunk end")
            return
        message.body += data[at : at + size]
        at += size + 2
    if data[at : at + 2] == b"\r\n":
        message.size = at + 2
        message.whole = True
    elif len(data) >= at + 2:
        message.problems.append("trailers")  # a router drops them in both directions
