"""The static types of conditions.

Argo compiles a condition against the type of the value that it has just measured, so a comparison
of a number with a string is an error and not merely false.  What comes out of a JSON object is
`UNKNOWN`: whether it fits is seen only when it is evaluated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from router.analysis.conditions.errors import ConditionError


class Kind(Enum):
    """The families of types that the rules tell apart."""

    UNKNOWN = auto()
    NIL = auto()
    BOOL = auto()
    INT = auto()
    FLOAT = auto()
    STRING = auto()
    ARRAY = auto()
    MAP = auto()


@dataclass(frozen=True, slots=True)
class Type:
    """A type; `name` is what Argo's messages call it, `element` is of arrays and maps."""

    kind: Kind
    name: str
    element: "Type | None" = None

    def __str__(self) -> str:
        return self.name

    @property
    def is_number(self) -> bool:
        """Whether it can be calculated with."""
        return self.kind in (Kind.INT, Kind.FLOAT)

    @property
    def item(self) -> "Type":
        """The type of what is in it, unknown where that varies."""
        return self.element or UNKNOWN


UNKNOWN: Final = Type(Kind.UNKNOWN, "unknown")
NIL: Final = Type(Kind.NIL, "unknown")  # sic: Argo's messages call nil's type so
BOOL: Final = Type(Kind.BOOL, "bool")
INT: Final = Type(Kind.INT, "int")
INT64: Final = Type(Kind.INT, "int64")
FLOAT: Final = Type(Kind.FLOAT, "float64")
STRING: Final = Type(Kind.STRING, "string")
ARRAY: Final = Type(Kind.ARRAY, "[]interface {}")
FLOATS: Final = Type(Kind.ARRAY, "[]float64", FLOAT)
MAP: Final = Type(Kind.MAP, "map[string]interface {}")
GROUPS: Final = Type(Kind.MAP, "map[interface {}][]interface {}", ARRAY)


def array_of(element: Type) -> Type:
    """The type of an array whose elements are all of one type."""
    return Type(Kind.ARRAY, ARRAY.name, element)


def type_of(value: object) -> Type:
    """The type of a measured value, as Argo's providers would have it.

    A list of floats is a Prometheus vector (`[]float64`); any other list comes from JSON.

    Raises:
        ConditionError: no provider may deliver such a value.
    """
    match value:
        case None:
            return NIL
        case bool():
            return BOOL
        case int():
            return INT
        case float():
            return FLOAT
        case str():
            return STRING
        case list() | tuple():
            only_floats = bool(value) and all(isinstance(item, float) for item in value)
            return FLOATS if only_floats else ARRAY
        case Mapping():
            return MAP
    raise ConditionError(f"a result of type {type(value).__name__} cannot be judged")


def comparable(left: Type, right: Type) -> bool:
    """Whether `==` may stand between them."""
    if {left.kind, right.kind} & {Kind.UNKNOWN, Kind.NIL}:
        return True
    if left.is_number and right.is_number:
        return True
    if left.kind is Kind.ARRAY and right.kind is Kind.ARRAY:
        return True
    return left.name == right.name


def either(left: Type, right: Type, *kinds: Kind) -> bool:
    """Whether one is unknown and the other is unknown too or of one of these kinds."""
    allowed = {Kind.UNKNOWN, *kinds}
    unknown = Kind.UNKNOWN in (left.kind, right.kind)
    return unknown and left.kind in allowed and right.kind in allowed


def joined(yes: Type, no: Type) -> Type:
    """The type of a value that is one or the other."""
    if yes.kind is Kind.NIL:
        return no
    if no.kind is Kind.NIL or yes == no:
        return yes
    both_arrays = yes.kind is Kind.ARRAY and no.kind is Kind.ARRAY
    return ARRAY if both_arrays else UNKNOWN
