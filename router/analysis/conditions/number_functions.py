"""The functions on numbers, and those that make numbers of something else."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from router.analysis.conditions.arithmetic import negate
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.signatures import Arguments, Function, takes, takes_one
from router.analysis.conditions.static_types import FLOAT, INT, UNKNOWN, Kind, Type
from router.analysis.conditions.values import (
    as_float,
    go_type,
    is_array,
    is_int,
    is_number,
    ordered,
    to_int,
    wrapped,
)

_WHOLE: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_DECIMAL: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf(?:inity)?)|nan",
    re.ASCII | re.IGNORECASE,
)
_MAX_DIGITS: Final = 400


class NumberError(ValueError):
    """A text is no number, or not one that fits; the text says which."""


def whole_number(text: str) -> int:
    """Read a 64-bit whole number as Go's strconv does: decimal, no spaces.

    Raises:
        NumberError: it is none.
    """
    if not _WHOLE.fullmatch(text):
        raise NumberError("invalid syntax")
    number = int(text) if len(text) <= _MAX_DIGITS else 2**64
    if not -(2**63) <= number < 2**63:
        raise NumberError("value out of range")
    return number


def decimal_number(text: str) -> float:
    """Read a double as Go's strconv does, without its hexadecimal form.

    Raises:
        NumberError: it is none.
    """
    if len(text) > _MAX_DIGITS or not _DECIMAL.fullmatch(text):
        raise NumberError("invalid syntax")
    number = float(text)
    if math.isinf(number) and "inf" not in text.lower():
        raise NumberError("value out of range")
    return number


def _int(_run: Run, arguments: Arguments) -> int:
    value = arguments[0]
    if not isinstance(value, str):
        return to_int(value)
    try:
        return whole_number(value)
    except NumberError:
        raise ConditionError(f"invalid operation: int({value})") from None


def _float(_run: Run, arguments: Arguments) -> float:
    value = arguments[0]
    if is_number(value):
        return as_float(value)
    if not isinstance(value, str):
        raise ConditionError(f"invalid operation: float({go_type(value)})")
    try:
        return decimal_number(value)
    except NumberError:
        raise ConditionError(f"invalid operation: float({value})") from None


def _abs(_run: Run, arguments: Arguments) -> object:
    value = arguments[0]
    if not is_number(value):
        raise ConditionError(f"invalid argument for abs (type {go_type(value)})")
    return negate(value) if value < 0 else value


def _half_away_from_zero(number: float) -> float:
    # Not floor(x + 0.5): that rounds 0.49999999999999994 up.
    whole = math.trunc(number)
    return float(whole + math.copysign(1, number)) if abs(number - whole) >= 0.5 else float(whole)


def _rounded(name: str, how: Callable[[float], float], _run: Run, arguments: Arguments) -> float:
    value = arguments[0]
    if not is_number(value):
        raise ConditionError(f"invalid argument for {name} (type {go_type(value)})")
    number = as_float(value)
    return float(how(number)) if math.isfinite(number) else number


def _numbers(name: str, run: Run, values: Arguments) -> list[float]:
    """Gather the numbers of arguments that are numbers and arrays of them, however deep."""
    gathered: list[float] = []
    for value in values:
        run.step()
        if is_array(value):
            gathered += _numbers(name, run, value)
        elif is_number(value):
            gathered.append(as_float(value))
        else:
            raise ConditionError(f"invalid argument for {name} (type {go_type(value)})")
    return gathered


def _mean(run: Run, arguments: Arguments) -> float:
    numbers = _numbers("mean", run, arguments)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _median(run: Run, arguments: Arguments) -> float:
    numbers = sorted(_numbers("median", run, arguments))
    if not numbers:
        return 0.0
    middle = len(numbers) // 2
    return numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2


def _extreme(name: str, run: Run, arguments: Arguments) -> object:
    """The least or the greatest number; nil where there is none, a lone other value as it is."""
    best: object = None
    for value in arguments:
        run.step(4)  # as dear as four plain nodes
        if not (is_array(value) or is_number(value)):
            if len(arguments) == 1:
                return value
            raise ConditionError(f"invalid argument for {name} (type {go_type(value)})")
        found = _extreme_of(name, run, value) if is_array(value) else value
        best = _better(name, best, found)
    return best


def _extreme_of(name: str, run: Run, values: Arguments) -> object:
    best: object = None
    for value in values:
        found = _extreme(name, run, [value])
        if not is_number(found):
            raise ConditionError(f"invalid argument for {name} (type {go_type(found)})")
        best = _better(name, best, found)
    return best


def _better(name: str, best: object, found: object) -> object:
    if best is None or found is None:
        return found if best is None else best
    wins = ordered("<" if name == "min" else ">", found, best)
    return found if wins else best


def _bits(name: str, change: Callable[[int, int], int], _run: Run, arguments: Arguments) -> int:
    for value in arguments:
        if not is_int(value):
            raise ConditionError(
                f"cannot use {go_type(value)} as argument (type int) to call {name}"
            )
    left, right = map(to_int, arguments)
    return wrapped(change(left, right))


def _shifted(change: Callable[[int, int], int]) -> Callable[[int, int], int]:
    def shift(number: int, places: int) -> int:
        if places < 0:
            raise ConditionError(f"invalid operation: negative shift count {places} (type int)")
        return change(number, min(places, 64))  # from 64 places on every bit has gone

    return shift


def _bitnot(_run: Run, arguments: Arguments) -> int:
    return ~to_int(arguments[0])


def _aggregate(name: str, arguments: Sequence[Type]) -> Type:
    """The types of min, max, mean and median; behind an array nothing is looked at."""
    if not arguments:
        raise ConditionError(f"not enough arguments to call {name}")
    for argument in arguments:
        if argument.kind in (Kind.UNKNOWN, Kind.ARRAY):
            return UNKNOWN
        if not argument.is_number:
            raise ConditionError(f"invalid argument for {name} (type {argument})")
    return arguments[0]


_REFUSAL: Final = "invalid argument for {name} (type {type})"
_MEASURE: Final = (Kind.INT, Kind.FLOAT)
_round_type: Final = takes_one(*_MEASURE, gives=FLOAT, refusal=_REFUSAL)
_two_ints: Final = takes((INT, INT), gives=INT)

_BITS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "bitand": int.__and__,
    "bitor": int.__or__,
    "bitxor": int.__xor__,
    "bitnand": lambda left, right: left & ~right,
    "bitshl": _shifted(int.__lshift__),
    "bitshr": _shifted(int.__rshift__),
    "bitushr": _shifted(lambda number, places: number % 2**64 >> places),
}

NUMBER_FUNCTIONS: Final[Mapping[str, Function]] = {
    "int": Function(takes_one(*_MEASURE, Kind.STRING, gives=INT, refusal=_REFUSAL), _int),
    "float": Function(takes_one(*_MEASURE, Kind.STRING, gives=FLOAT, refusal=_REFUSAL), _float),
    "abs": Function(takes_one(*_MEASURE, gives=None, refusal=_REFUSAL), _abs),
    "ceil": Function(_round_type, partial(_rounded, "ceil", math.ceil)),
    "floor": Function(_round_type, partial(_rounded, "floor", math.floor)),
    "round": Function(_round_type, partial(_rounded, "round", _half_away_from_zero)),
    "mean": Function(_aggregate, _mean),
    "median": Function(_aggregate, _median),
    "min": Function(_aggregate, partial(_extreme, "min")),
    "max": Function(_aggregate, partial(_extreme, "max")),
    "bitnot": Function(takes((INT,), gives=INT), _bitnot),
    **{name: Function(_two_ints, partial(_bits, name, change)) for name, change in _BITS.items()},
}
