"""Serve an engine over TCP.

uvicorn's protocol class speaks HTTP; around it this module does three things differently:
the transport travels in the scope, so that a fault can reset the connection; a stop closes
every connection at once, for a stalled stream would never end; and signals end the process
with status 0.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from router.mock_engine.app import create_app
from router.mock_engine.engine import Engine
from router.mock_engine.exchange import TRANSPORT
from router.mock_engine.settings import EngineSettings

BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """An engine that listens."""

    engine: Engine
    host: str
    port: int

    @property
    def url(self) -> str:
        """Where it is reached, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@asynccontextmanager
async def serving(
    settings: EngineSettings, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[RunningEngine]:
    """Serve inside the block; port 0 lets the kernel choose. Leaving closes every connection.

    Raises:
        OSError: the address cannot be bound.
    """
    app = create_app(settings)
    state = ServerState()
    loop = asyncio.get_running_loop()
    accept = _acceptor(app, state, settings)
    server = await loop.create_server(accept, host, port, backlog=BACKLOG)
    try:
        yield RunningEngine(app.engine, host, server.sockets[0].getsockname()[1])
    finally:
        server.close()
        await _end_connections(state)


async def serve(
    settings: EngineSettings,
    host: str = "127.0.0.1",
    port: int = 0,
    ready_callback: Callable[[RunningEngine], None] | None = None,
) -> None:
    """Serve until cancelled; the callback hears the address once it is open."""
    async with serving(settings, host, port) as running:
        if ready_callback is not None:
            ready_callback(running)
        await asyncio.Event().wait()


def run(settings: EngineSettings, host: str = "127.0.0.1", port: int = 0) -> None:
    """Serve until SIGTERM or SIGINT, then return; prints one line when ready."""
    uvloop.run(_serve_until_signal(settings, host, port))


async def _serve_until_signal(settings: EngineSettings, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(settings, host, port) as running:
        sys.stdout.write(f"mock-engine {settings.name} listening on {running.url}\n")
        sys.stdout.flush()
        await stop.wait()


def _acceptor(
    app: ASGIApp, state: ServerState, settings: EngineSettings
) -> Callable[[], asyncio.Protocol]:
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        timeout_keep_alive=settings.keep_alive_seconds,
    )
    config.load()

    def accept() -> asyncio.Protocol:
        # The arguments that uvicorn.Server gives it; asyncio.Protocol declares none.
        new_protocol: Any = config.http_protocol_class
        protocol = new_protocol(config=config, server_state=state, app_state={})
        protocol.app = _with_transport(app, protocol)
        return protocol  # type: ignore[no-any-return]  # a type[asyncio.Protocol] made it

    return accept


def _with_transport(app: ASGIApp, protocol: Any) -> ASGIApp:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {TRANSPORT: protocol.transport}
        await app(scope, receive, send)

    return call


async def _end_connections(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.transport.abort()
    while state.tasks:
        await asyncio.wait(list(state.tasks))
