"""Model servers that misbehave, for shadows: hang, reset, slow; `refuse` is a port nobody serves.

Run as `python -m loadtests.bench.faulty`; prints a port for each kind, in the order of `KINDS`.
"""

import asyncio
import socket
from typing import Final, cast

import uvloop

from loadtests.bench.upstream import Script, Upstream

KINDS: Final = ("hang", "refuse", "reset", "slow")
SLOW_S: Final = 0.05
"""At least ten times what the upstream takes."""


class Hanging(asyncio.Protocol):
    """Takes everything and says nothing."""


class Resetting(asyncio.Protocol):
    """Resets the connection once a request comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._transport.abort()


class _Late:
    """A transport that writes `SLOW_S` later."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(SLOW_S, self._transport.write, data)


class Slow(Upstream):
    """Answers as the upstream does, but late."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(cast(asyncio.Transport, _Late(cast(asyncio.Transport, transport))))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    script = Script(1, 0.0)
    unserved = socket.socket()
    unserved.bind(("127.0.0.1", 0))
    makers = {"hang": Hanging, "reset": Resetting, "slow": lambda: Slow(script)}
    ports = {"refuse": unserved.getsockname()[1]}
    for kind, make in makers.items():
        server = await loop.create_server(make, "127.0.0.1", 0)
        ports[kind] = server.sockets[0].getsockname()[1]
    print(*(ports[kind] for kind in KINDS), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve())
