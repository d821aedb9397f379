"""The last hours as points: right where there was traffic, nothing where there was none."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.errors import FailureReason
from router.telemetry import families
from router.telemetry.chronicle import (
    COARSE,
    FINE,
    MAX_BYTES,
    RECENT_S,
    Chronicle,
    Point,
    grid,
    joined,
)
from router.telemetry.families import Family
from router.telemetry.merge import Distribution, Rows

KEY = ("chat", "v2")
START = 1_700_000_040.0  # a whole minute


class Told:
    """Counters as a test says them."""

    def __init__(self) -> None:
        self.rows: dict[str, Rows] = {family.name: {} for family in families.ALL}

    def merged(self, family: Family) -> Rows:
        return self.rows[family.name]


def told(answered: float = 0, failed: float = 0, tokens: float = 0, slow: int = 0) -> Told:
    """So many answers in 0.1 to 0.25 s, and so many slower than that, in 0.3 to 0.5 s."""
    made = Told()
    made.rows[families.REQUESTS.name][*KEY, "canary", "200"] = answered
    made.rows[families.REQUESTS.name][*KEY, "canary", "500"] = failed
    made.rows[families.ERRORS.name][*KEY, "canary", next(iter(FailureReason)).value] = failed
    made.rows[families.TOKENS.name][*KEY, "completion"] = tokens
    counts = [0] * (len(families.DURATION.buckets) + 1)
    counts[families.DURATION.buckets.index(0.25)] = int(answered - slow)
    counts[families.DURATION.buckets.index(0.5)] = slow
    made.rows[families.DURATION.name][KEY] = Distribution(tuple(counts), 0.0)
    return made


def fill(
    made: Chronicle, seconds: int, counters: Callable[[int], Told], start: float = START
) -> float:
    """A sample every 10 s, with what `counters` says of that second; returns the last moment."""
    made.follow([KEY])
    for second in range(0, seconds + 1, FINE.step_s):
        made.add(start + second, counters(second), {KEY: 5.0})
    return start + seconds


def fine(made: Chronicle, now: float, seconds: int = 60) -> list[Point | None]:
    return made.points(KEY, grid(now, seconds, 720))


# -- one point ---------------------------------------------------------------------------------


def test_a_point_tells_what_came_since_the_sample_before() -> None:
    made = Chronicle()
    now = fill(made, 10, lambda second: told(100 + 9 * second, 10 + second, 500 + 20 * second))
    point = fine(made, now)[-1]
    assert point is not None
    assert point.request_rate == pytest.approx(10)
    assert point.error_ratio == pytest.approx(0.1)
    assert point.tokens_per_second == pytest.approx(20)
    assert point.weight == 5
    assert 0.1 < point.p50 < 0.25


def test_quantiles_are_those_of_the_histogram_of_the_same_span() -> None:
    made = Chronicle()
    fill(made, 0, lambda _: told(1_000, slow=1_000))  # what was before counts for nothing
    made.add(START + 10, told(1_100, slow=1_002), {KEY: 5.0})
    point = fine(made, START + 10)[-1]
    assert point is not None
    assert point.p50 == pytest.approx(0.1 + 0.15 * 50 / 98)
    assert point.p99 == pytest.approx(0.3 + 0.2 * (99 - 98) / 2)
    assert math.isnan(point.ttft_p99)


def test_a_version_that_nobody_calls_has_a_rate_of_zero_and_no_ratio() -> None:
    made = Chronicle()
    now = fill(made, 10, lambda _: told(100))
    point = fine(made, now)[-1]
    assert point is not None
    assert (point.request_rate, point.weight) == (0.0, 5.0)
    assert math.isnan(point.error_ratio)
    assert math.isnan(point.p99)


def test_what_was_counted_before_the_first_sample_is_in_no_point() -> None:
    made = Chronicle()
    now = fill(made, 0, lambda _: told(10_000))
    (point,) = [one for one in fine(made, now) if one is not None]
    assert point.weight == 5
    assert math.isnan(point.request_rate)


# -- gaps --------------------------------------------------------------------------------------


def test_where_no_sample_was_taken_there_is_no_point() -> None:
    made = Chronicle()
    fill(made, 20, lambda second: told(second))
    fill(made, 20, lambda second: told(5_000 + second), start=START + 100)
    points = fine(made, START + 120, 140)
    known = [None if point is None else point.request_rate for point in points]
    assert known[-6:-3] == [None, None, None]
    assert math.isnan(known[-3] or 0)  # the first one after the gap has nothing to compare with
    assert known[-2:] == [pytest.approx(1), pytest.approx(1)]


def test_a_counter_that_fell_begins_anew() -> None:
    made = Chronicle()
    fill(made, 20, lambda second: told(1_000 + second))
    made.add(START + 30, told(7), {KEY: 5.0})
    made.add(START + 40, told(27), {KEY: 5.0})
    rates = [one.request_rate for one in fine(made, START + 40) if one is not None]
    assert math.isnan(rates[-2])
    assert rates[-1] == pytest.approx(2)


def test_counters_that_jump_for_control_came_late_are_in_no_point() -> None:
    made = Chronicle()
    fill(made, 20, lambda second: told(second))
    made.begin_anew()
    made.add(START + 30, told(1e6), {KEY: 5.0})
    made.add(START + 40, told(1e6 + 10), {KEY: 5.0})
    rates = [one.request_rate for one in fine(made, START + 40) if one is not None]
    assert max(rate for rate in rates if not math.isnan(rate)) == pytest.approx(1)


def test_a_clock_that_was_set_back_makes_no_nonsense() -> None:
    made = Chronicle()
    fill(made, 60, lambda second: told(second))
    fill(made, 30, lambda second: told(60 + second), start=START - 1_000)
    rates = [one.request_rate for one in fine(made, START - 970) if one is not None]
    assert rates[1:] == [pytest.approx(1)] * 3


def test_a_second_sample_of_one_span_is_left_out() -> None:
    made = Chronicle()
    fill(made, 10, lambda second: told(10 * second))
    made.add(START + 12, told(100_000), {KEY: 5.0})
    point = fine(made, START + 12)[-1]
    assert point is not None
    assert point.request_rate == pytest.approx(10)


# -- hours -------------------------------------------------------------------------------------


def test_an_hour_is_kept_every_ten_seconds_and_six_every_minute() -> None:
    made = Chronicle()
    now = fill(made, 7 * 3600, lambda second: told(2 * second))
    hour, six = fine(made, now, 3_600), fine(made, now, 6 * 3_600)
    assert len(hour) == FINE.points
    assert len(six) == COARSE.points
    for point in (*hour, *six):
        assert point is not None
        assert point.request_rate == pytest.approx(2)


def test_a_minute_is_made_from_its_own_counters_and_not_by_averaging() -> None:
    made = Chronicle()
    # Ten seconds with a thousand quick answers, fifty with one slow one each ten seconds.
    slow = [0, 0, 1, 2, 3, 4, 5]
    fill(
        made,
        60,
        lambda second: told(1_000 * (second > 0) + slow[second // 10], slow=slow[second // 10]),
    )
    point = made.points(KEY, grid(START + 60, 3_660, 720))[-1]
    assert point is not None
    assert point.request_rate == pytest.approx(1_005 / 60)
    assert point.p99 < 0.25


def test_at_most_so_many_versions_are_followed_and_the_others_are_counted() -> None:
    made = Chronicle(max_versions=2)
    versions = [("chat", f"v{number}") for number in range(5)]
    assert made.follow(versions) == versions[:2]
    assert made.left_out == 3
    made.add(START, told(), dict.fromkeys(versions, 0.0))
    assert made.points(versions[0], grid(START, 60, 6))[-1] is not None
    assert made.points(versions[4], grid(START, 60, 6))[-1] is None


def test_a_version_that_is_gone_is_forgotten() -> None:
    made = Chronicle()
    now = fill(made, 20, lambda second: told(second))
    made.follow([("chat", "v3")])
    made.follow([KEY])
    assert fine(made, now) == [None] * 6


def streaming(second: int) -> Told:
    made = told(second, failed=second, tokens=second)
    for family in (families.FIRST_TOKEN, families.INTER_CHUNK):
        counts = (second,) * (len(family.buckets) + 1)
        made.rows[family.name][KEY] = Distribution(counts, 0.0)
    return made


def test_a_version_takes_a_bounded_memory_and_an_idle_one_less_than_half_of_it() -> None:
    busy, idle = Chronicle(), Chronicle()
    now = fill(busy, 7 * 3_600, streaming)
    fill(idle, 7 * 3_600, lambda _: told(100))
    point = fine(busy, now)[-1]
    assert point is not None
    assert not any(map(math.isnan, point))  # every column is there
    assert busy.bytes <= MAX_BYTES
    assert idle.bytes < MAX_BYTES / 2


# -- the last minute ---------------------------------------------------------------------------


def test_the_last_minute_ends_at_the_moment_that_is_asked_for() -> None:
    made = Chronicle()
    fill(made, 120, lambda second: told(second))
    window = made.recent(START + 125, told(125 + 65), [KEY])[KEY]
    assert window.seconds == 65
    assert window.requests == 130
    assert window.seconds >= RECENT_S


def test_a_version_that_is_not_followed_has_no_last_minute() -> None:
    made = Chronicle()
    assert made.recent(START, told(), [KEY]) == {}
    fill(made, 0, lambda _: told())
    assert made.recent(START, told(), [KEY]) == {}
    assert made.recent(START + 1_000, told(), [KEY]) == {}


# -- grids, and points that become one ---------------------------------------------------------


@given(
    now=st.floats(1e9, 2e9),
    seconds=st.integers(60, 21_600),
    points=st.integers(2, 720),
)
def test_a_grid_has_whole_samples_as_far_apart_as_was_asked_and_not_more_of_them(
    now: float, seconds: int, points: int
) -> None:
    over = grid(now, seconds, points)
    assert over.step_s % over.tier.step_s == 0
    assert over.times
    assert len(over.times) <= points
    assert over.times[-1] <= now < over.times[-1] + over.step_s
    assert {b - a for a, b in zip(over.times, over.times[1:], strict=False)} <= {over.step_s}
    assert over.times[-1] - over.times[0] + over.step_s <= over.tier.span_s


def test_several_spans_as_one_weigh_ratios_by_requests_and_keep_the_worst_p99() -> None:
    calm = Point(5, request_rate=9, error_ratio=0.0, p50=0.1, p99=0.2)
    bad = Point(10, request_rate=1, error_ratio=1.0, p50=0.3, p99=0.9)
    idle = Point(10, request_rate=0, tokens_per_second=0)
    point = joined([calm, bad, idle])
    assert point is not None
    assert point.weight == 10
    assert point.request_rate == pytest.approx(10 / 3)
    assert point.error_ratio == pytest.approx(0.1)
    assert point.p50 == pytest.approx(0.12)
    assert point.p99 == 0.9
    assert math.isnan(point.ttft_p99)
    assert joined([]) is None
    assert joined([calm]) is calm
