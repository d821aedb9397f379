"""Find the route of a request.

Precedence between rules that match (docs/ARCHITECTURE.md, "Which route answers"):
  1. an exact path before a prefix, a longer prefix before a shorter one, any before none;
  2. a rule that names a model before one that does not;
  3. a rule that names methods before one that does not;
  4. more header conditions before fewer;
  5. the order of routes and rules in the configuration.

A look-up costs one dictionary access per path segment and one for the model, whatever the number
of routes.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from router.pattern import bytes_pattern
from router.snapshot import HeaderCondition, HeaderMatch, Route, Rule

_MAX_MEMO: Final = 4096
_MAX_MEMO_PATH: Final = 256
_KSERVE_MODEL: Final = re.compile(rb"/v2/models/([^/]+)(?=/|$)|/v1/models/([^/:]+)(?=:)")


class Fields(Protocol):
    """Header look-up by lower-case name."""

    def field(self, name: bytes) -> bytes | None:
        """The first value, or None."""
        ...


Test = Callable[[Fields], bool]


def header_test(condition: HeaderCondition) -> Test:
    """Compile one header condition."""
    name = condition.name.encode()
    wanted = condition.value.encode()
    match condition.match:
        case HeaderMatch.PRESENT:
            return lambda fields: fields.field(name) is not None
        case HeaderMatch.EXACT:
            return lambda fields: fields.field(name) == wanted
        case HeaderMatch.PREFIX:
            return lambda fields: (
                (value := fields.field(name)) is not None and value.startswith(wanted)
            )
        case HeaderMatch.REGEX:
            pattern = bytes_pattern(condition.value)
            return lambda fields: (
                (value := fields.field(name)) is not None and pattern.matches_whole(value)
            )


@dataclass(frozen=True, slots=True)
class Candidate:
    """One rule of one route, ready to be tried."""

    route: str
    methods: frozenset[bytes]
    headers: tuple[Test, ...]

    def matches(self, method: bytes, fields: Fields) -> bool:
        """Whether the rest of the rule holds, path and model being right already."""
        if self.methods and method not in self.methods:
            return False
        return all(test(fields) for test in self.headers)


class PathNode:
    """The rules of one path."""

    __slots__ = ("any_model", "by_model")

    def __init__(self) -> None:
        self.by_model: dict[str, list[Candidate]] = {}
        self.any_model: list[Candidate] = []


Nodes = tuple[PathNode, ...]


class RouteIndex:
    """All rules of a table, found by path and model."""

    def __init__(self, routes: Collection[Route]) -> None:
        self._exact: dict[bytes, PathNode] = {}
        self._prefix: dict[bytes, PathNode] = {}
        self._any_path = PathNode()
        self._memo: dict[bytes, Nodes] = {}
        self.models: Final = _public_models(routes)
        rules = ((route, rule) for route in routes for rule in route.rules)
        for owner, rule in sorted(rules, key=_rank):
            self._add(owner, rule)
        self._longest = max(map(len, self._prefix), default=0)

    def _add(self, route: Route, rule: Rule) -> None:
        if rule.path is not None:
            node = self._exact.setdefault(rule.path.encode(), PathNode())
        elif rule.path_prefix is None:
            node = self._any_path
        else:
            prefix = rule.path_prefix.rstrip("/")
            node = self._prefix.setdefault(prefix.encode(), PathNode())
        candidate = Candidate(
            route.name,
            frozenset(method.encode() for method in rule.methods),
            tuple(header_test(condition) for condition in rule.headers),
        )
        if rule.model is None:
            node.any_model.append(candidate)
        else:
            node.by_model.setdefault(rule.model, []).append(candidate)

    def nodes(self, path: bytes) -> Nodes:
        """Every node whose path fits, the most specific first."""
        found = self._memo.get(path)
        if found is None:
            found = tuple(self._find(path))
            if len(path) <= _MAX_MEMO_PATH:  # paths come from outside
                if len(self._memo) >= _MAX_MEMO:
                    self._memo.clear()
                self._memo[path] = found
        return found

    def _find(self, path: bytes) -> Iterable[PathNode]:
        if path in self._exact:
            yield self._exact[path]
        end = len(path)
        if end > self._longest:
            end = path.rfind(b"/", 0, self._longest + 1)
        while end >= 0:
            if path[:end] in self._prefix:
                yield self._prefix[path[:end]]
            end = path.rfind(b"/", 0, end)
        if self._any_path.by_model or self._any_path.any_model:
            yield self._any_path


def _rank(item: tuple[Route, Rule]) -> tuple[bool, int, int]:
    route, rule = item
    return (not rule.methods, -len(rule.headers), route.order)


def _public_models(routes: Collection[Route]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(rule.model for r in routes for rule in r.rules if rule.model))


def needs_model(nodes: Nodes) -> bool:
    """Whether the request's model decides between the rules of these nodes."""
    return any(node.by_model for node in nodes)


def match_route(nodes: Nodes, method: bytes, fields: Fields, model: str | None) -> str | None:
    """Choose the route, by the precedence above."""
    for node in nodes:
        if model is not None and model in node.by_model:
            for candidate in node.by_model[model]:
                if candidate.matches(method, fields):
                    return candidate.route
        for candidate in node.any_model:
            if candidate.matches(method, fields):
                return candidate.route
    return None


def model_in_path(path: bytes) -> tuple[str, int, int] | None:
    """The model that a KServe path names, and where in the path it stands."""
    match = _KSERVE_MODEL.match(path)
    if match is None:
        return None
    group = 1 if match[1] is not None else 2
    return match[group].decode("latin-1"), match.start(group), match.end(group)
