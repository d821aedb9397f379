"""The batch for the pair store, and a store that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from router.clock import ManualClock
from router.controller.shadow.counts import ALL_ROUTES, LOST, PRUNED, WRITTEN, Counts
from router.controller.shadow.recorder import PRUNE_S, Recorder
from router.store.base import StoreCorruptError, StoreError, StoreUnavailableError
from router.store.pairs import KeptPair, Retention
from router.telemetry import families

pytestmark = pytest.mark.anyio

KEEP_ALL = Retention(max_pairs=100, max_age_s=1e9, max_bytes=10**9)


class FakeStore:
    """Remembers what it was given; `fails` or `hangs` where a test says so."""

    def __init__(self) -> None:
        self.fails: StoreError | Exception | None = None
        self.hangs = False
        self.opened = 0
        self.closed = False
        self.batches: list[tuple[list[KeptPair], dict[str, Any], dict[str, Retention]]] = []
        self.known: dict[str, Any] = {}

    async def open(self) -> None:
        await self._answer()
        self.opened += 1

    async def close(self) -> None:
        self.closed = True

    async def keep(
        self,
        pairs: Sequence[KeptPair],
        tallies: Mapping[str, Any],
        retention: Mapping[str, Retention],
        now_s: float,
    ) -> int:
        await self._answer()
        self.batches.append((list(pairs), dict(tallies), dict(retention)))
        return 2

    async def tallies(self) -> dict[str, Any]:
        await self._answer()
        return self.known

    async def _answer(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fails is not None:
            raise self.fails

    @property
    def ids(self) -> list[float]:
        return [pair.time_s for pairs, _, _ in self.batches for pair in pairs]


class Desk:
    def __init__(self, *, patience_s: float = 5.0, **bounds: int) -> None:
        self.store = FakeStore()
        self.clock = ManualClock()
        self.counts = Counts()
        self.counts.keep({("chat", "v1"), ("embed", "v1")})
        self.recorder = Recorder(
            self.store,  # type: ignore[arg-type]  # reading is not its part
            self.tallies,
            self.counts,
            self.clock,
            patience_s=patience_s,
            **bounds,
        )
        self.recorder.retain({"chat": KEEP_ALL, "embed": KEEP_ALL})

    def tallies(self, routes: Iterable[str]) -> dict[str, Any]:
        return {route: f"tally of {route}" for route in routes}

    def put(self, number: int, route: str = "chat", size: int = 1_000) -> None:
        pair = KeptPair(
            route=route, stable="v1", shadow="v2", verdict="mismatch", time_s=float(number)
        )
        self.recorder.put(pair, size)

    def recorded(self, result: str, route: str = "chat") -> float:
        name = families.SHADOW_RECORDED.name
        rows = {row.labels: row.value for row in self.counts.series() if row.family == name}
        return rows.get((route, result), 0)


async def test_pairs_and_tallies_are_written_together_and_once() -> None:
    desk = Desk()
    desk.put(1)
    desk.put(2)
    desk.recorder.touch("chat")
    await desk.recorder.write()
    await desk.recorder.write()
    [(pairs, tallies, retention)] = desk.store.batches
    assert [pair.time_s for pair in pairs] == [1, 2]
    assert tallies == {"chat": "tally of chat"}
    assert retention == {"chat": KEEP_ALL, "embed": KEEP_ALL}
    assert desk.recorded(WRITTEN) == 2
    assert desk.recorded(PRUNED, ALL_ROUTES) == 2


async def test_what_an_unavailable_store_may_not_have_written_is_written_again_in_order() -> None:
    desk = Desk()
    await desk.recorder.write()
    desk.put(1)
    desk.recorder.touch("chat")
    desk.store.fails = StoreUnavailableError("the disk is full")
    await desk.recorder.write()
    desk.put(2)
    desk.store.fails = None
    await desk.recorder.write()
    assert desk.store.ids == [1, 2]
    assert desk.store.batches[-1][1] == {"chat": "tally of chat"}
    assert (desk.recorded(WRITTEN), desk.recorded(LOST)) == (2, 0)


@pytest.mark.parametrize("error", [StoreError("no such document"), ZeroDivisionError("sesame")])
async def test_a_batch_that_is_refused_is_lost_and_the_next_one_is_written(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    await desk.recorder.write()
    desk.put(1)
    desk.recorder.touch("chat")
    desk.store.fails = error
    await desk.recorder.write()
    desk.store.fails = None
    desk.put(2)
    await desk.recorder.write()
    assert desk.store.ids == [2]
    assert desk.store.batches[-1][1] == {"chat": "tally of chat"}
    assert (desk.recorded(WRITTEN), desk.recorded(LOST)) == (1, 1)
    assert "sesame" not in caplog.text


async def test_a_store_that_hangs_costs_a_bounded_number_of_pairs_and_bytes() -> None:
    desk = Desk(max_pairs=10, patience_s=0.01)
    desk.store.hangs = True
    desk.put(0)
    writing = asyncio.create_task(desk.recorder.write())
    await asyncio.sleep(0)
    for number in range(1, 1_000):
        desk.put(number)
    assert desk.recorded(LOST) == 990
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    small = Desk(max_bytes=10_000)
    for number in range(20):
        small.put(number, size=3_000)
    assert small.recorded(LOST) == 17


async def test_start_and_close_wait_a_bounded_time_for_a_store_that_hangs() -> None:
    desk = Desk(patience_s=0.01)
    desk.store.hangs = True
    await desk.recorder.start()
    desk.put(1)
    await desk.recorder.close()
    assert desk.store.closed


async def test_room_is_made_again_once_a_batch_is_written() -> None:
    desk = Desk(max_pairs=2, max_bytes=2_000)
    for round_ in range(5):
        desk.put(2 * round_)
        desk.put(2 * round_ + 1)
        await desk.recorder.write()
    assert desk.store.ids == list(range(10))
    assert desk.recorded(LOST) == 0


async def test_close_writes_what_waits() -> None:
    desk = Desk()
    await desk.recorder.start()
    desk.put(1)
    await desk.recorder.close()
    assert desk.store.ids == [1]
    assert desk.store.closed


async def test_a_store_that_cannot_be_opened_is_tried_again_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    desk.store.fails = StoreUnavailableError("the folder is read-only")
    restored: list[Mapping[str, Any]] = []
    desk.recorder.on_open = restored.append
    for _ in range(3):
        desk.put(1)
        await desk.recorder.write()
    assert caplog.text.count("not recorded: the folder is read-only") == 1
    desk.store.fails, desk.store.known = None, {"chat": "old"}
    await desk.recorder.write()
    assert desk.store.opened == 1
    assert restored == [{"chat": "old"}]
    assert desk.store.ids == [1, 1, 1]


async def test_tallies_that_cannot_be_read_do_not_end_recording() -> None:
    desk = Desk()

    async def corrupt() -> dict[str, Any]:
        raise StoreCorruptError("not what any release has written")

    desk.store.tallies = corrupt  # type: ignore[method-assign]  # a damaged file
    desk.put(1)
    await desk.recorder.write()
    assert desk.store.ids == [1]


async def test_a_route_that_leaves_is_forgotten_in_the_store_without_any_new_pair() -> None:
    desk = Desk()
    desk.put(1, "embed")
    desk.recorder.touch("embed")
    desk.recorder.retain({"chat": KEEP_ALL})
    await desk.recorder.write()
    assert desk.store.batches == [([], {}, {"chat": KEEP_ALL})]
    desk.put(2)
    await desk.recorder.write()
    assert desk.store.ids == [2]


async def test_old_pairs_are_pruned_also_where_no_new_ones_come() -> None:
    desk = Desk()
    await desk.recorder.write()
    desk.clock.advance(PRUNE_S - 1)
    await desk.recorder.write()
    assert len(desk.store.batches) == 1
    desk.clock.advance(1)
    await desk.recorder.write()
    assert len(desk.store.batches) == 2


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # nothing tells that a batch was written
            await asyncio.sleep(0.005)


async def test_what_waits_is_written_by_itself() -> None:
    desk = Desk()
    await desk.recorder.start()
    desk.put(1)
    await until(lambda: desk.store.ids == [1])
    await desk.recorder.close()
