"""A transport that a test plays itself: what is written stays until the test takes it.

For what sockets cannot be made to do at will, because their kernel holds an unknown part.
"""

from __future__ import annotations

import asyncio
from typing import Any


class HandTransport(asyncio.Transport):
    """Reads and writes as asyncio's: `write` fills it, and the protocol is told at its marks."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._high = 64 * 1024
        self._low = self._high // 4
        self._full = False
        self._closing = False
        self.unsent = b""
        self.reading = True
        self.finished = False
        self.aborted = False
        protocol.connection_made(self)

    def take(self, size: int | None = None) -> bytes:
        """The other end takes so much of what was written, or all."""
        size = len(self.unsent) if size is None else size
        taken, self.unsent = self.unsent[:size], self.unsent[size:]
        if self._full and len(self.unsent) <= self._low:
            self._full = False
            self._protocol.resume_writing()
        return taken

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:  # type: ignore[override]
        self.unsent += data
        self._look()

    def _look(self) -> None:
        if not self._full and len(self.unsent) > self._high:
            self._full = True
            self._protocol.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 * 1024 if high is None else high
        self._low = self._high // 4 if low is None else low
        self._look()

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.finished = True

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def abort(self) -> None:
        self._closing = self.aborted = True
        self.unsent = b""
