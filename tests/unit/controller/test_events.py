"""News for consoles and tools: in order, complete or said not to be, never waited for."""

from __future__ import annotations

import pytest

from router.clock import ManualClock
from router.controller.events import (
    KEPT,
    MAX_BEHIND,
    MAX_SUBSCRIBERS,
    Events,
    TooManySubscribersError,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def events() -> Events:
    return Events(ManualClock(5.0).wall)


async def test_every_event_has_the_next_number_and_its_time(events: Events) -> None:
    with events.subscribe() as subscription:
        events.tell("weights", "chat", actor="ann")
        events.tell("worker", state="connected")
        first, second = await subscription.next(), await subscription.next()
    assert first is not None
    assert second is not None
    assert (first.number, first.kind, first.route, first.time_s) == (1, "weights", "chat", 5.0)
    assert (second.number, second.content) == (2, {"state": "connected"})


async def test_a_reader_that_comes_back_misses_nothing(events: Events) -> None:
    for _ in range(5):
        events.tell("weights")
    with events.subscribe(after=3) as subscription:
        assert subscription.complete
        events.tell("weights")
        assert [(await subscription.next()).number for _ in range(3)] == [4, 5, 6]  # type: ignore[union-attr]


@pytest.mark.parametrize("after", [0, 5_000])
async def test_a_reader_that_was_away_too_long_is_told_so(events: Events, after: int) -> None:
    for _ in range(KEPT + 1):
        events.tell("weights")
    with events.subscribe(after=after) as subscription:
        assert not subscription.complete


async def test_a_reader_that_does_not_read_is_cut_off_and_nobody_waits_for_it(
    events: Events,
) -> None:
    with events.subscribe() as slow:
        for _ in range(KEPT + MAX_BEHIND + 1):
            events.tell("weights")
        events.tell("weights")
        read = [event async for event in slow]
    assert len(read) == KEPT + MAX_BEHIND
    assert [row.value for row in events.series()] == [0, 1]


async def test_only_so_many_readers_are_served_and_a_place_becomes_free_again(
    events: Events,
) -> None:
    places = [events.subscribe() for _ in range(MAX_SUBSCRIBERS)]
    for place in places:
        place.__enter__()
    with pytest.raises(TooManySubscribersError), events.subscribe():
        pass
    places[0].__exit__(None, None, None)
    with events.subscribe():
        assert events.number == 0
    for place in places[1:]:
        place.__exit__(None, None, None)
