"""Twelve thousand connections at one worker, most of them idle: all are served, none is dropped.

The router is started with the soft limit of a login shell (1024 descriptors), which it must raise.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from loadtests.bench.measure import resident_bytes
from loadtests.edge.figure import Figure
from loadtests.edge.process import program
from loadtests.edge.scale import Scale
from tests.support.engines import running_engine
from tests.support.routers import RouterProcess, document, route, running_router

SHELLS_LIMIT: Final = 1024
PER_PROCESS: Final = 5_000
MB: Final = 1_000_000
TELLS_WITHIN_S: Final = 10.0
"""A worker publishes its gauges each second where it has the time."""


@contextmanager
def soft_limit(descriptors: int) -> Iterator[None]:
    """Let what is started in the block have this soft limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(descriptors, hard), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def many_connections(folder: Path, scale: Scale) -> list[Figure]:
    """Idle and active ones, for a while, and at its end a request on each of the idle ones."""
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine("v1"))
        chat = {**route(v1=engine.url), "limits": {"maxInFlight": 1000, "maxQueue": 10_000}}
        config = document(chat, workers=1, keepAliveTimeout="10m")
        with soft_limit(SHELLS_LIMIT):
            router = stack.enter_context(running_router(folder, config))
        worker = router.children()["w0"].pid
        allowed, _ = psutil.Process(worker).rlimit(psutil.RLIMIT_NOFILE)
        before = resident_bytes(worker)
        idle = [
            stack.enter_context(_held(router, f"127.0.1.{place}", number, 0.0))
            for place, number in enumerate(_parts(scale.idle_connections), 1)
        ]
        beside = resident_bytes(worker)
        active = stack.enter_context(
            _held(router, "127.0.2.1", scale.active_connections, scale.active_every_s)
        )
        await asyncio.sleep(scale.active_s)
        held = await _told(router, scale.idle_connections + scale.active_connections)
        busy = resident_bytes(worker)
        told = [_end(active), *(_end(each) for each in idle)]
    return _judge(scale, allowed, held, (before, beside, busy), told)


async def _told(router: RouterProcess, connections: int) -> float:
    """How many the worker says that it holds; what it last published may be a second old."""
    deadline = time.monotonic() + TELLS_WITHIN_S
    while True:
        held = router.metric('router_client_connections{worker="w0"}')
        if held >= connections or time.monotonic() > deadline:
            return held
        await asyncio.sleep(0.1)


def _parts(number: int) -> list[int]:
    """What each process holds."""
    whole, rest = divmod(number, PER_PROCESS)
    return [PER_PROCESS] * whole + [rest] * bool(rest)


@contextmanager
def _held(
    router: RouterProcess, source: str, number: int, every_s: float
) -> Iterator[subprocess.Popen[str]]:
    host, port = router.traffic.removeprefix("http://").split(":")
    arguments = (host, port, source, str(number), "--every", str(every_s))
    with program("loadtests.edge.holder", *arguments) as (process, _):
        yield process


def _end(holder: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = holder.communicate("")
    found: dict[str, Any] = json.loads(told)
    return found


def _judge(
    scale: Scale,
    allowed: int,
    held: float,
    resident: tuple[int, int, int],
    told: list[dict[str, Any]],
) -> list[Figure]:
    connections = scale.idle_connections + scale.active_connections
    before, beside, busy = (each / MB for each in resident)
    active, *idle = told
    answered = sum(each["answered"] for each in idle)
    per_idle = (beside - before) * 1000 / scale.idle_connections
    least = min(2 * connections, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    return [
        Figure("many", "descriptors allowed to the worker", allowed, "", least, True),
        Figure("many", "connections that the worker holds", held, "", connections, True),
        Figure(
            "many",
            "idle connections answered at the end",
            answered,
            "",
            scale.idle_connections,
            True,
        ),
        Figure("many", "requests that failed", sum(each["failed"] for each in told), "", 0),
        Figure("many", "connections dropped", sum(each["gone"] for each in told), "", 0),
        Figure("many", "active: answered", active["answered"] / scale.active_s, "requests/s"),
        Figure("many", "active: p50", active["p50_ms"], "ms"),
        Figure("many", "active: p99", active["p99_ms"], "ms"),
        Figure("many", "worker's memory before", before, "MB"),
        Figure("many", "with the idle ones", beside, "MB"),
        Figure("many", "with all", busy, "MB"),
        Figure("many", "an idle one", per_idle, "KB"),
    ]
