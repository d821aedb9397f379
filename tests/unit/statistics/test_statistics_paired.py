"""Two shares of the same pairs, against published numbers and against the truth."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from math import comb

import pytest

from router.statistics import PairedTable, mcnemar, paired_difference

AIRWAYS = PairedTable(both=1, first_only=1, second_only=7, neither=12)
"""Bentur et al. 2009: airways before and after a transplantation, as Fagerland et al. use it."""
MYELOMA = PairedTable(both=59, first_only=6, second_only=16, neither=80)
"""Cavo et al. 2012: response before and after consolidation, as Fagerland et al. use it."""


def table(first_only: int, second_only: int, others: int = 100) -> PairedTable:
    return PairedTable(both=0, first_only=first_only, second_only=second_only, neither=others)


# Fagerland, Lydersen, Laake 2014, Stat Med 33:2850-2875, and the R package contingencytables that
# goes with their book (2017, chapter 8).
@pytest.mark.parametrize(
    ("counts", "value", "low", "high"),
    [(AIRWAYS, -0.286, -0.517, -0.026), (MYELOMA, -0.0621, -0.1240, -0.0054)],
)
def test_the_interval_is_tangos_in_fagerland_lydersen_and_laake_2014(
    counts: PairedTable, value: float, low: float, high: float
) -> None:
    digits = 5e-4 if counts is AIRWAYS else 5e-5
    found = paired_difference(counts)
    assert (found.value, found.low, found.high) == pytest.approx((value, low, high), abs=digits)
    assert found.samples == counts.pairs


# Fagerland, Lydersen, Laake 2013, BMC Med Res Methodol 13:91.
@pytest.mark.parametrize(("counts", "p_value"), [(AIRWAYS, 0.0391), (MYELOMA, 0.03469)])
def test_the_p_value_is_the_mid_p_of_fagerland_lydersen_and_laake_2013(
    counts: PairedTable, p_value: float
) -> None:
    assert mcnemar(counts) == pytest.approx(p_value, abs=5e-5)
    assert paired_difference(counts).p_value == mcnemar(counts)


@pytest.mark.parametrize(("fewer", "more"), [(0, 1), (0, 6), (3, 9), (40, 61), (200, 260)])
def test_the_p_value_is_exact(fewer: int, more: int) -> None:
    trials = fewer + more
    below = sum(comb(trials, k) for k in range(fewer + 1))
    exact = Fraction(2 * below - comb(trials, fewer), 2**trials)
    assert mcnemar(table(more, fewer)) == pytest.approx(float(exact), rel=1e-10)


def test_as_many_of_one_kind_as_of_the_other_is_no_evidence() -> None:
    assert mcnemar(table(0, 0)) == mcnemar(table(7, 7)) == 1.0


def test_millions_of_discordant_pairs_have_their_p_value() -> None:
    # At 4 standard deviations the normal distribution gives 6.33e-5.
    half, distance = 2_000_000, 4_000
    assert mcnemar(table(half + distance, half - distance)) == pytest.approx(6.33e-5, rel=2e-3)


def test_a_table_without_a_discordant_pair_has_the_interval_of_its_size() -> None:
    # Without them Tango's limits are ±z² / (n + z²).
    found = paired_difference(table(0, 0, others=96))
    assert (found.low, found.high) == pytest.approx((-0.03848, 0.03848), abs=5e-5)


def test_when_every_pair_is_discordant_the_interval_ends_at_its_value() -> None:
    # Tango's equation is then z = √(n (1 - Δ) / (1 + Δ)).
    found, z2 = paired_difference(table(50, 0, others=0)), 1.959964**2
    assert found.value == found.high == 1.0
    assert found.low == pytest.approx((50 - z2) / (50 + z2), abs=1e-6)


def test_no_pair_has_no_difference() -> None:
    with pytest.raises(ValueError, match="no pair"):
        paired_difference(table(0, 0, others=0))


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        table(-1, 0)


@pytest.mark.parametrize(
    ("shares", "pairs"),
    [((0.05, 0.05, 0.05), 200), ((0.05, 0.08, 0.05), 400), ((0.6, 0.25, 0.1), 100),
     ((0.0, 0.03, 0.0), 300)],
)  # fmt: skip
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(
    shares: tuple[float, float, float], pairs: int
) -> None:
    chance = random.Random(2)
    weights, covered = (*shares, 1 - sum(shares)), 0
    for _ in range(500):
        seen = Counter(chance.choices(range(4), weights, k=pairs))
        counts = PairedTable(both=seen[0], first_only=seen[1], second_only=seen[2], neither=seen[3])
        found = paired_difference(counts)
        covered += found.low <= shares[1] - shares[2] <= found.high
    assert 0.925 < covered / 500 < 0.985
