"""A worker process: the data plane on an inherited socket, at the end of a link to control.

It imports neither the configuration nor the admin side: its memory counts once per CPU.
It accepts nothing before its first table, and keeps the last one while control is away.
"""

import asyncio
import gc
import socket
import sys
from collections.abc import Coroutine
from hashlib import blake2b
from pathlib import Path
from typing import Any

import uvloop

from router.app import logs
from router.app.process import on_end, raise_descriptor_limit
from router.app.settings import WorkerSettings, from_argument
from router.dataplane.accesslog import AccessLogSettings
from router.dataplane.server import DataPlane, DataPlaneSettings, serve
from router.link.client import LinkClient
from router.link.messages import Health
from router.telemetry.recorder import Labels, Series


def main() -> int:
    """Entry of `python -m router.app.worker SETTINGS`."""
    settings = from_argument(sys.argv[1], WorkerSettings)
    logs.configure(settings.worker, settings.log_format)
    raise_descriptor_limit()
    uvloop.run(_run(settings))
    return 0


async def _run(settings: WorkerSettings) -> None:
    draining = asyncio.Event()
    on_end(settings.lifeline_fd, draining.set)
    listener = socket.socket(fileno=settings.listener_fd)
    dataplane = DataPlane(_data_plane_settings(settings, listener))
    link = LinkClient(
        Path(settings.link),
        settings.worker,
        dataplane,
        _Reports(dataplane),
        on_drain=draining.set,
    )
    dataplane.on_health = link.report_health
    dataplane.on_pair = link.report_pair
    following = asyncio.create_task(link.run())
    await _first((link.wait_installed(), draining.wait()))
    if not draining.is_set():
        await _serve(listener, dataplane, link, draining)
    await link.close()
    following.cancel()


async def _serve(
    listener: socket.socket, dataplane: DataPlane, link: LinkClient, draining: asyncio.Event
) -> None:
    await dataplane.start()
    # What lives now lives as long as the process: the collector need not look at it again, and a
    # request makes so few cycles that it need not look often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    telling = asyncio.create_task(_tell_draining(link, draining))
    await serve(dataplane, [listener], draining=draining)
    telling.cancel()
    await dataplane.close()


async def _tell_draining(link: LinkClient, draining: asyncio.Event) -> None:
    await draining.wait()
    link.report_draining()


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
    )


if __name__ == "__main__":
    sys.exit(main())
