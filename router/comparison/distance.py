"""How far apart two numbers are."""

import sys
from collections.abc import Sequence
from math import inf, isfinite
from typing import Final

Number = int | float
Distance = tuple[float, float]
"""Absolute, and relative to the primary's number."""

LARGEST: Final = sys.float_info.max
"""Stands for infinity and beyond, which JSON could not carry into a report."""

_BEYOND: Final = (LARGEST, LARGEST)


def distance(primary: Number, other: Number) -> Distance:
    """Both distances; two NaN are the same number here."""
    if primary == other or (primary != primary and other != other):
        return 0.0, 0.0
    try:
        absolute = abs(float(primary - other))  # whole numbers may be longer than a float holds
        relative = absolute / abs(primary) if primary else LARGEST
    except OverflowError:
        return _BEYOND
    return (absolute, min(relative, LARGEST)) if isfinite(absolute) else _BEYOND


def farthest(one: Distance | None, two: Distance | None) -> Distance | None:
    """The larger of each; None where nothing is apart."""
    if one is None or two is None:
        return two if one is None else one
    return max(one[0], two[0]), max(one[1], two[1])


def compare_rows(
    mine: Sequence[Number], theirs: Sequence[Number], tolerance: float
) -> tuple[Distance | None, int | None]:
    """The largest distances in two rows of one length, and where the first beyond tolerance is."""
    try:
        return _compare_rows(mine, theirs, tolerance)
    except OverflowError:  # whole numbers that no float holds
        return _compare_any_rows(mine, theirs, tolerance)


def _compare_rows(
    mine: Sequence[Number], theirs: Sequence[Number], tolerance: float
) -> tuple[Distance | None, int | None]:
    # `distance` written out for what is finite: a tensor has millions of numbers, and one takes
    # 0.2 µs instead of 1 (CPython 3.11).
    absolute = relative = 0.0
    first: int | None = None
    for index, (one, two) in enumerate(zip(mine, theirs, strict=True)):
        if one == two:
            continue
        apart = abs(one - two) * 1.0  # a whole number too long for a float raises
        share = apart / abs(one) if one else LARGEST
        if not apart < inf:
            apart, share = distance(one, two)
        if apart > absolute:
            absolute = apart
        if share > relative:
            relative = share
        if share > tolerance and first is None:
            first = index
    largest = (absolute, min(relative, LARGEST)) if absolute else None
    return largest, first


def _compare_any_rows(
    mine: Sequence[Number], theirs: Sequence[Number], tolerance: float
) -> tuple[Distance | None, int | None]:
    largest: Distance | None = None
    first: int | None = None
    for index, (one, two) in enumerate(zip(mine, theirs, strict=True)):
        apart = distance(one, two)
        if apart != (0.0, 0.0):
            largest = farthest(largest, apart)
            first = index if first is None and apart[1] > tolerance else first
    return largest, first
