"""`switch` and a forced `rollback`: what they ask for, and what they say of a side that is down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.admin_api import CannedApi, canned_api, route, run, version

PATH = "/routes/chat/switch"
SWITCH = ("switch", "chat", "v2")
DONE = {
    **route(versions=[version("v1", "preview", 0), version("v2", "stable", 100)]),
    "generation": 13,
    "applied": {"workers": ["0", "1"]},
    "repeated": False,
}
NOT_READY: dict[str, Any] = {
    "type": "urn:inference-router:not-ready",
    "title": "The version is not ready for all traffic",
    "detail": "v2 has 1 healthy endpoint, it needs 3",
    "endpoints": [
        {"url": "http://10.0.0.21:8000", "reason": "GET /health: 503"},
        {"url": "http://10.0.0.222:8000", "reason": ""},
    ],
    "current": route(),
}


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        api.answer("POST", PATH, DONE)
        yield api


def test_a_switch_is_one_call_with_its_conditions(api: CannedApi) -> None:
    conditions = ("--if-generation", "12", "--idempotency-key", "k-7")
    result = run(api, *SWITCH, "--reason", "proven", *conditions)
    [call] = api.calls
    assert (call.method, call.path) == ("POST", f"/api/v1{PATH}")
    assert call.document == {"to": "v2", "reason": "proven"}
    assert (call.headers["if-match"], call.headers["idempotency-key"]) == ('"12"', "k-7")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "chat: v1 0 %, v2 100 %\ngeneration 13 is in force in every worker: 0, 1\n"
    )


def test_a_switch_may_be_forced(api: CannedApi) -> None:
    run(api, *SWITCH, "--reason", "v1 is worse", "--force")
    assert api.calls[0].document == {"to": "v2", "reason": "v1 is worse", "force": True}


def test_a_rollback_may_be_forced(api: CannedApi) -> None:
    api.answer("POST", "/routes/chat/rollback", DONE)
    run(api, "rollback", "chat", "--reason", "v2 is worse", "--force")
    assert api.calls[0].document == {"reason": "v2 is worse", "force": True}


def test_a_dry_run_of_a_switch_needs_no_reason(api: CannedApi) -> None:
    run(api, *SWITCH, "--dry-run")
    assert api.calls[0].path == f"/api/v1{PATH}?dryRun=true"


def test_a_side_that_is_not_ready_is_told_endpoint_by_endpoint() -> None:
    with canned_api() as api:
        api.refuse("POST", PATH, 409, **NOT_READY)
        result = run(api, *SWITCH, "--reason", "now")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "The version is not ready for all traffic: v2 has 1 healthy endpoint, it needs 3",
        "not healthy             why",
        "──────────────────────  ────────────────",
        "http://10.0.0.21:8000   GET /health: 503",
        "http://10.0.0.222:8000  no reason given",
        "now: chat v1 95 %, v2 5 % (generation 12)",
        "--force overrules that; it takes the role admin",
    ]


def test_a_program_gets_the_failing_endpoints_as_they_came() -> None:
    with canned_api() as api:
        api.refuse("POST", PATH, 409, **NOT_READY)
        result = run(api, *SWITCH, "--reason", "now", "-o", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["endpoints"] == NOT_READY["endpoints"]


def test_what_an_endpoint_says_cannot_steer_the_terminal() -> None:
    hostile = [{"url": "http://a\x1b[2J", "reason": "no\nway\x9b"}]
    with canned_api() as api:
        api.refuse("POST", PATH, 409, **{**NOT_READY, "endpoints": hostile})
        result = run(api, *SWITCH, "--reason", "now")
    assert not {"\x1b", "\x9b"} & set(result.stderr)
    assert r"http://a\u001b[2J  no\nway\u009b" in result.stderr


@pytest.mark.parametrize(
    "arguments", [("switch", "chat", "--reason", "r"), SWITCH, ("switch", "--reason", "r")]
)
def test_a_switch_that_is_not_complete_is_exit_2_and_nothing_is_sent(
    api: CannedApi, arguments: tuple[str, ...]
) -> None:
    assert run(api, *arguments).exit_code == 2
    assert api.calls == []


def test_a_version_that_a_worker_has_taken_out_is_told_with_its_route() -> None:
    tripped = version("v2", "canary", 5, tripped="5 failures in a row in worker w1")
    with canned_api() as api:
        api.answer("GET", "/routes/chat", route(versions=[version("v1", "stable", 95), tripped]))
        lines = run(api, "routes", "chat").stdout.splitlines()
    assert "v2 is out of the split in a worker: 5 failures in a row in worker w1" in lines
    assert not any(line.startswith("v1 is out") for line in lines)
