"""Requests and open streams from a process of its own.

Why not beside the caller that is timed: a client of 100 streams keeps its event loop busy, and
that loop is what the caller then waits for.  Beside each other, on busy cores, a switch took 340 ms
(median); control had spent at most 15 of them.

    with traffic(router.traffic) as running:
        ...
    running.told   # what came back
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import httpx

from tests.support.load import PATH, load

CONNECTIONS: Final = 60
PAUSE_S: Final = 0.18
STREAMS: Final = 100
WARM: Final = 400
"""Answers after which the load is at its level."""
_STREAM: Final = {
    "model": "m",
    "messages": [{"role": "user", "content": "hello"}],
    "stream": True,
    "max_tokens": 40,
}


class Traffic:
    """What the other process has told at its end."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}


@contextmanager
def traffic(
    url: str,
    *,
    connections: int = CONNECTIONS,
    pause_s: float = PAUSE_S,
    streams: int = STREAMS,
    warm: int = WARM,
) -> Iterator[Traffic]:
    """Ask for the time of the block, which begins when the load is at its level."""
    how = [str(each) for each in (connections, pause_s, streams, warm)]
    command = [sys.executable, "-m", "loadtests.control.traffic", url, *how]
    running = Traffic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield running
            told, _ = process.communicate(b"")
            running.told = json.loads(told)
        finally:
            process.kill()


async def _ask(url: str, connections: int, pause_s: float, streams: int, warm: int) -> None:
    loop = asyncio.get_running_loop()
    async with (
        load(url, connections=connections, pause_s=pause_s) as running,
        _streams(url, streams) as (whole, broken),
    ):
        await running.wait_answers(warm)
        began, before = time.monotonic(), len(running.answers)
        sys.stdout.write("at its level\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)
        rate = (len(running.answers) - before) / (time.monotonic() - began)
    failed = running.failures
    told = {"rate": rate, "failed": failed, "whole": len(whole), "broken": broken}
    sys.stdout.write(json.dumps(told))


@asynccontextmanager
async def _streams(url: str, number: int) -> AsyncIterator[tuple[list[str], list[str]]]:
    """Open streams, one after the other on each of so many connections; the ends of all."""
    whole: list[str] = []
    broken: list[str] = []
    stopping = asyncio.Event()

    async def read(client: httpx.AsyncClient) -> None:
        while not stopping.is_set():
            try:
                answer = await client.post(PATH, json=_STREAM)
            except httpx.HTTPError as error:
                broken.append(repr(error))
                continue
            good = answer.status_code == 200 and answer.text.rstrip().endswith("data: [DONE]")
            (whole if good else broken).append(answer.text[-200:])

    limits = httpx.Limits(max_connections=number)
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=60, limits=limits
    ) as client:
        tasks = [asyncio.create_task(read(client)) for _ in range(number)]
        yield whole, broken
        stopping.set()
        await asyncio.gather(*tasks)


def main(arguments: list[str]) -> int:
    """Ask until standard input ends, then tell what came back."""
    parser = argparse.ArgumentParser(prog="loadtests.control.traffic")
    parser.add_argument("url")
    parser.add_argument("connections", type=int)
    parser.add_argument("pause_s", type=float)
    parser.add_argument("streams", type=int)
    parser.add_argument("warm", type=int)
    asyncio.run(_ask(**vars(parser.parse_args(arguments))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
