"""Resident memory of the worker: after start, per idle connection, per open stream, drift.

Each part starts its proxy afresh: memory that one part has freed and the process still
holds would hide what the next part takes. Every part warms up first, so that pools and
caches are not booked on the connections.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import uvloop

from loadtests.bench import payloads
from loadtests.bench.measure import resident_bytes
from loadtests.bench.open_loop import Lane
from loadtests.bench.process import BenchError, Target
from loadtests.bench.streams import StreamClient, connect
from loadtests.bench.unary import UnaryLoad

_BODY_BYTES = 1000
_SETTLE_S = 0.5
_AT_ONCE = 32  # how many connections or streams are set up together

Start = Callable[[], AbstractContextManager[Target]]


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """What the worker holds, in bytes."""

    start: int  # ready, no request served yet
    idle_connection: float  # a client connection that has served one request
    open_stream: float  # a stream in mid-flow, with its upstream connection
    drift_requests: int
    drift: int  # growth from a tenth of these requests to all of them
    drift_points: list[tuple[int, int]]  # (requests so far, RSS)


@dataclass(frozen=True, slots=True)
class MemoryLoad:
    """How much is held open."""

    connections: int
    streams: int
    requests: int
    warm_s: float


def measure_memory(start: Start, load: MemoryLoad, folder: Path) -> MemoryFigures:
    """Measure one proxy, part by part."""
    unary = UnaryLoad(folder, _BODY_BYTES, connections=32)
    with start() as target:
        time.sleep(_SETTLE_S)
        started = _resident(target)
        unary.run(target, load.warm_s)
        idle = uvloop.run(_idle_connections(target, load.connections))
    with start() as target:
        unary.run(target, load.warm_s)
        stream = uvloop.run(_open_streams(target, load.streams))
    with start() as target:
        points = _drift(target, unary, load.requests)
    drift = points[-1][1] - points[0][1]
    return MemoryFigures(started, idle, stream, points[-1][0], drift, points)


async def _idle_connections(target: Target, count: int) -> float:
    before = _resident(target)
    opened: list[_IdleClient] = []
    while len(opened) < count:
        opened += await _idle_batch(target, min(_AT_ONCE, count - len(opened)))
    await asyncio.sleep(_SETTLE_S)
    after = _resident(target)
    gone = sum(client.gone for client in opened)
    for client in opened:
        client.transport.abort()
    if gone:
        raise BenchError(f"{target.name} closed {gone} of {count} idle connections")
    return (after - before) / count


async def _idle_batch(target: Target, count: int) -> "list[_IdleClient]":
    """Open connections and let each serve one request."""
    body = payloads.request_body(target.model, _BODY_BYTES)
    request = payloads.http_request(payloads.PATH, target.address.host, body)
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(_IdleClient, *target.address))[1] for _ in range(count)
    ]
    for client in clients:
        client.lane.ask(request, 0.0)
    await asyncio.wait_for(asyncio.gather(*(client.answered for client in clients)), 10)
    return clients


class _IdleClient(asyncio.Protocol):
    """A connection that asks once and then stays."""

    def __init__(self) -> None:
        self.answered = asyncio.get_running_loop().create_future()
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # uvloop's own
        self.lane = Lane(self.transport.write)

    def data_received(self, data: bytes) -> None:
        if self.lane.on_bytes(data) is not None and not self.answered.done():
            self.answered.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True


async def _open_streams(target: Target, count: int) -> float:
    before = _resident(target)
    clients: list[StreamClient] = []
    while len(clients) < count:
        batch = await connect(target, min(_AT_ONCE, count - len(clients)))
        for client in batch:
            client.ask()
        clients += batch
        await asyncio.sleep(0.02)
    await _wait_flowing(target, clients)
    after = _resident(target)
    ended = sum(client.ended.done() for client in clients)
    for client in clients:
        client.close()
    if ended:
        raise BenchError(f"{target.name}: {ended} of {count} streams ended too early")
    return (after - before) / count


async def _wait_flowing(target: Target, clients: list[StreamClient]) -> None:
    """Wait until every stream has brought some chunks."""
    deadline = time.monotonic() + 15
    while any(client.chunks < 3 for client in clients):
        if time.monotonic() > deadline:
            raise BenchError(f"{target.name}: not all of {len(clients)} streams flow")
        await asyncio.sleep(0.05)


def _drift(target: Target, unary: UnaryLoad, requests: int) -> list[tuple[int, int]]:
    """Serve many requests; return RSS from a tenth of them on."""
    served = 0
    points: list[tuple[int, int]] = []
    while served < requests or len(points) < 2:
        sample = unary.run(target, 2.0 if requests > 10_000 else 0.1)
        if not sample.units:
            raise BenchError(f"{target.name} serves no requests")
        served += int(sample.units)
        if served >= requests / 10:
            points.append((served, _resident(target)))
    return points


def _resident(target: Target) -> int:
    assert target.worker is not None, "memory is measured of proxies, not of the upstream"
    return resident_bytes(target.worker)
