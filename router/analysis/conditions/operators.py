"""Which operators may stand between which types, and what type comes out."""

from typing import Final

from router.analysis.conditions.static_types import (
    BOOL,
    FLOAT,
    GROUPS,
    INT,
    STRING,
    UNKNOWN,
    Kind,
    Type,
    array_of,
    comparable,
    either,
    joined,
)

_NUMBERS: Final = (Kind.INT, Kind.FLOAT)


class MismatchError(Exception):
    """An operator does not fit its operands; the text says why, or is empty for the usual words."""


def binary_type(operator: str, left: Type, right: Type) -> Type:
    """The type of `left operator right`.

    Raises:
        MismatchError: they do not fit.
    """
    match operator:
        case "==" | "!=":
            return _demand(comparable(left, right), BOOL)
        case "and" | "&&" | "or" | "||":
            return _demand(_both(left, right, Kind.BOOL), BOOL)
        case "<" | ">" | "<=" | ">=":
            return _demand(_calculable(left, right) or _both(left, right, Kind.STRING), BOOL)
        case "+" | "-" | "*":
            return _sum_type(operator, left, right)
        case "/" | "**" | "^":
            return _demand(_calculable(left, right), FLOAT)
        case "%":
            return _demand(_both(left, right, Kind.INT), INT)
        case "..":
            return _demand(_both(left, right, Kind.INT), array_of(INT))
        case "in":
            return _membership_type(left, right)
        case "??":
            return joined(left, right)
    # matches, contains, startsWith, endsWith
    return _demand(_both(left, right, Kind.STRING), BOOL)


def unary_type(operator: str, operand: Type) -> Type:
    """The type of `operator operand`.

    Raises:
        MismatchError: it does not fit.
    """
    if operator in ("not", "!"):
        return _demand(operand.kind in (Kind.BOOL, Kind.UNKNOWN), BOOL)
    return _demand(operand.is_number or operand.kind is Kind.UNKNOWN, operand)


def _demand(holds: bool, outcome: Type) -> Type:
    if not holds:
        raise MismatchError
    return outcome


def _both(left: Type, right: Type, kind: Kind) -> bool:
    return left.kind is right.kind is kind or either(left, right, kind)


def _calculable(left: Type, right: Type) -> bool:
    return (left.is_number and right.is_number) or either(left, right, *_NUMBERS)


def _sum_type(operator: str, left: Type, right: Type) -> Type:
    if left.is_number and right.is_number:
        return FLOAT if Kind.FLOAT in (left.kind, right.kind) else INT
    if operator == "+":
        if left.kind is right.kind is Kind.STRING:
            return STRING
        return _demand(either(left, right, Kind.STRING, *_NUMBERS), UNKNOWN)
    return _demand(either(left, right, *_NUMBERS), UNKNOWN)


def _membership_type(left: Type, right: Type) -> Type:
    if right.kind is Kind.MAP:
        if right != GROUPS and left.kind not in (Kind.UNKNOWN, Kind.STRING):
            raise MismatchError(f"cannot use {left} as type string in map key")
        return BOOL
    if right.kind is Kind.ARRAY:
        if not comparable(left, right.item):
            raise MismatchError(f"cannot use {left} as type {right.item} in array")
        return BOOL
    fits = right.kind is Kind.UNKNOWN or (left.kind is Kind.UNKNOWN and right.kind is Kind.STRING)
    return _demand(fits, BOOL)
