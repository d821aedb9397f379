"""The functions that evaluate a predicate for each element of an array."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from router.analysis.conditions.arithmetic import add
from router.analysis.conditions.array_functions import sorted_values
from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.values import Groups, go_type, is_array, is_key, to_bool, to_text


class Predicate(Protocol):
    """Evaluates the predicate's body for one element."""

    def __call__(self, element: object, index: int, acc: object = None) -> object:
        """Give the body's value."""


Apply = Callable[[Run, Sequence[object], Predicate | None, Sequence[object]], object]
"""(run, elements, predicate if there is one, what follows it)."""


def elements_of(run: Run, name: str, value: object) -> Sequence[object]:
    """Give what a predicate walks over: an array, the bytes of a string, or an empty map.

    Raises:
        ConditionError: it cannot be walked over.
    """
    if is_array(value):
        return value
    if isinstance(value, str):
        run.take(len(value))
        return [*value.encode(errors="surrogatepass")]
    if isinstance(value, Mapping) and not value:
        return []
    raise ConditionError(f"builtin {name} takes only array (got {go_type(value)})")


def _holds(predicate: Predicate | None, element: object, index: int) -> bool:
    return to_bool(element if predicate is None else predicate(element, index))


def _all(_run: Run, elements: Sequence[object], holds: Predicate | None, _rest: object) -> bool:
    return all(_holds(holds, element, index) for index, element in enumerate(elements))


def _none(run: Run, elements: Sequence[object], holds: Predicate | None, rest: object) -> bool:
    return not _any(run, elements, holds, rest)


def _any(_run: Run, elements: Sequence[object], holds: Predicate | None, _rest: object) -> bool:
    return any(_holds(holds, element, index) for index, element in enumerate(elements))


def _one(run: Run, elements: Sequence[object], holds: Predicate | None, rest: object) -> bool:
    return _count(run, elements, holds, rest) == 1


def _count(run: Run, elements: Sequence[object], holds: Predicate | None, _rest: object) -> int:
    run.step(len(elements))
    return sum(_holds(holds, element, index) for index, element in enumerate(elements))


def _filter(
    run: Run, elements: Sequence[object], holds: Predicate | None, _rest: object
) -> list[object]:
    run.take(len(elements))
    return [element for index, element in enumerate(elements) if _holds(holds, element, index)]


def _map(
    run: Run, elements: Sequence[object], change: Predicate | None, _rest: object
) -> list[object]:
    run.take(len(elements))
    return _changed(elements, change)


def _changed(elements: Sequence[object], change: Predicate | None) -> list[object]:
    if change is None:
        return [*elements]
    return [change(element, index) for index, element in enumerate(elements)]


def _sum(run: Run, elements: Sequence[object], change: Predicate | None, _rest: object) -> object:
    run.step(len(elements))
    total: object = 0
    for value in _changed(elements, change):
        total = add(run, value, total)
    return total


def _find(run: Run, elements: Sequence[object], holds: Predicate | None, rest: object) -> object:
    place = _find_index(run, elements, holds, rest)
    return None if place is None else elements[place]


def _find_index(
    _run: Run, elements: Sequence[object], holds: Predicate | None, _rest: object
) -> int | None:
    """Nil where none is found, as in the language; not -1."""
    places = range(len(elements))
    return next((place for place in places if _holds(holds, elements[place], place)), None)


def _find_last(
    run: Run, elements: Sequence[object], holds: Predicate | None, rest: object
) -> object:
    place = _find_last_index(run, elements, holds, rest)
    return None if place is None else elements[place]


def _find_last_index(
    _run: Run, elements: Sequence[object], holds: Predicate | None, _rest: object
) -> int | None:
    places = reversed(range(len(elements)))
    return next((place for place in places if _holds(holds, elements[place], place)), None)


def _group_by(
    run: Run, elements: Sequence[object], change: Predicate | None, _rest: object
) -> Groups:
    run.take(2 * len(elements))
    groups = Groups()
    for key, element in zip(_changed(elements, change), elements, strict=True):
        if not is_key(key):
            raise ConditionError(f"groupBy cannot group by a value of type {go_type(key)}")
        group = groups.setdefault(key, [])
        assert isinstance(group, list)  # nothing else is ever put in
        group.append(element)
    return groups


def _sort_by(
    run: Run, elements: Sequence[object], change: Predicate | None, rest: Sequence[object]
) -> list[object]:
    run.take(2 * len(elements))
    order = to_text(rest[0]) if rest else "asc"
    return [elements[place] for place in sorted_values(_changed(elements, change), order)]


def _reduce(
    _run: Run, elements: Sequence[object], fold: Predicate | None, rest: Sequence[object]
) -> object:
    assert fold is not None  # the grammar demands it
    if not rest and not elements:
        raise ConditionError("reduce of empty array with no initial value")
    start = 0 if rest else 1
    acc = rest[0] if rest else elements[0]
    for index in range(start, len(elements)):
        acc = fold(elements[index], index, acc)
    return acc


PREDICATE_APPLICATIONS: Final[Mapping[str, Apply]] = {
    "all": _all,
    "none": _none,
    "any": _any,
    "one": _one,
    "count": _count,
    "filter": _filter,
    "map": _map,
    "sum": _sum,
    "find": _find,
    "findIndex": _find_index,
    "findLast": _find_last,
    "findLastIndex": _find_last_index,
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
