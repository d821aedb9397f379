"""Ask what the comparisons of a route's shadow tell: how its answers differ from stable's.

    provider:
      shadow: {metric: mismatchBeyondNoise, bound: high, minPairs: 2000, minTwins: 1000}

The value is a list of one number, so that conditions read `result[0] < 0.02` as with Prometheus.
Fewer pairs (or pairs with a twin) than wanted are no data: `[]`.  Pairs are counted from the
moment that a rollout's attempt, or a person, made the version the shadow.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, Self

import msgspec
from pydantic import Field, model_validator

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.settings import Settings, find_problems, read_settings
from router.comparison import Field as AnswerField
from router.evaluation.result import FieldReport, Report, TimeReport
from router.statistics import Estimate

Reports = Callable[[str], Report | None]
"""What is known of the shadow of a route; None: nothing yet."""

_BEYOND_NOISE: Final = "mismatchBeyondNoise"
_OF_FIELDS: Final = frozenset(("mismatchRatio", _BEYOND_NOISE))


def no_reports(_route: str) -> None:
    """What is known where nothing is compared."""


class ShadowSettings(Settings):
    """A metric's `provider.shadow`."""

    metric: Literal[
        "mismatchRatio",
        "mismatchBeyondNoise",
        "errorRatio",
        "latencyDifference",
        "firstTokenDifference",
        "pairs",
    ]
    """Ratios are of pairs, differences the median in seconds, the stable version's taken away."""
    field: AnswerField | None = None
    """One part of the answers; without it, any of them."""
    bound: Literal["low", "value", "high"] = "value"
    """The number itself, or an end of its 95 % interval."""
    min_pairs: int = Field(default=200, ge=0)
    min_twins: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.field is not None and self.metric not in _OF_FIELDS:
            raise ValueError(f"{self.metric} has no field")
        if self.min_twins and self.metric != _BEYOND_NOISE:
            raise ValueError(f"minTwins only means something with {_BEYOND_NOISE}")
        return self


class _Evidence(msgspec.Struct, frozen=True):
    """A number, and how many pairs (and of them with a twin) it comes from."""

    estimate: Estimate | None
    pairs: int
    twins: int = 0


_NONE: Final = _Evidence(None, 0)


class ShadowComparisons:
    """The provider."""

    def __init__(self, reports: Reports) -> None:
        self._reports: Final = reports

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with settings in which arguments may still be unfilled."""
        return find_problems(ShadowSettings, settings)

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """See `Provider`."""
        metric = read_settings(ShadowSettings, settings)
        report = self._reports(subject.route)
        if report is None:
            return Reading(value=[], no_data=True, samples=0)
        _check_who_is_compared(report, subject)
        evidence = _evidence(report, metric)
        number = _number(evidence, metric)
        if number is None:
            return Reading(value=[], no_data=True, samples=evidence.pairs)
        return Reading(value=[number], samples=evidence.pairs)


def _check_who_is_compared(report: Report, subject: Subject) -> None:
    if report.shadow != subject.canary:
        who = f"the shadow of route {subject.route} is {report.shadow}"
        raise ProviderError(f"{who}, not {subject.canary}")
    if report.stable != subject.stable:
        who = f"{report.shadow} of route {subject.route} was compared with {report.stable}"
        raise ProviderError(f"{who}, not with {subject.stable}")


def _evidence(report: Report, metric: ShadowSettings) -> _Evidence:
    match metric.metric:
        case "mismatchRatio" | "mismatchBeyondNoise":
            return _of_field(_part(report, metric.field), metric)
        case "errorRatio":
            ratio = report.error_ratio
            return _NONE if ratio is None else _Evidence(ratio, ratio.samples)
        case "latencyDifference":
            return _of_time(report.latency)
        case "firstTokenDifference":
            return _of_time(report.first_token)
        case "pairs":
            count = float(report.pairs)
            sure = Estimate(value=count, low=count, high=count, samples=report.pairs)
            return _Evidence(sure, report.pairs)


def _part(report: Report, field: AnswerField | None) -> FieldReport | None:
    return report.any if field is None else report.fields.get(field)


def _of_field(part: FieldReport | None, metric: ShadowSettings) -> _Evidence:
    if part is None:  # no answer has had it so far
        return _NONE
    is_beyond = metric.metric == _BEYOND_NOISE
    return _Evidence(part.beyond_noise if is_beyond else part.shadow, part.pairs, part.twins)


def _of_time(time: TimeReport) -> _Evidence:
    shift = time.shadow
    return _NONE if shift is None else _Evidence(shift.median, shift.seen)


def _number(evidence: _Evidence, metric: ShadowSettings) -> float | None:
    """The number to judge; None where there is too little behind it."""
    estimate = evidence.estimate
    if estimate is None or evidence.pairs < metric.min_pairs or evidence.twins < metric.min_twins:
        return None
    match metric.bound:
        case "low":
            return estimate.low
        case "value":
            return estimate.value
        case "high":
            return estimate.high
