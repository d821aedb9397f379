"""Added latency at a fixed rate: the same requests through a proxy and direct, side by side.

Open loop: requests are due on a timetable that no slow answer delays, and latency counts
from the due time, so waiting for a free connection is part of it. Both loads run in the
same seconds, half a period apart, because seconds on a shared machine differ.

The timetable is a timerfd: the timers of libuv and of asyncio tick in milliseconds, which
is more than what is measured here.
"""

import asyncio
import ctypes
import os
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from loadtests.bench import payloads
from loadtests.bench.measure import Usage
from loadtests.bench.process import BenchError, Target

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_START_S = 0.1  # from set-up to the first request
_GRACE_S = 5.0  # for the last answers
_BODY_BYTES = 1000


@dataclass(frozen=True, slots=True)
class RateSample:
    """One slice at a fixed rate: through the proxy, and direct in the same seconds."""

    through_s: list[float]
    direct_s: list[float]
    missing: int  # not answered, or not with 200
    usage: Usage


class Lane:
    """One keep-alive connection; carries one request at a time."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.due_s = 0.0
        self._send = send
        self._received = b""

    def ask(self, request: bytes, due_s: float) -> None:
        """Send a request that was due at `due_s`."""
        self.due_s = due_s
        self._received = b""
        self._send(request)

    def on_bytes(self, data: bytes) -> int | None:
        """Return the answer's status once it is whole."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        length = _LENGTH.search(self._received, 0, end)
        if length is not None:
            whole = len(self._received) >= end + 4 + int(length[1])
        else:
            whole = self._received.endswith(payloads.TERMINATOR)
        return int(self._received[9:12]) if whole else None


class _Connection(asyncio.Protocol):
    """Puts a lane on the wire."""

    def __init__(self, on_answer: Callable[[Lane, int], None]) -> None:
        self._on_answer = on_answer
        self.lane: Lane

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # uvloop's own
        self.lane = Lane(self.transport.write)

    def data_received(self, data: bytes) -> None:
        status = self.lane.on_bytes(data)
        if status is not None:
            self._on_answer(self.lane, status)


class Timetable:
    """Calls back at each due time, by a timerfd."""

    def __init__(self, first_s: float, period_s: float, count: int) -> None:
        self._first_s = first_s
        self._period_s = period_s
        self._left = count
        self._passed = 0
        self._timer = _periodic_timer(first_s, period_s)

    def start(self, on_due: Callable[[float], None]) -> None:
        """Begin to call back."""
        self._on_due = on_due
        asyncio.get_running_loop().add_reader(self._timer, self._on_timer)

    def _on_timer(self) -> None:
        expired = int.from_bytes(os.read(self._timer, 8), "little")
        for _ in range(min(expired, self._left)):
            self._on_due(self._first_s + self._passed * self._period_s)
            self._passed += 1
            self._left -= 1
        if not self._left:
            asyncio.get_running_loop().remove_reader(self._timer)
            os.close(self._timer)


class OpenLoop:
    """Sends what is due over the first free lane; what finds none waits its turn."""

    def __init__(self, target: Target, count: int) -> None:
        body = payloads.request_body(target.model, _BODY_BYTES)
        self._request = payloads.http_request(payloads.PATH, target.address.host, body)
        self._target = target
        self._count = count
        self._free: deque[Lane] = deque()
        self._waiting: deque[float] = deque()
        self._connections: list[_Connection] = []
        self.latencies_s: list[float] = []
        self.wrong = 0
        self.done = asyncio.Event()

    async def connect(self, lanes: int) -> None:
        """Open the lanes."""
        loop = asyncio.get_running_loop()
        for _ in range(lanes):
            _, connection = await loop.create_connection(
                lambda: _Connection(self._on_answer), *self._target.address
            )
            self._connections.append(connection)
            self._free.append(connection.lane)

    def on_due(self, due_s: float) -> None:
        """Send a request, or let it wait for a lane."""
        if self._free:
            self._free.popleft().ask(self._request, due_s)
        else:
            self._waiting.append(due_s)

    def close(self) -> None:
        """Close the lanes."""
        for connection in self._connections:
            connection.transport.abort()

    def _on_answer(self, lane: Lane, status: int) -> None:
        self.latencies_s.append(time.monotonic() - lane.due_s)
        self.wrong += status != 200
        if self._waiting:
            lane.ask(self._request, self._waiting.popleft())
        else:
            self._free.append(lane)  # in turn: every lane is used
        if len(self.latencies_s) == self._count:
            self.done.set()


def added_latency(
    target: Target, direct: Target, *, rate: float, lanes: int, seconds: float
) -> RateSample:
    """Load proxy and upstream at the same rate in the same seconds."""
    return uvloop.run(_added_latency(target, direct, rate, lanes, max(1, int(rate * seconds))))


async def _added_latency(
    target: Target, direct: Target, rate: float, lanes: int, count: int
) -> RateSample:
    through, beside = OpenLoop(target, count), OpenLoop(direct, count)
    for loop in (through, beside):
        await loop.connect(lanes)
    start = time.monotonic() + _START_S
    meter = target.meter()
    meter.start()
    Timetable(start, 1 / rate, count).start(through.on_due)
    Timetable(start + 0.5 / rate, 1 / rate, count).start(beside.on_due)
    try:
        async with asyncio.timeout(_START_S + count / rate + _GRACE_S):
            await through.done.wait()
            await beside.done.wait()
    except TimeoutError:
        pass  # counted as missing
    usage = meter.stop()
    for loop in (through, beside):
        loop.close()
    missing = count - len(through.latencies_s) + through.wrong
    return RateSample(through.latencies_s, beside.latencies_s, missing, usage)


class _TimerSpec(ctypes.Structure):
    """struct itimerspec of timerfd_settime(2)."""

    _fields_ = (
        ("period_s", ctypes.c_long),
        ("period_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    )


def _periodic_timer(first_s: float, period_s: float) -> int:
    """Return a timerfd on the clock of `time.monotonic` (os.timerfd_create: Python 3.13)."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer: int = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    spec = _TimerSpec(*divmod(round(period_s * 1e9), 10**9), *divmod(round(first_s * 1e9), 10**9))
    absolute = 1  # TFD_TIMER_ABSTIME
    if timer < 0 or libc.timerfd_settime(timer, absolute, ctypes.byref(spec), None) < 0:
        raise BenchError(f"no timerfd: {os.strerror(ctypes.get_errno())}")
    return timer
