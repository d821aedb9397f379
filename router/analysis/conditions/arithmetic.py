"""Calculate as Go does: whole numbers of 64 bits go round, doubles follow IEEE 754."""

import math

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.values import as_float, go_type, is_int, is_number, wrapped


def add(run: Run, left: object, right: object) -> object:
    """`left + right`: the sum of numbers, or one string after the other."""
    if isinstance(left, str) and isinstance(right, str):
        run.take(len(left) + len(right))
        return left + right
    if is_int(left) and is_int(right):
        return wrapped(left + right)
    if is_number(left) and is_number(right):
        return as_float(left) + as_float(right)
    raise _undefined(left, "+", right)


def subtract(left: object, right: object) -> object:
    """`left - right`."""
    if is_int(left) and is_int(right):
        return wrapped(left - right)
    if is_number(left) and is_number(right):
        return as_float(left) - as_float(right)
    raise _undefined(left, "-", right)


def multiply(left: object, right: object) -> object:
    """`left * right`."""
    if is_int(left) and is_int(right):
        return wrapped(left * right)
    if is_number(left) and is_number(right):
        return as_float(left) * as_float(right)
    raise _undefined(left, "*", right)


def divide(left: object, right: object) -> float:
    """`left / right`: always a double; by zero it is infinite, and 0/0 is NaN."""
    if not (is_number(left) and is_number(right)):
        raise _undefined(left, "/", right)
    dividend, divisor = as_float(left), as_float(right)
    if divisor:
        return dividend / divisor
    if not dividend or math.isnan(dividend):
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


def remainder(left: object, right: object) -> int:
    """`left % right`: whole numbers only; the sign is the dividend's."""
    if not (is_int(left) and is_int(right)):
        raise _undefined(left, "%", right)
    if right == 0:
        raise ConditionError("integer divide by zero")
    size = abs(left) % abs(right)
    return -size if left < 0 else size


def power(left: object, right: object) -> float:
    """`left ** right`: always a double, never an exception (C99 Annex F.9.4.4)."""
    if not (is_number(left) and is_number(right)):
        odd = right if is_number(left) else left
        raise ConditionError(f"invalid operation: float({go_type(odd)})")
    base, exponent = as_float(left), as_float(right)
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ValueError:  # 0 to a negative power, or a root of a negative number
        if base != 0:
            return math.nan
        return math.copysign(math.inf, base) if exponent % 2 == 1 else math.inf


def negate(value: object) -> object:
    """`-value`."""
    if is_int(value):
        return wrapped(-value)
    if isinstance(value, float):
        return -value
    raise ConditionError(f"invalid operation: - {go_type(value)}")


def _undefined(left: object, operator: str, right: object) -> ConditionError:
    return ConditionError(f"invalid operation: {go_type(left)} {operator} {go_type(right)}")
