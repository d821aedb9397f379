"""The router's counters, as the demo reads them."""

from __future__ import annotations

import math

import pytest

from router.demo.readings import Counts, Reading, parse, quantile

METRICS = """
# TYPE model_requests_total counter
model_requests_total{code="200",role="stable",route="chat",version="v1"} 90.0
model_requests_total{code="502",role="stable",route="chat",version="v1"} 5.0
model_requests_total{code="200",role="canary",route="chat",version="v2"} 5.0
model_requests_total{code="200",role="stable",route="other",version="v1"} 1000.0
# TYPE model_errors_total counter
model_errors_total{reason="connect",role="stable",route="chat",version="v1"} 4.0
model_errors_total{reason="reset",role="stable",route="chat",version="v1"} 1.0
model_errors_total{reason="connect",role="canary",route="chat",version="v2"} 2.0
# TYPE router_fallbacks_total counter
router_fallbacks_total{reason="connect",route="chat",version="v2"} 2.0
# TYPE model_weight gauge
model_weight{role="stable",route="chat",version="v1"} 0.95
model_weight{role="canary",route="chat",version="v2"} 0.05
# TYPE model_tokens_total counter
model_tokens_total{route="chat",type="prompt",version="v1"} 7.0
model_tokens_total{route="chat",type="completion",version="v1"} 640.0
# TYPE model_request_duration_seconds histogram
model_request_duration_seconds_bucket{le="0.1",route="chat",version="v1"} 50.0
model_request_duration_seconds_bucket{le="+Inf",route="chat",version="v1"} 95.0
model_request_duration_seconds_count{route="chat",version="v1"} 95.0
model_request_duration_seconds_sum{route="chat",version="v1"} 9.0
# TYPE router_event_loop_delay_seconds gauge
router_client_connections{worker="w0"} 3.0
"""


def test_a_reading_holds_one_route_by_version() -> None:
    reading = parse(METRICS, "chat")
    assert list(reading.versions) == ["v1", "v2"]
    assert reading.versions["v1"] == Counts(
        weight=0.95,
        role="stable",
        requests=95.0,
        errors=5.0,
        completion_tokens=640.0,
        duration={0.1: 50.0, math.inf: 95.0},
    )
    assert reading.of("v2").fallbacks == 2.0


def test_a_request_that_stable_answered_instead_is_one_request() -> None:
    assert parse(METRICS, "chat").requests == 98.0


def test_a_version_that_nobody_counted_has_zeros() -> None:
    assert Reading().of("v9") == Counts()


def test_there_is_no_error_ratio_before_the_first_request() -> None:
    assert Counts(weight=1.0).error_ratio is None
    assert parse(METRICS, "chat").of("v2").error_ratio == 0.4


def test_a_difference_is_what_came_in_between_with_the_weights_of_now() -> None:
    earlier, later = Reading({"v1": Counts(0.95, "stable", 10.0)}), parse(METRICS, "chat")
    between = later.since(earlier)
    assert between.versions["v1"].requests == 85.0
    assert between.versions["v2"] == later.versions["v2"]


@pytest.mark.parametrize(
    ("buckets", "part", "expected"),
    [
        ({}, 0.5, None),
        ({0.1: 0, math.inf: 0}, 0.5, None),
        ({0.1: 10, 0.2: 10, math.inf: 10}, 0.5, 0.05),
        ({0.1: 0, 0.2: 10, math.inf: 10}, 0.5, 0.15),
        ({0.1: 0, 0.2: 10, math.inf: 10}, 1.0, 0.2),
        ({0.1: 1, 0.2: 1, math.inf: 10}, 0.99, 0.2),  # beyond the last bound nothing is known
    ],
)
def test_a_quantile_is_estimated_as_prometheus_does(
    buckets: dict[float, float], part: float, expected: float | None
) -> None:
    assert quantile(buckets, part) == (expected if expected is None else pytest.approx(expected))
