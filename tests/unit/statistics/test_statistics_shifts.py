"""Hodges, Lehmann and Wilcoxon, against published numbers and against the exact distribution."""

from __future__ import annotations

import random
from itertools import product
from math import erfc, sqrt

import pytest

from router.statistics import MIN_VALUES, shift

# Hollander, Wolfe, Chicken 2014, example 3.1: a depression scale before and after a tranquilliser.
BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
DEPRESSION = [after - before for before, after in zip(BEFORE, AFTER, strict=True)]


def test_estimate_and_interval_are_those_of_hollander_and_wolfe_examples_3_3_and_3_4() -> None:
    found = shift(DEPRESSION)
    assert (found.value, found.low, found.high) == pytest.approx((-0.46, -0.786, -0.010), abs=1e-9)
    assert found.samples == 9


def test_the_p_value_is_that_of_their_rank_sum_with_continuity() -> None:
    # The rank sum of the positive ones is 5; its mean is 22.5, its variance 71.25.
    expected = erfc((22.5 - 5 - 0.5) / sqrt(2 * 71.25))
    assert shift(DEPRESSION).p_value == pytest.approx(expected)


def test_the_p_value_is_close_to_the_exact_one() -> None:
    signs = list(product((0, 1), repeat=12))
    sums = [sum(rank for rank, sign in enumerate(each, 1) if sign) for each in signs]
    for positive in (10, 20, 30):
        exact = 2 * sum(each <= positive for each in sums) / len(sums)
        values = _with_rank_sum(positive, 12)
        assert shift(values).p_value == pytest.approx(min(1.0, exact), abs=0.02)


def _with_rank_sum(positive: int, count: int) -> list[float]:
    values = []
    for rank in range(count, 0, -1):
        is_positive = rank <= positive
        positive -= rank * is_positive
        values.append(float(rank if is_positive else -rank))
    assert positive == 0
    return values


@pytest.mark.parametrize("count", [*range(MIN_VALUES, 40), 60])
def test_the_interval_is_the_exact_one_or_one_rank_wider(count: int) -> None:
    # Powers of 3: every sum of two says which two, so the limit's rank can be read from it.
    values = [3.0**power for power in range(count)] if count < 30 else list(_spread(count))
    sums = sorted(a + b for i, a in enumerate(values) for b in values[i:])
    exact = _exact_rank(count)
    assert shift(values).low in {sums[exact - 1] / 2, sums[exact - 2] / 2}


def _spread(count: int) -> list[float]:
    chance = random.Random(count)
    return sorted(chance.random() for _ in range(count))


def _exact_rank(count: int) -> int:
    ways = [1]
    for rank in range(1, count + 1):
        longer = ways + [0] * rank
        for place, number in enumerate(ways):
            longer[place + rank] += number
        ways = longer
    rank, below = 0, 0
    while (below := below + ways[rank]) <= 0.025 * 2**count:
        rank += 1
    return rank


def test_ties_and_zeros_are_counted_as_the_book_does() -> None:
    # 3.1, comments on zeros and ties: zeros are left out, equal values share their ranks.
    values = [0.0, 0.0, 1.0, 1.0, 1.0, -1.0, 2.0, 2.0, -3.0, 4.0]
    # Ranks: four 1s at 2.5, two 2s at 5.5, 3 at 7, 4 at 8; positive: 3·2.5 + 2·5.5 + 8 = 26.5.
    variance = 8 * 9 * 17 / 24 - ((4**3 - 4) + (2**3 - 2)) / 48
    expected = erfc((26.5 - 18 - 0.5) / sqrt(2 * variance))
    assert shift(values).p_value == pytest.approx(expected)


def test_nothing_but_zeros_is_no_shift() -> None:
    found = shift([0.0] * 20)
    assert (found.value, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_a_few_wild_values_do_not_carry_the_estimate_off() -> None:
    chance = random.Random(3)
    calm = [chance.gauss(0.1, 0.02) for _ in range(900)]
    assert shift(calm + [1e9] * 50).value == pytest.approx(0.1, abs=0.01)


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="fewer than 8"):
        shift([1.0] * 7)


def test_the_interval_holds_the_true_shift_about_as_often_as_it_says() -> None:
    chance = random.Random(4)
    covered = rejected = 0
    for _ in range(400):
        found = shift([chance.gauss(0.3, 1.0) for _ in range(40)])
        covered += found.low <= 0.3 <= found.high
        rejected += (found.p_value or 0.0) <= 0.05
        assert (not found.low <= 0 <= found.high) == ((found.p_value or 0.0) <= 0.05)
    assert 0.925 < covered / 400 < 0.985
    assert rejected / 400 > 0.3  # its power there is some 45 %
