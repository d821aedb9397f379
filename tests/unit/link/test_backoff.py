"""How long to wait before the next try."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.link.backoff import Backoff


def test_waits_double_up_to_the_limit() -> None:
    backoff = Backoff(first_s=0.05, limit_s=5.0)
    waits = [backoff.next_s() for _ in range(9)]
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_success_begins_anew() -> None:
    backoff = Backoff(first_s=0.05, limit_s=5.0)
    backoff.next_s()
    backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.05


@given(failures=st.integers(0, 10_000), draw=st.floats(0, 1))
def test_every_wait_lies_between_half_of_it_and_all_of_it(failures: int, draw: float) -> None:
    whole = Backoff(0.05, 5.0, failures).next_s()
    assert whole / 2 <= Backoff(0.05, 5.0, failures).next_s(draw) <= whole
