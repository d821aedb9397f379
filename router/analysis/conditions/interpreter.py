"""Evaluate a checked condition: walk its tree, spend from its `Run`.

No Python code is made or evaluated, and no attribute of a value is ever read: a dot looks into
maps only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from router.analysis.conditions import nodes
from router.analysis.conditions.arithmetic import (
    add,
    divide,
    multiply,
    negate,
    power,
    remainder,
    subtract,
)
from router.analysis.conditions.checker import ENVIRONMENT
from router.analysis.conditions.fetch import contained, fetched, sliced
from router.analysis.conditions.functions import FUNCTIONS
from router.analysis.conditions.predicate_functions import (
    PREDICATE_APPLICATIONS,
    Predicate,
    elements_of,
)
from router.analysis.conditions.regex import found_in
from router.analysis.conditions.run import Run
from router.analysis.conditions.values import (
    equal,
    ordered,
    to_bool,
    to_int,
    to_text,
)


@dataclass(frozen=True, slots=True)
class Scope:
    """What can be seen at a place: variables by name, and `#`, `#index`, `#acc` in a predicate."""

    variables: Mapping[str, object]
    pointers: Mapping[str, object] = field(default_factory=dict)


class _Absent:
    """The value of a chain that met nil at a `?.`; it never leaves the chain."""


_ABSENT: Final = _Absent()


def evaluate(root: nodes.Node, names: Mapping[str, object], run: Run) -> object:
    """Give the value of a tree.

    Raises:
        ConditionError: it has none for these values, or it would cost too much.
    """
    return _Interpreter(names, run).value(root, Scope(names))


class _Interpreter:
    def __init__(self, names: Mapping[str, object], run: Run) -> None:
        self._names = names
        self._run = run

    def value(self, node: nodes.Node, scope: Scope) -> object:
        self._run.step()
        match node:
            case nodes.Literal(value=value):
                return value
            case nodes.Name(name=name):
                return self._names if name == ENVIRONMENT else scope.variables[name]
            case nodes.Pointer(name=name):
                return scope.pointers[name]
            case nodes.Member():
                return self._member(node, scope)
            case nodes.Chain(link=link):
                found = self.value(link, scope)
                return None if found is _ABSENT else found
            case nodes.Binary():
                return self._binary(node, scope)
            case nodes.Unary(operator=operator, operand=operand):
                return _signed(operator, self.value(operand, scope))
            case nodes.Conditional(test=test, yes=yes, no=no):
                return self.value(yes if to_bool(self.value(test, scope)) else no, scope)
            case nodes.Call():
                return self._call(node, scope)
        return self._rare(node, scope)

    def _rare(self, node: nodes.Node, scope: Scope) -> object:
        match node:
            case nodes.Slice():
                return self._slice(node, scope)
            case nodes.Let(name=name, value=value, body=body):
                variables = {**scope.variables, name: self.value(value, scope)}
                return self.value(body, replace(scope, variables=variables))
            case nodes.Sequence(parts=parts):
                return [self.value(part, scope) for part in parts][-1]
            case nodes.ListLiteral(items=items):
                self._run.take(len(items))
                return [self.value(item, scope) for item in items]
            case nodes.MapLiteral():
                return self._map(node, scope)
        raise AssertionError(f"unreachable: {node}")

    def _slice(self, node: nodes.Slice, scope: Scope) -> object:
        base = self.value(node.base, scope)
        start = None if node.start is None else to_int(self.value(node.start, scope))
        stop = None if node.stop is None else to_int(self.value(node.stop, scope))
        return sliced(self._run, base, start, stop)

    def _map(self, node: nodes.MapLiteral, scope: Scope) -> dict[str, object]:
        self._run.take(len(node.keys))
        pairs = zip(node.keys, node.values, strict=True)
        return {to_text(self.value(key, scope)): self.value(value, scope) for key, value in pairs}

    def _member(self, node: nodes.Member, scope: Scope) -> object:
        base = self.value(node.base, scope)
        if base is _ABSENT or (node.optional and base is None):
            return _ABSENT
        return fetched(self._run, base, self.value(node.key, scope))

    def _call(self, node: nodes.Call, scope: Scope) -> object:
        if node.function in PREDICATE_APPLICATIONS:
            return self._predicated(node, scope)
        arguments = [self.value(argument, scope) for argument in node.arguments]
        return FUNCTIONS[node.function].apply(self._run, arguments)

    def _predicated(self, node: nodes.Call, scope: Scope) -> object:
        collection, *others = node.arguments
        elements = elements_of(self._run, node.function, self.value(collection, scope))
        predicate = self._predicate(others[0], scope) if others else None
        rest = [self.value(other, scope) for other in others[1:]]
        return PREDICATE_APPLICATIONS[node.function](self._run, elements, predicate, rest)

    def _predicate(self, node: nodes.Node, scope: Scope) -> Predicate:
        assert isinstance(node, nodes.Predicate)  # the grammar puts nothing else there
        body = node.body

        def predicate(element: object, index: int, acc: object = None) -> object:
            return self.value(
                body, replace(scope, pointers={"": element, "index": index, "acc": acc})
            )

        return predicate

    def _binary(self, node: nodes.Binary, scope: Scope) -> object:
        left = self.value(node.left, scope)
        match node.operator:
            case "and" | "&&":
                return self.value(node.right, scope) if to_bool(left) else False
            case "or" | "||":
                return True if to_bool(left) else self.value(node.right, scope)
            case "??":
                return self.value(node.right, scope) if left is None else left
        return _combined(self._run, node.operator, left, self.value(node.right, scope))


def _signed(operator: str, value: object) -> object:
    if operator in ("not", "!"):
        return not to_bool(value)
    return negate(value) if operator == "-" else value


def _combined(run: Run, operator: str, left: object, right: object) -> object:
    match operator:
        case "==":
            return equal(run, left, right)
        case "!=":
            return not equal(run, left, right)
        case "<" | ">" | "<=" | ">=":
            return ordered(operator, left, right)
        case "in":
            return contained(run, left, right)
        case "..":
            return _range(run, to_int(left), to_int(right))
        case "matches" | "contains" | "startsWith" | "endsWith":
            if left is None or right is None:
                return False  # a text that is not there contains nothing, and is no mistake
            return _text_test(run, operator, to_text(left), to_text(right))
    return _calculated(run, operator, left, right)


def _calculated(run: Run, operator: str, left: object, right: object) -> object:
    match operator:
        case "+":
            return add(run, left, right)
        case "-":
            return subtract(left, right)
        case "*":
            return multiply(left, right)
        case "/":
            return divide(left, right)
        case "%":
            return remainder(left, right)
    return power(left, right)  # ** and ^


def _range(run: Run, low: int, high: int) -> list[object]:
    run.take(max(0, high - low + 1))
    return [*range(low, high + 1)]


def _text_test(run: Run, operator: str, text: str, part: str) -> bool:
    run.step_over(text)
    match operator:
        case "contains":
            return part in text
        case "startsWith":
            return text.startswith(part)
        case "endsWith":
            return text.endswith(part)
    return found_in(text, part, run)
