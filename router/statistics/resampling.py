"""What needs no model of where the numbers come from."""

from collections.abc import Callable, Sequence
from typing import Final

from router.statistics.estimate import CONFIDENCE, Estimate

RESAMPLES: Final = 1_000
"""Enough for a 95 % interval (Efron, Tibshirani 1993, An Introduction to the Bootstrap, 14.3)."""


def quantile(ordered: Sequence[float], at: float) -> float:
    """The value below which this share of sorted values lies, between two of them in proportion.

    Definition 7 of Hyndman and Fan 1996 (American Statistician 50:361-365).

    Raises:
        ValueError: there is no value, or `at` is not in 0..1.
    """
    if not ordered or not 0 <= at <= 1:
        raise ValueError(f"no {at} quantile of {len(ordered)} values")
    place = (len(ordered) - 1) * at
    below = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def bootstrap(
    values: Sequence[float],
    statistic: Callable[[Sequence[float]], float],
    draw: Callable[[], float],
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Estimate:
    """Any statistic with its percentile bootstrap interval (Efron 1979, Ann Stat 7:1-26).

    `draw` gives numbers in [0, 1), one for each value of each resample.  Valid from some tens of
    values on, for statistics that no single value decides: not for a maximum.

    Raises:
        ValueError: there is no value.
    """
    if not values:
        raise ValueError("nothing to draw from")
    count = len(values)
    found = sorted(
        statistic([values[int(draw() * count)] for _ in range(count)]) for _ in range(resamples)
    )
    return Estimate(
        value=statistic(values),
        low=quantile(found, (1 - confidence) / 2),
        high=quantile(found, (1 + confidence) / 2),
        samples=count,
    )
