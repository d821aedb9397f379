"""What comes out: a number, and how sure it is."""

from functools import lru_cache
from statistics import NormalDist
from typing import Final

import msgspec

CONFIDENCE: Final = 0.95
"""How often an interval holds the truth, unless a caller says otherwise."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its confidence interval, from so many samples.

    `p_value`: how likely a sample at least as far from 0 is when the truth is 0; None where that
    is no question.
    """

    value: float
    low: float
    high: float
    samples: int
    p_value: float | None = None


@lru_cache(maxsize=64)
def critical(confidence: float) -> float:
    """How many standard deviations around the middle hold this share of a normal distribution."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)
