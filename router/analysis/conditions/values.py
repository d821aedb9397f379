"""How the values of a condition compare and print: as Go's do, for Argo's conditions rely on it.

Values are what JSON has: None, bool, int (64 bits), float, str, list or tuple, mapping.  Nothing
is ever asked of an object but these forms: no attribute is read, no method of the value's own.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Any, Final, TypeGuard

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run

_WORD: Final = 2**64
_SIGN: Final = 2**63


class Groups(dict[object, object]):
    """What `groupBy` makes: a map whose keys need not be strings."""


def is_int(value: object) -> TypeGuard[int]:
    """Whether it is a whole number; Python's bool, which is an int there, is none here."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it can be calculated with."""
    return isinstance(value, float) or is_int(value)


def is_array(value: object) -> TypeGuard[list[object] | tuple[object, ...]]:
    """Whether it is an array."""
    return isinstance(value, list | tuple)


def is_key(value: object) -> TypeGuard[str | int | float | bool | None]:
    """Whether a group may be called so: arrays and maps cannot be looked up."""
    return value is None or isinstance(value, str | int | float)


def wrapped(number: int) -> int:
    """Keep a whole number within 64 bits, going round as Go's does."""
    return (number + _SIGN) % _WORD - _SIGN


def as_float(number: int | float) -> float:
    """Make a double; what JSON had beyond a double's range is infinite."""
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")


def truncated(number: int | float) -> int:
    """Cut the fraction off; NaN and what 64 bits cannot hold become -2^63, as on Go's amd64."""
    if isinstance(number, float) and not -(2.0**63) <= number < 2.0**63:
        return -_SIGN
    return wrapped(int(number))


def go_type(value: object) -> str:
    """What Argo's messages call the type of a value."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case list() | tuple():
            return "[]interface {}"
        case Mapping():
            return "map[string]interface {}"
    raise ConditionError(f"a value of type {type(value).__name__} cannot be judged")


def to_int(value: object) -> int:
    """Take an index or a bound: floats are cut, nothing else is converted."""
    if not is_number(value):
        raise ConditionError(f"invalid operation: int({go_type(value)})")
    return truncated(value)


def to_text(value: object) -> str:
    """Take a string."""
    if not isinstance(value, str):
        raise wrong_type(value, "string")
    return value


def to_bool(value: object) -> bool:
    """Take a truth value."""
    if not isinstance(value, bool):
        raise wrong_type(value, "bool")
    return value


def wrong_type(value: object, wanted: str) -> ConditionError:
    """The error of a value that turned out to be of another type than was needed."""
    found = "nil" if value is None else go_type(value)
    return ConditionError(f"interface conversion: interface {{}} is {found}, not {wanted}")


def equal(run: Run, left: object, right: object) -> bool:
    """`==`: numbers by value, arrays by element, everything else by type and value."""
    run.step()
    if is_number(left) and is_number(right):
        if is_int(left) and is_int(right):
            return left == right
        return as_float(left) == as_float(right)
    if is_array(left) and is_array(right):
        return len(left) == len(right) and all(
            equal(run, one, other) for one, other in zip(left, right, strict=True)
        )
    return _identical(run, left, right)


def _identical(run: Run, left: object, right: object) -> bool:
    """Within maps Go compares the types too: `{a: 1}` is not `{a: 1.0}`."""
    run.step()
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return len(left) == len(right) and all(
            key in right and _identical(run, value, right[key]) for key, value in left.items()
        )
    if is_array(left) and is_array(right):
        return len(left) == len(right) and all(
            _identical(run, one, other) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, str) and isinstance(right, str):
        run.step_over(left)
    if go_type(left) != go_type(right) or isinstance(left, Mapping) or is_array(left):
        return False
    return left == right


_ORDERS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": lt,
    ">": gt,
    "<=": le,
    ">=": ge,
}


def ordered(operator: str, left: object, right: object) -> bool:
    """`left < right` and its kin: of numbers, where NaN is never in order, or of strings."""
    order = _ORDERS[operator]
    if is_int(left) and is_int(right):
        return order(left, right)
    if is_number(left) and is_number(right):
        return order(as_float(left), as_float(right))
    if isinstance(left, str) and isinstance(right, str):
        return order(left, right)
    raise ConditionError(f"invalid operation: {go_type(left)} {operator} {go_type(right)}")


def printed(run: Run, value: object) -> str:
    """Print a value as Go's `%v` does."""
    run.step()
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return printed_float(value)
        case int():
            return str(wrapped(value))
        case str():
            run.take(len(value))
            return value
        case list() | tuple():
            return "[" + " ".join(printed(run, item) for item in value) + "]"
        case Mapping():
            pairs = sorted((printed(run, key), printed(run, item)) for key, item in value.items())
            return "map[" + " ".join(f"{key}:{item}" for key, item in pairs) + "]"
    raise ConditionError(f"a value of type {type(value).__name__} cannot be printed")


def printed_float(number: float) -> str:
    """Print a float as Go's `%v`: the shortest digits, an exponent below 1e-4 and from 1e21 on."""
    if number != number:
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    exact = Decimal(repr(number))
    exponent = exact.adjusted() if number else 0
    if -4 <= exponent < 21:
        text = format(exact, "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    sign, digits, _ = exact.normalize().as_tuple()
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if digits[1:] else "")
    return f"{'-' if sign else ''}{mantissa}e{exponent:+03d}"
