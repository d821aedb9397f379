"""A light HTTP/1.1 client that says of every answer whether it was whole.

It trusts nothing: an answer ends where its framing says, or it is not whole.  Bounded: a connection
is kept for the next ask only if its last answer was whole.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from loadtests.chaos.asks import Came

DEADLINE_S: Final = 60.0
"""For one ask in all; the longest stream takes 12 s."""

IDLE_S: Final = 5.0
"""A connection that was idle for longer may just be closed by the router: it is not used."""

_MAX_HEAD: Final = 64 * 1024


class Client:
    """Connections to one router, idle ones used again, the latest first."""

    def __init__(self, host: str, port: int) -> None:
        self._address: Final = (host, port)
        self._idle: list[tuple[float, _Connection]] = []

    async def ask(self, wire: bytes) -> Came:
        """Send these bytes; what came back for them."""
        connection = self._take()
        try:
            if connection is None:
                connection = await _Connection.open(*self._address)
            async with asyncio.timeout(DEADLINE_S):
                came = await connection.ask(wire)
        except TimeoutError:
            came = Came(trouble=f"nothing whole in {DEADLINE_S:g} s")
        except OSError as error:
            came = Came(trouble=f"{error!r}")
        if connection is not None:
            self._keep(connection, came)
        return came

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[1].close()

    def _take(self) -> _Connection | None:
        while self._idle:
            since, connection = self._idle.pop()
            if time.monotonic() - since < IDLE_S and not connection.ended:
                return connection
            connection.close()
        return None

    def _keep(self, connection: _Connection, came: Came) -> None:
        if came.whole and came.field("connection") != "close":
            self._idle.append((time.monotonic(), connection))
        else:
            connection.close()


class _Connection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> _Connection:
        return cls(*await asyncio.open_connection(host, port, limit=_MAX_HEAD))

    @property
    def ended(self) -> bool:
        """Whether the router has closed it."""
        return self._reader.at_eof()

    def close(self) -> None:
        self._writer.transport.abort()

    async def ask(self, wire: bytes) -> Came:
        """See `Client.ask`."""
        self._writer.write(wire)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            return Came(trouble=f"closed after {error.partial[:100]!r}")
        line, *lines = head.decode("latin-1")[:-4].split("\r\n")
        fields = {
            name.lower(): value.strip() for name, _, value in (o.partition(":") for o in lines)
        }
        body = bytearray()
        trouble = ""
        try:
            if fields.get("transfer-encoding") == "chunked":
                await self._read_chunks(body)
            else:
                await self._read_length(body, int(fields["content-length"]))
        except asyncio.IncompleteReadError as error:
            body += error.partial
            trouble = "closed in the body"
        except ConnectionError as error:
            trouble = f"{error!r} in the body"
        return Came(int(line[9:12]), fields, bytes(body), whole=not trouble, trouble=trouble)

    async def _read_chunks(self, body: bytearray) -> None:
        while True:
            line = await self._read_line()
            size = int(line, 16)
            chunk = await self._reader.readexactly(size + 2)
            if size == 0:
                return
            body += chunk[:-2]

    async def _read_line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\r\n")
        except asyncio.IncompleteReadError:
            # What is there of a chunk's head is no part of the body.
            raise asyncio.IncompleteReadError(b"", None) from None

    async def _read_length(self, body: bytearray, length: int) -> None:
        body += await self._reader.readexactly(length)
