"""A bounded sample of an endless series."""

from collections.abc import Callable
from math import isfinite
from typing import Final

import msgspec

CAPACITY: Final = 1_000
"""Values kept: their median is sure to ±3 % of the ranks."""
_DIGITS: Final = 6
"""Microseconds: a tally is written down again and again."""


class Reservoir(msgspec.Struct, kw_only=True):
    """Each of the `seen` values is kept with the same chance (Vitter 1985, algorithm R)."""

    values: list[float] = []
    seen: int = 0

    def add(self, value: float | None, draw: Callable[[], float]) -> None:
        """Take a value, perhaps in place of another one; None and what is no number is nothing."""
        if value is None or not isfinite(value):
            return
        self.seen += 1
        if len(self.values) < CAPACITY:
            self.values.append(round(value, _DIGITS))
        elif (place := int(draw() * self.seen)) < CAPACITY:
            self.values[place] = round(value, _DIGITS)
