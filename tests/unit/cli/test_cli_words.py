"""Figures as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis.strategies import dictionaries, floats, integers, sampled_from, text

from router.cli.output import plain
from router.cli.words import BAR_CELLS, bar, change, moved, percent, time, weights

basis_points = integers(0, 10_000)


@given(basis_points)
def test_a_percentage_is_read_back_as_the_same_weight(weight: int) -> None:
    assert round(float(percent(weight / 100).removesuffix(" %")) * 100) == weight


def test_a_percentage_has_no_needless_zeros() -> None:
    weights_ = (0, 5, 10, 0.25, 33.3, 100, None)
    told = ["0 %", "5 %", "10 %", "0.25 %", "33.3 %", "100 %", "-"]
    assert [percent(weight) for weight in weights_] == told


@given(basis_points, basis_points)
def test_a_bar_grows_with_its_weight(low: int, high: int) -> None:
    low, high = sorted((low, high))
    assert len(bar(low / 100)) <= len(bar(high / 100))


@given(basis_points)
def test_a_bar_is_empty_only_for_nothing_and_full_only_for_all(weight: int) -> None:
    cells = len(bar(weight / 100))
    assert (cells == 0) == (weight == 0)
    assert (cells == BAR_CELLS) == (weight == 10_000)


def test_weights_are_told_in_one_line() -> None:
    assert weights({"v1": 95, "v2": 5.0}) == "v1 95 %, v2 5 %"


def test_only_versions_that_changed_are_told() -> None:
    before = {"v1": 90.0, "v2": 10.0, "v3": 0.0}
    assert moved(before, {"v1": 90.0, "v3": 10.0}) == "v2 10 % → 0 %, v3 0 % → 10 %"
    assert moved(before, before) == ""
    assert (moved(None, before), moved(before, None)) == ("is new", "is gone")


shares = dictionaries(sampled_from(["v1", "v2", "v3"]), basis_points.map(float))


@given(shares, shares)
def test_nothing_is_told_of_weights_that_are_the_same(
    before: dict[str, float], after: dict[str, float]
) -> None:
    same = all(before.get(name, 0) == after.get(name, 0) for name in {*before, *after})
    assert (moved(before, after) == "") == same


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            {"weights": {"v1": 100}},
            {"weights": {"v1": 95, "v2": 5}},
            "v1 100 % → 95 %, v2 0 % → 5 %",
        ),
        (None, {"weights": {"v1": 100}}, "is new"),
        ({"weights": {"v1": 100}}, None, "is gone"),
        (None, None, ""),
        ("text", [1], ""),
        ({"weights": 7}, {}, ""),
    ],
)
def test_an_audit_entry_tells_weights_where_it_has_them(
    before: object, after: object, told: str
) -> None:
    assert change(before, after) == told


def test_times_are_utc() -> None:
    assert time(0) == "1970-01-01 00:00:00Z"
    assert time(1_790_000_000.9) == "2026-09-21 14:13:20Z"


@given(floats())
def test_no_number_is_too_odd_to_be_told_as_a_time(seconds: float) -> None:
    assert time(seconds)


@given(text())
def test_plain_text_is_printable_and_stays_as_it_is_where_it_was(content: str) -> None:
    assert plain(content).isprintable()
    assert content != plain(content) or content.isprintable()
    assert plain(plain(content)) == plain(content)
