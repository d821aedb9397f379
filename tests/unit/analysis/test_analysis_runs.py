"""A run from its start to its verdict, driven by hand with a clock that jumps."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from router.analysis.arguments import Argument, ArgumentError
from router.analysis.measurement import MAX_TEXT
from router.analysis.phases import OnDeadline, Phase
from router.analysis.plan import Order
from router.analysis.providers.base import Reading, Subject
from router.analysis.run import (
    RunState,
    begin,
    due,
    next_at,
    on_error,
    on_reading,
    on_restart,
    on_tick,
    recorded_settings,
    settings_for,
    start,
    terminate,
)
from router.analysis.secret import Secret

START = 1_000.0
SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=START, now_s=START)
GOOD, BAD = Reading(value=0.5), Reading(value=9.0)
NOTHING = Reading(value=[], no_data=True)


def metric(name: str = "m", **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "successCondition": "result < 1",
        "provider": {"web": {"url": "http://x/{{args.canary-version}}"}},
    } | fields


def begun(*metrics: dict[str, Any], argo: bool = True, order: Any = None, **spec: Any) -> RunState:
    head = {"apiVersion": "argoproj.io/v1alpha1"} if argo else {}
    template = head | {"metadata": {"name": "t"}, "spec": {"metrics": list(metrics), **spec}}
    run = start(Order(templates=("t",), **(order or {})), {"t": template}, SUBJECT)
    assert run.phase is Phase.RUNNING, run.message
    return run


def again(run: RunState) -> RunState:
    return msgspec.convert(msgspec.json.decode(msgspec.json.encode(run)), RunState)


def test_a_metric_without_interval_is_measured_once_and_decides() -> None:
    run = begun(metric())
    assert due(run, START) == ["m"]
    run = on_reading(run, "m", GOOD, START + 1)
    assert (run.phase, run.message, run.finished_s) == (Phase.SUCCESSFUL, "", START + 1)
    assert run.result("m").measurements[0].value == "0.5"
    assert (due(run, START + 99), next_at(run)) == ([], None)


def test_a_run_that_cannot_be_made_is_an_error_at_once() -> None:
    run = start(Order(templates=("gone",)), {}, SUBJECT)
    assert (run.phase, run.finished_s) == (Phase.ERROR, START)
    assert run.message == ('Analysis spec invalid: templates: there is no analysis template "gone"')


def test_an_interval_without_count_takes_one_measurement_more_than_may_fail() -> None:
    run = begun(metric(interval="5m", failureLimit=1))
    run = on_reading(run, "m", BAD, START)
    assert (run.phase, due(run, START + 300)) == (Phase.RUNNING, [])
    at = next_at(run)
    assert at == pytest.approx(START + 300)
    assert at is not None
    assert due(run, at) == ["m"]
    run = on_reading(run, "m", BAD, at)
    assert run.phase is Phase.FAILED
    assert run.message == 'Metric "m" assessed Failed due to failed (2) > failureLimit (1)'


def test_a_metric_is_not_due_while_its_answer_is_awaited() -> None:
    run = begin(begun(metric()), "m", START)
    assert (due(run, START + 99), next_at(run)) == ([], None)
    measured = on_reading(run, "m", GOOD, START + 3).result("m").measurements
    assert [(item.started_s, item.finished_s) for item in measured] == [(START, START + 3)]


def test_after_a_restart_awaited_answers_are_asked_for_again() -> None:
    run = again(begin(begun(metric()), "m", START))
    assert due(on_restart(run), START + 5) == ["m"]


def test_a_bad_metric_ends_the_run_and_its_siblings_by_their_own_rules() -> None:
    siblings = [metric("slow", interval="1m", count=9), metric("bad")]
    for argo, phase in ((True, Phase.SUCCESSFUL), (False, Phase.TERMINATED)):
        run = begin(begun(*siblings, argo=argo), "slow", START)
        run = on_reading(run, "bad", BAD, START + 1)
        assert run.phase is Phase.FAILED
        assert (run.result("slow").phase, run.result("slow").in_flight) == (phase, False)


def test_an_answer_after_the_verdict_changes_nothing() -> None:
    run = on_reading(begun(metric("a", interval="1m", count=9), metric("b")), "b", BAD, START)
    assert on_reading(run, "a", BAD, START + 1) == run
    assert on_error(run, "a", "late", START + 1) == run
    assert begin(run, "a", START + 1) == run
    assert on_tick(run, START + 1) == run
    assert terminate(run, START + 1) == run


def test_a_dry_run_is_measured_and_does_not_decide() -> None:
    order = {"dry_run": ("shown",)}
    run = begun(metric("shown"), metric("decides", interval="1m", count=2), order=order)
    run = on_reading(run, "shown", BAD, START)
    run = on_reading(run, "decides", GOOD, START)
    run = on_reading(run, "decides", GOOD, START + 61)
    assert run.phase is Phase.SUCCESSFUL
    assert run.result("shown").phase is Phase.FAILED


def test_ending_a_background_run_makes_it_successful() -> None:
    run = begun(metric(interval="1m"), order={"background": True})
    for minute in range(50):
        run = on_reading(run, "m", GOOD, START + 61 * minute)
    assert (run.phase, len(run.result("m").measurements)) == (Phase.RUNNING, 10)
    run = terminate(run, START + 9_999)
    assert (run.phase, run.message) == (Phase.SUCCESSFUL, "Run Terminated")


def test_by_argos_rules_five_errors_in_a_row_end_a_run_in_40_seconds() -> None:
    run, now = begun(metric(interval="5m", count=3)), START
    while run.phase is Phase.RUNNING:
        run = on_error(run, "m", "refused", now)
        now = next_at(run) or now
    assert (run.phase, run.finished_s) == (Phase.ERROR, pytest.approx(START + 40))
    assert run.message == (
        'Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): '
        '"Error Message: refused"'
    )


def test_by_our_rules_errors_end_a_run_only_after_a_minute() -> None:
    run, now = begun(metric(interval="5m", count=3), argo=False), START
    while run.phase is Phase.RUNNING:
        run = on_error(run, "m", "refused", now)
        now = next_at(run) or now
    assert (run.phase, run.finished_s) == (Phase.ERROR, pytest.approx(START + 60, abs=0.01))


def test_by_argos_rules_an_empty_vector_is_an_error() -> None:
    indexed = metric(successCondition="result[0] < 1")
    run = on_reading(begun(indexed), "m", NOTHING, START)
    measured = run.result("m").measurements[0]
    assert measured.phase is Phase.ERROR
    assert "metric result is nil or empty" in measured.message


@pytest.mark.parametrize(
    ("policy", "measured", "phase"),
    [
        ("wait", Phase.NO_DATA, Phase.RUNNING),
        ("inconclusive", Phase.INCONCLUSIVE, Phase.INCONCLUSIVE),
        ("fail", Phase.FAILED, Phase.FAILED),
        ("pass", Phase.SUCCESSFUL, Phase.SUCCESSFUL),
    ],
)
@pytest.mark.parametrize("argo", [True, False])
def test_missing_data_counts_as_its_policy_says(
    policy: str, measured: Phase, phase: Phase, argo: bool
) -> None:
    run = on_reading(begun(metric(noData=policy), argo=argo), "m", NOTHING, START)
    assert run.result("m").measurements[0].phase is measured
    assert run.result("m").measurements[0].message == "no data"
    assert run.phase is phase


def test_too_few_requests_are_no_data_whatever_the_value() -> None:
    run = begun(metric(minRequests=50))
    few = on_reading(run, "m", Reading(value=9.0, samples=49), START)
    assert few.result("m").measurements[0].phase is Phase.NO_DATA
    assert few.result("m").measurements[0].message == (
        "49 requests are fewer than minRequests (50)"
    )
    enough = on_reading(run, "m", Reading(value=9.0, samples=50), START)
    assert enough.phase is Phase.FAILED


def test_an_unknown_number_of_requests_is_an_error_that_says_what_to_do() -> None:
    run = on_reading(begun(metric(minRequests=50)), "m", GOOD, START)
    measured = run.result("m").measurements[0]
    assert measured.phase is Phase.ERROR
    assert "remove minRequests" in measured.message


@pytest.mark.parametrize(
    ("on_deadline", "phase"),
    [
        (OnDeadline.PAUSE, Phase.INCONCLUSIVE),
        (OnDeadline.ABORT, Phase.FAILED),
        (OnDeadline.PROMOTE, Phase.SUCCESSFUL),
    ],
)
def test_waiting_for_data_ends_at_the_deadline(on_deadline: OnDeadline, phase: Phase) -> None:
    order = {"deadline_s": 100.0, "on_deadline": on_deadline}
    run = begun(metric(interval="1m"), argo=False, order=order)
    run = on_reading(run, "m", NOTHING, START)
    assert on_tick(run, START + 99.9) == run
    run = begin(run, "m", START + 99.9)
    assert next_at(run) == START + 100.0
    run = on_tick(run, START + 100.0)
    assert (run.phase, run.finished_s) == (phase, START + 100.0)
    assert run.message == (
        f'deadline (100s) reached without a verdict of metric "m" (no data); '
        f"onDeadline is {on_deadline}"
    )
    assert run.result("m").phase is Phase.TERMINATED


def test_a_metric_without_an_end_has_measured_enough_at_the_deadline() -> None:
    run = begun(metric(interval="1m", failureLimit=5), order={"deadline_s": 100.0})
    assert on_tick(run, START + 100).phase is Phase.INCONCLUSIVE
    run = on_reading(run, "m", GOOD, START)
    assert on_tick(run, START + 100).phase is Phase.SUCCESSFUL


def test_a_metric_that_has_not_had_its_count_is_undecided_at_the_deadline() -> None:
    run = begun(metric(interval="1m", count=3), metric("n"), order={"deadline_s": 100.0})
    run = on_reading(on_reading(run, "m", GOOD, START), "n", GOOD, START)
    run = on_tick(run, START + 100)
    assert run.phase is Phase.INCONCLUSIVE
    assert 'metric "m" (1 of 3 measurements)' in run.message
    assert run.result("n").phase is Phase.SUCCESSFUL


def test_a_dry_run_does_not_hold_up_the_verdict_at_the_deadline() -> None:
    order = {"deadline_s": 100.0, "dry_run": ("shown",)}
    run = begun(metric("shown", initialDelay="1h"), metric("n"), order=order)
    run = on_tick(on_reading(run, "n", GOOD, START), START + 100)
    assert (run.phase, run.message) == (Phase.SUCCESSFUL, "")
    assert run.result("shown").phase is Phase.TERMINATED


def test_a_deadline_names_a_few_of_many_undecided_metrics() -> None:
    run = begun(*(metric(f"m{n}") for n in range(5)), order={"deadline_s": 9.0})
    run = on_tick(run, START + 9)
    assert '"m2" (never measured) and 2 more;' in run.message


def test_a_verdict_at_the_deadline_goes_before_it() -> None:
    run = on_reading(begun(metric(), order={"deadline_s": 9.0}), "m", BAD, START + 9)
    assert run.phase is Phase.FAILED
    assert "failureLimit" in run.message


def secret_run() -> RunState:
    web = {"url": "http://x/{{args.route}}", "headers": [{"key": "a", "value": "{{ args.token }}"}]}
    return begun(
        metric(provider={"web": web}),
        args=[{"name": "token"}],
        order={"arguments": (Argument("token", value_from={"env": "TOKEN"}),)},
    )


def test_settings_have_the_secret_and_records_its_place() -> None:
    run = secret_run()
    assert run.values.secret_sources == {"token": {"env": "TOKEN"}}
    assert settings_for(run, "m", {"token": Secret('s3"cret')}) == {
        "url": "http://x/chat",
        "headers": [{"key": "a", "value": 's3"cret'}],
    }
    assert recorded_settings(run, "m")["headers"] == [{"key": "a", "value": "{{args.token}}"}]


def test_a_missing_secret_is_refused_by_its_name() -> None:
    with pytest.raises(ArgumentError, match="token"):
        settings_for(secret_run(), "m")


def test_no_secret_is_kept_whatever_a_provider_says() -> None:
    secrets = {"token": Secret("hunter2")}
    run = secret_run()
    reading = Reading(value={"echo": "Bearer hunter2", "hunter2": 1})
    said = on_reading(run, "m", reading, START, secrets)
    failed = on_error(run, "m", "401 for hunter2", START, secrets)
    for state in (said, failed):
        assert b"hunter2" not in msgspec.json.encode(state)
        assert "hunter2" not in repr(state)
    assert failed.result("m").measurements[0].message == "401 for *****"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.25, "0.25"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        ("ok", "ok"),
        ([0.5], "[0.5]"),
        ({"a": [None, True]}, '{"a": [null, true]}'),
    ],
)
def test_a_value_is_kept_as_text(value: object, text: str) -> None:
    run = on_reading(begun(metric(successCondition="true")), "m", Reading(value=value), START)
    assert run.result("m").measurements[0].value == text


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    run = begun(metric(successCondition="len(result) > 0"))
    long = "x" * (MAX_TEXT + 1)
    answered = on_reading(run, "m", Reading(value=long), START).result("m").measurements[0]
    failed = on_error(run, "m", long, START).result("m").measurements[0]
    assert len(answered.value) == len(failed.message) == MAX_TEXT


def test_a_provider_is_told_what_is_measured_and_since_when() -> None:
    assert begun(metric()).subject(START + 5) == Subject(
        route="chat", canary="v2", stable="v1", started_s=START, now_s=START + 5
    )


def test_a_stored_run_goes_on_as_the_same_run() -> None:
    run = secret_run()
    assert again(run) == run
    done = on_reading(run, "m", BAD, START + 1)
    assert on_reading(again(run), "m", BAD, START + 1) == done
    assert again(done) == done
