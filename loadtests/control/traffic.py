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
def traffic(url: str) -> Iterator[Traffic]:
    """Ask for the time of the block, which begins when the load is at its level."""
    command = [sys.executable, "-m", "loadtests.control.traffic", url]
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


async def _ask(url: str) -> None:
    loop = asyncio.get_running_loop()
    async with (
        load(url, connections=CONNECTIONS, pause_s=PAUSE_S) as running,
        _streams(url) as broken,
    ):
        await running.wait_answers(WARM)
        began, before = time.monotonic(), len(running.answers)
        sys.stdout.write("at its level\n")
        sys.stdout.flush()
        await loop.run_in_executor(None, sys.stdin.read)
        rate = (len(running.answers) - before) / (time.monotonic() - began)
    told = {"rate": rate, "failed": running.failures, "broken": broken}
    sys.stdout.write(json.dumps(told))


@asynccontextmanager
async def _streams(url: str) -> AsyncIterator[list[str]]:
    """Open streams, one after the other on each of `STREAMS` connections."""
    broken: list[str] = []
    stopping = asyncio.Event()

    async def read(client: httpx.AsyncClient) -> None:
        while not stopping.is_set():
            answer = await client.post(PATH, json=_STREAM)
            if answer.status_code != 200 or not answer.text.rstrip().endswith("data: [DONE]"):
                broken.append(answer.text[-200:])

    limits = httpx.Limits(max_connections=STREAMS)
    async with httpx.AsyncClient(
        base_url=url, trust_env=False, timeout=60, limits=limits
    ) as client:
        tasks = [asyncio.create_task(read(client)) for _ in range(STREAMS)]
        yield broken
        stopping.set()
        await asyncio.gather(*tasks)


def main(arguments: list[str]) -> int:
    """Ask until standard input ends, then tell what came back."""
    parser = argparse.ArgumentParser(prog="loadtests.control.traffic")
    parser.add_argument("url")
    asyncio.run(_ask(parser.parse_args(arguments).url))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
