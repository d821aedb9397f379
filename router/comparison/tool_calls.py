"""Compare the tools that two messages call: how many, which, with what arguments.

Ids are not compared: every server makes them anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from router.comparison.distance import Distance, farthest
from router.comparison.excerpts import around
from router.comparison.json_structure import Walk, walk
from router.comparison.json_text import read_json
from router.comparison.result import Difference, Field

_WEAKER: Final = ("exact", "json", "tolerance")
"""The rules by which arguments are the same, each weaker than the one before it."""


class ToolCall(msgspec.Struct, frozen=True):
    """One call; `written` are its arguments as they came, a text or JSON."""

    name: str
    written: Any

    @property
    def arguments(self) -> Any:
        """What the tool gets: the text read as JSON, or as it is where it is none."""
        if self.written is None or self.written == "":
            return {}
        if not isinstance(self.written, str):
            return self.written
        try:
            return read_json(self.written)
        except ValueError:
            return self.written


Calls = Mapping[str, Sequence[ToolCall]]
"""What is called in each place of a message, in its order."""


def compare_tool_calls(primary: Calls, other: Calls, tolerance: float) -> Difference:
    """Compare all calls; the first two that differ decide."""
    largest: Distance | None = None
    weakest = 0
    for place in [*primary, *(place for place in other if place not in primary)]:
        here, there = primary.get(place, ()), other.get(place, ())
        if len(here) != len(there):
            return _unlike("count", place, _names(here), _names(there))
        for index, (one, two) in enumerate(zip(here, there, strict=True)):
            at = f"{place}[{index}]"
            if one.name != two.name:
                return _unlike("name", at, one.name, two.name)
            found = _walk(one, two, tolerance, at)
            if found.unlike is not None:
                return _other_arguments(found)
            largest = farthest(largest, found.largest)
            weakest = max(weakest, _WEAKER.index(_rule(one, two, found)))
    rule = f"tool_calls.{_WEAKER[weakest]}"
    return Difference(field=Field.TOOL_CALLS, same=True, rule=rule, largest=largest)


def _walk(one: ToolCall, two: ToolCall, tolerance: float, at: str) -> Walk:
    if isinstance(one.written, str) and one.written == two.written:
        return Walk(None, None)
    return walk(one.arguments, two.arguments, tolerance, f"{at}.arguments")


def _rule(one: ToolCall, two: ToolCall, found: Walk) -> str:
    # Written differently and equal: other white space, or another order of the same names.
    is_text = isinstance(one.written, str) or isinstance(two.written, str)
    rewritten = is_text and one.written != two.written
    return "json" if rewritten and found.rule == "exact" else found.rule


def _names(calls: Sequence[ToolCall]) -> str:
    return ", ".join(call.name for call in calls)


def _unlike(rule: str, place: str, one: str, two: str) -> Difference:
    primary, other = around(one, two)
    return Difference(
        field=Field.TOOL_CALLS,
        same=False,
        rule=f"tool_calls.{rule}",
        place=place,
        primary=primary,
        other=other,
    )


def _other_arguments(found: Walk) -> Difference:
    assert found.unlike is not None
    return Difference(
        field=Field.TOOL_CALLS,
        same=False,
        rule="tool_calls.arguments",
        largest=found.largest,
        place=found.unlike.place,
        primary=found.unlike.primary,
        other=found.unlike.other,
    )
