"""Generic JSON: structure, texts, numbers within a tolerance, ignored paths."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest

from router.comparison import Answer, Difference, Field, Outcome, Rules, compare
from router.comparison.distance import LARGEST, compare_rows, distance
from router.comparison.json_paths import IGNORED, leave_out


def answered(document: Any) -> Answer:
    body = json.dumps(document).encode()
    return Answer(outcome=Outcome.ANSWERED, status=200, content_type="application/json", body=body)


def compared(one: Any, two: Any, **rules: Any) -> Difference:
    difference = compare(answered(one), answered(two), Rules(**rules)).fields[1]
    assert difference.field is Field.JSON
    return difference


@pytest.mark.parametrize(
    ("one", "two", "rule", "place"),
    [
        ({"a": 1}, {"a": 2}, "json.value", "$.a"),
        ({"a": 1}, {"a": "1"}, "json.type", "$.a"),
        ({"a": 1}, {"a": True}, "json.type", "$.a"),
        ({"a": None}, {}, "json.missing", "$.a"),
        ({}, {"a": 1}, "json.missing", "$.a"),
        ({"a": [1, 2]}, {"a": [1]}, "json.missing", "$.a[1]"),
        ({"a": [1, 2, 3]}, {"a": [1, 5, 7]}, "json.value", "$.a[1]"),
        ({"a": [{"b c": "x"}]}, {"a": [{"b c": "y"}]}, "json.value", "$.a[0]['b c']"),
        ({"a": {}}, {"a": []}, "json.type", "$.a"),
        ([{"a": 1}, 2], [{"a": 1}, 3], "json.value", "$[1]"),
        ({"": 1}, {"": "x"}, "json.type", "$['']"),
    ],
)
def test_the_first_difference_is_named_with_its_place(
    one: Any, two: Any, rule: str, place: str
) -> None:
    difference = compared(one, two)
    assert (difference.same, difference.rule, difference.place) == (False, rule, place)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({"a": 1, "b": [1, {"c": "x"}]}, {"b": [1, {"c": "x"}], "a": 1}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": [1, 2.5]}, {"a": [1.0, 2.5]}),
        ({"a": nan}, {"a": nan}),
        ({"a": [nan, inf]}, {"a": [nan, inf]}),
        ([], []),
    ],
)
def test_equal_documents_are_the_same_whatever_their_order_of_names(one: Any, two: Any) -> None:
    assert compared(one, two) == Difference(field=Field.JSON, same=True, rule="json.exact")


def test_numbers_within_the_tolerance_are_the_same_and_their_distance_is_told() -> None:
    one, two = {"a": [100.0, 2], "b": 10}, {"a": [101.0, 2], "b": 10.05}
    difference = compared(one, two, numeric_tolerance=0.01)
    assert (difference.same, difference.rule) == (True, "json.tolerance")
    assert difference.largest == (1.0, 0.01)
    beyond = compared(one, two, numeric_tolerance=0.009)
    assert (beyond.rule, beyond.place, beyond.largest) == ("json.value", "$.a[0]", (1.0, 0.01))


def test_the_largest_distance_may_come_after_the_first_difference() -> None:
    difference = compared({"a": "x", "b": 1}, {"a": "y", "b": 3})
    assert (difference.place, difference.largest) == ("$.a", (2.0, 2.0))


@pytest.mark.parametrize(
    ("one", "two", "apart"),
    [
        (1, 1.0, (0.0, 0.0)),
        (nan, nan, (0.0, 0.0)),
        (inf, inf, (0.0, 0.0)),
        (0, 1, (1.0, LARGEST)),
        (-4, 4, (8.0, 2.0)),
        (2**53, 2**53 + 1, (1.0, 2.0**-53)),
        (1.0, nan, (LARGEST, LARGEST)),
        (1.0, inf, (LARGEST, LARGEST)),
        (10**400, 10**400 + 1, (LARGEST, LARGEST)),
        (10**400, 1.5, (LARGEST, LARGEST)),
        (1e308, -1e308, (LARGEST, LARGEST)),
        (5e-324, 1e308, (1e308, LARGEST)),
    ],
)
def test_any_two_numbers_have_a_distance_that_json_can_carry(
    one: float, two: float, apart: tuple[float, float]
) -> None:
    assert distance(one, two) == apart
    largest, first = compare_rows([7, one], [7, two], 0.0)
    assert largest == (None if apart == (0.0, 0.0) else apart)
    assert first == (None if apart == (0.0, 0.0) else 1)


def test_what_servers_make_anew_is_ignored_at_the_top_and_compared_below() -> None:
    one = {"id": "a", "created": 1, "model": "m", "usage": {"x": 1}, "predictions": [1]}
    two = {"id": "b", "created": 2, "model": "n", "predictions": [1]}
    assert compared(one, two).same
    assert compared({"x": {"id": "a"}}, {"x": {"id": "b"}}).place == "$.x.id"


def test_predictions_of_kserve_v1_are_compared_as_numbers() -> None:
    one, two = {"predictions": [[0.1, 0.9]]}, {"predictions": [[0.1, 0.9000001]]}
    assert compared(one, two, numeric_tolerance=1e-6).rule == "json.tolerance"
    assert compared(one, two).place == "$.predictions[0][1]"


DOCUMENT = {"a": {"b": 1, "c d": 2}, "l": [{"b": 3}, {"b": 4, "n": [{"b": 5}]}]}


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("$", IGNORED),
        ("$.a", {"l": DOCUMENT["l"]}),
        ("$.a.b", {"a": {"c d": 2}, "l": DOCUMENT["l"]}),
        ("$['a']['c d']", {"a": {"b": 1}, "l": DOCUMENT["l"]}),
        ("$.a.*", {"a": {}, "l": DOCUMENT["l"]}),
        ("$.l[1]", {"a": DOCUMENT["a"], "l": [{"b": 3}, IGNORED]}),
        ("$.l[*].b", {"a": DOCUMENT["a"], "l": [{}, {"n": [{"b": 5}]}]}),
        ("$.l[*]", {"a": DOCUMENT["a"], "l": [IGNORED, IGNORED]}),
        ("$..b", {"a": {"c d": 2}, "l": [{}, {"n": [{}]}]}),
        ("$.l..b", {"a": DOCUMENT["a"], "l": [{}, {"n": [{}]}]}),
        ("$..n[0].b", {"a": DOCUMENT["a"], "l": [{"b": 3}, {"b": 4, "n": [{}]}]}),
        ("$.nothing[7].here", DOCUMENT),
        ("$.l[2]", DOCUMENT),
        ("$.l.b", DOCUMENT),
    ],
)
def test_a_path_removes_what_it_leads_to(path: str, left: Any) -> None:
    document = json.loads(json.dumps(DOCUMENT))
    assert leave_out(document, [path]) == left


def test_an_ignored_element_keeps_the_others_in_their_places() -> None:
    assert compared([1, 2, 3], [1, 9, 3], ignore_paths=("$[1]",)).same
    assert compared([1, 2, 3], [1, 9, 4], ignore_paths=("$[1]",)).place == "$[2]"
    assert compared({"l": [1]}, {"l": [2, 3]}, ignore_paths=("$.l[*]",)).same


def test_a_document_that_is_ignored_whole_is_the_same_as_any_other() -> None:
    assert compared({"a": 1}, [2], ignore_paths=("$",)).same


def test_names_that_repeat_at_every_depth_are_visited_once() -> None:
    # Three visits of each value for each of its ancestors would be 10^8 visits.
    document: Any = 1
    for _ in range(900):
        document = {"a": document}
    assert leave_out(document, ["$..a..a..a..b"]) is document
