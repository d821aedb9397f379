"""What counters come to: Argo's order and texts, and where ours differ."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from router.analysis.assess import assess_limits, assess_metric, assess_run, is_terminating
from router.analysis.measurement import Measurement, MetricResult, begin, forget_in_flight, take
from router.analysis.metric import MetricSpec, effective_count
from router.analysis.phases import COMPLETED, Compat, Phase, is_worse

NO_LIMITS: dict[str, int] = {}


def spec(name: str = "m", **fields: Any) -> MetricSpec:
    return MetricSpec(name=name, provider="web", settings={}, **({"count": None} | fields))


def result(last: Phase | None = None, **fields: Any) -> MetricResult:
    known = () if last is None else (measured(last),)
    return MetricResult(**({"name": "m", "phase": Phase.RUNNING, "measurements": known} | fields))


def measured(phase: Phase, at: float = 0.0, message: str = "") -> Measurement:
    finished = None if phase is Phase.RUNNING else at
    return Measurement(phase=phase, started_s=at, finished_s=finished, message=message)


@pytest.mark.parametrize("phase", sorted(COMPLETED))
def test_a_completed_metric_stays_as_it_is(phase: Phase) -> None:
    done = result(Phase.FAILED, phase=phase, failed=9)
    assert assess_metric(done, spec(), terminating=False) is phase
    assert assess_metric(done, spec(), terminating=True) is phase


def test_a_metric_that_was_never_measured_is_pending_or_stopped() -> None:
    assert assess_metric(result(), spec(), terminating=False) is Phase.PENDING
    assert assess_metric(result(), spec(), terminating=True) is Phase.SUCCESSFUL


def test_a_metric_whose_answer_is_awaited_runs() -> None:
    awaited = result(Phase.RUNNING, failed=9)
    assert assess_metric(awaited, spec(), terminating=False) is Phase.RUNNING
    assert assess_metric(awaited, spec(), terminating=True) is Phase.RUNNING


@pytest.mark.parametrize(
    ("limits", "counters", "phase", "text"),
    [
        ({"failure_limit": 3}, {"failed": 3}, None, ""),
        ({"failure_limit": 3}, {"failed": 4}, Phase.FAILED, "failed (4) > failureLimit (3)"),
        ({"failure_limit": -1}, {"failed": 99}, None, ""),
        (
            NO_LIMITS,
            {"inconclusive": 1},
            Phase.INCONCLUSIVE,
            "inconclusive (1) > inconclusiveLimit (0)",
        ),
        (NO_LIMITS, {"consecutive_error": 4, "error": 40}, None, ""),
        (
            NO_LIMITS,
            {"consecutive_error": 5},
            Phase.ERROR,
            "consecutiveErrors (5) > consecutiveErrorLimit (4)",
        ),
        (
            NO_LIMITS,
            {"failed": 1, "inconclusive": 1},
            Phase.INCONCLUSIVE,
            "inconclusive (1) > inconclusiveLimit (0)",
        ),
        (
            NO_LIMITS,
            {"failed": 1, "inconclusive": 1, "consecutive_error": 5},
            Phase.ERROR,
            "consecutiveErrors (5) > consecutiveErrorLimit (4)",
        ),
    ],
)
def test_a_limit_is_what_is_still_tolerated_and_the_later_overrules(
    limits: dict[str, int], counters: dict[str, int], phase: Phase | None, text: str
) -> None:
    assert assess_limits(result(Phase.FAILED, **counters), spec(**limits)) == (phase, text)


@pytest.mark.parametrize(
    ("limits", "counters", "running", "terminating"),
    [
        ({"count": 3}, {"count": 2}, Phase.RUNNING, Phase.SUCCESSFUL),
        ({"count": 3, "failure_limit": 1}, {"count": 3, "failed": 1}, *[Phase.SUCCESSFUL] * 2),
        ({"consecutive_success_limit": 3}, {"consecutive_success": 3}, *[Phase.SUCCESSFUL] * 2),
        ({"consecutive_success_limit": 3}, {"consecutive_success": 3, "failed": 1},
         *[Phase.FAILED] * 2),
        ({"consecutive_success_limit": 3, "count": 7}, {"consecutive_success": 2, "count": 7},
         *[Phase.INCONCLUSIVE] * 2),
        ({"consecutive_success_limit": 3, "count": 7, "failure_limit": -1},
         {"consecutive_success": 2, "count": 7, "failed": 5}, *[Phase.FAILED] * 2),
        ({"consecutive_success_limit": 3, "failure_limit": -1},
         {"consecutive_success": 2, "failed": 5}, Phase.RUNNING, Phase.SUCCESSFUL),
    ],
)  # fmt: skip
def test_a_metric_ends_by_a_limit_by_successes_in_a_row_or_by_its_count(
    limits: dict[str, int], counters: dict[str, int], running: Phase, terminating: Phase
) -> None:
    measured_ = result(Phase.SUCCESSFUL, **counters)
    assert assess_metric(measured_, spec(**limits), terminating=False) is running
    assert assess_metric(measured_, spec(**limits), terminating=True) is terminating


def test_by_our_rules_a_stopped_metric_is_terminated() -> None:
    ours = spec(compat=Compat.ROUTER)
    assert assess_metric(result(), ours, terminating=True) is Phase.TERMINATED
    assert assess_metric(result(Phase.SUCCESSFUL), ours, terminating=True) is Phase.TERMINATED


def test_by_our_rules_errors_must_also_last() -> None:
    ours = spec(compat=Compat.ROUTER, min_error_duration_s=60.0)
    failing = MetricResult(name="m")
    for moment in range(0, 60, 10):
        failing = take(failing, measured(Phase.ERROR, float(moment)), ours)
    assert failing.consecutive_error == 6
    assert assess_metric(failing, ours, terminating=False) is Phase.RUNNING
    assert assess_metric(failing, spec(), terminating=False) is Phase.ERROR
    failing = take(failing, measured(Phase.ERROR, 60.0), ours)
    assert assess_metric(failing, ours, terminating=False) is Phase.ERROR


def test_an_answer_ends_a_row_of_errors() -> None:
    failing = take(MetricResult(name="m"), measured(Phase.ERROR, 0.0), spec())
    for answer in (Phase.SUCCESSFUL, Phase.NO_DATA):
        answered = take(failing, measured(answer, 50.0), spec())
        again = take(answered, measured(Phase.ERROR, 60.0), spec())
        assert (again.consecutive_error, again.erroring_since_s) == (1, 60.0)


@pytest.mark.parametrize(
    ("outcome", "counters"),
    [
        (Phase.SUCCESSFUL, {"successful": 1, "count": 1, "consecutive_success": 3}),
        (Phase.FAILED, {"failed": 1, "count": 1}),
        (Phase.INCONCLUSIVE, {"inconclusive": 1, "count": 1}),
        (Phase.ERROR, {"error": 1, "consecutive_error": 3, "erroring_since_s": 0.0}),
        (Phase.NO_DATA, {"no_data": 1, "consecutive_success": 2}),
    ],
)
def test_a_measurement_is_counted_by_its_outcome(outcome: Phase, counters: dict[str, Any]) -> None:
    before = result(consecutive_error=2, consecutive_success=2)
    taken = measured(outcome)
    assert take(before, taken, spec()) == result(measurements=(taken,), **counters)


def test_only_the_newest_measurements_are_kept() -> None:
    kept = MetricResult(name="m")
    for moment in range(15):
        kept = take(kept, measured(Phase.SUCCESSFUL, float(moment)), spec())
    assert [item.started_s for item in kept.measurements] == [float(n) for n in range(5, 15)]
    assert (kept.count, kept.successful) == (15, 15)


def test_an_answer_replaces_the_question_and_a_forgotten_question_leaves_nothing() -> None:
    one = take(MetricResult(name="m"), measured(Phase.SUCCESSFUL), spec(kept=1))
    asked = begin(one, 5.0)
    assert begin(asked, 6.0) == asked
    assert asked.in_flight
    assert forget_in_flight(asked) == one
    assert take(asked, measured(Phase.FAILED, 7.0), spec(kept=1)).measurements == (
        measured(Phase.FAILED, 7.0),
    )


@pytest.mark.parametrize(
    ("count", "interval_s", "effective"),
    [(0, None, 1), (0, 60.0, None), (5, 60.0, 5), (1, None, 1)],
)
def test_how_often_argo_measures(
    count: int, interval_s: float | None, effective: int | None
) -> None:
    assert effective_count(count, interval_s) == effective


def test_phases_have_an_order_from_best_to_worst() -> None:
    order = ["Successful", "Running", "Pending", "Inconclusive", "Error", "Failed"]
    for better, worse in pairwise(order):
        assert is_worse(Phase(worse), than=Phase(better))
        assert not is_worse(Phase(better), than=Phase(worse))
        assert not is_worse(Phase(better), than=Phase(better))


def test_a_bad_metric_or_a_request_ends_a_run_but_a_dry_run_does_not() -> None:
    specs = [spec("a"), spec("b", dry_run=True)]
    fine, bad = result(phase=Phase.RUNNING), result(phase=Phase.FAILED)
    assert not is_terminating(specs, [fine, fine], terminate=False)
    assert not is_terminating(specs, [fine, bad], terminate=False)
    assert is_terminating(specs, [bad, fine], terminate=False)
    assert is_terminating(specs, [fine, fine], terminate=True)
    assert not is_terminating([], [], terminate=False)


def test_a_run_is_running_until_every_metric_is_completed() -> None:
    specs = [spec("a"), spec("b")]
    assessed = assess_run(specs, [result(phase=Phase.SUCCESSFUL), result()], terminate=False)
    assert (assessed.phase, assessed.message) == (Phase.RUNNING, "")


def test_the_first_of_the_worst_metrics_gives_the_message() -> None:
    specs = [spec("a"), spec("b"), spec("c")]
    results = [
        result(Phase.INCONCLUSIVE, inconclusive=1),
        MetricResult(
            name="b", measurements=(measured(Phase.FAILED, message="too slow"),), failed=1
        ),
        result(Phase.FAILED, failed=7),
    ]
    assessed = assess_run(specs, results, terminate=False)
    assert assessed.phase is Phase.FAILED
    assert assessed.message == (
        'Metric "b" assessed Failed due to failed (1) > failureLimit (0): "Error Message: too slow"'
    )


def test_a_metric_that_goes_bad_ends_its_siblings_in_the_next_assessment() -> None:
    specs = [spec("a"), spec("b"), spec("c", compat=Compat.ROUTER)]
    results = [result(Phase.FAILED, failed=1), result(Phase.RUNNING), result(Phase.SUCCESSFUL)]
    first = assess_run(specs, results, terminate=False)
    assert first.phase is Phase.RUNNING
    second = assess_run(specs, first.results, terminate=False)
    assert second.phase is Phase.FAILED
    assert [item.phase for item in second.results] == ["Failed", "Successful", "Terminated"]


def test_a_run_that_is_ended_before_anything_was_measured_is_successful() -> None:
    assessed = assess_run([spec()], [result()], terminate=True)
    assert (assessed.phase, assessed.message) == (Phase.SUCCESSFUL, "Run Terminated")
    ours = assess_run([spec(compat=Compat.ROUTER)], [result()], terminate=True)
    assert (ours.phase, ours.results[0].phase) == (Phase.SUCCESSFUL, Phase.TERMINATED)


def test_a_run_that_is_ended_keeps_what_it_has_found() -> None:
    assessed = assess_run([spec()], [result(Phase.FAILED, failed=1)], terminate=True)
    assert assessed.phase is Phase.FAILED
    assert assessed.message == 'Metric "m" assessed Failed due to failed (1) > failureLimit (0)'


def test_a_dry_run_is_shown_and_never_decides() -> None:
    specs = [spec("a", dry_run=True), spec("b", count=1)]
    results = [result(Phase.FAILED, failed=1), result(Phase.SUCCESSFUL, count=1)]
    assessed = assess_run(specs, results, terminate=False)
    assert (assessed.phase, assessed.message) == (Phase.SUCCESSFUL, "")
    assert assessed.results[0].phase is Phase.FAILED
    assert assessed.results[0].message == (
        "Metric assessed Failed due to failed (1) > failureLimit (0)"
    )


def test_a_run_of_dry_runs_only_is_successful() -> None:
    specs = [spec("a", dry_run=True), spec("b", dry_run=True)]
    bad = [result(Phase.FAILED, failed=1), result(Phase.INCONCLUSIVE, inconclusive=1)]
    assert assess_run(specs, bad, terminate=False).phase is Phase.SUCCESSFUL


@pytest.mark.parametrize(
    ("compat", "message"),
    [
        (Compat.ARGO, ""),
        (
            Compat.ROUTER,
            'Metric "m" assessed Inconclusive due to '
            "count (5) reached without 3 successes in a row",
        ),
    ],
)
def test_by_our_rules_a_verdict_by_count_has_a_text(compat: Compat, message: str) -> None:
    limited = spec(count=5, consecutive_success_limit=3, compat=compat)
    assessed = assess_run([limited], [result(Phase.SUCCESSFUL, count=5)], terminate=False)
    assert (assessed.phase, assessed.message) == (Phase.INCONCLUSIVE, message)
