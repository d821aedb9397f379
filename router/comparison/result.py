"""What comes out of a comparison."""

from enum import StrEnum
from typing import Final

import msgspec

MAX_EXCERPT: Final = 200
"""Characters of a differing value that are shown."""


class Field(StrEnum):
    """A comparable part of an answer."""

    STATUS = "status"
    FINISH_REASON = "finish_reason"
    TEXT = "text"
    TOOL_CALLS = "tool_calls"
    JSON = "json"
    TENSORS = "tensors"
    EMBEDDINGS = "embeddings"
    BODY = "body"
    """Bytes that are none of the others: audio, images, unreadable JSON."""


class Verdict(StrEnum):
    """What a pair of answers says of the shadow."""

    MATCH = "match"
    WITHIN_NOISE = "within_noise"
    MISMATCH = "mismatch"
    ERROR = "error"
    """There are no two answers to compare."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field of two answers: the same or not, and the rule that decided.

    `rule` is like `text.exact`, `text.ratio`, `json.value`, `tensors.shape`.  `score` is how alike
    they are where that is a number (a text ratio, a cosine), `largest` how far apart numbers are
    at most (absolute, relative).  `place` is where the first difference is, like
    `$.choices[0].message.content`; `primary` and `other` are excerpts of both sides there.
    """

    field: Field
    same: bool
    rule: str
    score: float | None = None
    largest: tuple[float, float] | None = None
    place: str = ""
    primary: str = ""
    other: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Every field that at least one of two answers has.

    `error` says why there was nothing to compare: the primary or the other did not answer.
    `tokens` are the completion tokens that each reported.
    """

    fields: tuple[Difference, ...] = ()
    error: str = ""
    tokens: tuple[int | None, int | None] = (None, None)

    @property
    def differing(self) -> tuple[Field, ...]:
        """The fields that are not the same."""
        return tuple(each.field for each in self.fields if not each.same)


class Judgement(msgspec.Struct, frozen=True):
    """What a pair is counted as, and the rule that decided, like `text.exact` or `noise.twin`."""

    verdict: Verdict
    rule: str
