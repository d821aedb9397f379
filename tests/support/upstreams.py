"""Model servers that a test plays itself, byte by byte, or lets answer on their own.

By hand: the test takes each request as a `Call` and says the answer's bytes when it wants to.

    call = await upstream.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 2"))
    client.close()
    await call.wait_closed()

On their own: `upstream.replies = answering(...)`, a function that gets every call.
Requests are kept as they came; nothing of `router` is used here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json as json_module
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from tests.support.raw import (
    DEADLINE_S,
    MAX_HEAD,
    BrokenMessageError,
    Head,
    Wire,
    chunk,
    message,
    parse_head,
    wait_until,
)

BUFFER_BYTES: Final = 64 * 1024

Replies = Callable[["Call"], Awaitable[None]]


@dataclass(slots=True)
class Request:
    """One request as it came: `raw` are the head's bytes, `body` its payload when it was read."""

    raw: bytes
    head: Head
    body: bytes = b""

    @property
    def target(self) -> str:
        return self.head.target

    def field(self, name: str) -> str | None:
        return self.head.field(name)

    def json(self) -> Any:
        return json_module.loads(self.body)


class Call(Wire):
    """One request on one connection, to be answered."""

    def __init__(self, connection: _Connection, request: Request) -> None:
        super().__init__(connection.wire.reader, connection.wire.writer)
        self.connection = connection
        self.request = request
        self.finished = asyncio.Event()
        self._read = False

    def __repr__(self) -> str:
        return f"<Call {self.request.head.line!r} on connection {self.connection.number}>"

    async def read_request(self) -> bytes:
        """The request's body, to its end; again if it was read before."""
        head = self.request.head
        if not self._read and (head.chunked or head.length):
            self.request.body = await self.read_body(head)
        self._read = True
        return self.request.body

    async def answer(
        self, body: bytes = b"ok", *fields: str, status: str = "200 OK", kind: str = "text/plain"
    ) -> None:
        """Read the request, answer it with a body of known length, keep the connection."""
        await self.read_request()
        lines = (f"Content-Type: {kind}", f"Content-Length: {len(body)}", *fields)
        await self.send(message(f"HTTP/1.1 {status}", *lines, body=body))
        self.finish()

    async def answer_json(self, value: Any, *fields: str, status: str = "200 OK") -> None:
        """The same with JSON."""
        body = json_module.dumps(value).encode()
        await self.answer(body, *fields, status=status, kind="application/json")

    async def start(self, *fields: str, status: str = "200 OK", stream: bool = False) -> None:
        """Read the request and begin a chunked answer."""
        await self.read_request()
        kind = ("Content-Type: text/event-stream",) if stream else ()
        await self.send(message(f"HTTP/1.1 {status}", "Transfer-Encoding: chunked", *kind, *fields))

    async def send_chunk(self, payload: bytes) -> None:
        await self.send(chunk(payload))

    async def end_chunks(self) -> None:
        """The last chunk; the connection may be used again."""
        await self.send(chunk(b""))
        self.finish()

    def finish(self) -> None:
        """Look for the next request on this connection."""
        self.finished.set()

    async def wait_closed(self) -> None:
        """Wait for the router to close; the call may be finished already.

        Raises:
            TimeoutError: it stays open.
        """
        if self.finished.is_set():
            await wait_until(lambda: self.connection.closed, "the connection stays open")
        else:
            await super().wait_closed()

    def close(self) -> None:
        super().close()
        self.finish()

    def reset(self) -> None:
        super().reset()
        self.finish()


