"""`matches`: a pattern of RE2's syntax, which is what expr's Go has, found in a text.

The text may come from a web answer: RE2 takes linear time, and what that may cost is paid from
the evaluation's step budget before it is spent.
"""

from typing import Final

from router.analysis.conditions.errors import ConditionError
from router.analysis.conditions.run import Run
from router.pattern import Pattern, PatternError, text_pattern, utf8

MAX_PATTERN: Final = 1_000
_PER_STEP: Final = 100
"""Bytes times instructions: about a microsecond when RE2 has no room for the states of a match."""


def check_pattern(pattern: str) -> None:
    """Refuse what cannot be matched.

    Raises:
        ConditionError: the pattern is too long, too large, or RE2 does not have it.
    """
    _compiled(pattern)


def found_in(text: str, pattern: str, run: Run) -> bool:
    """Whether the pattern matches anywhere in the text.

    Raises:
        ConditionError: as `check_pattern`, or the budget does not suffice.
    """
    compiled, looked_through = _compiled(pattern), utf8(text)
    run.step(len(looked_through) * compiled.instructions // _PER_STEP)
    return compiled.found_in(looked_through)


def _compiled(pattern: str) -> Pattern:
    if len(pattern) > MAX_PATTERN:
        raise ConditionError(
            f"error parsing regexp: {len(pattern)} characters; {MAX_PATTERN} are allowed"
        )
    try:
        return text_pattern(pattern)
    except PatternError as error:
        raise ConditionError(f"error parsing regexp: {error}") from None
