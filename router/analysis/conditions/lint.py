"""What is probably not meant in a condition, though it is valid."""

from typing import Final

from router.analysis.conditions import nodes
from router.analysis.conditions.checker import ENVIRONMENT
from router.analysis.conditions.condition import RESULT, Condition
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.interpreter import evaluate
from router.analysis.conditions.run import Run

_RAW: Final = ("default", "isNil")
_OR: Final = ("or", "||")
_AND: Final = ("and", "&&")


def warnings(condition: Condition) -> list[str]:
    """Say what a person should look at again, one sentence each, with the remedy."""
    found = [_raw_warning(node) for node in nodes.walk(condition.root) if _ignores_argument(node)]
    constant = _constant(condition.root)
    if constant is not None:
        found.append(
            f'"{condition.text}" is always {str(constant).lower()}, whatever is measured: '
            "compare result with a limit"
        )
    return found


def _ignores_argument(node: nodes.Node) -> bool:
    """Whether it is `default` or `isNil` of anything but the plain result."""
    if not isinstance(node, nodes.Call) or node.function not in _RAW:
        return False
    asked = node.arguments[0]
    return not (isinstance(asked, nodes.Name) and asked.name == RESULT)


def _raw_warning(node: nodes.Node) -> str:
    assert isinstance(node, nodes.Call)  # asked of no other
    name = node.function
    if any(_is_index(part) for part in nodes.walk(node.arguments[0])):
        return (
            f"{name}(result[…], …) does not rescue an empty vector: the index fails before {name} "
            "is asked; write len(result) == 0 || …"
        )
    return (
        f"{name} ignores its first argument and asks the whole result; "
        "write ?? for a part that may be missing"
    )


def _is_index(node: nodes.Node) -> bool:
    if not isinstance(node, nodes.Member):
        return False
    field = isinstance(node.key, nodes.Literal) and isinstance(node.key.value, str)
    return not field


def _constant(node: nodes.Node) -> bool | None:
    """Whether it is always true or always false; None if the measured value can decide."""
    if not _asks_for_data(node):
        return _value(node)
    if isinstance(node, nodes.Binary) and node.operator in (*_OR, *_AND):
        decisive = node.operator in _OR
        sides = (_constant(node.left), _constant(node.right))
        if decisive in sides:
            return decisive
    return None


def _value(node: nodes.Node) -> bool | None:
    try:
        value = evaluate(node, {}, Run(None))
    except ConditionError:
        return None  # it always fails, which the first measurement will say better
    return value if isinstance(value, bool) else None


def _asks_for_data(root: nodes.Node) -> bool:
    """Whether a variable that it did not make itself is in it."""
    made = {node.name for node in nodes.walk(root) if isinstance(node, nodes.Let)}
    return any(
        (isinstance(node, nodes.Name) and (node.name not in made or node.name == ENVIRONMENT))
        or (isinstance(node, nodes.Call) and node.function in _RAW)
        for node in nodes.walk(root)
    )
