"""The line between the supervisor and one child: short texts, one a line, both ways.

What a worker and the supervisor say are `Word`s:

    successor  → BOOTED     everything is imported
    old worker ← MAKE_ROOM  a successor is about to take your place with control
    old worker → MADE_ROOM  control gives it to whoever comes; I keep accepting
    successor  ← JOIN       connect to control
    successor  → SERVING    the table is installed, I accept
    old worker ← LEAVE      finish what runs
    old worker ← TAKE_BACK  (instead of LEAVE) nobody came: your place is yours again

Between control and the supervisor it is documents of `router.controller.restart`.
"""

import asyncio
import logging
import socket
from contextlib import suppress
from enum import StrEnum
from typing import Final

from router.errors import RouterError

log: Final = logging.getLogger(__name__)

MAX_LINE_BYTES: Final = 256 * 1024
"""A restart of 1 000 workers is told in 100 KB."""

MAX_UNREAD_BYTES: Final = 1024 * 1024


class Word(StrEnum):
    """See the module."""

    BOOTED = "booted"
    MAKE_ROOM = "make room"
    MADE_ROOM = "made room"
    JOIN = "join"
    SERVING = "serving"
    LEAVE = "leave"
    TAKE_BACK = "take back"


class TornError(RouterError):
    """The other end is gone."""


class Tether:
    """One end of the line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader: Final = reader
        self._writer: Final = writer

    @classmethod
    async def of(cls, sock: socket.socket) -> "Tether":
        """The end that is this socket."""
        return cls(*await asyncio.open_unix_connection(sock=sock, limit=MAX_LINE_BYTES))

    def tell(self, text: str) -> None:
        """Say it; returns at once, and nothing is said to who has gone or does not read."""
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
            log.warning("a process does not read what it is told")
            return
        self._writer.write(text.encode() + b"\n")

    async def hear(self) -> str:
        """The next line.

        Raises:
            TornError: there will be none.
        """
        try:
            line = await self._reader.readline()
        except (OSError, ValueError) as error:  # ValueError: a line without an end
            raise TornError(str(error)) from None
        if not line.endswith(b"\n"):
            raise TornError("the other end is gone")
        return line[:-1].decode()

    async def wait_for(self, word: Word) -> None:
        """Wait until this word is said; what comes before it is old news.

        Raises:
            TornError: it will not be said.
        """
        while await self.hear() != word:
            pass

    def close(self) -> None:
        """Let go."""
        with suppress(OSError):
            self._writer.close()
