"""What no counts and no values can make a statistic do."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from router.statistics import (
    MIN_VALUES,
    PairedTable,
    detectable,
    holm,
    mcnemar,
    paired_difference,
    pairs_needed,
    quantile,
    share,
    shift,
)
from router.statistics.estimate import critical

PROPERTY = settings(deadline=None, max_examples=100)
COUNT = st.integers(0, 50) | st.integers(0, 100_000)
TABLES = st.builds(
    PairedTable, both=COUNT, first_only=COUNT, second_only=COUNT, neither=COUNT
).filter(lambda table: table.pairs > 0)
VALUES = st.lists(
    st.integers(-20, 20).map(float) | st.floats(-1e6, 1e6), min_size=MIN_VALUES, max_size=40
)
P_VALUES = st.lists(st.floats(0, 1), max_size=9)


def mirrored(table: PairedTable) -> PairedTable:
    return PairedTable(
        both=table.both,
        first_only=table.second_only,
        second_only=table.first_only,
        neither=table.neither,
    )


# -- shares --------------------------------------------------------------------------------------


@PROPERTY
@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_a_share_lies_in_its_interval_and_its_complement_mirrors_it(
    successes: int, trials: int
) -> None:
    assume(successes <= trials)
    found, other = share(successes, trials), share(trials - successes, trials)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert (1 - other.high, 1 - other.low) == pytest.approx((found.low, found.high), abs=1e-9)


@PROPERTY
@given(TABLES)
def test_a_paired_difference_lies_in_its_interval(table: PairedTable) -> None:
    found = paired_difference(table)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert 0 <= (found.p_value or 0.0) <= 1


@PROPERTY
@given(TABLES)
def test_exchanging_the_two_sides_only_changes_the_sign(table: PairedTable) -> None:
    found, other = paired_difference(table), paired_difference(mirrored(table))
    assert other.value == -found.value
    assert (-other.high, -other.low) == pytest.approx((found.low, found.high), abs=1e-9)
    assert other.p_value == found.p_value


@PROPERTY
@given(TABLES)
def test_the_interval_excludes_0_exactly_when_the_score_test_rejects(table: PairedTable) -> None:
    discordant = table.first_only + table.second_only
    score = (table.first_only - table.second_only) / sqrt(discordant) if discordant else 0.0
    assume(abs(abs(score) - critical(0.95)) > 1e-9)
    found = paired_difference(table)
    assert (found.low > 0) == (score > critical(0.95))
    assert (found.high < 0) == (score < -critical(0.95))


@PROPERTY
@given(TABLES, st.integers(2, 50))
def test_the_same_shares_of_more_pairs_are_surer(table: PairedTable, times: int) -> None:
    more = PairedTable(
        both=table.both * times,
        first_only=table.first_only * times,
        second_only=table.second_only * times,
        neither=table.neither * times,
    )
    few, many = paired_difference(table), paired_difference(more)
    assert many.high - many.low <= few.high - few.low + 1e-9


@PROPERTY
@given(st.integers(0, 2000), st.integers(0, 2000))
def test_concordant_pairs_say_nothing_of_the_p_value(first: int, second: int) -> None:
    few = PairedTable(both=0, first_only=first, second_only=second, neither=0)
    many = PairedTable(both=10**9, first_only=first, second_only=second, neither=10**9)
    assert mcnemar(few) == mcnemar(many)


@PROPERTY
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_greater_imbalance_is_stronger_evidence(first: int, second: int) -> None:
    fewer, more = sorted((first, second))
    assume(fewer > 0)
    before = PairedTable(both=0, first_only=fewer, second_only=more, neither=0)
    after = PairedTable(both=0, first_only=fewer - 1, second_only=more + 1, neither=0)
    assert mcnemar(after) <= mcnemar(before)


# -- power ---------------------------------------------------------------------------------------


@PROPERTY
@given(st.floats(0, 1), st.floats(0.001, 1), st.floats(0.001, 1))
def test_a_smaller_difference_needs_no_fewer_pairs(noise: float, one: float, two: float) -> None:
    small, large = sorted((one, two))
    assert pairs_needed(noise, small) >= pairs_needed(noise, large)


@PROPERTY
@given(st.floats(0, 1), st.integers(1, 10**7), st.integers(1, 10**7))
def test_more_pairs_find_no_larger_a_difference(noise: float, one: int, two: int) -> None:
    few, many = sorted((one, two))
    assert 0 < detectable(noise, many) <= detectable(noise, few) <= 1


# -- shifts --------------------------------------------------------------------------------------


@PROPERTY
@given(VALUES)
def test_the_shift_is_the_median_of_all_means_of_two(values: list[float]) -> None:
    means = sorted((a + b) / 2 for a, b in combinations_with_replacement(values, 2))
    middle = (means[(len(means) - 1) // 2] + means[len(means) // 2]) / 2
    found = shift(values)
    assert found.value == pytest.approx(middle, rel=1e-9, abs=1e-5)
    assert means[0] <= found.low <= found.value <= found.high <= means[-1]


@PROPERTY
@given(st.lists(st.integers(-1000, 1000).map(float), min_size=MIN_VALUES, max_size=40))
def test_turning_all_values_round_turns_the_shift_round(values: list[float]) -> None:
    found, other = shift(values), shift([-value for value in values])
    assert (-other.value, -other.high, -other.low) == pytest.approx(
        (found.value, found.low, found.high), abs=1e-6
    )
    assert other.p_value == pytest.approx(found.p_value)


@PROPERTY
@given(
    st.lists(st.integers(-1000, 1000).map(float), min_size=MIN_VALUES, max_size=40),
    st.integers(-500, 500),
)
def test_adding_to_all_values_moves_the_shift_by_as_much(values: list[float], by: int) -> None:
    found, moved = shift(values), shift([value + by for value in values])
    assert (moved.value - by, moved.low - by, moved.high - by) == pytest.approx(
        (found.value, found.low, found.high), abs=1e-6
    )


# -- quantiles and corrections -------------------------------------------------------------------


@PROPERTY
@given(VALUES.map(sorted), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_are_in_order_and_in_range(values: list[float], one: float, two: float) -> None:
    low, high = quantile(values, min(one, two)), quantile(values, max(one, two))
    assert values[0] <= low <= high + 1e-6
    assert high <= values[-1] + 1e-6


@PROPERTY
@given(P_VALUES)
def test_a_correction_only_raises_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, adjusted, strict=True))
    pairs = sorted(zip(p_values, adjusted, strict=True))
    assert [after for _, after in pairs] == sorted(adjusted)
    assert min(adjusted, default=0.0) <= len(p_values) * min(p_values, default=0.0) + 1e-12
