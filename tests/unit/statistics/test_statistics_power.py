"""What a plan promises, against how often the test really finds it."""

from __future__ import annotations

import random

import pytest

from router.statistics import PairedTable, detectable, mcnemar, pairs_needed


@pytest.mark.parametrize(("noise", "difference"), [(0.09, 0.03), (0.02, 0.05), (0.4, 0.1)])
def test_so_many_pairs_find_the_difference_four_times_in_five(
    noise: float, difference: float
) -> None:
    chance, pairs, found = random.Random(5), pairs_needed(noise, difference), 0
    only_first, only_second = noise / 2 + difference, noise / 2
    weights = (only_first, only_second, 1 - only_first - only_second)
    for _ in range(300):
        seen = chance.choices((1, 2, 3), weights, k=pairs)
        counts = PairedTable(
            both=0, first_only=seen.count(1), second_only=seen.count(2), neither=seen.count(3)
        )
        found += mcnemar(counts) <= 0.05
    assert 0.74 < found / 300 < 0.86


def test_the_number_of_pairs_is_that_of_connors_formula() -> None:
    # Connor 1987: (1.95996 √ψ + 0.84162 √(ψ - δ²))² / δ² = 1044.15, with ψ = 0.12 and δ = 0.03.
    assert pairs_needed(0.09, 0.03) == 1045


def test_a_detectable_difference_needs_just_the_pairs_there_are() -> None:
    for pairs in (20, 500, 20_000):
        smallest = detectable(0.1, pairs)
        assert pairs_needed(0.1, smallest) <= pairs < pairs_needed(0.1, smallest * 0.99)


def test_too_few_pairs_find_nothing() -> None:
    assert detectable(0.5, 2) == 1.0


@pytest.mark.parametrize("difference", [0.0, -0.1, 1.1])
def test_a_difference_that_is_none_is_refused(difference: float) -> None:
    with pytest.raises(ValueError, match=r"not in 0\.\.1"):
        pairs_needed(0.1, difference)
