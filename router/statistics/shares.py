"""How often something happened."""

from math import sqrt

from router.statistics.estimate import CONFIDENCE, Estimate, critical


def share(successes: int, trials: int, confidence: float = CONFIDENCE) -> Estimate:
    """A share with Wilson's score interval (Wilson 1927, JASA 22:209-212).

    Close to its confidence for every share and from a handful of trials on, also at 0 and 1, where
    the textbook's interval has no width (Newcombe 1998, Stat Med 17:857-872, method 3).

    Raises:
        ValueError: there was no trial, or more successes than trials.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials} is no share")
    z2 = critical(confidence) ** 2
    value = successes / trials
    centre = (successes + z2 / 2) / (trials + z2)
    spread = sqrt(z2 * (successes * (1 - value) + z2 / 4)) / (trials + z2)
    # At the ends the interval touches them; rounding must not put it beside its own value.
    low = max(0.0, centre - spread) if successes else 0.0
    high = min(1.0, centre + spread) if successes < trials else 1.0
    return Estimate(value=value, low=low, high=high, samples=trials)
