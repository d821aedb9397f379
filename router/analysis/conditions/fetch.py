"""Take something out of a value: `base[key]`, `base.key`, `base[start:stop]`."""

from collections.abc import Mapping

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.analysis.conditions.values import Groups, equal, go_type, is_array, is_key, to_int


def fetched(run: Run, base: object, key: object) -> object:
    """Give `base[key]`; a map without the key gives nil, a string gives the byte.

    Raises:
        ConditionError: nothing can be taken out of it, or there is no such place.
    """
    if isinstance(base, Mapping):
        return _entry(base, key)
    if is_array(base):
        return base[_place(key, len(base))]
    if isinstance(base, str):
        run.step_over(base)
        octets = base.encode(errors="surrogatepass")
        return octets[_place(key, len(octets))]
    raise ConditionError(f"cannot fetch {_shown(key)} from {go_type(base)}")


def _entry(base: Mapping[object, object], key: object) -> object:
    if isinstance(base, Groups):
        return base.get(key) if is_key(key) else None
    if key is None:
        return base.get("")  # as Go does: the zero value of a string
    if not isinstance(key, str):
        raise ConditionError(f"cannot fetch {_shown(key)} from {go_type(base)}")
    return base.get(key)


def _place(key: object, length: int) -> int:
    place = to_int(key)
    if place < 0:
        place += length
    if not 0 <= place < length:
        raise ConditionError(f"index out of range: {place} (array length is {length})")
    return place


def _shown(key: object) -> str:
    return str(key) if isinstance(key, str | int | float) else go_type(key)


def sliced(run: Run, base: object, start: int | None, stop: int | None) -> object:
    """Give `base[start:stop]`; ends beyond the value are moved to it.

    Raises:
        ConditionError: it has no slices.
    """
    if not (is_array(base) or isinstance(base, str)):
        raise ConditionError(f"invalid argument for len (type {go_type(base)})")
    low = 0 if start is None else _end(start, len(base))
    high = len(base) if stop is None else _end(stop, len(base))
    run.take(max(0, high - low))
    return base[low : max(low, high)] if isinstance(base, str) else [*base[low:high]]


def _end(place: int, length: int) -> int:
    return min(max(place + length if place < 0 else place, 0), length)


def contained(run: Run, item: object, whole: object) -> bool:
    """`item in whole`: an element of an array or a key of a map; nothing is in nil."""
    if whole is None:
        return False
    if is_array(whole):
        return any(equal(run, element, item) for element in whole)
    if not isinstance(whole, Mapping):
        raise ConditionError(f'operator "in" not defined on {go_type(whole)}')
    if not isinstance(whole, Groups) and not isinstance(item, str):
        raise ConditionError(f"cannot use {go_type(item)} as type string in map key")
    return is_key(item) and item in whole
