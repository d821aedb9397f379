"""When to come again: from how fast a line has moved lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import floats, integers, lists, tuples

from router.routing.pace import MAX_WAIT_S, WINDOW_S, Pace


def moving(per_s: int, seconds: int) -> tuple[Pace, int, float]:
    """A line that has moved like this; its total and the time now."""
    pace, now, total = Pace(), 1_000.0, 0
    pace.note(total, now)
    for _ in range(seconds):
        now += 1.0
        total += per_s
        pace.note(total, now)
    return pace, total, now


def test_a_line_that_nothing_is_known_of_is_told_the_soonest() -> None:
    assert Pace().wait_s(1_000, 0, 1_000.0) == 1


def test_a_line_of_fifty_that_moves_ten_a_second_takes_five_seconds() -> None:
    pace, total, now = moving(10, 10)
    assert pace.wait_s(50, total, now) == 5


def test_a_line_that_moves_fast_is_worth_to_come_again_in_a_second() -> None:
    pace, total, now = moving(1_000, 10)
    assert pace.wait_s(50, total, now) == 1


def test_a_line_that_does_not_move_is_told_longer_the_longer_it_stands() -> None:
    told = []
    for seconds in (1, 4, 8):
        pace, total, now = moving(0, seconds)
        told.append(pace.wait_s(2, total, now))
    assert told == [2, 8, 16]


def test_nobody_is_sent_away_for_longer_than_a_minute() -> None:
    pace, total, now = moving(0, 10)
    assert pace.wait_s(10_000, total, now) == MAX_WAIT_S


def test_what_was_before_the_window_does_not_count() -> None:
    pace, total, now = moving(1_000, 10)
    for _ in range(int(WINDOW_S) + 1):
        now += 1.0
        total += 1
        pace.note(total, now)
    slow, slow_total, slow_now = moving(1, 10)
    assert pace.wait_s(20, total, now) == slow.wait_s(20, slow_total, slow_now)


@given(
    lists(tuples(floats(0, 100), integers(0, 1_000)), max_size=100),
    integers(1, 100_000),
)
def test_an_estimate_is_always_between_a_second_and_a_minute(
    steps: list[tuple[float, int]], ahead: int
) -> None:
    pace, now, total = Pace(), 0.0, 0
    for elapsed, more in steps:
        now, total = now + elapsed, total + more
        pace.note(total, now)
    assert 1 <= pace.wait_s(ahead, total, now) <= MAX_WAIT_S
