"""`analysis`: which runs there were, and what one of them has measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers, text

from router.admin.documents import RunDocument
from router.analysis.phases import Phase
from router.cli.documents import read
from router.cli.metrics import told_value, wanted
from router.cli.rollout_documents import Measurement, Metric
from router.cli.words import MAX_VALUE, duration, figure
from router.config.units import parse_duration
from tests.support.admin_api import CannedApi, canned_api, run

NOW = 1_790_000_000.0
LONG = "[" + ", ".join(map(str, range(40))) + "]"
METRIC = {
    "name": "latency",
    "provider": "prometheus",
    "phase": "Failed",
    "message": "failed (2) > failureLimit (1)",
    "successCondition": "result[0] < 0.5",
    "failureCondition": None,
    "interval": 30.0,
    "count": None,
    "dryRun": True,
    "measured": 2,
    "successful": 0,
    "failed": 2,
    "inconclusive": 0,
    "errors": 0,
    "noData": 0,
    "measurements": [
        {"phase": "Failed", "started_s": NOW, "finished_s": NOW + 1, "value": LONG, "samples": 40},
        {
            "phase": "Failed",
            "started_s": NOW + 30,
            "finished_s": NOW + 31,
            "value": "[0.9]",
            "message": "too slow",
        },
    ],
}


def analysis_run(**more: Any) -> dict[str, Any]:
    """A run as the admin API tells it: one that has failed."""
    document = {
        "id": "chat-3-step2-1",
        "route": "chat",
        "canary": "v2",
        "stable": "v1",
        "phase": "Failed",
        "message": "latency Failed",
        "started": NOW,
        "finished": NOW + 75,
        "metrics": [METRIC],
        **more,
    }
    RunDocument.model_validate(document)
    return document


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


def words(output: str) -> list[str]:
    lines = [" ".join(line.split()) for line in output.splitlines()]
    return [line for line in lines if line and not line.startswith("──")]


def test_runs_are_listed_with_how_long_they_took(
    api: CannedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.cli.analysis.clock.time", lambda: NOW + 5)
    going_on = analysis_run(id="other", phase="Running", message="", finished=None)
    api.answer("GET", "/analysis-runs", {"runs": [going_on, analysis_run()]})
    result = run(api, "analysis", "list")
    assert api.calls[0].path == "/api/v1/analysis-runs?limit=20"
    assert (result.exit_code, result.stderr) == (0, "")
    assert words(result.stdout) == [
        "id route version against phase started took message",
        "other chat v2 v1 Running 2026-09-21 14:13:20Z 5s so far",
        "chat-3-step2-1 chat v2 v1 Failed 2026-09-21 14:13:20Z 1m15s latency Failed",
    ]


def test_runs_of_one_route_are_asked_for(api: CannedApi) -> None:
    api.answer("GET", "/analysis-runs", {"runs": []})
    assert run(api, "analysis", "list", "--route", "chat", "--limit", "3").exit_code == 0
    assert api.calls[0].path == "/api/v1/analysis-runs?route=chat&limit=3"


@pytest.mark.parametrize("limit", ["0", "101", "many"])
def test_a_limit_that_the_server_would_refuse_is_exit_2(api: CannedApi, limit: str) -> None:
    assert run(api, "analysis", "list", "--limit", limit).exit_code == 2
    assert api.calls == []


def test_one_run_is_shown_with_every_measurement(api: CannedApi) -> None:
    api.answer("GET", "/analysis-runs/chat-3-step2-1", analysis_run())
    result = run(api, "analysis", "show", "chat-3-step2-1")
    assert (result.exit_code, result.stderr) == (0, "")
    assert words(result.stdout) == [
        "chat: v2 against v1, begun 2026-09-21 14:13:20Z, took 1m15s",
        "analysis chat-3-step2-1: Failed, latency Failed",
        "metric provider last values wanted verdict counted",
        "latency prometheus [0, 1, 2, 3, 4, 5, 6, 7… ✗, [0.9] ✗ result[0] < 0.5 "
        "Failed (dry run) 2: 2 failed",
        "latency: failed (2) > failureLimit (1); too slow",
        "latency (prometheus), each 30s, wanted: result[0] < 0.5",
        "time value samples phase message",
        f"2026-09-21 14:13:20Z {LONG} 40 Failed",
        "2026-09-21 14:13:50Z [0.9] Failed too slow",
    ]


def test_a_metric_without_an_interval_is_measured_once(api: CannedApi) -> None:
    once = {**METRIC, "interval": None, "successCondition": None, "measurements": []}
    api.answer("GET", "/analysis-runs/x", analysis_run(metrics=[once]))
    lines = words(run(api, "analysis", "show", "x").stdout)
    assert "latency (prometheus), measured once, wanted: any answer" in lines


def test_programs_get_what_the_server_tells(api: CannedApi) -> None:
    api.answer("GET", "/analysis-runs/x", analysis_run())
    api.answer("GET", "/analysis-runs", {"runs": [analysis_run()]})
    assert json.loads(run(api, "analysis", "show", "x", "-o", "json").stdout) == analysis_run()
    assert json.loads(run(api, "analysis", "list", "-o", "json").stdout)["runs"]


def test_a_run_that_there_is_not_is_exit_1(api: CannedApi) -> None:
    api.refuse("GET", "/analysis-runs/x", 404, title="Not found", detail="no run is called 'x'")
    result = run(api, "analysis", "show", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Not found: no run is called 'x'\n"


def test_an_answer_that_is_none_is_told_so(api: CannedApi) -> None:
    api.answer("GET", "/analysis-runs", {"runs": [{"id": 7}]})
    result = run(api, "analysis", "list")
    assert result.exit_code == 1
    assert "the answer is not one that this release knows" in result.stderr


@pytest.mark.parametrize(
    ("success", "failure", "told"),
    [
        ("result < 1", None, "result < 1"),
        ("result < 1", "result > 2", "result < 1; fails if result > 2"),
        (None, "result > 2", "fails if result > 2"),
        (None, None, "any answer"),
    ],
)
def test_conditions_are_told_in_one_line(
    success: str | None, failure: str | None, told: str
) -> None:
    document = {**METRIC, "successCondition": success, "failureCondition": failure}
    assert wanted(read(document, Metric)) == told


@pytest.mark.parametrize("phase", [*Phase])
def test_every_measurement_has_a_word(phase: Phase) -> None:
    assert told_value(Measurement(phase.value, 0.0, 1.0))
    assert told_value(Measurement(phase.value, 0.0, 1.0, "0.5")).startswith("0.5 ")


@given(integers(0, 10**9))
def test_a_duration_is_read_back_as_the_same_time(seconds: int) -> None:
    whole = seconds % (200 * 86_400)
    assert parse_duration(duration(whole)) == whole


@given(floats())
def test_no_number_is_too_odd_to_be_told_as_a_duration(seconds: float) -> None:
    assert duration(seconds)


@given(floats(allow_nan=False, allow_infinity=False))
def test_a_measured_number_keeps_six_digits(value: float) -> None:
    assert float(figure(repr(value))) == pytest.approx(value, rel=1e-5)
    assert figure(f"[{value}]") == f"[{figure(repr(value))}]"


@given(text())
def test_a_measured_text_is_never_longer_than_its_place(value: str) -> None:
    assert len(figure(value)) <= MAX_VALUE
