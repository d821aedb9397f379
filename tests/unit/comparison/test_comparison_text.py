"""How alike two texts are."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from router.comparison.excerpts import around, common_start, excerpt
from router.comparison.result import MAX_EXCERPT
from router.comparison.text import _MANY_MARKS, WINDOW, compare_texts, normalise, ratios


@pytest.mark.parametrize(
    ("one", "two", "rule"),
    [
        ("Hello", "Hello", "text.exact"),
        ("Hello  world\n", "Hello world", "text.normalised"),
        ("e\u0301te\u0301", "\u00e9t\u00e9", "text.normalised"),
        ("a\u00a0b", "a b", "text.normalised"),
    ],
)
def test_texts_that_mean_the_same_are_the_same(one: str, two: str, rule: str) -> None:
    difference = compare_texts({"$": one}, {"$": two}, 1.0)
    assert (difference.same, difference.rule, difference.score) == (True, rule, 1.0)


def test_two_letters_of_ten_are_a_ratio() -> None:
    # "abcdefghij" and "abcdefghiX": 9 common characters of 10 and 10.
    for least, same in ((0.9, True), (0.91, False)):
        difference = compare_texts({"$.t": "abcdefghij"}, {"$.t": "abcdefghiX"}, least)
        assert (difference.same, difference.rule) == (same, "text.ratio")
        assert difference.score == 0.9
        assert (difference.place, difference.primary) == ("$.t", "abcdefghij")


def test_the_least_alike_text_decides_and_the_first_that_fails_is_shown() -> None:
    one = {"a": "same", "b": "nearly the same", "c": "all", "d": "other"}
    two = {"a": "same", "b": "nearly the samE", "c": "xyz", "d": "OTHER"}
    difference = compare_texts(one, two, 0.8)
    assert (difference.same, difference.place, difference.score) == (False, "c", 0.0)


def test_a_text_that_one_side_lacks_is_compared_with_nothing() -> None:
    difference = compare_texts({}, {"$.t": "hello"}, 0.5)
    assert (difference.same, difference.primary, difference.other) == (False, "", "hello")


def test_a_long_text_that_differs_in_one_place_has_its_exact_ratio() -> None:
    start, end = "ab" * WINDOW, "cd" * WINDOW
    [ratio] = ratios([(start + "x" + end, start + "y" + end)])
    assert ratio == 2 * (4 * WINDOW) / (2 * (4 * WINDOW + 1))


def test_long_texts_that_differ_everywhere_are_never_called_more_alike_than_they_are() -> None:
    # Every second character is common: the ratio is a half, whatever the windows.
    one, two = "ax" * 3 * WINDOW, "ay" * 3 * WINDOW
    [ratio] = ratios([(one, two)])
    assert 0.49 < ratio <= 0.5


def test_every_combining_mark_counts_towards_a_long_run() -> None:
    missed = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.combining(chr(code)) and not _MANY_MARKS.fullmatch(chr(code) * 31)
    ]
    assert missed == []


def test_a_run_of_a_million_marks_is_left_as_it_is() -> None:
    # Normalising it would take a quarter of an hour.
    text = "a" + "\u0301\u0327" * 500_000
    assert normalise(text) == text


def test_excerpts_are_clipped_around_the_first_difference() -> None:
    start, end = "s" * 1_000, "e" * 1_000
    one, two = around(f"{start}ONE{end}", f"{start}TWO{end}")
    assert len(one) == len(two) == MAX_EXCERPT
    assert one[0] == one[-1] == "…"
    assert one.index("ONE") == two.index("TWO") == MAX_EXCERPT // 2


def test_an_excerpt_of_half_a_surrogate_pair_can_be_stored() -> None:
    assert excerpt("a\ud800b").encode() == b"a?b"


@pytest.mark.parametrize(
    ("one", "two", "at"), [("", "", 0), ("ab", "ab", 2), ("abc", "abX", 2), ("x", "", 0)]
)
def test_the_common_start_is_found(one: str, two: str, at: int) -> None:
    assert common_start(one, two) == common_start(two, one) == at
