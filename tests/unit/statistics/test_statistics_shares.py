"""Wilson's interval, against published numbers and against the truth."""

from __future__ import annotations

import random

import pytest

from router.statistics import share


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611),
     (1, 29, 0.0061, 0.1718)],
)  # fmt: skip
def test_the_interval_is_that_of_newcombe_1998_table_i_method_3(
    successes: int, trials: int, low: float, high: float
) -> None:
    found = share(successes, trials)
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert found.samples == trials


def test_a_share_of_everything_is_not_certain() -> None:
    assert share(20, 20).low == pytest.approx(1 - 0.1611, abs=5e-5)
    assert share(20, 20).high == 1.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        share(successes, trials)


def test_a_wider_confidence_is_a_wider_interval() -> None:
    narrow, wide = share(30, 100, 0.8), share(30, 100, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("truth", [0.02, 0.1, 0.5])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(truth: float) -> None:
    chance = random.Random(1)
    samples = [sum(chance.random() < truth for _ in range(150)) for _ in range(600)]
    covered = sum(share(k, 150).low <= truth <= share(k, 150).high for k in samples)
    assert 0.92 < covered / 600 < 0.985
