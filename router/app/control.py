"""The control process: configuration in, generations out to the workers, the admin port.

Everything slow lives here.  It may die at any time: workers keep serving, and the next control
goes on from what is in the store.
"""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
import uvloop

from router.admin.application import create_admin
from router.app import logs
from router.app.child import EXIT_REFUSED
from router.app.configuration import load_to_serve
from router.app.process import on_end
from router.app.settings import ControlSettings, from_argument
from router.app.tether import Tether, TornError
from router.audit.entry import Actor
from router.config import Config, files_of
from router.controller.fleet import Fleet
from router.controller.loop import ControlLoop
from router.controller.plane import FILE_CHANGED, HANGUP, ControlPlane
from router.controller.restart import Restart, Restarts, Wish
from router.controller.watch import stamps, watch
from router.errors import ConfigError
from router.link.server import LinkServer
from router.store import create_pair_store, create_store
from router.store.base import StoreError
from router.store.session_key import session_key

log: Final = logging.getLogger(__name__)

_NOT_LOADED: Final = "configuration not loaded, the old one keeps serving"

SERVING_DEADLINE_S: Final = 30.0
READY_GRACE_S: Final = 2.0
"""First probes are answered within it, or the ready line says what is missing."""


def main() -> int:
    """Entry of `python -m router.app.control SETTINGS`."""
    settings = from_argument(sys.argv[1], ControlSettings)
    logs.configure("control", settings.log_format)
    try:
        uvloop.run(_run(settings))
    except (ConfigError, StoreError) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_REFUSED
    return 0


async def _run(settings: ControlSettings) -> None:
    supervisor = os.getppid()
    ending = asyncio.Event()
    on_end(settings.lifeline_fd, ending.set)
    config_file = Path(settings.config)
    seen = stamps([settings.config])
    admin_socket = socket.socket(fileno=settings.admin_fd)
    admin_host = admin_socket.getsockname()[0]

    def load() -> Config:
        return load_to_serve(config_file, admin_host)

    config = await asyncio.to_thread(load)
    store = create_store(config.store)
    fleet = Fleet(settings.workers)
    plane = ControlPlane(
        load, fleet, store, pairs=create_pair_store(config.store), source=settings.config
    )
    link = LinkServer(Path(settings.link), fleet, expected=settings.workers)
    await plane.start(link, config)
    await link.start()
    if not config.auth.tokens:
        log.info("no tokens are configured (auth.tokens): only this host may use the admin port")
    tether = await Tether.of(socket.socket(fileno=settings.tether_fd))
    restarts = _restarts(plane, tether)
    admin = _AdminServer(plane, restarts, await asyncio.to_thread(session_key, config.store))
    tasks = [
        asyncio.create_task(admin.serve([admin_socket])),
        asyncio.create_task(_reload_on_change(config_file, plane, seen)),
        asyncio.create_task(ControlLoop(plane).run()),
        asyncio.create_task(_follow_restarts(tether, restarts)),
    ]
    _reload_on_hangup(plane)
    if settings.announce:
        tasks.append(asyncio.create_task(_announce(settings, plane)))
    await ending.wait()
    plane.events.close()
    admin.should_exit = True
    await asyncio.wait(tasks[:1])
    for task in tasks[1:]:
        task.cancel()
    await link.close()
    await plane.close()
    tether.close()
    if os.getppid() != supervisor:  # nobody else is left to tidy up
        with suppress(OSError):
            Path(settings.link).parent.rmdir()


class _AdminServer(uvicorn.Server):
    """uvicorn for the admin port; signals are ours."""

    def __init__(self, plane: ControlPlane, restarts: Restarts, key: bytes) -> None:
        app = create_admin(plane, key)
        app.state.restarts = restarts
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the audit trail shows who connected, not who says so
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().serve(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave SIGTERM and SIGINT to `on_end`."""
        yield


def _restarts(plane: ControlPlane, tether: Tether) -> Restarts:
    def ask(wish: Wish) -> None:
        tether.tell(msgspec.json.encode(wish).decode())

    return Restarts(plane, ask)


async def _follow_restarts(tether: Tether, restarts: Restarts) -> None:
    with suppress(TornError):  # then the lifeline ends us
        while True:
            restarts.take(msgspec.json.decode(await tether.hear(), type=Restart))


async def _reload_on_change(
    config_file: Path, plane: ControlPlane, seen: dict[str, tuple[int, int, int] | None]
) -> None:
    said = ""

    async def reload() -> bool:
        """Whether the file is dealt with: a refused one is; a store may be there again soon."""
        nonlocal said
        try:
            await plane.reload(FILE_CHANGED)
        except Exception as error:  # a defect must not end the watching
            text = f"{type(error).__name__}: {error}"
            if text != said:  # else it is known, and is tried every other second
                log.error("%s, trying again: %s", _NOT_LOADED, error, exc_info=_defect(error))
            said = text
            return False
        said = ""
        return True

    await watch(lambda: files_of(config_file, plane.config), reload, seen)


def _defect(error: Exception) -> Exception | None:
    return None if isinstance(error, StoreError) else error


async def _reload(plane: ControlPlane, actor: Actor) -> None:
    try:
        await plane.reload(actor)
    except StoreError as error:
        log.error("%s: %s", _NOT_LOADED, error)


def _reload_on_hangup(plane: ControlPlane) -> None:
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[object]] = set()

    def on_hangup() -> None:
        task: asyncio.Task[object] = loop.create_task(_reload(plane, HANGUP))
        running.add(task)
        task.add_done_callback(running.discard)

    loop.add_signal_handler(signal.SIGHUP, on_hangup)


async def _announce(settings: ControlSettings, plane: ControlPlane) -> None:
    """Say once where the router is reached, when it serves; and what is missing, if anything."""
    applied = await plane.wait_applied(SERVING_DEADLINE_S)
    if applied.missing:
        log.error("not serving yet: worker %s", ", ".join(applied.missing))
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_GRACE_S):
            while not plane.readiness().ready:  # noqa: ASYNC110  # once in a process's life
                await asyncio.sleep(0.02)
    readiness = plane.readiness()
    state = "ready" if readiness.ready else f"not ready ({'; '.join(readiness.reasons)})"
    sys.stdout.write(
        f"inference-router {state}: traffic {settings.traffic_url}, admin {settings.admin_url}, "
        f"{len(settings.workers)} workers, generation {readiness.generation}\n"
    )
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
