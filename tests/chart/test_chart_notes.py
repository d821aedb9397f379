"""What a person reads after an installation."""

from __future__ import annotations

from tests.chart.charts import CONFIG, Document, ci_values, helm


def notes(values: Document) -> str:
    done = helm("install", values, "--dry-run=client")
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]


def test_the_notes_name_the_routes_the_address_and_what_comes_next() -> None:
    said = notes(ci_values("production"))
    assert "serves 1 route: chat." in said
    assert "http://test-inference-router.models.svc:80" in said
    assert "port-forward service/test-inference-router 8080:80" in said
    assert "ci (operator) on-call (admin)" in said
    assert "for 300 s at most (server.drainSeconds)" in said
    assert "WARNING" not in said


def test_the_notes_warn_of_a_state_that_is_lost_and_an_admin_port_that_is_shut() -> None:
    said = notes({"config": CONFIG, "persistence": {"enabled": False}})
    assert "WARNING: persistence.enabled is false" in said
    assert "No tokens are configured" in said


def test_the_notes_of_a_sidecar_say_where_the_application_calls_it() -> None:
    assert "calls it at http://127.0.0.1:8080" in notes(ci_values("sidecar"))
