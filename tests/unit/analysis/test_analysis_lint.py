"""What a person is told about a metric that is right in form."""

from __future__ import annotations

from typing import Any

import pytest

from router.analysis.lint import false_alarm, lint_metric, lint_samples
from router.analysis.metric import MetricSpec

RATIO = "sum(rate(errors_total[5m])) / sum(rate(requests_total[5m]))"


def spec(**fields: Any) -> MetricSpec:
    known = {
        "name": "m",
        "provider": "prometheus",
        "settings": {"query": RATIO},
        "success_condition": "result[0] < 0.02",
        "interval_s": 300.0,
        "count": 12,
        "failure_limit": 3,
    }
    return MetricSpec(**(known | fields))


def told(**fields: Any) -> dict[str, str]:
    return dict(lint_metric(spec(**fields)))


def test_a_sound_metric_is_passed_over_in_silence() -> None:
    assert told() == {}


@pytest.mark.parametrize(("count", "limit"), [(12, 12), (1, 1), (1, 4)])
def test_a_metric_that_can_never_fail_is_named(count: int, limit: int) -> None:
    told_ = told(count=count, failure_limit=limit)
    assert told_ == {
        "failureLimit": f"can never fail: it takes more than {limit} failures, and there are only "
        f"{count} measurements"
    }


def test_a_limit_that_is_off_or_without_count_can_be_meant() -> None:
    assert told(count=None) == {}
    assert told(count=5, failure_limit=-1, consecutive_success_limit=3) == {}


def test_more_successes_in_a_row_than_measurements_are_named() -> None:
    assert told(count=5, consecutive_success_limit=6) == {
        "count": "5 measurements cannot have 6 successes in a row"
    }


def test_a_metric_without_conditions_is_named() -> None:
    assert "every answer counts as Successful" in told(success_condition="")["successCondition"]


def test_a_default_that_does_not_rescue_is_named_where_it_stands() -> None:
    fields = told(failure_condition="default(result[0], 0) > 1")
    assert "failureCondition" in fields
    assert "default" in fields["failureCondition"]


@pytest.mark.parametrize(("samples", "risk"), [(50, 0.76), (100, 0.40), (300, 0.014), (1_000, 0.0)])
def test_false_alarms_are_exact(samples: int, risk: float) -> None:
    # Numbers from an independent calculation (exact binomial): limit 2 %, true rate 1 %,
    # failureLimit 3, 12 windows.
    assert false_alarm(spec(), samples, 0.02, strict=True) == pytest.approx(risk, abs=0.01)


def test_a_threshold_that_chance_reaches_is_named_with_what_to_do() -> None:
    ((field, text),) = lint_samples(spec(), 50 / 300)
    assert field == "provider"
    assert "sees 50 requests" in text
    assert "half of the tolerated rate (1.00%)" in text
    assert "76% of its runs" in text
    assert list(lint_samples(spec(), 1_000 / 300)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"success_condition": "result[0] >= 0.98"},
        {"success_condition": "", "failure_condition": "result[0] > 0.02"},
        {"success_condition": "asFloat(result) <= .02"},
        {"settings": {"metric": "errorRatio", "window": "5m"}, "provider": "router"},
        {"settings": {"query": "sum(a) / sum(b)"}},
    ],
)
def test_every_simple_threshold_on_a_ratio_is_understood(fields: dict[str, Any]) -> None:
    ((_, text),) = lint_samples(spec(**fields), 40 / 300)
    assert "sees 40 requests" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": {"query": "histogram_quantile(0.99, x)"}},
        {"success_condition": "result[0] < 2.5"},
        {"success_condition": "all(result, # < 0.02)"},
        {"settings": {"query": "a / b"}, "interval_s": None},
        {"failure_limit": -1},
    ],
)
def test_nothing_is_said_about_what_is_not_understood(fields: dict[str, Any]) -> None:
    assert list(lint_samples(spec(**fields), 50 / 300)) == []


def test_whether_the_threshold_itself_fails_makes_a_difference() -> None:
    # One failure of 50 is exactly 2 %.
    assert false_alarm(spec(), 50, 0.02, strict=False) < 0.03
    assert list(lint_samples(spec(success_condition="result[0] <= 0.02"), 50 / 300)) == []


def test_a_window_without_a_request_is_named() -> None:
    ((_, text),) = lint_samples(spec(), 0.001)
    assert (
        text == "at 0.001 requests/s a window of 300s sees 0 requests; measure over a longer window"
    )


def test_the_router_s_own_window_is_a_minute_unless_it_is_told() -> None:
    own = spec(settings={"metric": "errorRatio"}, provider="router")
    ((_, text),) = lint_samples(own, 0.5)
    assert "a window of 60s sees 30 requests" in text
