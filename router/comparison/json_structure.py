"""Compare two JSON values: their structure, their texts and, within a tolerance, their numbers.

The walk is a loop, not a recursion: a document may be as deep as its reader takes it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any, Final

import msgspec

from router.comparison.distance import Distance, compare_rows, distance, farthest
from router.comparison.excerpts import around, excerpt, json_start
from router.comparison.json_paths import IGNORED
from router.comparison.result import Difference, Field

Key = str | int
Unequal = tuple[list[Key], Any, Any]

_MISSING: Final = object()
_NUMBERS: Final = {int, float}
_ROOT: Final = ""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)


class Unlike(msgspec.Struct, frozen=True):
    """The first place where two values are not the same; `rule`: missing, type or value."""

    rule: str
    place: str
    primary: str
    other: str


class Walk(msgspec.Struct, frozen=True):
    """What a walk over two values found; `largest` is over all numbers that are not equal."""

    unlike: Unlike | None
    largest: Distance | None

    @property
    def rule(self) -> str:
        """exact or tolerance where they are the same; missing, type or value where not."""
        if self.unlike is not None:
            return self.unlike.rule
        return "exact" if self.largest is None else "tolerance"


def compare_json(
    primary: Mapping[str, Any], other: Mapping[str, Any], tolerance: float
) -> Difference:
    """Compare values by their places: `{"$": document}` is a whole document."""
    unlike: Unlike | None = None
    largest: Distance | None = None
    for place in [*primary, *(place for place in other if place not in primary)]:
        one, two = primary.get(place, _MISSING), other.get(place, _MISSING)
        found = walk(one, two, tolerance, place)
        unlike = unlike or found.unlike
        largest = farthest(largest, found.largest)
    rule = Walk(unlike, largest).rule
    if unlike is None:
        return Difference(field=Field.JSON, same=True, rule=f"json.{rule}", largest=largest)
    return Difference(
        field=Field.JSON,
        same=False,
        rule=f"json.{rule}",
        largest=largest,
        place=unlike.place,
        primary=unlike.primary,
        other=unlike.other,
    )


def walk(primary: Any, other: Any, tolerance: float, root: str = "$") -> Walk:
    """Walk to the end, also past a difference: the largest distance may come later."""
    unlike: Unlike | None = None
    largest: Distance | None = None
    for path, one, two in _unequal(primary, other):
        rule: str | None
        if isinstance(one, list) and isinstance(two, list):
            apart, first = compare_rows(one, two, tolerance)
            if first is not None:
                path, one, two = [*path, first], one[first], two[first]
            rule = None if first is None else "value"
        elif type(one) in _NUMBERS and type(two) in _NUMBERS:
            apart = distance(one, two)
            rule = "value" if apart[1] > tolerance else None
            apart = None if apart == (0.0, 0.0) else apart
        else:
            apart, rule = None, _rule(one, two)
        largest = farthest(largest, apart)
        if rule is not None and unlike is None:
            unlike = Unlike(rule, place_of(path[1:], root), *_excerpts(one, two))
    return Walk(unlike, largest)


def _rule(one: Any, two: Any) -> str | None:
    if one is two or one is IGNORED or two is IGNORED:
        return None  # beside an element that is ignored stands another, or none
    if one is _MISSING or two is _MISSING:
        return "missing"
    if type(one) is not type(two):
        return "type"
    return None if one == two else "value"


def _excerpts(one: Any, two: Any) -> tuple[str, str]:
    if isinstance(one, str) and isinstance(two, str):
        return around(one, two)
    shown = ("" if value is _MISSING else json_start(value) for value in (one, two))
    primary, other = shown
    return excerpt(primary), excerpt(other)


def _unequal(primary: Any, other: Any) -> Iterator[Unequal]:
    """Every two values that are not plainly equal, in the document's order, with their path.

    They are no two containers but two rows of numbers of one length, which are compared at once.
    """
    path: list[Key] = []
    stack: list[Iterator[tuple[Key, Any, Any]]] = [iter(((_ROOT, primary, other),))]
    while stack:
        for key, one, two in stack[-1]:
            kind = type(one)
            if kind is type(two) and (kind is dict or (kind is list and not _are_rows(one, two))):
                path.append(key)
                stack.append(_members(one, two) if kind is dict else _elements(one, two))
                break
            if kind is not type(two) or one != two:
                yield [*path, key], one, two
        else:
            stack.pop()
            if path:
                path.pop()


def _are_rows(one: list[Any], two: list[Any]) -> bool:
    if len(one) != len(two) or (one and type(one[0]) not in _NUMBERS):
        return False
    return {*map(type, one), *map(type, two)} <= _NUMBERS


def _members(one: dict[str, Any], two: dict[str, Any]) -> Iterator[tuple[Key, Any, Any]]:
    for key, value in one.items():
        yield key, value, two.get(key, _MISSING)
    for key, value in two.items():
        if key not in one:
            yield key, _MISSING, value


def _elements(one: list[Any], two: list[Any]) -> Iterator[tuple[Key, Any, Any]]:
    for index, (left, right) in enumerate(zip_longest(one, two, fillvalue=_MISSING)):
        yield index, left, right


def place_of(path: Iterable[Key], root: str = "$") -> str:
    """A path as people write it: `$.choices[0].message`; its beginning where it is long."""
    return excerpt(root + "".join(map(_written, path)))


def _written(key: Key) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN_NAME.fullmatch(key):
        return f".{key}"
    return f"['{key}']"
