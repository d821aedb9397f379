"""A throw-away router: somebody's `server` section and one route, in front of the recorder.

It is the data plane of a worker, in this process, on loopback at a port of the kernel's choice.
The route keeps its time-outs, limits and retries; its endpoints, rules, shadow and probes give way
to the recorder, for a case must reach it and nothing else may.  No store, file or secret is read.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import uvloop

from router.config import Config, compile_snapshot
from router.dataplane.accesslog import AccessLogSettings
from router.dataplane.server import DataPlane, DataPlaneSettings, serve
from router.errors import RouterError
from router.selftest.play import Player, Verdict
from router.selftest.recorder import Recorder
from router.selftest.report import Report
from router.selftest.suite import suite
from router.snapshot import FULL, Endpoint, Role, Route, Rule, Snapshot


class StageError(RouterError):
    """The suite cannot be played; its text says what to do."""


def run(config: Config, route: str | None, watch: Callable[[Verdict], None]) -> Report:
    """Play the suite with this configuration; `watch` hears of each verdict.

    Raises:
        StageError: there is no such route.
    """
    chosen = choose_route(compile_snapshot(config, 1), route)
    # Each case is a mishap on purpose: what servers say of it would hide what the suite says.
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)
    return uvloop.run(_play(config, chosen, watch))


def choose_route(table: Snapshot, name: str | None) -> Route:
    """The route of this name, or the first one.

    Raises:
        StageError: there is none.
    """
    for route in table.routes:
        if name in (None, route.name):
            return route
    known = ", ".join(route.name for route in table.routes)
    raise StageError(f"there is no route {name}: give one of {known}" if known else "no routes")


def staged_route(route: Route, port: int) -> Route:
    """The route in front of the recorder: one version, every path."""
    endpoint = Endpoint(url=f"http://127.0.0.1:{port}", host="127.0.0.1", port=port)
    version = msgspec.structs.replace(
        route.stable,
        role=Role.STABLE,
        weight_bp=FULL,
        endpoints=(endpoint,),
        model=None,
        drain_until_s=None,
    )
    return msgspec.structs.replace(
        route,
        order=0,
        rules=(Rule(path_prefix="/"),),
        versions=(version,),
        header_routes=(),
        sticky=(),
        health=None,
        shadow=None,
        # The recorder answers badly on purpose, and must be asked again.
        breaker=None,
        outlier=None,
    )


def settings_of(config: Config) -> DataPlaneSettings:
    """A worker's settings, but that it ends at once and logs nothing."""
    server = config.server
    return DataPlaneSettings(
        worker="selftest",
        door=server.door.value,
        drain_s=0.0,
        access_log=AccessLogSettings(path=os.devnull),
        head_timeout_s=server.head_timeout_s,
        keep_alive_s=server.keep_alive_timeout_s,
        body_timeout_s=server.body_timeout_s,
        write_timeout_s=server.write_timeout_s,
        upstream_idle_s=server.upstream_idle_timeout_s,
        shed_delay_s=0.0,  # a busy machine is nothing that a message can be blamed for
        rules=server.client_rules,
    )


async def _play(config: Config, route: Route, watch: Callable[[Verdict], None]) -> Report:
    settings = settings_of(config)
    recorder = Recorder()
    await recorder.start()
    verdicts = []
    try:
        async with _serving(settings, staged_route(route, recorder.port)) as port:
            player = Player(port, recorder)
            for case in suite(settings.rules, settings.head_timeout_s):
                verdict = await player.play(case)
                verdicts.append(verdict)
                watch(verdict)
    finally:
        await recorder.stop()
    return Report(settings.door, route.name, tuple(verdicts))


@asynccontextmanager
async def _serving(settings: DataPlaneSettings, route: Route) -> AsyncIterator[int]:
    plane = DataPlane(settings)
    plane.install(Snapshot(generation=1, routes=(route,)))
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    draining = asyncio.Event()
    await plane.start()
    serving = asyncio.create_task(serve(plane, [listener], draining=draining))
    try:
        yield listener.getsockname()[1]
    finally:
        draining.set()
        await serving
        await plane.close()
