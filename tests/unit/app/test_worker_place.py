"""A worker's place with control: offered to a successor, and taken back where none came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from router.app.settings import WorkerSettings
from router.app.worker import _Place
from router.controller.fleet import Fleet
from router.dataplane.server import DataPlane, DataPlaneSettings
from router.link.server import LinkServer
from router.snapshot import Snapshot

pytestmark = pytest.mark.anyio

DEADLINE_S = 15.0


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[tuple[LinkServer, Fleet]]:
    fleet = Fleet(["w0"])
    server = LinkServer(tmp_path / "control.sock", fleet, expected=["w0"])
    server.publish(Snapshot(generation=1))
    await server.start()
    yield server, fleet
    await server.close()


def place(directory: Path) -> _Place:
    settings = WorkerSettings(
        worker="w0",
        link=str(directory / "control.sock"),
        listener_fd=-1,
        lifeline_fd=-1,
        door="native",
        drain_s=1.0,
        drain_delay_s=0.0,
        head_timeout_s=1.0,
        keep_alive_s=1.0,
    )
    return _Place(settings, DataPlane(DataPlaneSettings()), lambda: None)


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # the other end of a socket
            await asyncio.sleep(0.005)


async def test_who_offered_its_place_is_not_live_but_gets_every_table(
    tmp_path: Path, link: tuple[LinkServer, Fleet]
) -> None:
    server, fleet = link
    mine = place(tmp_path)
    mine.take()
    await mine.wait_installed()
    await eventually(lambda: "w0" in fleet.workers)
    mine.offer()
    await eventually(lambda: fleet.workers == {})
    server.publish(Snapshot(generation=2))
    applied = await server.wait_applied(2, DEADLINE_S)
    assert (applied.workers, applied.missing) == (("w0",), ())
    await mine.leave()


async def test_who_takes_its_place_back_is_live_again(
    tmp_path: Path, link: tuple[LinkServer, Fleet]
) -> None:
    server, fleet = link
    mine = place(tmp_path)
    mine.take()
    await mine.wait_installed()
    mine.offer()
    await eventually(lambda: fleet.workers == {})
    await mine.take_back()
    await eventually(lambda: "w0" in fleet.workers and fleet.workers["w0"].generation == 1)
    server.publish(Snapshot(generation=2))
    await eventually(lambda: fleet.workers["w0"].generation == 2)
    await mine.leave()


async def test_who_offered_nothing_has_nothing_to_take_back(
    tmp_path: Path, link: tuple[LinkServer, Fleet]
) -> None:
    _, fleet = link
    mine = place(tmp_path)
    mine.take()
    await mine.wait_installed()
    await eventually(lambda: "w0" in fleet.workers)
    before = fleet.workers["w0"]
    await mine.take_back()
    assert fleet.workers["w0"] is before
    await mine.leave()
