"""Load of server-sent event streams: a raw uvloop client that counts and times chunks.

Every connection asks once and reads its stream to the end; a slice is one such set, so
that each slice holds the same number of stream starts and ends.
"""

import asyncio
import time

import uvloop

from loadtests.bench import payloads
from loadtests.bench.measure import Meter, Usage
from loadtests.bench.process import Target
from loadtests.bench.sample import Sample, percentile

BODY_BYTES = 1000


class StreamClient(asyncio.Protocol):
    """One connection that reads one stream."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport
        self._tail = b""
        self._asked_at = self._last_at = 0.0
        self.ended = asyncio.get_running_loop().create_future()
        self._answered = False
        self.status_ok = False
        self.chunks = 0
        self.lumped = 0  # reads that held more than one chunk
        self.first_s = float("nan")
        self.gaps_s: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = transport  # type: ignore[assignment] # uvloop's own class

    def ask(self) -> None:
        """Send the request."""
        self._asked_at = time.monotonic()
        self._transport.write(self._request)

    def close(self) -> None:
        """Leave, in the middle of a stream or after it."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count the chunks of one read; see whether the body has ended."""
        now = time.monotonic()
        if not self._answered:  # once: the head may come in a read of its own
            self._answered = True
            self.status_ok = data.startswith(b"HTTP/1.1 200")
        count = data.count(b"data: ")
        if count:
            self._on_chunks(count, now)
        self._tail = (self._tail + data)[-len(payloads.TERMINATOR) :]
        if self._tail == payloads.TERMINATOR:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take a stream without framing as ended; a broken one lacks chunks."""
        self._end()

    def _on_chunks(self, count: int, now: float) -> None:
        if self.chunks:
            self.gaps_s.append(now - self._last_at)
        else:
            self.first_s = now - self._asked_at
        self.chunks += count
        self.lumped += count > 1
        self._last_at = now

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def connect(target: Target, count: int) -> list[StreamClient]:
    """Open connections that have not asked yet."""
    body = payloads.request_body(target.model, BODY_BYTES, stream=True)
    request = payloads.http_request(payloads.PATH, target.address.host, body)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: StreamClient(request), *target.address)
        for _ in range(count)
    ]
    return [client for _, client in made]


class StreamLoad:
    """Concurrent streams, all of them started at once."""

    def __init__(self, streams: int, chunks: int, interval_s: float) -> None:
        self._streams = streams
        self._chunks = chunks
        self._limit_s = chunks * interval_s * 5 + 10

    def run(self, target: Target, seconds: float) -> Sample:
        """Load a target for one slice."""
        return uvloop.run(self._run(target))

    async def _run(self, target: Target) -> Sample:
        clients = await connect(target, max(1, self._streams // target.ease))
        await asyncio.sleep(0.05)  # accepting is not part of a chunk's price
        usage = await self._window(clients, target.meter())
        for client in clients:
            client.close()
        return self._sample(clients, usage, least=self._chunks - target.rewriting)

    async def _window(self, clients: list[StreamClient], meter: Meter) -> Usage:
        meter.start()
        for client in clients:
            client.ask()
        await asyncio.wait([client.ended for client in clients], timeout=self._limit_s)
        return meter.stop()

    def _sample(self, clients: list[StreamClient], usage: Usage, least: int) -> Sample:
        gaps = sorted(gap for client in clients for gap in client.gaps_s)
        firsts = sorted(client.first_s for client in clients if client.chunks)
        chunks = sum(client.chunks for client in clients)
        # A rewriting proxy may keep the event with the usage to itself.
        whole = range(least, self._chunks + 1)
        broken = sum(not c.status_ok or c.chunks not in whole for c in clients)
        return Sample(
            units=chunks,
            seconds=usage.wall_s,
            errors=broken,
            latency_us={
                "gap p50": percentile(gaps, 0.5) * 1e6,
                "gap p99": percentile(gaps, 0.99) * 1e6,
                "first p50": percentile(firsts, 0.5) * 1e6,
                "first p99": percentile(firsts, 0.99) * 1e6,
                "lumped %": 100 * sum(c.lumped for c in clients) / max(1, chunks),
            },
            usage=usage,
        )
