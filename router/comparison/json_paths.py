"""The places in a JSON document that a configured path leads to.  Pure.

A path is what `router.config.fields.JsonPath` accepts: `$.a`, `$..a`, `.*`, `[0]`, `[*]`,
`['a b']`.  In doubt it leads to more: `.*` and `[*]` both mean every child of an object or a list.

Each step visits a place at most once, so the work has the document's size for each step, whatever
the path and the depth.
"""

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import msgspec


class _Ignored:
    """What stands in a list for an element that was left out: the others keep their places."""

    def __repr__(self) -> str:
        return "IGNORED"


IGNORED: Final = _Ignored()

_NAME: Final = r"[A-Za-z_][A-Za-z0-9_-]*"
_STEP: Final = re.compile(
    rf"\.\.(?P<anywhere>{_NAME})|\.(?P<name>{_NAME})|(?P<children>\.\*|\[\*\])"
    r"|\[(?P<index>[0-9]{1,9})\]|\['(?P<quoted>[^']*)'\]",
    re.ASCII,
)

Place = tuple[Any, Any]
"""A container, and the key or index of a value in it."""


class Kind(Enum):
    """How a step goes on from a value."""

    NAME = "name"
    INDEX = "index"
    CHILDREN = "children"
    ANYWHERE = "anywhere"


class Step(msgspec.Struct, frozen=True):
    """One step; `key` is a name or an index."""

    kind: Kind
    key: str | int = ""


Path = tuple[Step, ...]


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Read a path.

    Raises:
        ValueError: it is none.
    """
    if not text.startswith("$"):
        raise ValueError(f'a JSON path begins with "$": "{text}"')
    steps, at = [], 1
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f'not a JSON path from "{text[at:]}" on: "{text}"')
        steps.append(_step(found))
        at = found.end()
    return tuple(steps)


def leave_out(document: Any, paths: Iterable[str]) -> Any:
    """Remove what the paths lead to; what is left is the document, or `IGNORED` for `$`.

    Raises:
        ValueError: one is no path.
    """
    root = [document]
    for path in paths:
        for container, key in places(root, parse(path)):
            if isinstance(container, dict):
                del container[key]
            else:
                container[key] = IGNORED
    return root[0]


def _step(found: re.Match[str]) -> Step:
    if found["index"] is not None:
        return Step(Kind.INDEX, int(found["index"]))
    if found["children"] is not None:
        return Step(Kind.CHILDREN)
    if found["anywhere"] is not None:
        return Step(Kind.ANYWHERE, found["anywhere"])
    return Step(Kind.NAME, found["quoted"] if found["name"] is None else found["name"])


def places(root: list[Any], path: Path) -> list[Place]:
    """Where a path leads to, each place once; `root` is a list with the document alone in it."""
    found: list[Place] = [(root, 0)]
    for step in path:
        # By identity: two ways to one place would double with each step.
        led_to = {(id(container), key): (container, key) for container, key in _follow(step, found)}
        found = list(led_to.values())
    return found


def _follow(step: Step, places: list[Place]) -> Iterator[Place]:
    values = [container[key] for container, key in places]
    match step.kind:
        case Kind.NAME:
            for value in values:
                if isinstance(value, dict) and step.key in value:
                    yield value, step.key
        case Kind.INDEX:
            for value in values:
                if isinstance(value, list) and int(step.key) < len(value):
                    yield value, step.key
        case Kind.CHILDREN:
            for value in values:
                yield from _children(value)
        case Kind.ANYWHERE:
            for container, key in _below(values):
                if isinstance(container, dict) and key == step.key:
                    yield container, key


def _children(value: Any) -> Iterator[Place]:
    if isinstance(value, dict):
        yield from ((value, key) for key in value)
    elif isinstance(value, list):
        yield from ((value, index) for index in range(len(value)))


def _below(values: list[Any]) -> Iterator[Place]:
    """Every place below some values, once."""
    seen: set[int] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            for container, key in _children(value):
                yield container, key
                waiting.append(container[key])
