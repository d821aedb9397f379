"""A load for tests of whole routers: keep-alive connections that ask without a pause.

    async with load(router.traffic, connections=8) as running:
        ...
    assert running.failures == []

Every answer is kept with the moment in which its request was written, so that a test can say
which version was allowed to answer it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from urllib.parse import urlsplit

PATH: Final = "/v1/chat/completions"
_BODY: Final = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_VERSION: Final = re.compile(rb"\r\nx-model-version: ([^\r]*)", re.IGNORECASE)
_GENERATION: Final = re.compile(rb"\r\nx-router-generation: (\d+)", re.IGNORECASE)
TIMEOUT_S: Final = 20.0


class Answered(NamedTuple):
    """One answer: when its request was written, what its head says, and when it had come.

    Times are monotonic seconds.
    """

    sent_at: float
    connection: int
    status: int
    version: str
    generation: int
    answered_at: float


class Load:
    """What came back."""

    def __init__(
        self,
        url: str,
        path: str = PATH,
        *,
        pause_s: float = 0.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname, address.port
        self._request: Final = (
            f"POST {path} HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(_BODY)}\r\n\r\n"
        ).encode() + _BODY
        self._pause_s: Final = pause_s
        self._tls: Final = tls
        self._stopping = False
        self.answers: Final[list[Answered]] = []
        self.failures: Final[list[str]] = []

    def stop(self) -> None:
        """Let every connection finish its request."""
        self._stopping = True

    async def wait_answers(self, number: int, deadline_s: float = 60.0) -> None:
        """Wait until so many answers have come."""
        async with asyncio.timeout(deadline_s):
            while len(self.answers) + len(self.failures) < number:  # noqa: ASYNC110  # a count
                await asyncio.sleep(0.01)

    async def connection(self, number: int) -> None:
        """Ask on one connection, again and again; a new one only where the router closed it."""
        while not self._stopping:
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
            try:
                await self._ask_again_and_again(number, reader, writer)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failures.append(f"connection {number}: {error!r}")
            finally:
                writer.close()

    async def _ask_again_and_again(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        pause_s = self._pause_s
        while await self._ask(number, reader, writer) and not self._stopping:
            if pause_s:
                await asyncio.sleep(pause_s)

    async def _ask(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        sent_at = time.monotonic()
        writer.write(self._request)
        async with asyncio.timeout(TIMEOUT_S):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        status, version, generation = (
            int(head[9:12]),
            _VERSION.search(head),
            _GENERATION.search(head),
        )
        if status != 200 or version is None or generation is None:
            self.failures.append(f"{status}: {body[:200]!r}")
        else:
            self.answers.append(
                Answered(
                    sent_at,
                    number,
                    status,
                    version[1].decode(),
                    int(generation[1]),
                    time.monotonic(),
                )
            )
        return b"connection: close" not in head.lower()


@asynccontextmanager
async def load(
    url: str,
    *,
    connections: int = 8,
    pause_s: float = 0.0,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Load]:
    """Ask for the time of the block."""
    running = Load(url, pause_s=pause_s, tls=tls)
    tasks = [asyncio.create_task(running.connection(number)) for number in range(connections)]
    try:
        yield running
    finally:
        running.stop()
        await asyncio.gather(*tasks)
