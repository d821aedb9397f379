"""What a report holds.  Shares as parts of 1, times in seconds."""

import msgspec

from router.comparison import Field, Verdict
from router.evaluation.noise import Conclusion
from router.statistics import Estimate


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    """Base of everything here: immutable, JSON-like."""


class FieldReport(_Result, frozen=True):
    """One field, or any field; None: nothing tells it.

    `shadow` is the share of all `pairs` whose shadow differs, `twin` the share of `twins` (pairs
    that have one) whose twin does.  `beyond_noise` is the difference of both shares in the pairs
    that have a twin.  `p_value` decides: it is that of `beyond_noise`, in a single field after
    Holm's correction for there being several.  With `twins_needed` twins a difference that does
    not show is called noise.
    """

    pairs: int
    twins: int
    shadow: Estimate | None
    twin: Estimate | None
    beyond_noise: Estimate | None
    p_value: float | None
    twins_needed: int
    conclusion: Conclusion


class ShiftReport(_Result, frozen=True):
    """Differences in time from the primary: `seen` so many, told by a sample of them."""

    seen: int
    median: Estimate
    p50: float
    p95: float


class TimeReport(_Result, frozen=True):
    """How much later than the primary the shadow comes, and the twin; None: too few values."""

    shadow: ShiftReport | None
    twin: ShiftReport | None = None


class TokensReport(_Result, frozen=True):
    """Completion tokens of the pairs in which both sides told theirs; `ratio` to the primary's."""

    pairs: int
    primary: int
    shadow: int
    ratio: float | None


class Report(_Result, frozen=True):
    """What is known of a shadow.

    `error_ratio` is the shadow's failures (no answer, or a server error that the primary did not
    have) among the requests that the primary answered.
    `conclusion` is that of `any`; a single field may differ although `any` does not.
    `smallest_detectable` is the difference that so many twins find with 80 % power.
    """

    stable: str
    shadow: str
    since_s: float
    pairs: int
    compared: int
    twins: int
    twins_failed: int
    errors: dict[str, int]
    error_ratio: Estimate | None
    verdicts: dict[Verdict, int]
    any: FieldReport
    fields: dict[Field, FieldReport]
    latency: TimeReport
    first_token: TimeReport
    tokens: TokensReport
    conclusion: Conclusion
    smallest_detectable: float | None
    summary: tuple[str, ...] = ()
