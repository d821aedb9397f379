"""`weights`, `rollback` and `reload`: what they ask for, and what they make of the answer."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.admin_api import CannedApi, canned_api, route, run

WEIGHTS = "/routes/chat/weights"
SET = ("weights", "chat", "v1=95", "v2=5")
DONE = {**route(), "generation": 13, "applied": {"workers": ["0", "1"]}, "repeated": False}
PARTLY = {**DONE, "applied": {"workers": ["0"], "missing": ["1", "2"]}}
DRY = {
    "dryRun": True,
    "generation": 12,
    "changes": [
        {"version": "v1", "before": 95, "after": 100},
        {"version": "v2", "before": 5, "after": 0},
    ],
}


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        for method, path in (
            ("PUT", WEIGHTS),
            ("DELETE", WEIGHTS),
            ("POST", "/routes/chat/rollback"),
        ):
            api.answer(method, path, DONE)
        yield api


def unfolded(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def test_weights_are_set_and_the_answer_says_where_they_are_in_force(api: CannedApi) -> None:
    result = run(api, *SET, "--reason", "try v2")
    [call] = api.calls
    assert (call.method, call.path) == ("PUT", f"/api/v1{WEIGHTS}")
    assert call.document == {"weights": {"v1": 95.0, "v2": 5.0}, "reason": "try v2"}
    assert call.headers["if-match"] is None
    assert call.headers["idempotency-key"] is None
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "chat: v1 95 %, v2 5 %\ngeneration 13 is in force in every worker: 0, 1\n"
    )


def test_every_condition_reaches_the_server(api: CannedApi) -> None:
    conditions = ("--if-generation", "12", "--idempotency-key", 'deploy-"7"', "--expires", "1h30m")
    run(api, *SET, "-r", "try v2", *conditions)
    [call] = api.calls
    assert call.headers["if-match"] == '"12"'
    assert call.headers["idempotency-key"] == 'deploy-"7"'
    assert call.document["expiresSeconds"] == 5400


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("v2=0.25", {"v2": 0.25}),
        ("v2=5%", {"v2": 5}),
        ("v2=33.30", {"v2": 33.3}),
        ("a=b=100", {"a=b": 100}),
        ("v2=1e1", {"v2": 10}),
        ("v2=0", {"v2": 0}),
    ],
)
def test_a_weight_is_read(api: CannedApi, text: str, weights: dict[str, float]) -> None:
    run(api, "weights", "chat", text, "--reason", "r")
    assert api.calls[0].document["weights"] == weights


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("v2", "write VERSION=PERCENT"),
        ("=5", "write VERSION=PERCENT"),
        ("v2=", "'' is no percentage"),
        ("v2=many", "'many' is no percentage"),
        ("v2=-5", "'-5' is no percentage"),
        ("v2=101", "'101' is no percentage"),
        ("v2=NaN", "'NaN' is no percentage"),
        ("v2=Infinity", "'Infinity' is no percentage"),
        ("v2=0.255", "0.255 has more than two decimals"),
        ("v1=5", "'v1' is given twice"),
    ],
)
def test_an_assignment_that_is_none_is_exit_2_and_named(
    api: CannedApi, text: str, problem: str
) -> None:
    result = run(api, "weights", "chat", "v1=95", text, "--reason", "r")
    assert result.exit_code == 2
    assert f"'{text}': {problem}" in unfolded(result.stderr)
    assert api.calls == []


def test_workers_that_have_not_followed_are_named_and_it_is_exit_1() -> None:
    with canned_api() as api:
        api.answer("PUT", WEIGHTS, PARTLY, 202)
        result = run(api, *SET, "--reason", "r")
    assert result.exit_code == 1
    assert "generation 13 is in force in: 0\n" in result.stdout
    assert result.stderr.startswith("not known to be in force in: 1, 2\n")


def test_a_program_that_is_told_202_gets_one_document_and_exit_1() -> None:
    with canned_api() as api:
        api.answer("PUT", WEIGHTS, PARTLY, 202)
        result = run(api, *SET, "--reason", "r", "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, PARTLY)


def test_a_call_that_was_made_already_is_told_so() -> None:
    with canned_api() as api:
        api.answer("PUT", WEIGHTS, {**DONE, "repeated": True})
        result = run(api, *SET, "--reason", "r", "--idempotency-key", "k")
    assert result.exit_code == 0
    assert "nothing was done again" in result.stdout


def test_a_dry_run_shows_what_would_change_and_needs_no_reason() -> None:
    with canned_api() as api:
        api.answer("PUT", WEIGHTS, DRY)
        result = run(api, *SET, "--dry-run")
        assert api.calls[0].path == f"/api/v1{WEIGHTS}?dryRun=true"
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.stdout.splitlines() if "──" not in line]
    assert lines == [
        "dry run, nothing was changed; it would be:",
        "version now then",
        "v1 95 % 100 %",
        "v2 5 % 0 %",
    ]


def test_a_dry_run_that_would_change_nothing_says_so() -> None:
    with canned_api() as api:
        api.answer("POST", "/routes/chat/rollback", {**DRY, "changes": []})
        result = run(api, "rollback", "chat", "--dry-run")
    assert result.stdout == "dry run: no weight would change\n"


def test_weights_are_released(api: CannedApi) -> None:
    result = run(api, "weights", "chat", "--release", "--reason", "v2 is well")
    [call] = api.calls
    assert (call.method, call.body) == ("DELETE", b"")
    assert call.path.replace("%20", "+") == f"/api/v1{WEIGHTS}?reason=v2+is+well"
    assert result.exit_code == 0


def test_a_rollback_is_one_call(api: CannedApi) -> None:
    result = run(api, "rollback", "chat", "--reason", "errors", "--if-generation", "12")
    [call] = api.calls
    assert (call.method, call.path) == ("POST", "/api/v1/routes/chat/rollback")
    assert (call.document, call.headers["if-match"]) == ({"reason": "errors"}, '"12"')
    assert result.stdout.splitlines()[0] == "chat: v1 95 %, v2 5 %"


def test_a_reload_says_which_generation_is_in_force() -> None:
    with canned_api() as api:
        api.answer("POST", "/reload", {"generation": 14, "applied": {"workers": ["0"]}})
        result = run(api, "reload", "--reason", "new endpoints")
        assert api.calls[0].document == {"reason": "new endpoints"}
    assert result.stdout == "generation 14 is in force in every worker: 0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        SET,
        (*SET, "--reason", " "),
        ("weights", "chat", "--release"),
        ("rollback", "chat"),
        ("reload",),
    ],
)
def test_a_change_without_a_reason_is_exit_2(api: CannedApi, arguments: tuple[str, ...]) -> None:
    result = run(api, *arguments)
    assert result.exit_code == 2
    assert "--reason: say why: it is kept in the audit trail" in unfolded(result.stderr)
    assert api.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("weights", "chat", "--reason", "r"),
        ("weights", "chat", "--dry-run"),
        ("weights", "chat", "--expires", "5m"),
        ("weights", "chat", "--if-generation", "3"),
        (*SET, "--release", "--reason", "r"),
        ("weights", "chat", "--release", "--expires", "5m", "--reason", "r"),
        (*SET, "--reason", "r", "--expires", "soon"),
        (*SET, "--reason", "r", "--expires", "0s"),
        (*SET, "--reason", "r", "--idempotency-key", "two words"),
        (*SET, "--reason", "r", "--idempotency-key", ""),
        (*SET, "--reason", "r", "--if-generation", "-1"),
    ],
)
def test_options_that_do_not_fit_are_exit_2_and_nothing_is_sent(
    api: CannedApi, arguments: tuple[str, ...]
) -> None:
    assert run(api, *arguments).exit_code == 2
    assert api.calls == []


def test_on_a_terminal_the_reason_is_asked_for(api: CannedApi) -> None:
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, b"try v2\n")
        done = subprocess.run(
            [sys.executable, "-m", "router", "reload", "--server", api.url, "-o", "json"],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
            check=False,
            timeout=60,
        )
        asked = os.read(keyboard, 1000).decode()
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert "Reason:" in asked
    assert api.calls[0].document == {"reason": "try v2"}
    assert done.returncode == 1  # this API knows no reload
    assert json.loads(done.stdout)["type"] == "urn:inference-router:client:foreign"
