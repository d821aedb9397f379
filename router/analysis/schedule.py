"""When a metric is measured next.

Pure: Argo Rollouts' rules (`analysis/analysis.go:generateMetricTasks`).  The interval runs from
the end of a measurement, so the moments drift by what the provider takes; a metric has at most
one question on its way.

Guarantee (a property in tests/properties/test_analysis_scheduling.py): a metric is due at the very
moment that `next_at` names, and not before, unless its clock was set back: then at once.
"""

import math
from typing import Final

from router.analysis.measurement import Measurement, MetricResult
from router.analysis.metric import MetricSpec
from router.analysis.phases import COMPLETED, Compat, Phase

RETRY_S: Final = 10.0
"""Seconds from an error to the next try (`DefaultErrorRetryInterval`)."""


SET_BACK_S: Final = 1.0
"""A record from so far in the future tells of a clock that was set back since."""


def next_at(result: MetricResult, spec: MetricSpec, started_s: float) -> float | None:
    """Say from when on a metric is due; None: never, or not before something else happens."""
    if result.phase in COMPLETED or result.in_flight:
        return None
    if result.last is None or result.last.finished_s is None:
        return started_s + spec.initial_delay_s
    if spec.count is not None and result.count >= spec.count:
        return None
    after = result.last.finished_s + _pause_s(result.last, spec)
    # Argo's comparison is strict: due is the first moment after the interval.
    return math.nextafter(after, math.inf)


def is_due(result: MetricResult, spec: MetricSpec, started_s: float, now: float) -> bool:
    """Whether a metric is to be measured now.

    After the clock was set back a bad version must not go unmeasured until it has caught up.
    """
    at = next_at(result, spec, started_s)
    return at is not None and (at <= now or _newest_s(result, started_s) > now + SET_BACK_S)


def _newest_s(result: MetricResult, started_s: float) -> float:
    """The newest moment that is on record."""
    if result.last is None or result.last.finished_s is None:
        return started_s
    return result.last.finished_s


def _pause_s(last: Measurement, spec: MetricSpec) -> float:
    if last.phase is not Phase.ERROR:
        return RETRY_S if spec.interval_s is None else spec.interval_s
    if spec.compat is Compat.ARGO or spec.interval_s is None:
        return RETRY_S
    return min(spec.interval_s, RETRY_S)
