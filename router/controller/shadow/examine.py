"""What differs between the answers of one pair.  Pure, and the part that takes time.

A defect in a comparison is an error of its pair, never the end of comparing.
"""

from typing import Final

from router.comparison import Answer, Comparison, Outcome, Rules, compare
from router.controller.shadow.answers import answer_of
from router.evaluation.tally import Observed
from router.link.messages import Pair

DEFECT: Final = "primary: not compared, a defect"
"""A fault of ours.  Told as the primary's, like an answer that is not there: it must not count as
a failure of the shadow."""


def examine(pair: Pair, rules: Rules) -> Observed:
    """Compare the answers of a pair; never raises."""
    try:
        return _observed(pair, rules)
    except Exception as error:
        # The fault's own text may quote an answer, so only its kind is told.
        return Observed(comparison=Comparison(error=f"{DEFECT} ({type(error).__name__})"))


def _observed(pair: Pair, rules: Rules) -> Observed:
    primary, shadow = answer_of(pair.primary), answer_of(pair.shadow)
    twin = answer_of(pair.twin) if pair.twin is not None else None
    return Observed(
        comparison=compare(primary, shadow, rules),
        twin=compare(primary, twin, rules) if twin is not None else None,
        latency_s=_later(primary.duration_s, shadow.duration_s, primary, shadow),
        first_token_s=_later(primary.first_token_s, shadow.first_token_s, primary, shadow),
        twin_latency_s=_later(primary.duration_s, twin.duration_s, primary, twin) if twin else None,
    )


def _later(
    primary_s: float | None, other_s: float | None, primary: Answer, other: Answer
) -> float | None:
    """How much later the other one was; None unless both have answered."""
    if primary.outcome is not Outcome.ANSWERED or other.outcome is not Outcome.ANSWERED:
        return None
    return None if primary_s is None or other_s is None else other_s - primary_s
