"""Evaluate the time expressions of a range query: `now() - duration("5m")`.

The part of expr's time functions that Argo's rangeQuery needs: `now()`, `date(text[, layout[,
zone]])`, `duration(text)`, and + - * between them.  Pure: the present comes in as an argument.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from router.analysis.conditions import nodes
from router.analysis.conditions.dates import read_date
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.grammar import parse_tree

_SECOND: Final = 1_000_000_000
_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,  # the Greek letter beside the sign of a unit
    "ms": 1_000_000,
    "s": _SECOND,
    "m": 60 * _SECOND,
    "h": 3_600 * _SECOND,
}
_PART: Final = re.compile(
    r"([0-9]{1,15}(?:\.[0-9]{0,15})?|\.[0-9]{1,15})(ns|us|µs|μs|ms|s|m|h)", re.ASCII
)
_LIMIT: Final = 2**63
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Instant:
    """A point in time, in nanoseconds since the epoch."""

    ns: int


@dataclass(frozen=True, slots=True)
class _Duration:
    """A length of time in nanoseconds."""

    ns: int


_Value = _Instant | _Duration | int | float | str | bool | None


def evaluate_time(text: str, now_s: float) -> float:
    """Give the point in time that an expression means, in seconds since the epoch.

    Raises:
        ConditionError: it is no expression, or not one of a point in time.
    """
    value = _value(parse_tree(text), round(now_s * _SECOND))
    if not isinstance(value, _Instant):
        raise ConditionError(f"expected time.Time, but got {_name(value)}")
    return value.ns / _SECOND


def _value(node: nodes.Node, now_ns: int) -> _Value:
    match node:
        case nodes.Literal(value=value):
            return value
        case nodes.Call(function=function, arguments=arguments):
            return _call(
                node.column, function, [_value(part, now_ns) for part in arguments], now_ns
            )
        case nodes.Unary(operator="-" | "+" as sign, operand=operand):
            return _combined("*", -1 if sign == "-" else 1, _value(operand, now_ns), node.column)
        case nodes.Binary(operator=operator, left=left, right=right):
            return _combined(operator, _value(left, now_ns), _value(right, now_ns), node.column)
        case nodes.Name(name=name):
            raise ConditionError(f"unknown name {name}", node.column)
    raise ConditionError("a time is made of now(), date(…), duration(…), + and - only", node.column)


def _call(column: int, function: str, arguments: list[_Value], now_ns: int) -> _Value:
    texts = [argument for argument in arguments if isinstance(argument, str)]
    fits = len(texts) == len(arguments)
    match function:
        case "now" if not arguments:
            return _Instant(now_ns)
        case "duration" if fits and len(texts) == 1:
            return _Duration(_nanoseconds(texts[0], column))
        case "date" if fits and 1 <= len(texts) <= 3:
            return _Instant((read_date(*texts) - _EPOCH) // timedelta(microseconds=1) * 1_000)
        case "now" | "duration" | "date":
            raise ConditionError(
                f"{function} does not take these arguments: write now(), duration(text) or "
                "date(text[, layout[, zone]])",
                column,
            )
    raise ConditionError(f"unknown name {function}", column)


def _nanoseconds(text: str, column: int) -> int:
    """Read a duration as Go's time.ParseDuration does: "1h30m", "-1.5h", "0"."""
    parts = text.lstrip("+-") if text[:1] in ("+", "-") else text
    if len(text) - len(parts) > 1 or len(text) > 100:
        raise _no_duration(text, column)
    total, place = 0, 0
    while found := _PART.match(parts, place):
        total += round(float(found.group(1)) * _UNITS[found.group(2)])
        place = found.end()
    if parts != "0" and (not parts or place < len(parts) or total >= _LIMIT):
        raise _no_duration(text, column)
    return -total if text.startswith("-") else total


def _no_duration(text: str, column: int) -> ConditionError:
    return ConditionError(f'time: invalid duration "{text[:100]}"', column)


def _combined(operator: str, left: _Value, right: _Value, column: int) -> _Value:
    match operator, left, right:
        case ("+", _Instant(a), _Duration(b)) | ("+", _Duration(a), _Instant(b)):
            return _Instant(_kept(a + b, column))
        case "-", _Instant(a), _Duration(b):
            return _Instant(_kept(a - b, column))
        case "-", _Instant(a), _Instant(b):
            return _Duration(_kept(a - b, column))
        case "+" | "-", _Duration(a), _Duration(b):
            return _Duration(_kept(a + b if operator == "+" else a - b, column))
        case ("*", int() | float() as factor, _Duration(a)):
            return _Duration(_kept(_scaled(a, factor), column))
        case ("*", _Duration(a), int() | float() as factor):
            return _Duration(_kept(_scaled(a, factor), column))
    raise ConditionError(
        f"invalid operation: {operator} (mismatched types {_name(left)} and {_name(right)})", column
    )


def _scaled(ns: int, factor: float) -> int:
    return ns * factor if isinstance(factor, int) else round(ns * factor)


def _kept(ns: int, column: int) -> int:
    if not -_LIMIT <= ns < _LIMIT:
        raise ConditionError("time out of range: 292 years from 1970 at most", column)
    return ns


def _name(value: _Value) -> str:
    match value:
        case _Instant():
            return "time.Time"
        case _Duration():
            return "time.Duration"
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "float64"
    return "string"
