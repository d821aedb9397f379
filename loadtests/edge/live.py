"""Requests at a modest rate from a process of their own, so that watching disturbs no timing.

    python -m loadtests.edge.live HOST PORT RATE SECONDS

prints what came back as one line of JSON; `ask_beside` is the other end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

import uvloop

from loadtests.bench.measure import on_core
from loadtests.edge.rated import Rated, ask_at_rate

LANES: Final = 8


async def ask_beside(host: str, port: int, *, rate: float, seconds: float, core: int) -> Rated:
    """Ask from another process, on this core, and wait for what it tells."""
    arguments = [host, str(port), str(rate), str(seconds)]
    with on_core(core):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "loadtests.edge.live", *arguments, stdout=asyncio.subprocess.PIPE
        )
    try:
        told, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    took, missing = json.loads(told)
    return Rated({int(status): each for status, each in took.items()}, missing, seconds)


async def _ask(host: str, port: int, rate: float, seconds: float) -> None:
    rated = await ask_at_rate(host, port, rate=rate, seconds=seconds, lanes=LANES)
    print(json.dumps([rated.took_s, rated.missing]))


if __name__ == "__main__":
    host, port, rate, seconds = sys.argv[1:]
    uvloop.run(_ask(host, int(port), float(rate), float(seconds)))
