"""Both planes in one process, as one ASGI application: for embedding and for tests."""

import asyncio
import os
import secrets
from collections.abc import Callable
from typing import Final

from starlette.types import Receive, Scope, Send

from router.admin.application import create_admin
from router.config import Config
from router.controller.fleet import Fleet
from router.controller.loop import ControlLoop
from router.controller.plane import ControlPlane
from router.dataplane.accesslog import AccessLogSettings
from router.dataplane.server import DataPlane, DataPlaneSettings
from router.link.client import TELEMETRY_INTERVAL_S
from router.link.messages import Health, Pair
from router.link.server import Applied
from router.snapshot import Snapshot
from router.store import create_pair_store, create_store
from router.store.session_key import session_key
from router.telemetry.merge import Incarnation


class EmbeddedRouter:
    """Traffic on every path except those below `admin_path`; needs the server's lifespan."""

    def __init__(self, load: Callable[[], Config], config: Config, admin_path: str) -> None:
        self.dataplane: Final = DataPlane(_settings(config))
        location = _location(config)
        self.plane: Final = ControlPlane(
            load, Fleet(), create_store(location), pairs=create_pair_store(location)
        )
        self._admin: Final = create_admin(self.plane, session_key(location))
        self._admin_path: Final = admin_path
        self._link: Final = _Loopback(self.dataplane, self.plane.fleet)
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._is_admin(scope):
            root = scope.get("root_path", "") + self._admin_path
            await self._admin({**scope, "root_path": root}, receive, send)
        else:
            await self.dataplane(scope, receive, send)

    async def start(self) -> None:
        """Serve the first generation.

        Raises:
            ConfigError: the configuration cannot be used.
            StoreError: what is recorded cannot be read.
        """
        self._link.connect()
        await self.plane.start(self._link)
        await self.dataplane.start()
        self._tasks = [
            asyncio.create_task(self._link.tell()),
            asyncio.create_task(ControlLoop(self.plane).run()),
        ]

    async def close(self) -> None:
        """End the background work; requests must have ended before."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.dataplane.close()
        await self.plane.close()

    def _is_admin(self, scope: Scope) -> bool:
        path: str = scope["path"]
        return path == self._admin_path or path.startswith(f"{self._admin_path}/")

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.close()
        await send({"type": "lifespan.shutdown.complete"})


class _Loopback:
    """The link without a socket: what control publishes is installed on the spot."""

    def __init__(self, dataplane: DataPlane, fleet: Fleet) -> None:
        self._dataplane: Final = dataplane
        self._fleet: Final = fleet
        self._who: Final = Incarnation("embedded", os.getpid())

    def connect(self) -> None:
        self._fleet.on_joined(self._who)
        self._dataplane.on_health = self._on_health
        self._dataplane.on_pair = self._on_pair

    def publish(self, snapshot: Snapshot) -> None:
        self._dataplane.install(snapshot)
        self._fleet.on_applied(self._who, snapshot.generation)
        self._fleet.on_health(self._who, self._dataplane.health())

    async def wait_applied(self, generation: int, deadline_s: float) -> Applied:
        # `publish` has installed it already.
        return Applied((self._who.worker,))

    async def tell(self) -> None:
        while True:
            self._fleet.on_telemetry(self._who, self._dataplane.recorder.series())
            await asyncio.sleep(TELEMETRY_INTERVAL_S)

    def _on_pair(self, pair: Pair) -> bool:
        self._fleet.on_pair(pair)
        return True

    def _on_health(self, changed: Health) -> None:
        self._fleet.on_health(self._who, changed)


def _location(config: Config) -> str:
    """The store that was asked for by name; an embedded router leaves no file unasked."""
    return config.store if "store" in config.model_fields_set else "memory:"


def _settings(config: Config) -> DataPlaneSettings:
    server = config.server
    log = server.access_log
    return DataPlaneSettings(
        # Another router, or another of these, may stand before or behind it.
        pseudonym=f"inference-router-{secrets.token_hex(4)}",
        worker="embedded",
        door="asgi",
        drain_s=server.drain_s,
        drain_delay_s=server.drain_delay_s,
        access_log=AccessLogSettings(log.mode.value, log.sample_ratio, log.file),
        head_timeout_s=server.head_timeout_s,
        keep_alive_s=server.keep_alive_timeout_s,
        body_timeout_s=server.body_timeout_s,
        write_timeout_s=server.write_timeout_s,
        upstream_idle_s=server.upstream_idle_timeout_s,
        shed_delay_s=server.shed_delay_s,
        rules=server.client_rules,
    )
