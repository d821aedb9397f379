"""How long idle connections are kept, against the server's own closes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.dataplane.upstream.idle import (
    CEILING_S,
    FLOOR_S,
    RECOVER_MAX_S,
    RECOVER_S,
    IdleTime,
)

PROPERTY = settings(deadline=None, max_examples=200)
AGES = st.floats(0, 20)
EVENTS = st.lists(st.tuples(AGES, st.floats(0, 500)), max_size=40)


@PROPERTY
@given(st.floats(0.2, 120), EVENTS)
def test_the_time_stays_between_the_floor_and_the_ceiling(
    ceiling_s: float, events: list[tuple[float, float]]
) -> None:
    idle, now = IdleTime(ceiling_s), 0.0
    for age_s, later_s in events:
        idle.closed(age_s, now)
        assert FLOOR_S <= idle.limit_s <= ceiling_s
        now += later_s
        idle.recover(now)
        assert FLOOR_S <= idle.limit_s <= ceiling_s
        assert idle.learned is (idle.limit_s < ceiling_s)


@PROPERTY
@given(EVENTS, AGES)
def test_after_a_close_connections_are_kept_for_less_than_its_age(
    events: list[tuple[float, float]], age_s: float
) -> None:
    idle, now = IdleTime(), 0.0
    for other_s, later_s in events:
        idle.closed(other_s, now)
        now += later_s
        idle.recover(now)
    idle.closed(age_s, now)
    if age_s > FLOOR_S:
        assert idle.limit_s < age_s


@PROPERTY
@given(EVENTS)
def test_without_closes_it_comes_back_to_the_ceiling(events: list[tuple[float, float]]) -> None:
    idle, now = IdleTime(), 0.0
    for age_s, later_s in events:
        idle.closed(age_s, now)
        now += later_s
        idle.recover(now)
    for _ in range(6):  # 0.1 s doubles five times to 3.2 s and once more to the ceiling
        now += RECOVER_MAX_S
        idle.recover(now)
    assert idle.limit_s == CEILING_S
    assert not idle.learned


@pytest.mark.parametrize("age_s", [0.0, 0.05, FLOOR_S])
def test_a_close_at_an_age_that_nobody_could_stay_below_teaches_nothing(age_s: float) -> None:
    idle = IdleTime()
    idle.closed(age_s, 0.0)
    assert not idle.learned


def test_one_odd_close_is_forgotten_within_minutes() -> None:
    idle = IdleTime()
    idle.closed(0.2, 0.0)
    seconds = 0.0
    while idle.learned:
        seconds += 1
        idle.recover(seconds)
    assert seconds == 5 * RECOVER_S  # 0.16, 0.32, 0.64, 1.28, 2.56, 4


def tries_in(seconds: int, keep_alive_s: float) -> int:
    """How often a server that closes after such a time is tried with a longer one."""
    idle, tries = IdleTime(), 0
    for now in range(seconds):
        if idle.limit_s > keep_alive_s:
            tries += 1
            idle.closed(keep_alive_s, float(now))
        idle.recover(float(now))
    return tries


@pytest.mark.parametrize("keep_alive_s", [0.5, 1.0, 2.0, 3.0])
def test_a_server_that_means_it_is_tried_more_and_more_rarely(keep_alive_s: float) -> None:
    assert tries_in(3600, keep_alive_s) <= 9
    assert tries_in(24 * 3600, keep_alive_s) - tries_in(23 * 3600, keep_alive_s) <= 4


def test_once_it_has_stood_at_the_ceiling_the_next_close_is_forgotten_as_fast_as_the_first() -> (
    None
):
    idle = IdleTime()
    now = 0.0
    for _ in range(4):
        idle.closed(3.0, now)
        now += RECOVER_MAX_S
        idle.recover(now)
    now += RECOVER_MAX_S
    idle.recover(now)
    idle.closed(3.0, now)
    idle.recover(now + RECOVER_S)
    assert not idle.learned
