"""The functions on arrays that take no predicate."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.fetch import fetched
from router.analysis.conditions.run import Run
from router.analysis.conditions.signatures import (
    Arguments,
    Function,
    count_arguments,
    takes,
    takes_one,
)
from router.analysis.conditions.static_types import (
    ARRAY,
    FLOATS,
    STRING,
    UNKNOWN,
    Kind,
    Type,
)
from router.analysis.conditions.values import (
    equal,
    go_type,
    is_array,
    is_int,
    is_number,
    ordered,
    to_text,
)


def sorted_values(values: Sequence[object], order: str) -> list[int]:
    """Say in which order values stand when sorted, as their places.

    Raises:
        ConditionError: they are not all numbers or all strings, or there is no such order.
    """
    if order not in ("asc", "desc"):
        raise ConditionError(f"invalid order {order}, expected asc or desc")
    for value in values[1:]:
        ordered("<", value, values[0])  # raises for a pair that cannot be compared

    def key(place: int) -> tuple[str, float]:
        value = values[place]
        return (value, 0.0) if isinstance(value, str) else ("", _sortable(value))

    return sorted(range(len(values)), key=key, reverse=order == "desc")


def _sortable(value: object) -> float:
    # NaN would leave the order to chance: it goes first.
    if not is_number(value) or value != value:
        return float("-inf")
    return value


def _array(name: str, value: object) -> list[object]:
    if not is_array(value):
        raise ConditionError(f"cannot {name} {go_type(value)}")
    return [*value]


def _first(run: Run, arguments: Arguments) -> object:
    return _or_nil(run, arguments[0], 0)


def _last(run: Run, arguments: Arguments) -> object:
    return _or_nil(run, arguments[0], -1)


def _get(run: Run, arguments: Arguments) -> object:
    return _or_nil(run, arguments[0], arguments[1])


def _or_nil(run: Run, value: object, key: object) -> object:
    try:
        return fetched(run, value, key)
    except ConditionError:
        return None  # what cannot be taken out is nil here, and only here


def _take(run: Run, arguments: Arguments) -> list[object]:
    array, count = _array("take from", arguments[0]), arguments[1]
    if not is_int(count):
        raise ConditionError(f"cannot take {go_type(count)} elements")
    if count < 0:
        raise ConditionError(f"cannot take {count} elements")
    run.take(min(count, len(array)))
    return array[:count]


def _reverse(run: Run, arguments: Arguments) -> list[object]:
    array = _array("reverse", arguments[0])
    run.take(len(array))
    return array[::-1]


def _uniq(run: Run, arguments: Arguments) -> list[object]:
    array = _array("uniq", arguments[0])
    run.take(len(array))
    kept: list[object] = []
    for item in array:
        if not any(equal(run, item, other) for other in kept):
            kept.append(item)
    return kept


def _concat(run: Run, arguments: Arguments) -> list[object]:
    arrays = [_array("concat", argument) for argument in arguments]
    run.take(sum(map(len, arrays)))
    return [item for array in arrays for item in array]


def _flatten(run: Run, arguments: Arguments) -> list[object]:
    return _flat(run, _array("flatten", arguments[0]))


def _flat(run: Run, array: Sequence[object]) -> list[object]:
    flat: list[object] = []
    for item in array:
        run.step()
        if is_array(item):
            flat += _flat(run, item)
        else:
            run.take(1)
            flat.append(item)
    return flat


def _sort(run: Run, arguments: Arguments) -> list[object]:
    array = _array("sort", arguments[0])
    order = to_text(arguments[1]) if len(arguments) == 2 else "asc"
    run.step(len(array))
    run.take(len(array))
    return [array[place] for place in sorted_values(array, order)]


def _end_type(end: str, _name: str, arguments: Sequence[Type]) -> Type:
    count_arguments(arguments, 1)
    if arguments[0].kind not in (Kind.ARRAY, Kind.UNKNOWN):
        raise ConditionError(f"cannot get {end} element from {arguments[0]}")
    return _after_call(arguments[0]).item


def _after_call(array: Type) -> Type:
    # The language forgets in these functions what a literal's elements were; a vector's it keeps.
    return array if array in (FLOATS, UNKNOWN) else ARRAY


def _get_type(_name: str, arguments: Sequence[Type]) -> Type:
    count_arguments(arguments, 2)
    base, key = arguments
    match base.kind:
        case Kind.UNKNOWN:
            return UNKNOWN
        case Kind.ARRAY:
            if key.kind not in (Kind.INT, Kind.UNKNOWN):
                raise ConditionError(f"non-integer slice index {key}")
            return base.item
        case Kind.MAP:
            if key.kind not in (Kind.STRING, Kind.UNKNOWN):
                raise ConditionError(f"cannot use {key} to get an element from {base}")
            return base.item
    raise ConditionError(f"type {base} does not support indexing")


def _take_type(_name: str, arguments: Sequence[Type]) -> Type:
    count_arguments(arguments, 2)
    array, count = arguments
    if array.kind not in (Kind.ARRAY, Kind.UNKNOWN):
        raise ConditionError(f"cannot take from {array}")
    if count.kind not in (Kind.INT, Kind.UNKNOWN):
        raise ConditionError(f"cannot take {count} elements")
    return _after_call(array)


def _concat_type(name: str, arguments: Sequence[Type]) -> Type:
    if not arguments:
        raise ConditionError("invalid number of arguments (expected at least 1, got 0)")
    for argument in arguments:
        if argument.kind not in (Kind.ARRAY, Kind.UNKNOWN):
            raise ConditionError(f"cannot {name} {argument}")
    return ARRAY


_whole_array: Final = takes_one(Kind.ARRAY, gives=ARRAY, refusal="cannot {name} {type}")

ARRAY_FUNCTIONS: Final[Mapping[str, Function]] = {
    "first": Function(partial(_end_type, "first"), _first),
    "last": Function(partial(_end_type, "last"), _last),
    "get": Function(_get_type, _get),
    "take": Function(_take_type, _take),
    "reverse": Function(_whole_array, _reverse),
    "uniq": Function(_whole_array, _uniq),
    "flatten": Function(_whole_array, _flatten),
    "concat": Function(_concat_type, _concat),
    "sort": Function(takes((ARRAY,), (ARRAY, STRING), gives=ARRAY), _sort),
}
