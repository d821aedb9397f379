"""A worker process: the data plane on an inherited socket, at the end of a link to control.

It imports neither the configuration nor the admin side: its memory counts once per CPU.
It accepts nothing before its first table, and keeps the last one while control is away.
"""

import asyncio
import gc
import logging
import socket
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import uvloop

from router.app import logs
from router.app.process import on_end, raise_descriptor_limit
from router.app.settings import WorkerSettings, from_argument
from router.app.tether import Tether, TornError, Word
from router.dataplane.accesslog import AccessLogSettings
from router.dataplane.server import DataPlane, DataPlaneSettings, serve
from router.link.client import LinkClient
from router.link.messages import Health
from router.telemetry.recorder import Labels, Series
from router.tls import TlsError

log: Final = logging.getLogger(__name__)

FAREWELL_S: Final = 1.0
"""How long a connection that is kept alive may go on to its next request, and be told to close."""


def main() -> int:
    """Entry of `python -m router.app.worker SETTINGS`."""
    settings = from_argument(sys.argv[1], WorkerSettings)
    logs.configure(settings.worker, settings.log_format)
    raise_descriptor_limit()
    try:
        uvloop.run(_run(settings))
    except TlsError as error:
        # They were right when the router started (`serve` looks), so they will be right again: the
        # supervisor tries anew.  EXIT_REFUSED would say that trying is pointless.
        log.error("server.tls.%s", error)
        return 1
    return 0


async def _run(settings: WorkerSettings) -> None:
    draining, succeeded = asyncio.Event(), asyncio.Event()

    def end() -> None:
        succeeded.clear()  # whoever came after us ends as well
        draining.set()

    on_end(settings.lifeline_fd, end)
    listener = socket.socket(fileno=settings.listener_fd)
    dataplane = DataPlane(_data_plane_settings(settings, listener))
    place = _Place(settings, dataplane, draining.set)
    supervisor = await Tether.of(socket.socket(fileno=settings.tether_fd))
    hearing = asyncio.create_task(_hear(supervisor, place, draining, succeeded))
    if settings.successor:
        supervisor.tell(Word.BOOTED)
    else:
        place.take()
    await _first((place.wait_installed(), draining.wait()))
    if not draining.is_set():
        await _serve(
            listener,
            dataplane,
            place,
            draining,
            succeeded=succeeded,
            on_serving=lambda: supervisor.tell(Word.SERVING),
        )
    await place.leave()
    hearing.cancel()
    supervisor.close()


async def _hear(
    supervisor: Tether, place: "_Place", draining: asyncio.Event, succeeded: asyncio.Event
) -> None:
    """Do what the supervisor says about successions."""
    with suppress(TornError):  # then the lifeline ends us
        while True:
            match await supervisor.hear():
                case Word.JOIN:
                    place.take()
                case Word.MAKE_ROOM:
                    place.offer()
                    supervisor.tell(Word.MADE_ROOM)
                case Word.TAKE_BACK if not draining.is_set():
                    await place.take_back()
                case Word.LEAVE:
                    succeeded.set()
                    draining.set()


async def _serve(
    listener: socket.socket,
    dataplane: DataPlane,
    place: "_Place",
    draining: asyncio.Event,
    *,
    succeeded: asyncio.Event,
    on_serving: Callable[[], None],
) -> None:
    await dataplane.start()
    # What lives now lives as long as the process: the collector need not look at it again, and a
    # request makes so few cycles that it need not look often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    telling = asyncio.create_task(_tell_draining(place, draining))
    try:
        await serve(
            dataplane, [listener], draining=draining, succeeded=succeeded, on_serving=on_serving
        )
    finally:
        telling.cancel()
        await dataplane.close()


async def _tell_draining(place: "_Place", draining: asyncio.Event) -> None:
    await draining.wait()
    place.offer()


class _Place:
    """The worker's place with control: one process of a slot has it at a time.

    Who has offered its place is still sent every table: until it drains it takes new requests.
    """

    def __init__(
        self, settings: WorkerSettings, dataplane: DataPlane, on_drain: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._dataplane = dataplane
        self._on_drain = on_drain
        self._taken = asyncio.Event()
        self._offered = False
        self._link: LinkClient | None = None
        self._following: asyncio.Task[None] | None = None

    def take(self) -> None:
        """Connect to control, as the one of this slot."""
        dataplane = self._dataplane
        link = self._link = LinkClient(
            Path(self._settings.link),
            self._settings.worker,
            dataplane,
            _Reports(dataplane),
            on_drain=self._on_drain,
        )
        dataplane.on_health = link.report_health
        dataplane.on_pair = link.report_pair
        self._following = asyncio.create_task(link.run())
        self._offered = False
        self._taken.set()

    async def wait_installed(self) -> None:
        """Wait for the place, and the first table."""
        await self._taken.wait()
        assert self._link is not None
        await self._link.wait_installed()

    def offer(self) -> None:
        """Let a successor have it."""
        self._offered = True
        if self._link is not None:
            self._link.report_draining()

    async def take_back(self) -> None:
        """No successor came: be the one of this slot again."""
        if self._offered:
            await self.leave()
            self.take()

    async def leave(self) -> None:
        """Send the last counts and hang up."""
        if self._link is not None and self._following is not None:
            await self._link.close()
            self._following.cancel()


async def _first(waits: tuple[Coroutine[Any, Any, object], ...]) -> None:
    """Wait until one of them is over; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


class _Reports:
    """What the link tells control of a data plane."""

    def __init__(self, dataplane: DataPlane) -> None:
        self._dataplane = dataplane
        self._shown: set[tuple[str, Labels]] = set()

    def series(self, *, everything: bool = False) -> list[Series]:
        gauges = self._dataplane.gauges()
        now = {(gauge.family, gauge.labels) for gauge in gauges}
        # A gauge that is not told any more (a queue that is empty) has come back to 0.
        ended = [Series(family, labels, 0) for family, labels in self._shown - now]
        self._shown = now
        return [*self._dataplane.recorder.series(everything=everything), *gauges, *ended]

    def health(self) -> Health:
        return self._dataplane.health()


def _pseudonym(listener: socket.socket) -> str:
    """This host and port's name in Via: one router may stand behind another, but not itself."""
    place = f"{socket.gethostname()}:{listener.getsockname()[1]}"
    return f"inference-router-{blake2b(place.encode(), digest_size=4).hexdigest()}"


def _data_plane_settings(settings: WorkerSettings, listener: socket.socket) -> DataPlaneSettings:
    log = settings.access_log
    return DataPlaneSettings(
        pseudonym=_pseudonym(listener),
        worker=settings.worker,
        door=settings.door,
        drain_s=settings.drain_s,
        drain_delay_s=settings.drain_delay_s,
        access_log=AccessLogSettings(log.mode, log.sample_ratio, log.path),
        head_timeout_s=settings.head_timeout_s,
        keep_alive_s=settings.keep_alive_s,
        body_timeout_s=settings.body_timeout_s,
        write_timeout_s=settings.write_timeout_s,
        upstream_idle_s=settings.upstream_idle_s,
        tls=settings.tls,
        shed_delay_s=settings.shed_delay_s,
        rules=settings.rules,
        farewell_s=FAREWELL_S,
    )


if __name__ == "__main__":
    sys.exit(main())
