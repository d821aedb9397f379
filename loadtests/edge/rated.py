"""Requests at a fixed rate from an open loop, each with its status.

Latency counts from the time at which a request was due (see `loadtests.bench.open_loop`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from loadtests.bench import payloads
from loadtests.bench.open_loop import Lane, Timetable

_START_S: Final = 0.1
_GRACE_S: Final = 5.0
_BODY_BYTES: Final = 1000


@dataclass(frozen=True, slots=True)
class Rated:
    """What came back: seconds from due time to answer by status; `missing` were never answered."""

    took_s: dict[int, list[float]]
    missing: int
    seconds: float

    @property
    def answered_s(self) -> list[float]:
        """The good ones."""
        return self.took_s.get(200, [])

    @property
    def refused_s(self) -> list[float]:
        """The others."""
        return [each for status, took in self.took_s.items() if status != 200 for each in took]

    @property
    def goodput(self) -> float:
        """Good answers per second."""
        return len(self.answered_s) / self.seconds


class _Client(asyncio.Protocol):
    """One lane on the wire."""

    def __init__(self, load: _Load) -> None:
        self._load = load

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # the loop's own
        self.lane = Lane(self.transport.write)

    def data_received(self, data: bytes) -> None:
        status = self.lane.on_bytes(data)
        if status is not None:
            self._load.on_answer(self.lane, status)


class _Load:
    """Sends what is due over the first free lane; what finds none waits for one."""

    def __init__(self, host: str, count: int) -> None:
        body = payloads.request_body("m", _BODY_BYTES)
        self._request = payloads.http_request(payloads.PATH, host, body)
        self._left = count
        self._free: deque[Lane] = deque()
        self._waiting: deque[float] = deque()
        self.took_s: dict[int, list[float]] = {}
        self.done = asyncio.Event()

    def add(self, lane: Lane) -> None:
        self._free.append(lane)

    def on_due(self, due_s: float) -> None:
        if self._free:
            self._free.popleft().ask(self._request, due_s)
        else:
            self._waiting.append(due_s)

    def on_answer(self, lane: Lane, status: int) -> None:
        self.took_s.setdefault(status, []).append(time.monotonic() - lane.due_s)
        if self._waiting:
            lane.ask(self._request, self._waiting.popleft())
        else:
            self._free.append(lane)
        self._left -= 1
        if not self._left:
            self.done.set()


async def ask_at_rate(
    host: str, port: int, *, rate: float, seconds: float, lanes: int = 32
) -> Rated:
    """Ask for chat completions, `rate` a second, for so long, and wait for the last answers."""
    count = max(1, round(rate * seconds))
    load, loop = _Load(host, count), asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Client(load), host, port))[1] for _ in range(lanes)
    ]
    for client in clients:
        load.add(client.lane)
    start = time.monotonic() + _START_S
    Timetable(start, 1 / rate, count).start(load.on_due)
    try:
        async with asyncio.timeout(_START_S + seconds + _GRACE_S):
            await load.done.wait()
    except TimeoutError:
        pass  # they are missing
    for client in clients:
        client.transport.abort()
    answered = sum(len(took) for took in load.took_s.values())
    return Rated(load.took_s, count - answered, seconds)
