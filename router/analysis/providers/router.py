"""Ask the router itself: what control's merged counters say of a version, without delay.

    provider:
      router: {metric: errorRatio, window: 1m, minRequests: 50}

The value is a list of one number, so that conditions read `result[0] < 0.02` as with Prometheus.
A window without a request, or with fewer than `minRequests`, is no data: `[]`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.settings import (
    Seconds,
    Settings,
    Text,
    find_problems,
    read_settings,
)
from router.telemetry.windows import MAX_WINDOW_S, History, Timing, Window

STALE_S: Final = 30.0
"""Numbers that are older say nothing about now."""

_RATES: Final[Mapping[str, Callable[[Window], float]]] = {
    "requestRate": lambda window: window.request_rate,
    "errorRatio": lambda window: window.error_ratio,
    "tokensPerSecond": lambda window: window.tokens_per_second,
    "requests": lambda window: float(window.requests),
}
_TIMINGS: Final[Mapping[str, Timing]] = {
    "durationQuantile": Timing.DURATION,
    "timeToFirstTokenQuantile": Timing.FIRST_TOKEN,
    "timeToFirstByteQuantile": Timing.FIRST_BYTE,
    "interChunkQuantile": Timing.INTER_CHUNK,
}


class RouterSettings(Settings):
    """A metric's `provider.router`."""

    metric: Literal[
        "requestRate",
        "errorRatio",
        "durationQuantile",
        "timeToFirstTokenQuantile",
        "timeToFirstByteQuantile",
        "interChunkQuantile",
        "tokensPerSecond",
        "requests",
    ]
    """Rates are per second, quantiles in seconds, tokens are completion tokens."""
    quantile: float | None = Field(default=None, gt=0, le=1)
    window_s: Annotated[Seconds, Field(le=MAX_WINDOW_S)] = Field(default=60.0, alias="window")
    version: Text = "canary"
    """`canary`, `stable`, or the name of one of the route's versions."""
    compare: Literal["difference", "ratio"] | None = None
    """The difference to stable, or the quotient, instead of the canary's own number."""
    min_requests: int = Field(default=1, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.metric in _TIMINGS and self.quantile is None:
            raise ValueError(f"{self.metric} needs a quantile, like 0.99")
        if self.metric not in _TIMINGS and self.quantile is not None:
            raise ValueError(f"{self.metric} has no quantile")
        if self.compare is not None and self.version == "stable":
            raise ValueError("compare needs a version other than stable")
        return self

    def number(self, window: Window) -> float:
        """The metric in one window; NaN if it was never measured there."""
        timing = _TIMINGS.get(self.metric)
        if timing is None:
            return _RATES[self.metric](window)
        assert self.quantile is not None
        return window.quantile(timing, self.quantile)

    def suffices(self, window: Window) -> bool:
        """Whether there was enough to measure."""
        return window.requests >= max(1, self.min_requests)


class RouterMetrics:
    """The provider."""

    def __init__(self, history: History) -> None:
        self._history: Final = history

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        """What is wrong with settings in which arguments may still be unfilled."""
        return find_problems(RouterSettings, settings)

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """See `Provider`."""
        metric = read_settings(RouterSettings, settings)
        window = self._window(metric.version, metric, subject)
        number, enough = metric.number(window), metric.suffices(window)
        if metric.compare is not None:
            stable = self._window("stable", metric, subject)
            number = _compared(metric.compare, number, metric.number(stable))
            enough = enough and metric.suffices(stable)
        if not enough or math.isnan(number):
            return Reading(value=[], no_data=True, samples=window.requests)
        return Reading(value=[number], samples=window.requests)

    def _window(self, role: str, metric: RouterSettings, subject: Subject) -> Window:
        version = {"canary": subject.canary, "stable": subject.stable}.get(role, role)
        if role == version and not self._history.knows(subject.route, version):
            raise ProviderError(f"route {subject.route} has no version {version}")
        window = self._history.window(subject.route, version, subject.now_s, metric.window_s)
        age_s = subject.now_s - window.ended_s
        if age_s > STALE_S:
            raise ProviderError(f"the router's own numbers are {age_s:.0f} s old")
        return window


def _compared(how: str, number: float, stable: float) -> float:
    if how == "difference":
        return number - stable
    if stable:
        return number / stable
    if math.isnan(number):
        return math.nan
    return math.inf if number else 1.0  # two zeros are equal, not unknown