class _Connection:
    """One accepted connection."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.wire = Wire(reader, writer)
        self.closed = False


class Upstream:
    """A listening model server.  `requests` are all that came, `connections` all it accepted."""

    def __init__(self, name: str, replies: Replies | None = None) -> None:
        self.name = name
        self.replies = replies
        self.requests: list[Request] = []
        self.connections: list[_Connection] = []
        self.port = 0
        self._calls: asyncio.Queue[Call] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Upstream {self.name}: {len(self.requests)} requests>"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections that neither side has closed."""
        return sum(not each.closed for each in self.connections)

    async def start(self, *, buffer_bytes: int | None = None) -> None:
        """Listen; small buffers make the kernel hold little for a peer that does not read."""
        # asyncio turns Nagle's algorithm off only where the socket says that it speaks TCP.
        sock = socket.socket(proto=socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.bind(("127.0.0.1", self.port))
        self._server = await asyncio.start_server(
            self._on_connection, sock=sock, backlog=512, limit=MAX_HEAD
        )
        self.port = sock.getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections from now on, and reset those that there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in self.connections:
            if not connection.closed:
                connection.wire.reset()
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DEADLINE_S)

    def close_idle(self) -> None:
        """FIN on every connection, as a server does whose keep-alive time is over."""
        for connection in self.connections:
            connection.wire.close()

    @property
    def waiting(self) -> int:
        """Requests that came and were not yet taken as calls."""
        return self._calls.qsize()

    async def next_call(self) -> Call:
        """The next request that came, in the order of their heads.

        Raises:
            TimeoutError: none comes.
        """
        async with asyncio.timeout(DEADLINE_S):
            return await self._calls.get()

    def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(len(self.connections), reader, writer)
        self.connections.append(connection)
        task = asyncio.get_running_loop().create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, connection: _Connection) -> None:
        wire = connection.wire
        try:
            while True:
                raw = await wire.reader.readuntil(b"\r\n\r\n")
                call = Call(connection, Request(raw, parse_head(raw)))
                self.requests.append(call.request)
                if self.replies is not None:
                    await self.replies(call)
                else:
                    self._calls.put_nowait(call)
                await call.finished.wait()
        except (OSError, asyncio.IncompleteReadError, BrokenMessageError, TimeoutError):
            pass  # the router closed, or the test did: `closed` says so
        finally:
            connection.closed = True
            if not wire.writer.is_closing():
                wire.writer.transport.abort()
            with contextlib.suppress(OSError):
                await wire.writer.wait_closed()


async def next_call_of(*upstreams: Upstream) -> tuple[Upstream, Call]:
    """The next request that comes to any of these, and to which one.

    Raises:
        TimeoutError: none comes.
    """
    await wait_until(lambda: any(each.waiting for each in upstreams), "no request comes")
    found = next(each for each in upstreams if each.waiting)
    return found, await found.next_call()


def naming(name: str) -> Replies:
    """Answer every request with JSON that says who answered, and the request's own body."""

    async def reply(call: Call) -> None:
        body = await call.read_request()
        await call.answer_json({"server": name, "echo": body.decode("latin-1")})

    return reply


def saying(answer: bytes, *, then_close: bool = False) -> Replies:
    """Answer every request with these bytes."""

    async def reply(call: Call) -> None:
        await call.read_request()
        await call.send(answer)
        if then_close:
            call.close()
        else:
            call.finish()

    return reply


def failing(status: str = "500 Internal Server Error") -> Replies:
    """Answer every request with an error."""

    async def reply(call: Call) -> None:
        await call.answer_json({"error": {"message": "broken"}}, status=status)

    return reply


async def resetting(call: Call) -> None:
    """Reset every connection once a request has come."""
    await call.read_request()
    call.reset()


async def closing(call: Call) -> None:
    """Close every connection once a request has come, without a word."""
    await call.read_request()
    call.close()


class Upstreams:
    """The model servers of one test."""

    def __init__(self) -> None:
        self._running: list[Upstream] = []
        self._refusing: list[socket.socket] = []

    async def start(
        self, name: str = "v1", replies: Replies | None = None, *, buffer_bytes: int | None = None
    ) -> Upstream:
        """One more, on a port that the kernel chooses; without `replies` it is played by hand."""
        upstream = Upstream(name, replies)
        await upstream.start(buffer_bytes=buffer_bytes)
        self._running.append(upstream)
        return upstream

    async def named(self, name: str = "v1") -> Upstream:
        """One more that answers every request with its name."""
        return await self.start(name, naming(name))

    def refusing(self) -> Upstream:
        """One that refuses connections; its port is taken, so nobody else can have it."""
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        self._refusing.append(sock)
        upstream = Upstream("refusing")
        upstream.port = sock.getsockname()[1]
        return upstream

    def unreachable(self) -> Upstream:
        """One that never finishes a handshake: its queue of connections is full."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        self._refusing.append(listener)
        upstream = Upstream("unreachable")
        upstream.port = listener.getsockname()[1]
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", upstream.port))
            self._refusing.append(filler)
        return upstream

    async def stop(self) -> None:
        for upstream in self._running:
            await upstream.stop()
        for sock in self._refusing:
            sock.close()


@asynccontextmanager
async def started_upstreams() -> AsyncIterator[Upstreams]:
    """Model servers for the time of the block."""
    upstreams = Upstreams()
    try:
        yield upstreams
    finally:
        await upstreams.stop()
