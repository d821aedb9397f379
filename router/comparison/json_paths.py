"""Leave out the parts of a document that may differ: `$.choices[*].logprobs`.

The grammar is the configuration's (`config.fields.JsonPath`): `.name`, `['name']`, `[0]`, `[*]`,
`.*` and `..name`, which is a name at any depth.

Pure, but for the document itself, which is changed.  Each step visits a value of the document at
most once, so the work has the document's size for each step, whatever the path and the depth.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

import msgspec


class _Ignored:
    """What stands in a list for an element that was left out: the others keep their places."""

    def __repr__(self) -> str:
        return "IGNORED"


IGNORED: Final = _Ignored()

_STEP: Final = re.compile(
    r"\.(?P<deep>\.?)(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\['(?P<quoted>[^']*)'\]"
    r"|\[(?P<index>[0-9]{1,9})\]|(?P<every>\.\*|\[\*\])",
    re.ASCII,
)


class _Step(msgspec.Struct, frozen=True):
    """Which children of a value are meant; with `deep`, of every value below it as well."""

    keys: Callable[[Any], Iterable[Any]]
    deep: bool = False


def leave_out(document: Any, paths: Iterable[str]) -> Any:
    """Remove what the paths lead to; what is left is the document, or `IGNORED` for `$`.

    Raises:
        ValueError: one is no path.
    """
    for path in paths:
        document = _without(document, _parse(path))
    return document


@lru_cache(maxsize=1024)
def _parse(path: str) -> tuple[_Step, ...]:
    steps, at = [], 1
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            break
        steps.append(_step(found))
        at = found.end()
    if not path.startswith("$") or at != len(path):
        raise ValueError(f'not a JSON path: "{path}" (like $.choices[*].logprobs)')
    return tuple(steps)


def _step(found: re.Match[str]) -> _Step:
    if found["every"] is not None:
        return _Step(_every)
    if found["index"] is not None:
        return _Step(_index(int(found["index"])))
    name = found["quoted"] if found["name"] is None else found["name"]
    return _Step(_name(name), deep=bool(found["deep"]))


def _every(value: Any) -> Iterable[Any]:
    return list(value) if isinstance(value, dict) else range(len(value))


def _index(place: int) -> Callable[[Any], Iterable[Any]]:
    return lambda value: (place,) if isinstance(value, list) and place < len(value) else ()


def _name(name: str) -> Callable[[Any], Iterable[Any]]:
    return lambda value: (name,) if isinstance(value, dict) and name in value else ()


def _without(document: Any, steps: tuple[_Step, ...]) -> Any:
    if not steps:
        return IGNORED
    parents = [document]
    for step in steps[:-1]:
        parents = [parent[key] for parent, key in _children(parents, step)]
    for parent, key in list(_children(parents, steps[-1])):
        if isinstance(parent, dict):
            del parent[key]
        else:
            parent[key] = IGNORED
    return document


def _children(parents: Iterable[Any], step: _Step) -> Iterator[tuple[Any, Any]]:
    for parent in _at_any_depth(parents) if step.deep else parents:
        if isinstance(parent, dict | list):
            for key in step.keys(parent):
                yield parent, key


def _at_any_depth(values: Iterable[Any]) -> Iterator[Any]:
    seen: set[int] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            yield value
            waiting.extend(value.values() if isinstance(value, dict) else value)
