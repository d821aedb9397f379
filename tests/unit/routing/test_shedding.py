"""What share of the new requests is refused while the event loop runs late."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, lists

from router.routing.shedding import FALL_PER_S, MAX_SHARE, Shedder

TARGET_S = 0.5
TICK_S = 0.1


def late(shedder: Shedder, *delays: float) -> Shedder:
    """Have it see these delays, one a tick."""
    for delay in delays:
        shedder.observe(delay, TICK_S + delay)
    return shedder


def shares(shedder: Shedder, *delays: float) -> list[float]:
    return [late(shedder, delay).share for delay in delays]


@pytest.mark.parametrize("stall", [0.6, 5.0, 3_600.0])
def test_one_stall_however_long_sheds_nothing(stall: float) -> None:
    assert not any(shares(Shedder(TARGET_S), 0.0, stall, *[0.001] * 50))


def test_a_delay_below_the_target_sheds_nothing_however_long_it_lasts() -> None:
    assert late(Shedder(TARGET_S), *[TARGET_S * 0.99] * 1_000).share == 0


def test_the_share_rises_as_long_as_the_delay_stays_above_the_target() -> None:
    shedder = late(Shedder(TARGET_S), *[1.0] * 4)
    rising = [share for share in shares(shedder, *[1.0] * 8) if share < MAX_SHARE]
    assert rising
    assert rising == sorted(set(rising))


def test_a_longer_delay_raises_the_share_faster() -> None:
    a_little = late(Shedder(TARGET_S), *[0.6] * 12)
    a_lot = late(Shedder(TARGET_S), *[0.9] * 12)
    assert 0 < a_little.share < a_lot.share


def test_the_share_falls_to_nothing_when_the_delay_is_gone() -> None:
    shedder = late(Shedder(TARGET_S), *[2.0] * 20)
    late(shedder, *[0.0] * 10)  # smoothed
    falling = shares(shedder, *[0.0] * 100)
    assert falling == sorted(falling, reverse=True)
    assert falling[-1] == 0


def test_the_share_never_reaches_everybody() -> None:
    assert late(Shedder(TARGET_S), *[100.0] * 1_000).share == MAX_SHARE < 1


def test_a_shedder_without_a_target_never_sheds() -> None:
    assert late(Shedder(math.inf), *[3_600.0] * 1_000).share == 0


def test_whoever_is_refused_is_told_when_the_share_would_be_gone() -> None:
    shedder = late(Shedder(TARGET_S), *[100.0] * 1_000)
    told = shedder.retry_after_s
    assert told == math.ceil(MAX_SHARE / FALL_PER_S)
    late(shedder, *[0.0] * 10)  # until the smoothed delay is below the target
    late(shedder, *[0.0] * (told * 10))
    assert shedder.share == 0
    assert Shedder(TARGET_S).retry_after_s == 1


def refused(share: float, rank: int, classes: int) -> float:
    """The share of a class that is refused, to a hundredth."""
    shedder = Shedder(TARGET_S)
    shedder.share = share
    return sum(shedder.refuses(rank, classes, draw / 100) for draw in range(100)) / 100


@pytest.mark.parametrize(
    ("share", "by_class"),
    [(0.0, (0, 0, 0)), (0.25, (0, 0, 0.75)), (0.5, (0, 0.5, 1)), (0.75, (0.25, 1, 1))],
)
def test_a_class_is_touched_only_when_those_below_it_are_refused_whole(
    share: float, by_class: tuple[float, ...]
) -> None:
    assert tuple(refused(share, rank, 3) for rank in range(3)) == by_class


def test_without_classes_the_share_is_everybodys() -> None:
    assert refused(0.25, 0, 1) == 0.25


@given(floats(0, MAX_SHARE), integers(1, 8))
def test_over_all_classes_together_the_share_is_what_it_says(share: float, classes: int) -> None:
    together = sum(refused(share, rank, classes) for rank in range(classes)) / classes
    assert abs(together - share) <= 0.01


@given(lists(floats(0, 100), max_size=200))
def test_whatever_the_loop_does_the_share_stays_within_its_bounds(delays: list[float]) -> None:
    assert all(0 <= share <= MAX_SHARE for share in shares(Shedder(TARGET_S), *delays))


def test_refusing_a_share_brings_a_loop_back_that_has_more_to_do_than_it_can() -> None:
    """A loop whose backlog grows with what it takes beyond its capacity."""
    shedder, backlog_s = Shedder(TARGET_S), 0.0
    for _ in range(600):  # a minute and more of twice the capacity
        elapsed = TICK_S + min(backlog_s, 1.0)
        taken = 2.0 * (1 - shedder.share) * elapsed
        backlog_s = max(0.0, backlog_s + taken - elapsed)
        shedder.observe(backlog_s, elapsed)
    assert backlog_s < 3 * TARGET_S
    for _ in range(300):  # half the capacity
        elapsed = TICK_S + min(backlog_s, 1.0)
        backlog_s = max(0.0, backlog_s + 0.5 * (1 - shedder.share) * elapsed - elapsed)
        shedder.observe(backlog_s, elapsed)
    assert shedder.share == 0
