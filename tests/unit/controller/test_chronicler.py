"""The console's history is written for every version, in parts, and goes on over faults."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator

import pytest

from router.clock import ManualClock
from router.controller import chronicler
from router.controller.chronicler import PART, SPREAD, Chronicler, until_next
from router.controller.fleet import Fleet
from router.controller.loop import ControlLoop
from router.snapshot import Snapshot
from router.telemetry import families
from router.telemetry.chronicle import FINE, MAX_VERSIONS, grid
from router.telemetry.merge import Incarnation
from router.telemetry.recorder import Series
from tests.store.commits import table
from tests.support.admin import Admin, admin_port

pytestmark = pytest.mark.anyio

WHO = Incarnation("w0", os.getpid())


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port() as admin:
        yield admin


def written(snapshot: Snapshot) -> tuple[Chronicler, Fleet, ManualClock]:
    fleet, clock = Fleet(), ManualClock(1_700_000_000.0)
    fleet.on_joined(WHO)
    fleet.keep(snapshot)
    return Chronicler(fleet, clock, lambda: snapshot), fleet, clock


async def test_every_version_of_the_table_has_points_with_its_weight_and_its_requests() -> None:
    made, fleet, clock = written(table(1, chat=500, code=0))
    await made.sample()
    clock.advance(FINE.step_s)
    rows = [Series(families.REQUESTS.name, ("chat", "v2", "canary", "200"), 30)]
    fleet.on_telemetry(WHO, rows)
    await made.sample()
    over = grid(clock.wall(), 60, 6)
    found = {
        key: made.chronicle.points(key, over)[-1]
        for key in (("chat", "v2"), ("chat", "v1"), ("code", "v1"))
    }
    assert {key: point and (point.weight, point.request_rate) for key, point in found.items()} == {
        ("chat", "v2"): (5, 3.0),
        ("chat", "v1"): (95, 0.0),
        ("code", "v1"): (100, 0.0),
    }
    recent = await made.recent([("chat", "v2"), ("gone", "v1")])
    assert recent == {}  # a moment after the sample there is nothing to tell yet
    clock.advance(1)
    assert (await made.recent([("chat", "v2"), ("gone", "v1")]))["chat", "v2"].requests == 30


async def test_others_have_their_turn_between_the_parts_of_a_sample() -> None:
    made, _, _ = written(table(1, **{f"r{number}": 0 for number in range(PART * 2)}))
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await made.sample()
    other.cancel()
    assert turns >= 2 * 2 * PART // PART - 1


async def test_versions_that_there_is_no_room_for_are_counted() -> None:
    routes = {f"r{number}": 0 for number in range(MAX_VERSIONS // 2 + 3)}
    made, _, _ = written(table(1, **routes))
    await made.sample()
    assert [*made.series()] == [Series(families.CHRONICLE_LEFT_OUT.name, (), 6)]


async def test_a_fault_of_one_sample_is_logged_and_the_next_is_taken(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made, fleet, clock = written(table(1, chat=0))
    look, looks = fleet.look, 0

    def failing(versions: set[tuple[str, str]]) -> object:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("a defect")
        return look(versions)

    monkeypatch.setattr(fleet, "look", failing)
    step = FINE.step_s
    # The next whole ten seconds are a moment away, each time.
    monkeypatch.setattr(clock, "wall", lambda: 1_700_000_000.0 + step * looks - 0.001)
    monkeypatch.setattr(chronicler, "SPREAD", 0.0)
    task = asyncio.create_task(made.run())
    with caplog.at_level(logging.ERROR):
        async with asyncio.timeout(10):
            while looks < 3:  # noqa: ASYNC110  # it counts, and tells nobody
                await asyncio.sleep(0.001)
    task.cancel()
    assert "a fault; it goes on" in caplog.text


@pytest.mark.parametrize("early_s", [0.0, 0.001, 0.01])
def test_a_timer_that_rings_early_still_takes_one_sample_of_each_span(early_s: float) -> None:
    now, spans = 1_700_000_000.0, []
    for _ in range(100):
        now += until_next(now) - early_s
        spans.append(now // FINE.step_s)
        now += SPREAD * FINE.step_s
    assert spans == [spans[0] + number for number in range(100)]


async def test_control_s_loop_writes_it_and_ends_it() -> None:
    async with admin_port() as admin:
        loop = asyncio.create_task(ControlLoop(admin.plane).run())
        key, chronicle = ("chat", "v1"), admin.plane.chronicler.chronicle
        async with asyncio.timeout(10):
            over = grid(admin.clock.wall(), 60, 6)
            while not any(chronicle.points(key, over)):  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.001)
        others = asyncio.all_tasks()
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks() & others}  # type: ignore[union-attr]
        assert "Chronicler.run" not in names


async def test_workers_that_served_before_control_came_make_no_peak(admin: Admin) -> None:
    plane = admin.plane
    await plane.chronicler.sample()
    admin.clock.advance(FINE.step_s)
    row = Series(families.REQUESTS.name, ("chat", "v1", "stable", "200"), 1_000_000)
    plane.fleet.on_telemetry(Incarnation("w0", 1), [row])
    await plane.chronicler.sample()
    points = plane.chronicler.chronicle.points(("chat", "v1"), grid(admin.clock.wall(), 60, 6))
    assert points[-1] is not None
    assert points[-1].weight == 100
    assert not points[-1].request_rate > 0
