"""The syntax tree of a condition: plain values, one class for each form of the language."""

from collections.abc import Iterator
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a condition; `column` (from 1) is where it stands in the text."""

    column: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value written out: number, string, true, false or nil."""

    value: float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable: `result`, one of the context, or one made by `let`."""

    name: str


@dataclass(frozen=True, slots=True)
class Pointer(Node):
    """`#`, `#acc` or `#index` in a predicate; the name of `#` is empty."""

    name: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`base.key`, `base[key]`; optional: `base?.key`, which gives up its whole chain on nil."""

    base: Node
    key: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """How far a `?.` reaches: nil in its links makes all of it nil."""

    link: Node


@dataclass(frozen=True, slots=True)
class Slice(Node):
    """`base[start:stop]`, both ends may be missing."""

    base: Node
    start: Node | None
    stop: Node | None


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`not x`, `!x`, `-x`, `+x`."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`left operator right`; `&&` and `||` are kept as they were written, for messages."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`test ? yes : no` and `if test { yes } else { no }`."""

    test: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class Predicate(Node):
    """The part of `all(…, {# > 5})` that is evaluated once for each element."""

    body: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of a function of the language, piped or not."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`let name = value; body`."""

    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """`first; second`: all are evaluated, the last is the value."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """`[a, b]`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    """`{a: 1, "b": 2, ("c"): 3}`; keys and values stand side by side."""

    keys: tuple[Node, ...]
    values: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:
    """Give the nodes directly under a node, in the order in which they were written."""
    for field in fields(node):
        part = getattr(node, field.name)
        if isinstance(part, Node):
            yield part
        elif isinstance(part, tuple):
            yield from part


def walk(root: Node) -> Iterator[Node]:
    """Give a node and everything under it."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(children(node))


def depth(root: Node) -> int:
    """Count the levels of a tree, without recursion: it is asked before the tree is trusted."""
    deepest, waiting = 0, [(root, 1)]
    while waiting:
        node, level = waiting.pop()
        deepest = max(deepest, level)
        waiting.extend((child, level + 1) for child in children(node))
    return deepest
