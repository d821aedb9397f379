"""`restart`: what it asks for, what it tells of each worker, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from router.cli import restart
from tests.support.admin_api import CannedApi, canned_api, run

RESTART = ("restart", "--reason", "memory")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[CannedApi]:
    monkeypatch.setattr(restart, "LOOK_S", 0.0)
    with canned_api() as api:
        yield api


def document(stage: str, *stages: str, id_: str = "7", problem: str = "") -> dict[str, Any]:
    workers = [
        {
            "worker": f"w{slot}",
            "stage": each,
            "oldPid": 10 + slot,
            "newPid": 20 + slot if each in ("draining", "done") else None,
        }
        for slot, each in enumerate(stages)
    ]
    return {"id": id_, "stage": stage, "by": "ci", "workers": workers, "problem": problem}


def begins(api: CannedApi) -> None:
    api.answer("POST", "/restart", document("starting", "starting", "waiting"), 202)


def test_each_worker_is_told_once_when_its_successor_serves(api: CannedApi) -> None:
    begins(api)
    api.answer("GET", "/restart", document("starting", "draining", "starting"))
    api.answer("GET", "/restart", document("starting", "done", "starting"))
    api.answer("GET", "/restart", document("draining", "done", "draining"))
    result = run(api, *RESTART)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "w0: pid 20 serves, pid 10 finishes what it has begun",
        "w1: pid 21 serves, pid 11 finishes what it has begun",
        "2 workers were replaced",
    ]
    assert (api.calls[0].method, api.calls[0].document) == ("POST", {"reason": "memory"})


def test_a_restart_that_fails_is_exit_1_and_says_why(api: CannedApi) -> None:
    begins(api)
    problem = "the new worker w1 did not come up; the old ones keep serving: w1"
    api.answer("GET", "/restart", document("failed", "draining", "failed", problem=problem))
    result = run(api, *RESTART)
    assert result.exit_code == 1
    assert result.stdout == "w0: pid 20 serves, pid 10 finishes what it has begun\n"
    assert result.stderr == f"the restart has failed: {problem}\n"


def test_json_is_one_document_the_last_one(api: CannedApi) -> None:
    begins(api)
    api.answer("GET", "/restart", document("done", "done", "done"))
    result = run(api, *RESTART, "-o", "json")
    assert json.loads(result.stdout)["stage"] == "done"


def test_a_control_that_is_away_meanwhile_is_waited_for(api: CannedApi) -> None:
    begins(api)
    api.hang_up("GET", "/restart")
    api.answer("GET", "/restart", document("done", "done", "done"))
    assert run(api, *RESTART).exit_code == 0


def test_a_control_that_does_not_come_back_is_exit_1(
    api: CannedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "AWAY_S", 0.0)
    begins(api)
    api.hang_up("GET", "/restart")
    result = run(api, *RESTART)
    assert result.exit_code == 1
    assert "hung up without an answer" in result.stderr


def test_another_one_that_began_meanwhile_is_not_taken_for_ours(api: CannedApi) -> None:
    begins(api)
    api.answer("GET", "/restart", document("starting", "starting", "waiting", id_="8"))
    result = run(api, *RESTART)
    assert result.exit_code == 1
    assert "a newer one, by ci, is under way" in result.stderr


def test_one_that_is_under_way_is_refused_with_exit_1(api: CannedApi) -> None:
    api.refuse("POST", "/restart", 409, detail="a restart is under way (by ci)")
    result = run(api, *RESTART)
    assert result.exit_code == 1
    assert "a restart is under way (by ci)" in result.stderr


def test_a_restart_without_a_reason_is_exit_2(api: CannedApi) -> None:
    assert run(api, "restart").exit_code == 2
    assert api.calls == []
