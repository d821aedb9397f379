"""A load test is over when every process has told what it counted."""

from __future__ import annotations

from loadtests.scenarios.reports import PATIENCE_S, LastReports


def test_one_process_alone_has_told_all() -> None:
    assert LastReports().complete([], 0.0)


def test_what_came_before_the_last_user_had_ended_does_not_count() -> None:
    reports = LastReports()
    reports.on_report("a")
    reports.on_report("b")
    assert not reports.complete(["a", "b"], 0.0)


def test_it_is_over_when_each_has_reported_since() -> None:
    reports = LastReports()
    assert not reports.complete(["a", "b"], 0.0)
    reports.on_report("a")
    assert not reports.complete(["a", "b"], 1.0)
    reports.on_report("b")
    assert reports.complete(["a", "b"], 2.0)


def test_a_process_that_died_is_not_waited_for_endlessly() -> None:
    reports = LastReports()
    assert not reports.complete(["a"], 5.0)
    assert not reports.complete(["a"], 5.0 + PATIENCE_S)
    assert reports.complete(["a"], 5.1 + PATIENCE_S)
