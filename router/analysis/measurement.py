"""What was measured, and how often with which outcome.

Pure values, made to be stored: `msgspec.to_builtins` writes them and `msgspec.convert` reads them
back.  Counters are kept for ever, measurements only as many as the metric wants.

Guarantees (properties in tests/properties/test_analysis_counting.py):
  * `count` is the sum of `successful`, `failed` and `inconclusive`: errors and missing data do
    not bring a metric nearer to its end;
  * never more finished measurements are kept than `MetricSpec.kept`, and they are the newest.

Argo: `analysis/analysis.go:runMeasurements`.  Times are seconds since 1970 UTC.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from router.analysis.metric import MetricSpec
from router.analysis.phases import Phase

MAX_TEXT: Final = 1024
"""Characters of a value or a message that are kept."""


class Measurement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One question to a provider.  `finished_s` None: the answer has not come yet.

    `value` is the answer as text, at most `MAX_TEXT` characters of it.
    """

    phase: Phase
    started_s: float
    finished_s: float | None = None
    value: str = ""
    message: str = ""
    samples: int | None = None

    @property
    def in_flight(self) -> bool:
        """Whether the answer has not come yet."""
        return self.phase is Phase.RUNNING


class MetricResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A metric's progress: counters, the last measurements, and what came of them so far.

    `erroring_since_s` is when the first of the errors that now stand in a row was asked.
    """

    name: str
    phase: Phase = Phase.PENDING
    message: str = ""
    measurements: tuple[Measurement, ...] = ()
    count: int = 0
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    no_data: int = 0
    consecutive_error: int = 0
    consecutive_success: int = 0
    erroring_since_s: float | None = None

    @property
    def last(self) -> Measurement | None:
        """The newest measurement, answered or not."""
        return self.measurements[-1] if self.measurements else None

    @property
    def in_flight(self) -> bool:
        """Whether an answer is awaited."""
        return self.last is not None and self.last.in_flight

    @property
    def erroring_s(self) -> float:
        """How long there have been nothing but errors, by the last of them."""
        if self.erroring_since_s is None or self.last is None or self.last.finished_s is None:
            return 0.0
        return self.last.finished_s - self.erroring_since_s


def begin(result: MetricResult, now: float) -> MetricResult:
    """Note that a question is on its way; nothing if one is already."""
    if result.in_flight:
        return result
    asked = Measurement(phase=Phase.RUNNING, started_s=now)
    # Trimmed when it is answered: until then it may still be forgotten.
    return replace(result, measurements=(*result.measurements, asked))


def forget_in_flight(result: MetricResult) -> MetricResult:
    """Drop the question whose answer nobody waits for any more."""
    return replace(result, measurements=result.measurements[:-1]) if result.in_flight else result


def take(result: MetricResult, measurement: Measurement, spec: MetricSpec) -> MetricResult:
    """Add a finished measurement; it answers the one in flight, if there is one."""
    before = forget_in_flight(result).measurements
    counted = _count(result, measurement)
    return replace(counted, measurements=(*before, measurement)[-spec.kept :])


def _count(result: MetricResult, measurement: Measurement) -> MetricResult:
    if measurement.phase is Phase.ERROR:
        return _count_error(result, measurement)
    result = replace(result, consecutive_error=0, erroring_since_s=None)
    if measurement.phase is Phase.NO_DATA:
        # The provider has answered, so a row of errors ends; a row of successes goes on.
        return replace(result, no_data=result.no_data + 1)
    return replace(_count_outcome(result, measurement.phase), count=result.count + 1)


def _count_outcome(result: MetricResult, phase: Phase) -> MetricResult:
    match phase:
        case Phase.SUCCESSFUL:
            in_row = result.consecutive_success + 1
            return replace(result, successful=result.successful + 1, consecutive_success=in_row)
        case Phase.FAILED:
            return replace(result, failed=result.failed + 1, consecutive_success=0)
        case Phase.INCONCLUSIVE:
            return replace(result, inconclusive=result.inconclusive + 1, consecutive_success=0)
    raise AssertionError(f"unreachable: {phase} is no outcome of a measurement")


def _count_error(result: MetricResult, measurement: Measurement) -> MetricResult:
    since = result.erroring_since_s
    return replace(
        result,
        error=result.error + 1,
        consecutive_error=result.consecutive_error + 1,
        consecutive_success=0,
        erroring_since_s=measurement.started_s if since is None else since,
    )


def clip(text: str) -> str:
    """Shorten a text to what is kept of it."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
