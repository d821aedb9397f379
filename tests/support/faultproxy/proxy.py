"""The proxy: it passes bytes both ways, and does to each exchange what its chooser says.

Promises (tests/unit/support/test_fault_proxy.py):
  * without a fault every byte passes as it came, ends included;
  * `counts` names the faults that were carried out, not those that an exchange was too short for;
  * the port is the same one before and after `refuse`, and nobody else can take it meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from tests.support.faultproxy.faults import (
    BlackHole,
    Delay,
    Fault,
    Finish,
    Garbage,
    Reset,
    StaleClose,
    Trickle,
    Truncate,
    name_of,
)

Choose = Callable[[], Fault | None]
READ_BYTES: Final = 64 * 1024
HOST: Final = "127.0.0.1"
_NEVER: Final = float("inf")
_LINGER_0: Final = struct.pack("ii", 1, 0)


class FaultProxy:
    """See the module.  `counts` are the faults carried out, `exchanges` all that began."""

    def __init__(self, target_port: int, choose: Choose | None = None) -> None:
        self.target_port: Final = target_port
        self.choose: Choose = choose or self._next_of_script
        self.counts: Counter[str] = Counter()
        self.exchanges = 0
        self.port = 0
        self._script: deque[Fault | None] = deque()
        self._always: Fault | None = None
        self._holder: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._lines: dict[_Line, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<FaultProxy {self.url}: {self.exchanges} exchanges, {dict(self.counts)}>"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def open(self) -> int:
        """Connections from clients that are not closed."""
        return len(self._lines)

    @property
    def refusing(self) -> bool:
        """Whether the port is closed."""
        return self._server is None

    # -- what exchanges suffer -----------------------------------------------------------------

    def suffer(self, *faults: Fault | None) -> None:
        """These, in turn, each by one exchange; None lets one pass."""
        self._script.extend(faults)

    def always(self, fault: Fault | None) -> None:
        """Every exchange that has no fault of its own in the script suffers this one."""
        self._always = fault

    def _next_of_script(self) -> Fault | None:
        return self._script.popleft() if self._script else self._always

    # -- the port ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen on a port that the kernel chooses."""
        # Bound and never listening: between `refuse` and `accept` the port stays ours.
        self._holder = _bound(0)
        self.port = self._holder.getsockname()[1]
        await self.accept()

    async def accept(self) -> None:
        """Accept connections."""
        if self._server is None:
            listener = _bound(self.port)
            self._server = await asyncio.start_server(self._on_connection, sock=listener)

    async def refuse(self, *, reset: bool = False) -> None:
        """Refuse connections from now on; `reset` ends those that there are, too."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.counts["refuse"] += 1
        if reset:
            for line in tuple(self._lines):
                line.reset()

    async def stop(self) -> None:
        """End everything."""
        # Not by cancelling: a connection that is just being made would be left open.
        while self._server is not None or self._lines:
            await self.refuse(reset=True)
            if self._lines:
                await asyncio.wait(self._lines.values())
        if self._holder is not None:
            self._holder.close()

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self, reader, writer)
        task = asyncio.get_running_loop().create_task(line.run())
        self._lines[line] = task
        task.add_done_callback(lambda _: self._lines.pop(line))


class _Line:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(
        self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._answered_before = False
        self._between = True  # no exchange runs: the client's next bytes begin one
        self._fault: Fault | None = None
        self._passed = 0  # bytes of this answer
        self._head = bytearray()
        self._swallowing = False

    async def run(self) -> None:
        """Pass bytes until a side ends, or a fault does it."""
        try:
            reader, writer = await asyncio.open_connection(HOST, self._proxy.target_port)
        except OSError:
            self.reset()
            return
        ways = [
            asyncio.ensure_future(self._pass_requests(writer)),
            asyncio.ensure_future(self._pass_answers(reader)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.transport.abort()
            self._writer.close()
            for side in (writer, self._writer):
                with contextlib.suppress(OSError):
                    await side.wait_closed()

    def reset(self) -> None:
        """RST, at once."""
        sock = self._writer.get_extra_info("socket")
        if sock is not None and not self._writer.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
        self._writer.transport.abort()

    # -- requests ------------------------------------------------------------------------------

    async def _pass_requests(self, server: asyncio.StreamWriter) -> None:
        """Until the client ends, or a fault ends the connection."""
        with contextlib.suppress(OSError):
            while data := await self._reader.read(READ_BYTES):
                if self._between:
                    self._begin_exchange()
                if self._writer.is_closing():
                    return
                if not self._swallowing:
                    server.write(data)
                    await server.drain()

    def _begin_exchange(self) -> None:
        """Choose what it suffers; what strikes before an answer strikes now."""
        self._between = False
        self._passed = 0
        self._head.clear()
        self._proxy.exchanges += 1
        fault = self._fault = self._proxy.choose()
        match fault:
            case StaleClose() if self._answered_before:
                self._count()
                self._end(reset=fault.reset)
            case Garbage():
                # The server never sees the request: nothing of its answer could be told apart.
                self._count()
                self._swallowing = True
                self._writer.write(fault.data)
            case BlackHole(0):
                self._count()
                self._swallowing = True
            case Delay() | Trickle():
                self._count()

    # -- answers -------------------------------------------------------------------------------

    async def _pass_answers(self, server: asyncio.StreamReader) -> None:
        """Until the server ends, or a fault ends the connection."""
        with contextlib.suppress(OSError):
            while data := await server.read(READ_BYTES):
                # Before it is passed: whoever has a whole answer may ask again at once.
                self._answered_before = self._between = True
                await self._pass_answer(data)
                if self._writer.is_closing():
                    return
        if self._swallowing:
            await asyncio.Event().wait()  # a black hole does not even end

    async def _pass_answer(self, data: bytes) -> None:
        """Pass a piece as far and as fast as the fault lets it."""
        if isinstance(self._fault, Delay) and not self._passed:
            await asyncio.sleep(self._fault.seconds)
        room = self._find_limit(data) - self._passed
        part = data if len(data) <= room else data[: max(0, int(room))]
        if isinstance(self._fault, Trickle):
            part = await self._trickle(part, self._fault)
        self._passed += len(part)
        if part and not self._swallowing:
            self._writer.write(part)
            await self._writer.drain()
        if len(data) > room and not self._swallowing:
            self._carry_out()

    async def _trickle(self, data: bytes, fault: Trickle) -> bytes:
        """Send the first bytes of an answer piece by piece; what is left may go at once."""
        while data and self._passed < fault.limit:
            await asyncio.sleep(fault.every_s)
            piece, data = data[: fault.size], data[fault.size :]
            self._passed += len(piece)
            self._writer.write(piece)
            await self._writer.drain()
        return data

    def _find_limit(self, data: bytes) -> float:
        """How many bytes of this answer may pass; a fault strikes where there are more."""
        match self._fault:
            case Reset(after) | Finish(after) | BlackHole(after):
                return after
            case Truncate(body_bytes):
                return self._find_head_end(data) + body_bytes
            case _:
                return _NEVER

    def _find_head_end(self, data: bytes) -> float:
        """Where the answer's body begins; nowhere as long as its head is not whole."""
        if b"\r\n\r\n" not in self._head:
            self._head += data
        end = self._head.find(b"\r\n\r\n")
        return _NEVER if end < 0 else end + 4

    def _carry_out(self) -> None:
        self._count()
        if isinstance(self._fault, BlackHole):
            self._swallowing = True
        else:
            self._end(reset=isinstance(self._fault, Reset))

    def _end(self, *, reset: bool) -> None:
        if reset:
            self.reset()
        else:
            self._writer.close()

    def _count(self) -> None:
        assert self._fault is not None
        self._proxy.counts[name_of(self._fault)] += 1


def _bound(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the socket says that it speaks TCP.
    sock = socket.socket(proto=socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return sock


@asynccontextmanager
async def fault_proxy(target_port: int, choose: Choose | None = None) -> AsyncIterator[FaultProxy]:
    """A proxy that listens, for the time of the block."""
    proxy = FaultProxy(target_port, choose)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
