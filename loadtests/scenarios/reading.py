"""Read one stream of server-sent events as a client does: when did which token come?

Pure: bytes and the time at which they came go in.

Guarantees (tests/unit/loadtests/test_loadtest_reading.py):
  * how the bytes are cut into reads changes no count, and what was said is the same;
  * a stream is whole only if it said [DONE] and no error.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

MAX_LINE: Final = 1 << 20
"""Bytes of one line; a server that never ends a line must not fill the memory."""

_DONE: Final = b"[DONE]"


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None


class _Usage(msgspec.Struct):
    completion_tokens: int = 0


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_DECODER: Final = msgspec.json.Decoder(_Event)


class StreamReading:
    """One stream, from the moment its request was sent."""

    def __init__(self, sent_at: float) -> None:
        self.bytes = 0
        self.first_token_s: float | None = None
        self.last_gap_s: float | None = None
        """Between the newest two reads that brought a token."""
        self._sent_at: Final = sent_at
        self._first_at = self._last_at = sent_at
        self._rest = b""
        self._events = 0
        self._said_tokens: int | None = None
        self._is_done = False
        self._error: str | None = None

    @property
    def tokens(self) -> int:
        """As the server said at its end, or else the events with content."""
        return self._events if self._said_tokens is None else self._said_tokens

    @property
    def tokens_per_s(self) -> float | None:
        """After the first one; None where there were fewer than two."""
        took = self._last_at - self._first_at
        return (self.tokens - 1) / took if self._events > 1 and took > 0 else None

    @property
    def fault(self) -> str | None:
        """Why the stream is not whole; None if it is."""
        if self._error is not None:
            return self._error
        return None if self._is_done else "the stream ended without [DONE]"

    def sent_for_s(self, at: float) -> float:
        """How long ago its request was sent."""
        return at - self._sent_at

    def feed(self, read: bytes, at: float) -> bool:
        """Take what has come; whether a token was in it."""
        self.bytes += len(read)
        *lines, self._rest = (self._rest + read).split(b"\n")
        if len(self._rest) > MAX_LINE:
            self._error, self._rest = f"a line of more than {MAX_LINE} bytes", b""
        before = self._events
        for line in lines:
            if line.startswith(b"data:"):
                self._take(line[5:].strip())
        if self._events == before:
            return False
        self._on_token(at)
        return True

    def _take(self, payload: bytes) -> None:
        if payload == _DONE:
            self._is_done = True
            return
        try:
            event = _DECODER.decode(payload)
        except msgspec.MsgspecError as error:
            self._error = f"an event that cannot be read: {error}"
            return
        if event.error is not None:
            self._error = f"an error event: {msgspec.json.encode(event.error).decode()[:200]}"
        if event.usage is not None:
            self._said_tokens = event.usage.completion_tokens
        self._events += any(_content(choice) for choice in event.choices)

    def _on_token(self, at: float) -> None:
        if self.first_token_s is None:
            self.first_token_s, self._first_at = at - self._sent_at, at
        else:
            self.last_gap_s = at - self._last_at
        self._last_at = at


def _content(choice: _Choice) -> str | None:
    return choice.text if choice.delta is None else choice.delta.content
