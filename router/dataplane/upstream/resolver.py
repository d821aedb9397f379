"""Endpoints behind a DNS name: every address that it resolves to is an endpoint of its own.

The name is looked up again every few seconds; what was known stays in use while a look-up fails,
because a name server's bad minute must not take the model servers away.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 5.0
MAX_ADDRESSES: Final = 1024

OnAddresses = Callable[[tuple[str, ...]], None]


class Resolver:
    """Looks one name up, again and again, and tells when its addresses change."""

    def __init__(self, host: str, port: int, on_addresses: OnAddresses) -> None:
        self._host = host
        self._port = port
        self._on_addresses = on_addresses
        self._known: tuple[str, ...] = ()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """Look up no more."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            addresses = await self._look_up()
            if addresses and addresses != self._known:
                self._known = addresses
                self._on_addresses(addresses)
            await asyncio.sleep(INTERVAL_S)

    async def _look_up(self) -> tuple[str, ...]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            return ()
        return tuple(sorted({str(entry[4][0]) for entry in found}))[:MAX_ADDRESSES]
