"""Server-sent events, read (WHATWG HTML §9.2).  Pure: bytes come in, events come out."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from router.errors import RouterError

_LINE_END: Final = re.compile(rb"\r\n|\n|\r")


class TooLongError(RouterError):
    """An event has no end within the bound."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `id` is what `Last-Event-ID` names after it."""

    id: str
    kind: str
    data: str


def read_events(parts: Iterable[bytes], max_bytes: int) -> Iterator[Event]:
    """The events of a stream, wherever it was cut into parts; one that has not ended is none.

    Raises:
        TooLongError: an event is longer than `max_bytes`.
    """
    fields: dict[str, str] = {}
    size, last_id = 0, ""
    for line in _lines(parts, max_bytes):
        size += len(line)
        if size > max_bytes:
            raise TooLongError(f"an event is longer than {max_bytes} bytes")
        if line:
            _read_field(line, fields)
            continue
        last_id = fields.get("id", last_id)
        if "data" in fields:
            kind = fields.get("event", "message")
            yield Event(last_id, kind, fields["data"].removeprefix("\n"))
        fields, size = {}, 0


def _read_field(line: str, fields: dict[str, str]) -> None:
    name, _, value = line.partition(":")
    value = value.removeprefix(" ")
    if name == "data":
        value = f"{fields.get('data', '')}\n{value}"
    if name:  # a line that begins with a colon is a comment
        fields[name] = value


def _lines(parts: Iterable[bytes], max_bytes: int) -> Iterator[str]:
    rest = b""
    for part in parts:
        *lines, rest = _LINE_END.split(rest + part)
        # A CR at the end may be half of a CRLF: its line waits for the next part.
        if lines and not rest and part.endswith(b"\r"):
            rest = lines.pop() + b"\r"
        if len(rest) > max_bytes:
            raise TooLongError(f"an event is longer than {max_bytes} bytes")
        yield from (line.decode("utf-8", "replace") for line in lines)
