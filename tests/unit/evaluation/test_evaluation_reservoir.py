"""A bounded sample of an endless series."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from router.evaluation.reservoir import CAPACITY, Reservoir


def never() -> float:
    raise AssertionError("no chance is needed")


def test_the_first_values_are_all_kept() -> None:
    reservoir = Reservoir()
    for number in range(CAPACITY):
        reservoir.add(float(number), never)
    assert reservoir.values == [float(number) for number in range(CAPACITY)]


def test_it_never_grows_beyond_its_capacity() -> None:
    reservoir, chance = Reservoir(), random.Random(1)
    for number in range(5 * CAPACITY):
        reservoir.add(float(number), chance.random)
    assert len(reservoir.values) == CAPACITY
    assert reservoir.seen == 5 * CAPACITY


def test_every_value_is_kept_with_the_same_chance() -> None:
    reservoir, chance = Reservoir(), random.Random(2)
    for number in range(20 * CAPACITY):
        reservoir.add(float(number), chance.random)
    # The mean of 1000 of 0..19999 has a standard error of 183.
    assert fmean(reservoir.values) == pytest.approx(10 * CAPACITY, abs=4 * 183)
    early = sum(value < 2 * CAPACITY for value in reservoir.values)
    assert 60 < early < 140  # a tenth, with a standard error of 9.5


def test_a_draw_decides_which_value_goes() -> None:
    reservoir = Reservoir(values=[0.0] * CAPACITY, seen=CAPACITY)
    reservoir.add(1.0, lambda: 0.9999)
    assert 1.0 not in reservoir.values
    reservoir.add(2.0, lambda: 0.0)
    assert reservoir.values[0] == 2.0


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_nothing(value: float | None) -> None:
    reservoir = Reservoir()
    reservoir.add(value, never)
    assert reservoir == Reservoir()


def test_values_are_kept_to_the_microsecond() -> None:
    reservoir = Reservoir()
    reservoir.add(0.12345678, never)
    assert reservoir.values == [0.123457]
