"""What a person should be told about a metric that is right as far as its form goes.

Pure; every finding is the name of a field of the metric, and a text.
"""

import math
import re
from collections.abc import Iterator
from typing import Final

from router.analysis.conditions import parse
from router.analysis.conditions import warnings as condition_warnings
from router.analysis.durations import parse_duration
from router.analysis.metric import OFF, MetricSpec
from router.analysis.phases import NoData

Remark = tuple[str, str]
"""A field of the metric, and what is to be said about it."""

TOLERABLE: Final = 0.05
"""Share of needless failures of a good version that is not worth a word."""
WINDOWS_WITHOUT_END: Final = 12
"""Measurements that a metric without an end is judged by here."""
MAX_SAMPLES: Final = 100_000
"""Above this many requests a window resolves any threshold that people write."""

_OWN_WINDOWS: Final = {"router": "1m"}
"""What a provider looks back on unless it is told."""

_RATIO: Final = re.compile(r"[)}\]\w]\s*/\s*[(\w]")
_WINDOW: Final = re.compile(r"\[([0-9][0-9a-zµ.]*)\]")
_THRESHOLD: Final = re.compile(
    r"(?:asFloat\()?result(?:\[0\])?\)?\s*(?P<sign><=?|>=?)\s*(?P<number>0?\.[0-9]+)", re.ASCII
)


def lint_metric(spec: MetricSpec) -> Iterator[Remark]:
    """Look at one metric."""
    conditions = {
        "successCondition": spec.success_condition,
        "failureCondition": spec.failure_condition,
    }
    if not any(conditions.values()):
        yield "successCondition", "without a condition every answer counts as Successful"
    for field, text in conditions.items():
        if text:
            yield from ((field, warning) for warning in condition_warnings(parse(text)))
    yield from _limits(spec)
    if spec.open_ended:
        yield (
            "count",
            (
                "interval without count goes on for ever; here it ends after failureLimit + 1 = "
                f"{spec.count} measurements, or at the deadline (Argo Rollouts refuses this)"
            ),
        )


def _limits(spec: MetricSpec) -> Iterator[Remark]:
    if spec.consecutive_success_limit and spec.count is not None:
        if spec.count < spec.consecutive_success_limit:
            wanted = spec.consecutive_success_limit
            yield "count", f"{spec.count} measurements cannot have {wanted} successes in a row"
    elif spec.count is not None and spec.count <= spec.failure_limit != OFF:
        yield (
            "failureLimit",
            (
                f"can never fail: it takes more than {spec.failure_limit} failures, and there are "
                f"only {spec.count} measurements"
            ),
        )


def waits_for_ever(spec: MetricSpec) -> bool:
    """Whether a run without a deadline may wait for data that never comes."""
    return spec.no_data is NoData.WAIT


def lint_samples(spec: MetricSpec, requests_per_s: float) -> Iterator[Remark]:
    """Say whether a threshold on a ratio can be told from chance at this rate of requests.

    `requests_per_s` is the measured version's share.  The yardstick is a good version: its true
    rate is half of what the threshold tolerates.
    """
    tolerated, strict = _tolerated(spec)
    window_s = _window_s(spec)
    if tolerated is None or window_s is None:
        return
    samples = int(requests_per_s * window_s)
    if samples > MAX_SAMPLES:
        return
    seen = f"at {requests_per_s:g} requests/s a window of {window_s:g}s sees {samples} requests"
    if samples < 1:
        yield "provider", f"{seen}; measure over a longer window"
        return
    risk = false_alarm(spec, samples, tolerated, strict=strict)
    if risk > TOLERABLE:
        good = f"a version with half of the tolerated rate ({tolerated / 2:.2%})"
        remedy = "measure over a longer window, or raise failureLimit"
        yield "provider", f"{seen}: {good} fails this metric in {risk:.0%} of its runs; {remedy}"


def false_alarm(spec: MetricSpec, samples: int, tolerated: float, *, strict: bool) -> float:
    """How probably a version with half of the tolerated rate fails the metric (binomial, exact).

    `strict`: a rate that equals the threshold fails.  A metric without an end is judged by
    `WINDOWS_WITHOUT_END` measurements.
    """
    bound = samples * tolerated
    # Rounded first: 0.02 of 50 is 1.0000000000000002 or not, as the wind blows.
    bound = round(bound, 9)
    failing = math.ceil(bound) if strict else math.floor(bound) + 1
    one = _at_least(failing, samples, tolerated / 2)
    windows = spec.count or WINDOWS_WITHOUT_END
    return 0.0 if spec.failure_limit == OFF else _at_least(spec.failure_limit + 1, windows, one)


def _at_least(hits: int, tries: int, p: float) -> float:
    """P(X >= hits) of a binomial distribution."""
    if p <= 0.0 or p >= 1.0:
        return float(hits <= 0 if p <= 0.0 else hits <= tries)
    fewer = math.fsum(_exactly(k, tries, p) for k in range(min(hits, tries + 1)))
    return max(0.0, 1.0 - fewer)


def _exactly(hits: int, tries: int, p: float) -> float:
    ways = math.lgamma(tries + 1) - math.lgamma(hits + 1) - math.lgamma(tries - hits + 1)
    return math.exp(ways + hits * math.log(p) + (tries - hits) * math.log1p(-p))


def _tolerated(spec: MetricSpec) -> tuple[float | None, bool]:
    """The error rate that a simple threshold tolerates, and whether it fails when equal to it."""
    if not _is_ratio(spec):
        return None, False
    for text, fails_where_true in ((spec.success_condition, False), (spec.failure_condition, True)):
        if found := _THRESHOLD.fullmatch(text.strip()):
            below = found["sign"].startswith("<")
            number = float(found["number"])
            # Success below, or failure above: an error rate.  Else a success rate.
            tolerated = number if below is not fails_where_true else 1 - number
            return tolerated, ("=" in found["sign"]) is fails_where_true
    return None, False


def _is_ratio(spec: MetricSpec) -> bool:
    """Whether a value is a part of requests: the router's own, or a query that divides."""
    query = spec.settings.get("query")
    return spec.settings.get("metric") == "errorRatio" or (
        isinstance(query, str) and _RATIO.search(query) is not None
    )


def _window_s(spec: MetricSpec) -> float | None:
    """What one measurement looks back on: the query's last range, or the router's window."""
    found = _WINDOW.findall(str(spec.settings.get("query", "")))
    window = found[-1] if found else spec.settings.get("window", _OWN_WINDOWS.get(spec.provider))
    try:
        return spec.interval_s if window is None else parse_duration(window)
    except ValueError:
        return spec.interval_s
