"""Whether a difference is the stable version's own noise.

A conclusion that there is no difference says that a difference of `TELLING` would have been
found; where too few pairs have a twin for that, it says so instead.
"""

from enum import StrEnum
from typing import Final

from router.evaluation.counts import Counts
from router.statistics import CONFIDENCE, Estimate, paired_difference, pairs_needed

TELLING: Final = 0.10
"""A difference this large must be found (at 80 % power) before anything is called noise."""
SIGNIFICANCE: Final = 1 - CONFIDENCE


class Conclusion(StrEnum):
    """What can be said of the shadow's differences."""

    DIFFERS = "differs"
    """It differs more often than the stable version from itself."""
    WITHIN_NOISE = "within_noise"
    NOT_ENOUGH = "not_enough"
    """Too few pairs have a twin."""
    NO_NOISE_FLOOR = "no_noise_floor"
    """It differs, and the stable version was never asked twice."""


def beyond_noise(counts: Counts) -> Estimate | None:
    """How much more often the shadow differs than the twin; None without a twin."""
    return paired_difference(counts.table) if counts.twins else None


def noise_of(counts: Counts) -> float:
    """The share of pairs that would tell shadow and twin apart if they were the same.

    Then each would be alone in differing as often as the other one.
    """
    return min(1.0, 2 * counts.twin_only / counts.twins) if counts.twins else 0.0


def needed(counts: Counts) -> int:
    """How many pairs with a twin are enough to call a difference noise."""
    return pairs_needed(noise_of(counts), TELLING)


def conclude(
    counts: Counts, beyond: Estimate | None, p_value: float | None, asked: int
) -> Conclusion:
    """Say what the counts mean; of all fields `asked` twins were wanted, `p_value` decides."""
    if beyond is not None and beyond.low > 0 and p_value is not None and p_value <= SIGNIFICANCE:
        return Conclusion.DIFFERS
    if not asked and counts.differing:
        return Conclusion.NO_NOISE_FLOOR
    told = counts.twins if asked else counts.pairs
    return Conclusion.WITHIN_NOISE if told >= needed(counts) else Conclusion.NOT_ENOUGH


def is_noisy(counts: Counts) -> bool:
    """Whether differences here are to be expected from the stable version itself.

    Only where the stable version was seen to differ from itself: that a shadow has differed too
    seldom to be sure does not excuse what a deterministic stable version never does.
    """
    if not counts.twins_differing or counts.twins < needed(counts):
        return False
    return paired_difference(counts.table).low <= 0
