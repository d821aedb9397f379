"""Which tools are called, with what arguments."""

from __future__ import annotations

from typing import Any

import pytest

from router.comparison.tool_calls import ToolCall, compare_tool_calls

PLACE = "$.choices[0].message.tool_calls"


def call(arguments: Any, name: str = "weather") -> ToolCall:
    return ToolCall(name, arguments)


@pytest.mark.parametrize(
    ("one", "two", "rule"),
    [
        ('{"a": 1}', '{"a": 1}', "tool_calls.exact"),
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}', "tool_calls.json"),
        ("", "{}", "tool_calls.json"),
        (None, {}, "tool_calls.exact"),
        ({"a": 1}, {"a": 1}, "tool_calls.exact"),
        ({"a": 1}, '{"a":1}', "tool_calls.json"),
        ('{"a": 100}', '{"a": 100.5}', "tool_calls.tolerance"),
        ("not JSON", "not JSON", "tool_calls.exact"),
    ],
)
def test_arguments_are_the_same_as_json(one: Any, two: Any, rule: str) -> None:
    difference = compare_tool_calls({PLACE: [call(one)]}, {PLACE: [call(two)]}, 0.01)
    assert (difference.same, difference.rule) == (True, rule)


@pytest.mark.parametrize(
    ("one", "two", "rule", "place"),
    [
        ([call("{}")], [], "tool_calls.count", PLACE),
        ([call("{}")], [call("{}"), call("{}")], "tool_calls.count", PLACE),
        ([call("{}")], [call("{}", "time")], "tool_calls.name", f"{PLACE}[0]"),
        (
            [call("{}"), call('{"a": {"b": [1, 2]}}')],
            [call("{}"), call('{"a": {"b": [1, 3]}}')],
            "tool_calls.arguments",
            f"{PLACE}[1].arguments.a.b[1]",
        ),
        ([call("{a}")], [call("{b}")], "tool_calls.arguments", f"{PLACE}[0].arguments"),
        ([call("{a}")], [call("{}")], "tool_calls.arguments", f"{PLACE}[0].arguments"),
    ],
)
def test_another_call_is_a_difference_with_its_place(
    one: list[ToolCall], two: list[ToolCall], rule: str, place: str
) -> None:
    difference = compare_tool_calls({PLACE: one}, {PLACE: two}, 0.0)
    assert (difference.same, difference.rule, difference.place) == (False, rule, place)


def test_the_order_of_calls_counts() -> None:
    one, two = call("{}", "a"), call("{}", "b")
    assert not compare_tool_calls({PLACE: [one, two]}, {PLACE: [two, one]}, 0.0).same
