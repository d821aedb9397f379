"""How far paired numbers are apart, when a few of them are far out."""

from collections.abc import Sequence
from itertools import groupby
from math import erfc, floor, sqrt
from typing import Final

from router.statistics.estimate import CONFIDENCE, Estimate, critical

MIN_VALUES: Final = 8
"""With fewer the normal approximation is no good."""
_HALVINGS: Final = 40
"""The range of the values halved so often: a microsecond in twelve days."""


def shift(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Where differences of pairs lie: Hodges and Lehmann's estimate, Wilcoxon's signed-rank test.

    The estimate is the median of all means of two values (Walsh averages); one in four values may
    be wild without carrying it off.  Interval and p-value assume that the differences lie
    symmetrically around it; the distribution of the rank sum is taken as normal, corrected for
    ties and continuity, zeros left out of the test (Hollander, Wolfe, Chicken 2014, Nonparametric
    Statistical Methods, 3.1-3.3).  Without ties and zeros the interval excludes 0 exactly when the
    test rejects.  Valid from `MIN_VALUES` on.  A thousand values take about 20 ms.

    Raises:
        ValueError: there are too few values.
    """
    if len(values) < MIN_VALUES:
        raise ValueError(f"{len(values)} values are fewer than {MIN_VALUES}")
    ordered = sorted(values)
    count = len(ordered)
    averages = count * (count + 1) // 2
    rank = _rank_of_limit(count, confidence)
    middle = (_walsh(ordered, (averages + 1) // 2) + _walsh(ordered, averages // 2 + 1)) / 2
    return Estimate(
        value=middle,
        low=_walsh(ordered, rank),
        high=_walsh(ordered, averages + 1 - rank),
        samples=count,
        p_value=_signed_rank(ordered),
    )


def _rank_of_limit(count: int, confidence: float) -> int:
    # The interval's lower end is the Walsh average of this rank: there the test just rejects.
    deviation = sqrt(count * (count + 1) * (2 * count + 1) / 24)
    return max(1, floor(count * (count + 1) / 4 + 0.5 - critical(confidence) * deviation))


def _signed_rank(values: Sequence[float]) -> float:
    others = sorted((value for value in values if value), key=abs)
    count = len(others)
    positive, ties, before = 0.0, 0, 0
    for _, group in groupby(others, key=abs):
        tied = list(group)
        size = len(tied)
        positive += sum(value > 0 for value in tied) * (before + (size + 1) / 2)
        ties += size**3 - size
        before += size
    variance = count * (count + 1) * (2 * count + 1) / 24 - ties / 48
    distance = abs(positive - count * (count + 1) / 4) - 0.5
    return erfc(distance / sqrt(2 * variance)) if distance > 0 else 1.0


def _walsh(ordered: Sequence[float], rank: int) -> float:
    # The mean of two values with this rank among all of them, without making all of them: halve
    # the range until as many lie below, or nothing fits between any more (ties).
    low, high = 2 * ordered[0], 2 * ordered[-1]
    count, largest = _sums_up_to(ordered, high)
    for _ in range(_HALVINGS):
        if count == rank:
            break
        middle = low + (high - low) / 2
        found = _sums_up_to(ordered, middle)
        if found[0] >= rank:
            high, (count, largest) = middle, found
        else:
            low = middle
    return largest / 2


def _sums_up_to(ordered: Sequence[float], bound: float) -> tuple[int, float]:
    # How many sums of two values (or of one and itself) do not exceed the bound, and the largest
    # of them.  The greater the first value, the smaller the second may be: one walk finds all.
    count, largest, last = 0, 2 * ordered[0], len(ordered) - 1
    for first, value in enumerate(ordered):
        while last >= first and value + ordered[last] > bound:
            last -= 1
        if last < first:
            break
        count += last - first + 1
        largest = max(largest, value + ordered[last])
    return count, largest
