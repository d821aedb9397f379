"""Slow clients by hundreds (slowhttptest): each is closed at its deadline, the others feel nothing.

Deadlines are short here, so that a run is.  A connection counts as open while a process holds it,
so the two seconds in which a refused client may still read its answer count as well.  Each attack
is repeated: the p99 is the median of its rounds, everything else that of the worst one.  Attackers
have a core of their own (slowhttptest keeps one busy even when all its connections are closed).
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtests.bench.measure import choose_cores, on_core
from loadtests.bench.process import BenchError
from loadtests.edge.figure import Figure, percentile
from loadtests.edge.live import LANES, ask_beside
from loadtests.edge.process import program
from loadtests.edge.rated import Rated
from loadtests.edge.scale import Scale
from loadtests.edge.sockets import Ages, held_by_port
from tests.support.engines import running_engine
from tests.support.routers import document, route, running_router

HEAD_S: Final = 3.0
WRITE_S: Final = 3.0
WINDOW_S: Final = 5.0
"""In which a body must come fast enough: `bodypace.WINDOW_S`."""
SLACK_S: Final = 1.0
TIMES_P99: Final = 2.0
CORES: Final = choose_cores()
_LOOK_S: Final = 0.25
"""A look at the kernel's table of connections keeps a core busy for some milliseconds."""

_CONNECT_S: Final = 10.0
_SERVER: Final[dict[str, Any]] = {
    "headTimeout": "3s",
    "bodyTimeout": "3s",
    "writeTimeout": "3s",
    "keepAliveTimeout": "60s",
}


@dataclass(frozen=True, slots=True)
class Attack:
    """One of slowhttptest's, and when at the latest its connections are to be closed."""

    name: str
    options: Sequence[str]
    path: str
    deadline_s: float


@dataclass(frozen=True, slots=True)
class Round:
    """One time: the live requests without the attack and with it, and its connections."""

    alone: Rated
    beside: Rated
    ages: Ages


ATTACKS: Final = (
    Attack("slow heads", ("-H", "-i", "1"), "/v1/chat/completions", HEAD_S),
    Attack("slow bodies", ("-B", "-i", "1", "-s", "8192", "-x", "10"), "/v1/completions", WINDOW_S),
    Attack("slow readers", ("-X", "-n", "1", "-z", "5", "-w", "1", "-y", "512"), "/large", WRITE_S),
)


async def slow_clients(folder: Path, scale: Scale) -> list[Figure]:
    """500 of each kind, beside requests at a modest rate."""
    if shutil.which("slowhttptest") is None:
        raise BenchError("slowhttptest is not installed (Debian: apt install slowhttptest)")
    figures = []
    with ExitStack() as stack:
        stack.enter_context(on_core(CORES.load))
        with on_core(CORES.proxy):
            engine = stack.enter_context(running_engine("v1"))
        # Bodies are passed on as they come: 500 slow ones are work for a model server in Python,
        # which is not what is measured here.
        trickled = stack.enter_context(running_engine("trickled"))
        _, large = stack.enter_context(program("loadtests.edge.large"))
        routes = (
            route(v1=engine.url),
            route("trickled", "/v1/completions", v1=trickled.url),
            route("large", "/large", v1=f"http://127.0.0.1:{large}"),
        )
        config = document(*routes, workers=1, **_SERVER)
        for each in config["routes"]:
            each["limits"] = {"maxInFlight": 4 * scale.slow_connections}
        with on_core(CORES.proxy):
            router = stack.enter_context(running_router(folder, config))
        port = int(router.traffic.rpartition(":")[2])
        await _live(port, scale)  # code and connections warm
        for attack in ATTACKS:
            rounds = [await _round(port, attack, scale) for _ in range(scale.slow_rounds)]
            figures += _judge(attack, rounds, scale)
    return figures


async def _round(port: int, attack: Attack, scale: Scale) -> Round:
    alone = await _live(port, scale)
    return Round(alone, *await _attacked(port, attack, scale))


async def _live(port: int, scale: Scale) -> Rated:
    rate, seconds = scale.live_rate, scale.live_s
    return await ask_beside("127.0.0.1", port, rate=rate, seconds=seconds, core=CORES.proxy)


async def _attacked(port: int, attack: Attack, scale: Scale) -> tuple[Rated, Ages]:
    """The live requests while the attack runs, and how old its connections became."""
    live = asyncio.create_task(_live(port, scale))
    await _wait_connected(port)
    ages = Ages(ignored=held_by_port(port))  # those of the live requests
    command = (
        *("slowhttptest", *attack.options, "-c", str(scale.slow_connections)),
        *("-r", str(scale.slow_connections), "-l", str(scale.slow_s), "-p", "3"),
        *("-u", f"http://127.0.0.1:{port}{attack.path}"),
    )
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await _watch(port, ages, until=attack.deadline_s + SLACK_S + scale.slow_s)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return await live, ages


async def _wait_connected(port: int) -> None:
    """Wait until the live requests have all their connections."""
    async with asyncio.timeout(_CONNECT_S):
        while len(held_by_port(port)) < LANES:
            await asyncio.sleep(0.05)


async def _watch(port: int, ages: Ages, until: float) -> None:
    """Take down who is there, until nobody is any more or time is up."""
    began = time.monotonic()
    while (now := time.monotonic()) - began < until:
        left = ages.note(now, held_by_port(port))
        if ages.seen and not left and now - began > WINDOW_S:
            return
        await asyncio.sleep(_LOOK_S)


def _judge(attack: Attack, rounds: Sequence[Round], scale: Scale) -> list[Figure]:
    name, latest = attack.name, attack.deadline_s + SLACK_S
    made = min(each.ages.seen for each in rounds)
    most = max(each.ages.most for each in rounds)
    oldest_s = max(each.ages.oldest_s for each in rounds)
    without, during = (
        _p99_ms(each.alone for each in rounds),
        _p99_ms(each.beside for each in rounds),
    )
    lost = sum(each.beside.missing + len(each.beside.refused_s) for each in rounds)
    return [
        Figure("slow", f"{name}: connections made", made, "", scale.slow_connections, True),
        Figure("slow", f"{name}: most open at once", most),
        Figure("slow", f"{name}: oldest before it was closed", oldest_s, "s", latest),
        Figure("slow", f"{name}: p99 of others, without", without, "ms"),
        Figure("slow", f"{name}: p99 of others, with", during, "ms"),
        Figure("slow", f"{name}: with / without", during / without, "x", TIMES_P99),
        Figure("slow", f"{name}: others' requests that failed", lost, "", 0),
    ]


def _p99_ms(runs: Iterable[Rated]) -> float:
    """The median of the runs' own."""
    return statistics.median(percentile(each.answered_s, 0.99) * 1000 for each in runs)
