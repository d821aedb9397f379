"""A figure, its bar, and whether it is met.  Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in `unit`; without a `bar` it is told and not judged.

    The bar is the most that is allowed, or with `at_least` the least.
    """

    cell: str
    what: str
    value: float
    unit: str = ""
    bar: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the bar is met, which NaN (not measured) never is; None without a bar."""
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return {None: "", True: "met", False: "NOT MET"}[self.met]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "met": self.met}


def share_met(figures: Sequence[Figure]) -> tuple[int, int]:
    """(bars that are met, bars)."""
    judged = [figure.met for figure in figures if figure.met is not None]
    return sum(judged), len(judged)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of all is not above; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
