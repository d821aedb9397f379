"""How many pairs show a difference of two paired shares, and which difference so many show.

The noise is the share of discordant pairs that there is without any difference; a difference
adds itself to them (Connor 1987, Biometrics 43:207-211, with its null variance at the
alternative's discordance).  A plan, not a promise: the noise it is given is itself an estimate.
"""

from math import ceil, sqrt
from statistics import NormalDist
from typing import Final

from router.statistics.estimate import CONFIDENCE, critical

POWER: Final = 0.8
"""How often a difference of that size is found."""
_HALVINGS: Final = 50


def pairs_needed(
    noise: float, difference: float, *, power: float = POWER, confidence: float = CONFIDENCE
) -> int:
    """How many pairs find `difference` with this power.

    Raises:
        ValueError: a difference that is not in 0..1 (0 needs every pair there ever is).
    """
    if not 0 < difference <= 1:
        raise ValueError(f"a difference of {difference} is not in 0..1")
    discordant = min(1.0, noise + difference)
    spread = critical(confidence) * sqrt(discordant)
    spread += NormalDist().inv_cdf(power) * sqrt(max(0.0, discordant - difference**2))
    return ceil((spread / difference) ** 2)


def detectable(
    noise: float, pairs: int, *, power: float = POWER, confidence: float = CONFIDENCE
) -> float:
    """The smallest difference that so many pairs find with this power; 1 where none is found."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if pairs_needed(noise, middle, power=power, confidence=confidence) > pairs:
            low = middle
        else:
            high = middle
    return high
