"""Check a condition's types before it is evaluated, as Argo does when it compiles one.

Once without a value, when the condition is written (`result` is of unknown type: whatever is
wrong then is wrong for every value), and once for the type of each measured value.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from router.analysis.conditions import nodes
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.functions import FUNCTIONS, TIME_FUNCTIONS
from router.analysis.conditions.grammar import PREDICATE_FUNCTIONS
from router.analysis.conditions.operators import MismatchError, binary_type, unary_type
from router.analysis.conditions.regex import check_pattern
from router.analysis.conditions.static_types import (
    ARRAY,
    BOOL,
    GROUPS,
    INT,
    MAP,
    UNKNOWN,
    Kind,
    Type,
    array_of,
    joined,
    type_of,
)

ENVIRONMENT: Final = "$env"
_TESTS: Final = frozenset(
    ("all", "none", "any", "one", "filter", "count", "find", "findIndex", "findLast",
     "findLastIndex")
)  # fmt: skip
_Pointers = Mapping[str, Type]


def check(root: nodes.Node, names: Mapping[str, Type]) -> Type:
    """Give the type of a condition whose variables have these types.

    Raises:
        ConditionError: an unknown name, an operator or an argument that does not fit.
    """
    return _Checker(names).type_of(root)


class _Checker:
    """Knows the variables and the pointers (`#`) that are visible at the place it is at."""

    def __init__(self, names: Mapping[str, Type]) -> None:
        self._names = dict(names)
        self._given = frozenset(names)
        self._pointers: list[_Pointers] = []

    def type_of(self, node: nodes.Node) -> Type:
        match node:
            case nodes.Literal(value=value):
                return type_of(value)
            case nodes.Name():
                return self._name(node)
            case nodes.Pointer():
                return self._pointer(node)
            case nodes.Member():
                return self._member(node)
            case nodes.Chain(link=link):
                return self.type_of(link)
            case nodes.Slice():
                return self._slice(node)
            case nodes.Unary():
                return self._unary(node)
            case nodes.Binary():
                return self._binary(node)
            case nodes.Conditional():
                return self._conditional(node)
            case nodes.Call():
                return self._call(node)
            case nodes.Predicate(body=body):
                return self.type_of(body)
            case nodes.Let():
                return self._let(node)
            case nodes.Sequence(parts=parts):
                return [self.type_of(part) for part in parts][-1]
            case nodes.ListLiteral():
                return self._list(node)
            case nodes.MapLiteral():
                return self._map(node)
        raise AssertionError(f"unreachable: {node}")

    # Names.

    def _name(self, node: nodes.Name) -> Type:
        if node.name in self._names:
            return self._names[node.name]
        if node.name == ENVIRONMENT:
            return MAP
        if node.name in FUNCTIONS or node.name in PREDICATE_FUNCTIONS:
            raise ConditionError(
                f"{node.name} is a function: call it as {node.name}(…)", node.column
            )
        raise ConditionError(f"unknown name {node.name}", node.column)

    def _pointer(self, node: nodes.Pointer) -> Type:
        visible = self._pointers[-1]  # the grammar lets no pointer stand outside a predicate
        if node.name not in visible:
            raise ConditionError(f"unknown pointer #{node.name}", node.column)
        return visible[node.name]

    def _let(self, node: nodes.Let) -> Type:
        known = node.name in FUNCTIONS or node.name in PREDICATE_FUNCTIONS
        if node.name in self._given or known or node.name in self._names:
            raise ConditionError(f"cannot redeclare {node.name}", node.column)
        self._names[node.name] = self.type_of(node.value)
        body = self.type_of(node.body)
        del self._names[node.name]
        return body

    # Taking things out.

    def _member(self, node: nodes.Member) -> Type:
        if isinstance(node.base, nodes.Name) and node.base.name == ENVIRONMENT:
            return self._environment(node)
        base, key = self.type_of(node.base), self.type_of(node.key)
        field = node.key.value if isinstance(node.key, nodes.Literal) else None
        match base.kind:
            case Kind.UNKNOWN:
                return UNKNOWN
            case Kind.MAP:
                if base != GROUPS and key.kind not in (Kind.STRING, Kind.UNKNOWN):
                    raise ConditionError(
                        f"cannot use {key} to get an element from {base}", node.key.column
                    )
                return base.item
            case Kind.ARRAY:
                if key.kind not in (Kind.INT, Kind.UNKNOWN):
                    raise ConditionError(
                        f"array elements can only be selected using an integer (got {key})",
                        node.key.column,
                    )
                return base.item
        if isinstance(field, str):
            name = "nil" if base.kind is Kind.NIL else base.name
            raise ConditionError(f"type {name} has no field {field}", node.column)
        raise ConditionError(f"type {base}[{key}] is undefined", node.column)

    def _environment(self, node: nodes.Member) -> Type:
        key = self.type_of(node.key)
        name = node.key.value if isinstance(node.key, nodes.Literal) else None
        if not isinstance(name, str):
            return UNKNOWN if key.kind in (Kind.STRING, Kind.UNKNOWN) else self._no_key(node, key)
        if name not in self._given and not node.optional:
            raise ConditionError(f"unknown name {name}", node.column)
        return self._names.get(name, UNKNOWN)

    def _no_key(self, node: nodes.Member, key: Type) -> Type:
        raise ConditionError(f"cannot use {key} to get an element from {MAP}", node.key.column)

    def _slice(self, node: nodes.Slice) -> Type:
        base = self.type_of(node.base)
        if base.kind not in (Kind.UNKNOWN, Kind.ARRAY, Kind.STRING):
            raise ConditionError(f"cannot slice {base}", node.column)
        for end in (node.start, node.stop):
            if end is not None:
                kind = self.type_of(end)
                if base.kind is not Kind.UNKNOWN and kind.kind not in (Kind.INT, Kind.UNKNOWN):
                    raise ConditionError(f"non-integer slice index {kind}", end.column)
        return base

    # Operators.

    def _unary(self, node: nodes.Unary) -> Type:
        operand = self.type_of(node.operand)
        try:
            return unary_type(node.operator, operand)
        except MismatchError:
            raise ConditionError(
                f"invalid operation: {node.operator} (mismatched type {operand})", node.column
            ) from None

    def _binary(self, node: nodes.Binary) -> Type:
        left, right = self.type_of(node.left), self.type_of(node.right)
        if node.operator == "matches" and isinstance(node.right, nodes.Literal):
            self._pattern(node.right)
        try:
            return binary_type(node.operator, left, right)
        except MismatchError as mismatch:
            usual = f"invalid operation: {node.operator} (mismatched types {left} and {right})"
            raise ConditionError(str(mismatch) or usual, node.column) from None

    def _pattern(self, node: nodes.Literal) -> None:
        if isinstance(node.value, str):
            check_pattern(node.value)

    def _conditional(self, node: nodes.Conditional) -> Type:
        test = self.type_of(node.test)
        if test.kind not in (Kind.BOOL, Kind.UNKNOWN):
            raise ConditionError(
                f"non-bool expression (type {test}) used as condition", node.test.column
            )
        return joined(self.type_of(node.yes), self.type_of(node.no))

    # Literals.

    def _list(self, node: nodes.ListLiteral) -> Type:
        items = [self.type_of(item) for item in node.items]
        same = len({item.kind for item in items}) == 1
        return array_of(items[-1]) if same else ARRAY

    def _map(self, node: nodes.MapLiteral) -> Type:
        for part in (*node.keys, *node.values):
            self.type_of(part)
        return MAP

    # Calls.

    def _call(self, node: nodes.Call) -> Type:
        if node.function in PREDICATE_FUNCTIONS:
            return self._predicated(node)
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise _no_function(node)
        types = [self.type_of(argument) for argument in node.arguments]
        try:
            return function.signature(node.function, types)
        except ConditionError as mistake:
            raise ConditionError(str(mistake), node.column) from None

    def _predicated(self, node: nodes.Call) -> Type:
        collection = self.type_of(node.arguments[0])
        if collection.kind not in (Kind.ARRAY, Kind.UNKNOWN):
            raise ConditionError(
                f"builtin {node.function} takes only array (got {collection})", node.column
            )
        body = self._body(node, collection)
        for argument in node.arguments[2:]:
            self.type_of(argument)
        return _predicated_type(node.function, collection, body)

    def _body(self, node: nodes.Call, collection: Type) -> Type | None:
        if len(node.arguments) < 2:
            return None
        predicate = node.arguments[1]
        with self._pointing(_pointers(node.function, collection)):
            body = self.type_of(predicate)
        if body.kind is Kind.NIL:
            raise ConditionError(
                "predicate should has one input and one output param", predicate.column
            )
        if node.function in _TESTS and body.kind not in (Kind.BOOL, Kind.UNKNOWN):
            raise ConditionError(f"predicate should return boolean (got {body})", predicate.column)
        return body

    @contextmanager
    def _pointing(self, pointers: _Pointers) -> Iterator[None]:
        self._pointers.append(pointers)
        yield
        self._pointers.pop()


def _pointers(function: str, collection: Type) -> _Pointers:
    element = {"": collection.item}
    match function:
        case "map":
            return {**element, "index": INT}
        case "reduce":
            return {**element, "index": INT, "acc": UNKNOWN}
    return element


def _predicated_type(function: str, collection: Type, body: Type | None) -> Type:
    match function:
        case "all" | "none" | "any" | "one":
            return BOOL
        case "count" | "findIndex" | "findLastIndex":
            return INT
        case "filter":
            return array_of(collection.item)
        case "find" | "findLast":
            return collection.item
        case "groupBy":
            return GROUPS
        case "sortBy":
            return collection
    if function == "map":
        return array_of(body or UNKNOWN)
    return body or collection.item  # sum, reduce


def _no_function(node: nodes.Call) -> ConditionError:
    if node.function in TIME_FUNCTIONS:
        return ConditionError(
            f"{node.function}() is not allowed in a condition: it is judged by its value alone",
            node.column,
        )
    return ConditionError(f"unknown name {node.function}", node.column)


def demand_bool(found: Type) -> None:
    """Demand that a whole condition is true or false.

    Raises:
        ConditionError: it is surely something else.
    """
    if found.kind not in (Kind.BOOL, Kind.UNKNOWN):
        name = "<nil>" if found.kind is Kind.NIL else found.name
        raise ConditionError(f"expected bool, but got {name}")
