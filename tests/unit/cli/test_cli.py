"""The command line, for people and for scripts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from router import __version__
from router.cli import main

GOOD = """
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions: {v1: {endpoints: [http://127.0.0.1:8000]}}
"""
BAD = GOOD.replace("endpoints", "endpiont")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.yaml").write_text(GOOD)
    return str(tmp_path / "good.yaml")


@pytest.fixture
def bad(tmp_path: Path) -> str:
    (tmp_path / "bad.yaml").write_text(BAD)
    return str(tmp_path / "bad.yaml")


def test_check_says_that_a_good_file_is_good(good: str) -> None:
    result = run("check", good)
    assert (result.exit_code, result.stdout) == (0, f"{good}: ok\n")


def test_check_names_file_line_and_field_of_every_problem_and_fails(bad: str) -> None:
    result = run("check", bad)
    assert result.exit_code == 1
    assert f"{bad}:5 routes[0].versions.v1.endpoints: is required" in result.stderr
    assert 'did you mean "endpoints"?' in result.stderr
    assert result.stdout == ""


def test_check_speaks_json_to_scripts(good: str, bad: str) -> None:
    result = run("check", good, bad, "--output", "json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert [file["ok"] for file in report["files"]] == [True, False]
    assert report["files"][1]["problems"][0]["line"] == 5


def test_check_prints_the_schema(good: str) -> None:
    schema = json.loads(run("check", "--schema").stdout)
    assert schema["title"] == "inference-router configuration"


@pytest.mark.parametrize("arguments", [("check",), ("nonsense",), ("serve",), ("check", "--nope")])
def test_a_command_line_that_makes_no_sense_is_exit_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_serve_refuses_a_bad_file_and_says_why(bad: str) -> None:
    result = run("serve", "-c", bad)
    assert result.exit_code == 1
    assert "endpoints: is required" in result.stderr


def test_serve_refuses_an_admin_port_that_is_open_to_everybody(tmp_path: Path) -> None:
    file = tmp_path / "open.yaml"
    file.write_text("server: {admin: 0.0.0.0:8081}\n" + GOOD)
    result = run("serve", "-c", str(file))
    assert result.exit_code == 1
    assert result.stderr == (
        f"{file}:1 server.admin: 0.0.0.0:8081 can be reached from outside, "
        "so auth.tokens must name somebody\n"
    )


def test_serve_refuses_a_token_whose_digest_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "token.yaml"
    file.write_text("auth: {tokens: [{name: ci, role: viewer, sha256Env: NOT_SET}]}\n" + GOOD)
    result = run("serve", "-c", str(file))
    assert result.exit_code == 1
    assert result.stderr == "auth.tokens: token ci: environment variable NOT_SET is not set\n"


def test_the_engine_has_options_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    result = run("mock-engine", "--help")
    assert result.exit_code == 0
    assert "--step-seconds" in result.stdout + capsys.readouterr().out


def test_version_is_printed() -> None:
    assert run("version").stdout == f"{__version__}\n"


def test_explain_tells_where_a_request_goes(good: str) -> None:
    result = run("explain", good, "--path", "/v1/chat/completions", "-H", "x: y", "--body", "{}")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == ["route chat", "version v1: 100 %"]


def test_explain_fails_for_a_request_that_would_be_refused(good: str) -> None:
    result = run("explain", good, "--path", "/nowhere", "--method", "get", "--output", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["why"] == ["no route takes GET /nowhere"]


def test_explain_says_what_is_wrong_with_its_arguments(good: str) -> None:
    assert run("explain", good, "--path", "/", "-H", "nonsense").exit_code == 2
    assert run("explain", good, "--path", "/", "--body", "@/nonexistent").exit_code == 2
