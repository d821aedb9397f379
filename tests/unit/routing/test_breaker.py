"""When a failing version is taken out: counts and times in, a verdict out."""

from __future__ import annotations

from hypothesis import given
from hypothesis.strategies import booleans, lists

from router.routing.breaker import Breaker
from router.snapshot import BreakerLimits


class Version:
    """A version whose requests a test tells one by one."""

    def __init__(self, **limits: float) -> None:
        self.breaker = Breaker(BreakerLimits(**limits))  # type: ignore[arg-type]
        self.requests = self.failures = 0
        self.now = 1_000.0

    def says(self, *answers: str, every_s: float = 0.01) -> bool:
        """'+' is a good answer, '-' a failure; whether it is tripped afterwards."""
        for answer in "".join(answers):
            self.now += every_s
            self.requests += 1
            if answer == "-":
                self.failures += 1
                self.breaker.failed(self.requests, self.failures, self.now)
        return bool(self.breaker.tripped)


ROW = {"consecutive": 5, "error_percent": 0}
SHARE = {"consecutive": 0, "error_percent": 50, "min_requests": 20, "window_s": 10}


def test_so_many_failures_in_a_row_trip_it() -> None:
    version = Version(**ROW)
    assert not version.says("----")
    assert version.says("-")
    assert version.breaker.tripped == "5 failures in a row"


def test_one_good_answer_begins_the_row_anew() -> None:
    version = Version(**ROW)
    assert not version.says("----+----+----+----")
    assert version.says("-")


def test_failures_in_a_row_may_be_far_apart() -> None:
    assert Version(**ROW).says("-----", every_s=3_600)


def test_a_share_of_failures_trips_it_once_there_are_enough_requests() -> None:
    version = Version(**SHARE)
    assert not version.says("-+" * 9 + "-")  # 19 requests
    assert version.says("+-")
    assert version.breaker.tripped == "11 of 21 requests failed"


def test_a_smaller_share_does_not() -> None:
    assert not Version(**SHARE).says("-++" * 1_000)


def test_failures_older_than_the_window_are_forgotten() -> None:
    version = Version(**SHARE)
    version.says("-" * 19, every_s=0.1)
    version.now += 20
    assert not version.says("-++" * 10, every_s=0.1)


def test_a_version_that_turns_bad_after_a_long_good_time_is_noticed_at_once() -> None:
    version = Version(**SHARE)
    version.says("+" * 100_000 + "-")
    assert version.says("-+" * 12)


def test_both_halves_can_be_turned_off() -> None:
    assert not Version(consecutive=0, error_percent=0).says("-" * 1_000)


def test_once_tripped_it_stays_so_and_says_so_only_once() -> None:
    breaker = Breaker(BreakerLimits(consecutive=2))
    assert [breaker.failed(n, n, 1.0) for n in range(1, 6)] == [False, True, False, False, False]


@given(lists(booleans(), max_size=200))
def test_it_trips_exactly_at_a_long_enough_row_of_failures(
    good: list[bool],
) -> None:
    answers = "".join("+" if each else "-" for each in good)
    assert Version(**ROW).says(answers) == ("-----" in answers)
