"""A figure is met or not by its bar, and what was not measured never is."""

from __future__ import annotations

import math

import pytest

from loadtests.edge.figure import Figure, percentile, share_met


@pytest.mark.parametrize(
    ("value", "bar", "at_least", "met", "verdict"),
    [
        (99.0, 100.0, False, True, "met"),
        (100.0, 100.0, False, True, "met"),
        (100.1, 100.0, False, False, "NOT MET"),
        (90.0, 90.0, True, True, "met"),
        (89.9, 90.0, True, False, "NOT MET"),
        (math.nan, 100.0, False, False, "NOT MET"),
        (math.nan, 0.0, True, False, "NOT MET"),
        (math.inf, 100.0, False, False, "NOT MET"),
        (5.0, None, False, None, ""),
    ],
)
def test_a_figure_is_met_on_the_right_side_of_its_bar_and_on_it(
    value: float, bar: float | None, at_least: bool, met: bool | None, verdict: str
) -> None:
    figure = Figure("cell", "what", value, "ms", bar, at_least)
    assert (figure.met, figure.verdict) == (met, verdict)
    assert figure.document()["met"] is met


def test_only_figures_with_a_bar_are_counted() -> None:
    figures = [Figure("c", "a", 1, "", 2), Figure("c", "b", 3, "", 2), Figure("c", "c", 9)]
    assert share_met(figures) == (1, 2)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([float(each) for each in range(200)], 0.99) == 198.0
    assert percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))
