"""Histories of counters that rise, fall, come and go; windows over them."""

from __future__ import annotations

import math
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import FailureReason
from router.telemetry import families
from router.telemetry.families import Family
from router.telemetry.merge import Distribution, Incarnation, Merger, Rows
from router.telemetry.recorder import WorkerRecorder
from router.telemetry.windows import MAX_SAMPLES, MAX_WINDOW_S, History, Timing, Window, quantile

KEY = ("chat", "v2")


class Told:
    """Counters as a test says them."""

    def __init__(self) -> None:
        self.rows: dict[str, Rows] = {family.name: {} for family in families.ALL}

    def merged(self, family: Family) -> Rows:
        return self.rows[family.name]

    def answered(self, number: float, code: str = "200", role: str = "canary") -> Told:
        self.rows[families.REQUESTS.name][(*KEY, role, code)] = number
        return self

    def failed(self, number: float, reason: FailureReason, role: str = "canary") -> Told:
        self.rows[families.ERRORS.name][(*KEY, role, reason.value)] = number
        return self

    def completed(self, tokens: float) -> Told:
        self.rows[families.TOKENS.name][(*KEY, "completion")] = tokens
        return self

    def observed(self, timing: Timing, buckets: dict[int, int]) -> Told:
        counts = [0] * (len(timing.value.buckets) + 1)
        for place, count in buckets.items():
            counts[place] = count
        self.rows[timing.value.name][KEY] = Distribution(tuple(counts), 0.0)
        return self


def history(*samples: tuple[float, Told]) -> History:
    made = History()
    for now, counters in samples:
        made.add(now, counters, {KEY})
    return made


def window(of: History, now: float, seconds: float = 60.0) -> Window:
    return of.window(*KEY, now, seconds)


def test_requests_are_those_between_the_first_and_the_last_sample_of_the_window() -> None:
    made = history((0, Told().answered(5)), (30, Told().answered(25)), (60, Told().answered(65)))
    assert window(made, 60, 30).requests == 40
    assert window(made, 60, 60).requests == 60
    assert window(made, 60, 60).request_rate == 1.0


def test_what_was_counted_before_the_first_sample_is_in_no_window() -> None:
    assert window(history((0, Told().answered(10_000))), 0).requests == 0


def test_a_history_that_is_shorter_than_the_window_says_how_long_it_is() -> None:
    made = history((100, Told()), (110, Told().answered(20)))
    assert window(made, 110).seconds == 10
    assert window(made, 110).request_rate == 2.0


def test_numbers_of_what_never_was_are_not_numbers() -> None:
    empty = window(History(), 7)
    assert empty.requests == 0
    assert math.isnan(empty.request_rate)
    assert math.isnan(empty.error_ratio)
    assert math.isnan(empty.tokens_per_second)
    assert math.isnan(empty.quantile(Timing.DURATION, 0.5))


def test_a_promotion_is_no_gap() -> None:
    before = Told().answered(10, role="canary").failed(1, FailureReason.RESET)
    after = (
        Told()
        .answered(12, role="canary")
        .answered(8, role="stable")
        .failed(2, FailureReason.RESET)
        .failed(1, FailureReason.TIMEOUT, role="stable")
    )
    seen = window(history((0, before), (10, after)), 10)
    assert seen.requests == 10
    assert seen.errors == 2
    assert seen.error_ratio == 0.2
    assert {reason for reason, number in seen.failures.items() if number} == {
        FailureReason.RESET,
        FailureReason.TIMEOUT,
    }


def test_answers_are_told_apart_by_class_and_a_client_that_left_is_none_of_them() -> None:
    after = Told()
    for code in ("101", "200", "204", "302", "404", "499", "500", "503", "999"):
        after.answered(1, code)
    seen = window(history((0, Told()), (1, after)), 1)
    assert seen.classes == {
        "1xx": 1, "2xx": 2, "3xx": 1, "4xx": 1, "5xx": 2, "client_gone": 1, "other": 1,
    }  # fmt: skip
    assert seen.requests == 9


def test_tokens_are_completion_tokens_a_second() -> None:
    made = history((0, Told().completed(100)), (10, Told().completed(350)))
    assert window(made, 10).tokens_per_second == 25.0


@pytest.mark.parametrize("timing", Timing)
def test_each_timing_has_its_own_buckets(timing: Timing) -> None:
    made = history((0, Told()), (1, Told().observed(timing, {2: 4})))
    seen = window(made, 1)
    lower, upper = timing.value.buckets[1:3]
    assert seen.quantile(timing, 0.5) == pytest.approx((lower + upper) / 2)
    assert seen.observations(timing) == 4
    assert sum(seen.observations(other) for other in Timing) == 4


def test_a_counter_that_falls_begins_a_new_history() -> None:
    made = history((0, Told().answered(50)), (10, Told().answered(90)), (20, Told().answered(3)))
    assert window(made, 20).requests == 0
    made.add(30, Told().answered(10), {KEY})
    assert window(made, 30).requests == 7
    assert window(made, 30).seconds == 10


def test_a_version_that_was_away_begins_a_new_history() -> None:
    made = history((0, Told().answered(50)))
    made.add(10, Told(), {("chat", "v1")})
    assert not made.knows(*KEY)
    made.add(20, Told().answered(60), {KEY})
    assert window(made, 20).requests == 0


def test_a_clock_that_is_set_back_begins_new_histories() -> None:
    made = history((1_000, Told().answered(50)), (10, Told().answered(60)))
    made.add(20, Told().answered(75), {KEY})
    assert window(made, 20).requests == 15


def test_a_second_sample_of_one_moment_is_left_out() -> None:
    made = history((0, Told()), (10, Told().answered(5)), (10, Told().answered(9)))
    assert window(made, 10).requests == 5


