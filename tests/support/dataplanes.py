"""A data plane in the test's own event loop, behind a real socket, on a clock that stands still.

    async with running_dataplane("native") as router:
        router.install(route("chat", version("v1", upstream)))
        answer = await (await router.connect()).ask(get("/"))

It touches only what the data plane shows to the outside: `install`, `active`, `connections`,
`recorder.series`, `gauges`, `health`, and `serve`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from router.clock import ManualClock
from router.dataplane.server import DataPlane, DataPlaneSettings, serve
from router.snapshot import FULL, Endpoint, Role, Route, Rule, Snapshot, Version
from tests.support.raw import DEADLINE_S, RawClient, wait_until
from tests.support.upstreams import Upstream

STOP_DEADLINE_S: Final = 10.0


def endpoint(upstream: Upstream, **more: Any) -> Endpoint:
    """The endpoint that this model server is."""
    return Endpoint(**{"url": upstream.url, "host": "127.0.0.1", "port": upstream.port, **more})


def version(
    name: str,
    *servers: Upstream | Endpoint,
    weight: float = 100,
    role: Role | None = None,
    model: str | None = None,
) -> Version:
    """A version with a weight in percent; it is stable unless `role` says otherwise."""
    return Version(
        name=name,
        role=role or Role.STABLE,
        weight_bp=round(weight * FULL / 100),
        endpoints=tuple(endpoint(e) if isinstance(e, Upstream) else e for e in servers),
        model=model,
    )


def canary(
    name: str, *servers: Upstream | Endpoint, weight: float, model: str | None = None
) -> Version:
    """A canary with a weight in percent."""
    return version(name, *servers, weight=weight, role=Role.CANARY, model=model)


def route(name: str, *versions: Version, rules: tuple[Rule, ...] = (), **more: Any) -> Route:
    """A route; without `rules` it takes every path."""
    return Route(
        name=name,
        order=more.pop("order", 0),
        rules=rules or (Rule(path_prefix="/"),),
        versions=versions,
        **more,
    )


class RunningDataPlane:
    """One data plane, its clock, and the clients that this test has connected to it."""

    def __init__(self, settings: DataPlaneSettings, buffer_bytes: int | None = None) -> None:
        self.clock = ManualClock()
        self.plane = DataPlane(settings, clock=self.clock)
        self.draining = asyncio.Event()
        self.clients: list[RawClient] = []
        self.troubles: list[str] = []
        self._generation = 0
        # asyncio turns Nagle's algorithm off only where the socket says that it speaks TCP.
        self._socket = socket.socket(proto=socket.IPPROTO_TCP)
        if buffer_bytes is not None:  # inherited by accepted connections
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(512)
        self.port: int = self._socket.getsockname()[1]
        self.serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.plane.start()
        self.serving = asyncio.get_running_loop().create_task(
            serve(self.plane, [self._socket], draining=self.draining)
        )

    def install(self, *routes: Route, generation: int | None = None) -> int:
        """Serve these routes, as the next generation if none is given."""
        self._generation = self._generation + 1 if generation is None else generation
        self.plane.install(Snapshot(generation=self._generation, routes=routes))
        return self._generation

    async def connect(self, **how: Any) -> RawClient:
        """One more client; it is closed with the test."""
        client = await RawClient.connect(self.port, **how)
        self.clients.append(client)
        return client

    # -- what it counts ------------------------------------------------------------------------

    def values(self, family: str) -> dict[tuple[str, ...], float]:
        """Every series of a family that is not zero, by its labels; a histogram's count."""
        rows = (row for row in self.plane.recorder.series(everything=True) if row.family == family)
        found = {row.labels: sum(row.buckets) if row.buckets else row.value for row in rows}
        return {labels: number for labels, number in found.items() if number}

    def sum_of(self, family: str, *labels: str) -> float:
        """The sum of a histogram's values."""
        rows = self.plane.recorder.series(everything=True)
        return next(row.value for row in rows if (row.family, row.labels) == (family, labels))

    def labels(self) -> set[tuple[str, ...]]:
        """(route, version) of every series that has them."""
        rows = self.plane.recorder.series(everything=True)
        return {row.labels[:2] for row in rows if row.family.startswith("model_")}

    @property
    def answers(self) -> dict[tuple[str, ...], float]:
        """Answers by (route, version, role, code)."""
        return self.values("model_requests_total")

    @property
    def errors(self) -> dict[tuple[str, ...], float]:
        """Failures by (route, version, role, reason)."""
        return self.values("model_errors_total")

    @property
    def in_flight(self) -> float:
        """Requests that some version has now."""
        return sum(self.values("model_requests_in_flight").values())

    def upstream_connections(self, state: str) -> float:
        """Connections to model servers that are idle, busy or connecting."""
        rows = self.plane.gauges()
        return sum(row.value for row in rows if row.labels[1:] == (state,))

    # -- time ----------------------------------------------------------------------------------

    def jump(self, seconds: float) -> None:
        """Let this time be over; the next tick sees it."""
        self.clock.advance(seconds)

    # -- the end -------------------------------------------------------------------------------

    async def wait_idle(self) -> None:
        """Wait until nothing runs any more.

        Raises:
            TimeoutError: an exchange, a count or an upstream connection is left over.
        """

        def idle() -> bool:
            return not (
                self.plane.active or self.in_flight or self.upstream_connections("busy")
            )  # idle ones may stay

        try:
            await wait_until(idle)
        except TimeoutError:
            raise AssertionError(
                f"left over: {self.plane.active}, in flight {self.in_flight},"
                f" busy upstream connections {self.upstream_connections('busy')}"
            ) from None

    async def stop(self) -> None:
        """Drain and end; whatever still runs is an error."""
        self.draining.set()
        assert self.serving is not None
        async with asyncio.timeout(STOP_DEADLINE_S):
            await self.serving
        await self.plane.close()


class _Troubles(logging.Handler):
    """Keeps what the ASGI server logs as an error, but for answers broken off on purpose."""

    def __init__(self, troubles: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._troubles = troubles
        self._format = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if type(error).__name__ != "BrokenOffError":
            self._troubles.append(self._format.format(record))


@asynccontextmanager
async def running_dataplane(
    door: str, *, buffer_bytes: int | None = None, **settings: Any
) -> AsyncIterator[RunningDataPlane]:
    """A data plane for the time of the block; its caller stops it (see `RunningDataPlane.stop`).

    At the end, whatever the test did: no exchange runs any more, every count in flight is zero,
    no upstream connection is busy, and nothing failed without anybody being told.
    """
    router = RunningDataPlane(DataPlaneSettings(door=door, **settings), buffer_bytes)
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(
        lambda _, context: router.troubles.append(
            f"{context.get('message')}: {context.get('exception')!r}"
        )
    )
    handler = _Troubles(router.troubles)
    logging.getLogger("uvicorn.error").addHandler(handler)
    await router.start()
    try:
        yield router
        for client in router.clients:
            client.reset()
        await router.wait_idle()
        assert router.troubles == []
    finally:
        for client in router.clients:
            client.reset()
        logging.getLogger("uvicorn.error").removeHandler(handler)
        loop.set_exception_handler(before)


__all__ = [
    "DEADLINE_S",
    "RunningDataPlane",
    "canary",
    "endpoint",
    "route",
    "running_dataplane",
    "version",
]
