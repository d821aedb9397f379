"""When a metric is measured next."""

from __future__ import annotations

import math
from typing import Any

import pytest

from router.analysis.measurement import Measurement, MetricResult, begin
from router.analysis.metric import MetricSpec
from router.analysis.phases import Compat, Phase
from router.analysis.schedule import is_due, next_at

START = 1_000.0


def spec(**fields: Any) -> MetricSpec:
    return MetricSpec(**({"name": "m", "provider": "web", "settings": {}, "count": None} | fields))


def measured(phase: Phase, at: float = START, **fields: Any) -> MetricResult:
    last = Measurement(phase=phase, started_s=at - 3, finished_s=at)
    return MetricResult(name="m", phase=Phase.RUNNING, measurements=(last,), **fields)


def test_a_metric_is_due_when_its_run_starts() -> None:
    assert is_due(MetricResult(name="m"), spec(), START, START)


def test_an_initial_delay_counts_from_the_start_of_the_run() -> None:
    delayed = spec(initial_delay_s=20.0)
    assert not is_due(MetricResult(name="m"), delayed, START, START + 19.9)
    assert is_due(MetricResult(name="m"), delayed, START, START + 20.0)


def test_an_interval_counts_from_the_end_of_a_measurement_and_is_over_only_after_it() -> None:
    taken = measured(Phase.SUCCESSFUL)
    assert not is_due(taken, spec(interval_s=60.0), START, START + 60.0)
    assert is_due(taken, spec(interval_s=60.0), START, math.nextafter(START + 60.0, math.inf))


@pytest.mark.parametrize(
    ("compat", "interval_s", "retry_s"),
    [
        (Compat.ARGO, None, 10.0),
        (Compat.ARGO, 300.0, 10.0),
        (Compat.ARGO, 5.0, 10.0),
        (Compat.ROUTER, None, 10.0),
        (Compat.ROUTER, 300.0, 10.0),
        (Compat.ROUTER, 5.0, 5.0),
    ],
)
def test_an_error_is_retried_soon(compat: Compat, interval_s: float | None, retry_s: float) -> None:
    at = next_at(measured(Phase.ERROR), spec(compat=compat, interval_s=interval_s), START)
    assert at == pytest.approx(START + retry_s)


def test_missing_data_is_asked_for_again_at_the_interval() -> None:
    assert next_at(measured(Phase.NO_DATA), spec(interval_s=60.0), START) == pytest.approx(1_060.0)
    assert next_at(measured(Phase.NO_DATA), spec(count=1), START) == pytest.approx(1_010.0)


def test_a_metric_that_has_its_count_is_completed_or_awaited_is_not_due() -> None:
    far = START + 1e6
    assert not is_due(measured(Phase.SUCCESSFUL, count=1), spec(count=1), START, far)
    assert not is_due(MetricResult(name="m", phase=Phase.FAILED), spec(), START, far)
    assert not is_due(begin(MetricResult(name="m"), START), spec(), START, far)


def test_an_error_does_not_use_up_the_count() -> None:
    assert is_due(measured(Phase.ERROR, count=0), spec(count=1), START, START + 11.0)