def test_after_clear_nothing_is_known() -> None:
    made = history((0, Told().answered(1)), (1, Told().answered(2)))
    made.clear()
    assert not made.knows(*KEY)


def test_a_counter_that_wraps_does_not_fall() -> None:
    made = history((0, Told().completed(2**32 - 10)), (10, Told().completed(2**32 + 90)))
    assert window(made, 10).tokens_per_second == 10.0


@pytest.mark.parametrize("seconds", [0.0, -1.0, MAX_WINDOW_S + 1, math.nan])
def test_a_window_that_no_history_can_answer_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a window has"):
        window(History(), 0, seconds)


def test_a_window_ends_with_the_newest_sample_and_says_when() -> None:
    made = history((0, Told()), (10, Told().answered(10)))
    assert window(made, 500).ended_s == 10


LONG = 24_000


@cache
def long_history() -> History:
    counters, made = Told(), History()
    for now in range(LONG):
        counters.answered(float(now))  # one a second: requests tell the window's true length
        made.add(float(now), counters, {KEY})
    return made


@given(seconds=st.floats(1, MAX_WINDOW_S))
def test_a_window_is_never_shorter_than_asked_and_little_longer(seconds: float) -> None:
    seen = window(long_history(), LONG, seconds)
    assert seconds - 1e-6 <= seen.seconds <= seconds + max(2.0, seconds / 16)
    assert seen.requests == seen.seconds


def test_a_window_of_the_last_minute_is_exact_to_the_second() -> None:
    assert window(long_history(), LONG, 60).seconds == 60


def test_a_history_has_a_bound() -> None:
    counters, made = Told(), History()
    for now in range(70_000):
        made.add(float(now), counters, {KEY})
    assert len(made._tracks[KEY]) <= MAX_SAMPLES


@given(gaps=st.lists(st.floats(0.1, 100), min_size=1, max_size=400), back=st.floats(0.1, 5_000))
@settings(max_examples=50)
def test_a_window_is_right_whenever_samples_come(gaps: list[float], back: float) -> None:
    counters, made, now = Told(), History(), 0.0
    counted = {0.0: 0}
    made.add(now, counters, {KEY})
    for number, gap in enumerate(gaps, start=1):
        now += gap
        counted[now] = number
        made.add(now, counters.answered(number), {KEY})
    seen = window(made, now, back)
    start = next(time for time in counted if math.isclose(time, seen.ended_s - seen.seconds))
    assert seen.requests == counted[seen.ended_s] - counted[start]
    assert start <= now - back or start == 0.0


def test_a_quantile_is_linear_inside_a_bucket() -> None:
    assert quantile((1.0, 2.0, 4.0), (0, 4, 0, 0), 0.5) == 1.5
    assert quantile((1.0, 2.0, 4.0), (2, 0, 2, 0), 0.75) == 3.0


def test_the_first_bucket_begins_at_zero_and_the_last_bound_stands_for_infinity() -> None:
    assert quantile((1.0, 2.0), (4, 0, 0), 0.5) == 0.5
    assert quantile((1.0, 2.0), (1, 0, 9), 0.99) == 2.0


def test_a_quantile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(quantile((1.0, 2.0), (0, 0, 0), 0.5))


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_a_quantile_outside_of_0_to_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile((1.0,), (1, 1), q)


counts = st.lists(st.integers(0, 50), min_size=5, max_size=5).filter(any)


@given(buckets=counts, low=st.floats(0, 1), high=st.floats(0, 1))
def test_quantiles_rise_with_their_share_and_stay_within_the_bounds(
    buckets: list[int], low: float, high: float
) -> None:
    low, high = sorted((low, high))
    bounds = (0.1, 0.5, 1.0, 5.0)
    below, above = quantile(bounds, tuple(buckets), low), quantile(bounds, tuple(buckets), high)
    assert 0 <= below <= above <= bounds[-1]


@given(buckets=counts, q=st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_where_its_observation_is(
    buckets: list[int], q: float
) -> None:
    bounds = (0.1, 0.5, 1.0, 5.0)
    found, rank = quantile(bounds, tuple(buckets), q), q * sum(buckets)
    place = next(place for place, bound in enumerate(bounds) if found <= bound)
    assert sum(buckets[:place]) <= rank
    assert rank <= sum(buckets[: place + 1]) or found == bounds[-1]


def test_what_a_worker_recorded_arrives_in_the_window() -> None:
    recorder, merger, who = WorkerRecorder("w0"), Merger(), Incarnation("w0", 1)
    merger.joined(who)
    made = History()
    made.add(0, merger.view(), {KEY})
    version = recorder.version(*KEY)
    version.role("canary").requests[200] = 3
    version.role("canary").requests[502] = 1
    version.role("canary").errors[FailureReason.CONNECT] = 1
    version.completion_tokens = 40
    version.duration.observe(0.2)
    version.inter_chunk.observe(0.003)
    merger.update(who, recorder.series())
    made.add(10, merger.view(), {KEY})
    seen = window(made, 10)
    assert (seen.requests, seen.errors, seen.tokens_per_second) == (4, 1, 4.0)
    assert 0.1 < seen.quantile(Timing.DURATION, 0.5) <= 0.25
    assert seen.observations(Timing.INTER_CHUNK) == 1
    assert seen.observations(Timing.FIRST_TOKEN) == 0


def test_an_idle_versions_samples_share_one_row() -> None:
    made = History()
    for now in range(50):
        made.add(float(now), Told().answered(7), {KEY})
    level = made._tracks[KEY]._levels[0]
    assert len({id(sample.row) for sample in level}) == 1
    assert len(level) == 50
