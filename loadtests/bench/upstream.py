"""The model server behind every proxy: a raw uvloop protocol that answers from ready bytes.

Run as `python -m loadtests.bench.upstream`; prints its port once it listens.
Reads each request to its end, then answers 600 B of JSON, or, when the body asks for a
stream, one server-sent event every `--interval` seconds. It parses only what framing
needs, and must stay far cheaper than the proxies that it serves.

libuv's timers tick in milliseconds, so about 13 of 64 streams at 5 ms speak at once:
close to a real engine, which emits one token for its whole batch at each step.
"""

import argparse
import asyncio
import re
import socket
from collections.abc import Iterator
from typing import cast

import uvloop

from loadtests.bench import payloads

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_KEPT = 2048  # bytes of a body that are looked at to see whether it asks for a stream

_JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)


class Script:
    """The ready bytes that all connections of one upstream answer with."""

    def __init__(self, chunks: int, interval_s: float) -> None:
        body = payloads.answer()
        events = [payloads.as_http_chunk(event) for event in payloads.stream_events(chunks)]
        events[-1] += payloads.TERMINATOR
        self.json = _JSON_HEAD % len(body) + body
        self.events = [_STREAM_HEAD + events[0], *events[1:]]
        self.interval_s = interval_s


class Upstream(asyncio.Protocol):
    """One connection from a proxy; requests come one after the other, never pipelined."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.WriteTransport
        self._head = b""  # an incomplete head
        self._kept = b""  # the first bytes of the body
        self._left = 0  # bytes of the body still to come
        self._chunked = False
        self._tail = b""
        self._events: Iterator[bytes] = iter(())
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        """Read heads and bodies; answer when a body has ended."""
        if not self._left and not self._chunked:
            data = self._on_head(self._head + data)
            if not self._left and not self._chunked:
                return
        self._on_body(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop a stream that nobody reads."""
        if self._timer is not None:
            self._timer.cancel()

    def _on_head(self, data: bytes) -> bytes:
        """Take a head; return what of the body came with it."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return b""
        self._head = self._kept = self._tail = b""
        length = _LENGTH.search(data, 0, end)
        self._chunked = length is None and _CHUNKED.search(data, 0, end) is not None
        self._left = int(length[1]) if length else 0
        if not self._left and not self._chunked:
            self._transport.write(self._script.json)  # a probe: GET without a body
        return data[end + 4 :]

    def _on_body(self, data: bytes) -> None:
        if len(self._kept) < _KEPT:
            self._kept += data[:_KEPT]
        if self._chunked:
            # Enough for our own payloads: their text never holds these bytes.
            self._tail = (self._tail + data)[-len(payloads.TERMINATOR) :]
            self._chunked = self._tail != payloads.TERMINATOR
        else:
            self._left -= len(data)
        if self._left <= 0 and not self._chunked:
            self._left = 0
            self._answer()

    def _answer(self) -> None:
        if payloads.STREAM_MARK not in self._kept:
            self._transport.write(self._script.json)
            return
        self._events = iter(self._script.events)
        self._next_at = self._loop.time()
        self._speak()

    def _speak(self) -> None:
        event = next(self._events, None)
        if event is None:
            self._timer = None
            return
        self._transport.write(event)
        # From the schedule, not from now: a late event does not delay the ones after it.
        self._next_at += self._script.interval_s
        self._timer = self._loop.call_at(self._next_at, self._speak)


def loopback_hosts(count: int) -> list[str]:
    """Return `count` addresses of 127.0.0.0/8; Linux answers on all of them."""
    return [f"127.0.{i // 250}.{i % 250 + 1}" for i in range(count)]


def _listen(hosts: list[str]) -> list[socket.socket]:
    port = 0
    sockets = []
    for host in hosts:  # the first one gets a free port, the others share its number
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        port = sock.getsockname()[1]
        sockets.append(sock)
    return sockets


async def serve(script: Script, hosts: list[str]) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    sockets = _listen(hosts)
    for sock in sockets:
        await loop.create_server(lambda: Upstream(script), sock=sock, backlog=4096)
    print(sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench.upstream")
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--interval", type=float, default=0.005)
    parser.add_argument("--hosts", type=int, default=1)
    options = parser.parse_args()
    script = Script(options.chunks, options.interval)
    uvloop.run(serve(script, loopback_hosts(options.hosts)))


if __name__ == "__main__":
    main()
