"""Holds client connections from an address of its own, in a process of its own.

Each connection asks once and says nothing for a while, or asks every `--every` seconds.  When
standard input ends, each asks once more, which an idle one that was dropped cannot; then a line of
JSON tells what came back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Final

import uvloop

from loadtests.bench import payloads
from loadtests.bench.open_loop import Lane
from loadtests.edge.figure import percentile

AT_ONCE: Final = 32
"""Connections that are set up, or asked for the last time, together."""
_TIMEOUT_S: Final = 30.0


class Client(asyncio.Protocol):
    """A connection that carries one request at a time."""

    def __init__(self) -> None:
        self.gone = False
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # uvloop's own
        self._lane = Lane(self.transport.write)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        status = self._lane.on_bytes(data)
        if status is not None and self._answer is not None and not self._answer.done():
            self._answer.set_result(status)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.gone = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    async def ask(self, request: bytes) -> int:
        """The answer's status; 0 where there is none."""
        if self.gone:
            return 0
        self._answer = asyncio.get_running_loop().create_future()
        self._lane.ask(request, 0.0)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._answer
        except TimeoutError:
            return 0


class Holder:
    """All connections of this process, and what came back on them."""

    def __init__(self, host: str) -> None:
        self._request = payloads.http_request(payloads.PATH, host, payloads.request_body("m", 1000))
        self.clients: list[Client] = []
        self.took_s: list[float] = []
        self.failed = 0

    async def connect(self, host: str, port: int, source: str, number: int) -> None:
        """Open them, some at a time; each asks once."""
        loop = asyncio.get_running_loop()
        while len(self.clients) < number:
            batch = [
                (await loop.create_connection(Client, host, port, local_addr=(source, 0)))[1]
                for _ in range(min(AT_ONCE, number - len(self.clients)))
            ]
            self.clients += batch
            await asyncio.gather(*(self._ask(client) for client in batch))

    async def ask_every(self, seconds: float, stopping: asyncio.Event) -> None:
        """Let each connection ask so often, evenly spread."""
        await asyncio.gather(
            *(
                self._ask_again(client, seconds, seconds * place / len(self.clients), stopping)
                for place, client in enumerate(self.clients)
            )
        )

    async def ask_all(self) -> None:
        """Ask once on each, some at a time."""
        for start in range(0, len(self.clients), AT_ONCE):
            batch = self.clients[start : start + AT_ONCE]
            await asyncio.gather(*(self._ask(client) for client in batch))

    async def _ask_again(
        self, client: Client, seconds: float, wait_s: float, stopping: asyncio.Event
    ) -> None:
        while not await _is_set_within(stopping, wait_s):
            await self._ask(client)
            wait_s = seconds

    async def _ask(self, client: Client) -> None:
        began = time.monotonic()
        if await client.ask(self._request) == 200:
            self.took_s.append(time.monotonic() - began)
        else:
            self.failed += 1


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def _hold(options: argparse.Namespace) -> None:
    holder, stopping = Holder(options.host), asyncio.Event()
    await holder.connect(options.host, options.port, options.source, options.number)
    print("holding", flush=True)
    reading = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    holder.took_s.clear()  # from here on, not of the set-up
    if options.every:
        asking = asyncio.create_task(holder.ask_every(options.every, stopping))
        await reading
        stopping.set()
        await asking
    else:
        await reading
        await holder.ask_all()
    told = {
        "answered": len(holder.took_s),
        "failed": holder.failed,
        "gone": sum(client.gone for client in holder.clients),
        "p50_ms": percentile(holder.took_s, 0.5) * 1000,
        "p99_ms": percentile(holder.took_s, 0.99) * 1000,
    }
    print(json.dumps(told), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="loadtests.edge.holder")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("source")
    parser.add_argument("number", type=int)
    parser.add_argument("--every", type=float, default=0.0)
    return parser.parse_args()


if __name__ == "__main__":
    uvloop.run(_hold(_options()))
