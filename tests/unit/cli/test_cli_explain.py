"""`explain`: one question, answered by a file or by a server in the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.admin_api import CannedApi, canned_api, run

FILE = """
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions: {v1: {endpoints: [http://127.0.0.1:8000], model: llama-3}}
  sticky: {by: [{header: x-user}]}
"""
PATH = ("--path", "/v1/chat/completions")
TOLD = {
    "generation": 12,
    "route": "chat",
    "version": "v1",
    "shares": None,
    "endpoints": ["http://a:1", "http://b:1"],
    "upstreamModel": "llama-3",
    "why": ["the most specific rule that matches is one of route chat", "a sticky key"],
}


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        yield api


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "router.yaml").write_text(FILE)
    return str(tmp_path / "router.yaml")


def test_without_a_file_the_server_is_asked(api: CannedApi) -> None:
    api.answer("POST", "/explain", TOLD)
    result = run(api, "explain", *PATH, "-H", "X-User: 1", "-H", "x-user: 2", "--body", "{}")
    assert api.calls[0].document == {
        "method": "POST",
        "path": "/v1/chat/completions",
        "headers": {"x-user": "1"},
        "body": "{}",
    }
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "- the most specific rule that matches is one of route chat",
        "- a sticky key",
        "route chat",
        "version v1 at http://a:1, http://b:1",
    ]


def test_a_request_that_the_server_would_refuse_is_exit_1(api: CannedApi) -> None:
    api.answer("POST", "/explain", {"route": None, "why": ["no route takes GET /nowhere"]})
    result = run(api, "explain", "--path", "/nowhere", "--method", "GET")
    assert (result.exit_code, result.stdout) == (1, "- no route takes GET /nowhere\nrefused\n")


def test_a_file_is_asked_without_a_server(api: CannedApi, file: str) -> None:
    result = run(api, "explain", file, *PATH, "-H", "x-user: 1")
    assert (result.exit_code, api.calls) == (0, [])
    assert result.stdout.splitlines()[-1] == "version v1 at http://127.0.0.1:8000"


def test_a_file_and_a_server_answer_programs_in_the_same_words(api: CannedApi, file: str) -> None:
    api.answer("POST", "/explain", TOLD)
    by_file = json.loads(run(api, "explain", file, *PATH, "-o", "json").stdout)
    by_server = json.loads(run(api, "explain", *PATH, "-o", "json").stdout)
    assert by_server == TOLD
    assert {*by_file, "generation"} == {*by_server}


def test_a_file_that_is_wrong_is_exit_1_and_told(api: CannedApi, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(FILE.replace("endpoints", "endpiont"))
    result = run(api, "explain", str(tmp_path / "bad.yaml"), *PATH)
    assert result.exit_code == 1
    assert "endpoints: is required" in result.stderr


def test_a_server_is_only_asked_about_text(api: CannedApi, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\xff")
    result = run(api, "explain", *PATH, "--body", f"@{tmp_path / 'body'}")
    assert (result.exit_code, api.calls) == (2, [])


def test_explain_needs_a_path(api: CannedApi) -> None:
    assert run(api, "explain").exit_code == 2
