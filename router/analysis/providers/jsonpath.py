"""The part of Kubernetes' JSONPath that picks values: `{$.data.items[0].ok}`.

Keys (`.name`, `.a\\.b`, `['name']`), indexes (`[0]`, `[-1]`), slices (`[1:3]`), wildcards (`[*]`,
`.*`) and filters with one comparison (`[?(@.name == "p99")]`, `[?(@.name)]`).  Braces and the `$`
may be left out.  Not here, and refused with a word about it: recursion (`..`), unions, `range`
and text around the braces.

Pure.  Each step visits a value of the document at most once, so the work has the document's size
for each step, whatever the path.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

MAX_PATH: Final = 1024

Step = Callable[[Any], Iterable[Any]]

_KEY: Final = re.compile(r"\.((?:[^\s.\[\]{}'\"\\()*?@$,]|\\.)+)")
_QUOTED: Final = re.compile(r"\[\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")\s*\]")
_WILDCARD: Final = re.compile(r"\.\*|\[\s*\*\s*\]")
_INDEX: Final = re.compile(r"\[\s*(-?[0-9]{1,9})\s*\]", re.ASCII)
_SLICE: Final = re.compile(r"\[\s*(-?[0-9]{0,9})\s*:\s*(-?[0-9]{0,9})\s*\]", re.ASCII)
_FILTER: Final = re.compile(
    r"\[\s*\?\(\s*@(?P<path>[^=!<>()]*?)\s*(?:(?P<sign>==|!=|<=|>=|<|>)\s*(?P<literal>"
    r"'[^']*'|\"[^\"]*\"|-?[0-9]+(?:\.[0-9]+)?|true|false))?\s*\)\s*\]",
    re.ASCII,
)
_ESCAPE: Final = re.compile(r"\\(.)")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": eq,
    "!=": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A parsed path; `steps` lead from the document to its values."""

    steps: tuple[Step, ...]

    def find(self, document: Any) -> Iterator[Any]:
        """Every value that the path leads to, in the document's order."""
        found: Iterable[Any] = (document,)
        for step in self.steps:
            found = _through(step, found)
        return iter(found)


def parse_json_path(text: str) -> JsonPath:
    """Read a path.

    Raises:
        ValueError: it is none, or uses what is not supported.
    """
    if len(text) > MAX_PATH:
        raise ValueError(f"a JSON path has at most {MAX_PATH} characters")
    rest = _without_braces(text.strip()).removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    return JsonPath(tuple(_steps(rest)))


def _without_braces(text: str) -> str:
    if not text.startswith("{"):
        return text
    if not text.endswith("}") or text.count("{") != 1:
        raise ValueError("a JSON path is one {…}, without text around it")
    return text[1:-1].strip()


def _steps(rest: str) -> Iterator[Step]:
    while rest and rest != ".":  # `{.}` is the whole document
        step, length = _first_step(rest)
        yield step
        rest = rest[length:]


def _first_step(rest: str) -> tuple[Step, int]:
    if rest.startswith(".."):
        raise ValueError("recursion (..) is not supported in a JSON path: write the whole path")
    if found := _WILDCARD.match(rest):
        return _children, found.end()
    if found := _KEY.match(rest):
        return _key(found[1]), found.end()
    if found := _QUOTED.match(rest):
        return _key(found[1] if found[1] is not None else found[2]), found.end()
    if found := _INDEX.match(rest):
        return _index(int(found[1])), found.end()
    if found := _SLICE.match(rest):
        return _slice(found[1], found[2]), found.end()
    if found := _FILTER.match(rest):
        return _filter(found["path"], found["sign"], found["literal"]), found.end()
    raise ValueError(f'not a JSON path from "{rest[:40]}" on (like {{$.data.items[0].value}})')


def _through(step: Step, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        yield from step(value)


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _key(text: str) -> Step:
    name = _ESCAPE.sub(r"\1", text)
    return lambda value: (value[name],) if isinstance(value, dict) and name in value else ()


def _index(place: int) -> Step:
    def step(value: Any) -> Iterable[Any]:
        if isinstance(value, list) and -len(value) <= place < len(value):
            return (value[place],)
        return ()

    return step


def _slice(start: str, stop: str) -> Step:
    part = slice(int(start) if start else None, int(stop) if stop else None)
    return lambda value: value[part] if isinstance(value, list) else ()


def _filter(path: str, sign: str | None, literal: str | None) -> Step:
    inner = JsonPath(tuple(_steps(path)))
    if sign is None or literal is None:
        return lambda value: [one for one in _children(value) if _exists(inner, one)]
    compare, wanted = _COMPARISONS[sign], _literal(literal)

    def step(value: Any) -> Iterable[Any]:
        return [
            one
            for one in _children(value)
            if any(_holds(compare, found, wanted) for found in inner.find(one))
        ]

    return step


def _exists(path: JsonPath, value: Any) -> bool:
    return any(True for _ in path.find(value))


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    return text == "true" if text in ("true", "false") else float(text)


def _holds(compare: Callable[[Any, Any], Any], found: Any, wanted: Any) -> bool:
    # Values of two kinds are never equal, ordered or different: there is nothing to compare.
    same_kind = isinstance(found, bool) == isinstance(wanted, bool) and (
        isinstance(found, str) == isinstance(wanted, str)
    )
    return same_kind and isinstance(found, str | bool | int | float) and compare(found, wanted)
