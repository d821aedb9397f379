"""Names that resolve to what a test says, and model servers at several addresses of one port.

names = resolving(monkeypatch)
names["models.example"] = ("127.0.0.1", "127.0.0.2")
async with started_pods(2) as pods:
    ...
    await pods.stop("127.0.0.2")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from tests.support.raw import wait_until

LOOK_UP_S: Final = 0.01
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Names(dict[str, tuple[str, ...]]):
    """The addresses of each name; a name without any does not resolve."""

    def __init__(self) -> None:
        super().__init__()
        self._looked_up = 0

    def look_up(self, name: str, port: Any) -> list[Any]:
        """What `getaddrinfo` answers."""
        self._looked_up += 1
        if not self[name]:
            raise OSError(-2, "Name or service not known")
        return [(2, 1, 6, "", (address, port)) for address in self[name]]

    async def wait_looked_up(self) -> None:
        """Wait until somebody has taken note of what a look-up from now on finds."""
        before = self._looked_up
        await wait_until(lambda: self._looked_up >= before + 2)


def resolving(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What names resolve to in this loop, looked up every `LOOK_UP_S`; others are as always."""
    loop = asyncio.get_running_loop()
    real = type(loop).getaddrinfo
    names = Names()

    async def getaddrinfo(host: Any, port: Any, **how: Any) -> Any:
        if host in names:
            return names.look_up(host, port)
        return await real(loop, host, port, **how)

    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr("router.dataplane.upstream.resolver.INTERVAL_S", LOOK_UP_S)
    return names


class Pods:
    """Servers that answer everything with 200, each at its own address, all at one port."""

    def __init__(self) -> None:
        self.port = 0
        self._servers: dict[str, asyncio.Server] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where somebody listens."""
        return tuple(self._servers)

    async def start(self, address: str) -> None:
        """Listen at one more address; the first one chooses the port for all."""
        server = await asyncio.start_server(_answer, address, self.port)
        self._servers[address] = server
        self.port = server.sockets[0].getsockname()[1]

    async def stop(self, address: str) -> None:
        """Refuse connections there from now on."""
        server = self._servers.pop(address)
        server.close()
        await server.wait_closed()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # a probe's connection that was closed before it asked
    finally:
        writer.close()


@asynccontextmanager
async def started_pods(number: int) -> AsyncIterator[Pods]:
    """So many, at 127.0.0.1 and the addresses after it."""
    pods = Pods()
    for last in range(1, number + 1):
        await pods.start(f"127.0.0.{last}")
    try:
        yield pods
    finally:
        for address in pods.addresses:
            await pods.stop(address)
