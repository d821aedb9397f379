"""Quantiles and the bootstrap, against published numbers."""

from __future__ import annotations

import random
from statistics import fmean, median

import pytest

from router.statistics import bootstrap, quantile

MICE = [94.0, 197.0, 16.0, 38.0, 99.0, 141.0, 23.0]
"""Efron, Tibshirani 1993, table 2.1: days that treated mice survived."""


def test_the_interval_of_a_mean_is_two_of_efron_and_tibshiranis_standard_errors_wide() -> None:
    # Table 2.2: the bootstrap's standard error of the mean of 86.86 is 23.36 in the limit.
    found = bootstrap(MICE, fmean, random.Random(6).random, resamples=4_000)
    assert found.value == pytest.approx(86.86, abs=5e-3)
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(23.36, rel=0.05)


def test_the_interval_holds_a_true_median_about_as_often_as_it_says() -> None:
    chance, covered = random.Random(7), 0
    for _ in range(150):
        sample = [chance.expovariate(1.0) for _ in range(50)]
        found = bootstrap(sample, median, chance.random, resamples=200)
        covered += found.low <= 0.6931 <= found.high
    assert 0.88 < covered / 150 < 0.99


def test_nothing_cannot_be_resampled() -> None:
    with pytest.raises(ValueError, match="nothing"):
        bootstrap([], fmean, random.Random(8).random)


@pytest.mark.parametrize(
    ("at", "expected"), [(0.0, 1.0), (0.25, 2.0), (0.5, 3.0), (0.95, 4.8), (1.0, 5.0)]
)
def test_a_quantile_lies_between_its_neighbours_in_proportion(at: float, expected: float) -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0, 5.0], at) == pytest.approx(expected)


def test_one_value_is_every_quantile() -> None:
    assert quantile([7.0], 0.0) == quantile([7.0], 0.5) == quantile([7.0], 1.0) == 7.0


@pytest.mark.parametrize(("values", "at"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_what_is_no_quantile_is_refused(values: list[float], at: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        quantile(values, at)
