"""A condition: parsed once, judged against many measured values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from router.analysis.conditions import nodes
from router.analysis.conditions.checker import check, demand_bool
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.grammar import parse_tree
from router.analysis.conditions.interpreter import evaluate
from router.analysis.conditions.run import Run
from router.analysis.conditions.static_types import UNKNOWN, type_of
from router.analysis.conditions.values import go_type

RESULT: Final = "result"
_NOTHING: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class Condition:
    """A successCondition or failureCondition that could be compiled.

    Two conditions are equal if their texts and names are.
    """

    text: str
    names: frozenset[str]
    root: nodes.Node = field(repr=False, compare=False)

    def evaluate(self, result: object, context: Mapping[str, object] = _NOTHING) -> bool:
        """Say whether it holds for a measured value.

        `context` gives the other variables, those that `parse` was told of.  A value is what
        JSON has; whole numbers count as Go's int and a list of floats as a Prometheus vector.

        Raises:
            ConditionError: its types do not fit the value, it has no value for it, its value is
                no truth value, or it would cost too much.
        """
        known = {name: _given(name, context) for name in self.names}
        variables = {**known, RESULT: result}
        try:
            check(self.root, {name: type_of(value) for name, value in variables.items()})
            value = evaluate(self.root, variables, Run(result))
        except RecursionError:
            # The tree is shallow, so it is the value: some JSON of thousands of brackets.
            raise ConditionError("the measured value nests too deep") from None
        if not isinstance(value, bool):
            raise ConditionError(f"expected bool, but got {go_type(value)}")
        return value


def parse(text: str, names: Collection[str] = ()) -> Condition:
    """Compile a condition; `names` are the variables that there will be beside `result`.

    Raises:
        ConditionError: it is no sentence of the language, or wrong whatever the value is: an
            unknown name, types that never fit, a value that is never true or false.
    """
    known = frozenset(names)
    root = parse_tree(text)
    demand_bool(check(root, dict.fromkeys((*known, RESULT), UNKNOWN)))
    return Condition(text, known, root)


def _given(name: str, context: Mapping[str, object]) -> object:
    if name not in context:
        raise ConditionError(f"unknown name {name}")
    return context[name]
