"""What a function of the language is: the types that it takes and gives, and how it works."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.static_types import UNKNOWN, Kind, Type

Arguments = Sequence[object]
Signature = Callable[[str, Sequence[Type]], Type]
"""Says what type a call gives: (name, types of the arguments).  Raises `ConditionError`."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function without a predicate; `apply` may be given values that `signature` let pass."""

    signature: Signature
    apply: Callable[[Run, Arguments], object]


def takes(*overloads: tuple[Type, ...], gives: Type) -> Signature:
    """Demand that the arguments fit one of these lists of types; the last one's mistake is told."""

    def signature(name: str, arguments: Sequence[Type]) -> Type:
        mistakes = [_mistake(name, arguments, wanted) for wanted in overloads]
        if mistakes[-1] is not None and None not in mistakes:
            raise ConditionError(mistakes[-1])
        return gives

    return signature


def _mistake(name: str, arguments: Sequence[Type], wanted: tuple[Type, ...]) -> str | None:
    if len(arguments) > len(wanted):
        return f"too many arguments to call {name}"
    if len(arguments) < len(wanted):
        return f"not enough arguments to call {name}"
    for argument, want in zip(arguments, wanted, strict=True):
        if not _fits(argument, want):
            given = "nil" if argument.kind is Kind.NIL else argument.name
            return f"cannot use {given} as argument (type {want}) to call {name} "
    return None


def _fits(argument: Type, want: Type) -> bool:
    if Kind.UNKNOWN in (argument.kind, want.kind):
        return True
    whole_as_float = want.kind is Kind.FLOAT and argument.kind is Kind.INT
    return argument.kind is want.kind or whole_as_float


def count_arguments(arguments: Sequence[Type], expected: int) -> None:
    """Demand a number of arguments."""
    if len(arguments) != expected:
        raise ConditionError(
            f"invalid number of arguments (expected {expected}, got {len(arguments)})"
        )


def takes_one(*kinds: Kind, gives: Type | None, refusal: str) -> Signature:
    """Demand one argument of one of these kinds; `gives` None: the type of the argument.

    The refusal may name the function `{name}` and the type `{type}`.
    """

    def signature(name: str, arguments: Sequence[Type]) -> Type:
        count_arguments(arguments, 1)
        argument = arguments[0]
        if argument.kind not in (*kinds, Kind.UNKNOWN):
            raise ConditionError(refusal.format(name=name, type=argument))
        return gives or argument

    return signature


ANYTHING: Final = UNKNOWN
"""A parameter that takes every type."""
