"""Which server, as whom: found in options, files and the environment, and never given away."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from router.cli import main
from tests.support.admin_api import CannedApi, canned_api, run

SECRET = "s3cret-that-must-not-be-seen"
GROUPS = ("audit", "rollout", "analysis")
COMMANDS = (
    ("routes",),
    ("routes", "chat"),
    ("weights", "chat"),
    ("weights", "chat", "v1=100", "--reason", "r"),
    ("weights", "chat", "--release", "--reason", "r"),
    ("rollback", "chat", "--reason", "r"),
    ("reload", "--reason", "r"),
    ("generation", "7"),
    ("audit", "list"),
    ("audit", "verify"),
    ("explain", "--path", "/"),
    ("events",),
    ("rollout", "status", "chat"),
    ("rollout", "watch", "chat"),
    ("rollout", "abort", "chat", "--reason", "r"),
    ("analysis", "list"),
    ("analysis", "show", "x"),
)


@pytest.fixture
def api() -> Iterator[CannedApi]:
    with canned_api() as api:
        api.answer("GET", "/routes", {"generation": 1, "routes": []})
        yield api


def authorization(api: CannedApi) -> str | None:
    return api.calls[-1].headers["authorization"]


def test_the_server_is_named_by_option_before_environment(api: CannedApi) -> None:
    result = run(
        api, "routes", "--server", api.url + "/", env={"INFERENCE_ROUTER_URL": "http://127.0.0.1:1"}
    )
    assert result.exit_code == 0
    assert api.calls[0].path == "/api/v1/routes"


def test_a_token_comes_from_the_environment(api: CannedApi) -> None:
    run(api, "routes", env={"INFERENCE_ROUTER_TOKEN": SECRET})
    assert authorization(api) == f"Bearer {SECRET}"


def test_a_token_file_goes_before_the_environment(api: CannedApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    arguments = ("routes", "--token-file", str(tmp_path / "token"))
    run(api, *arguments, env={"INFERENCE_ROUTER_TOKEN": "another"})
    assert authorization(api) == f"Bearer {SECRET}"


def test_a_token_option_goes_before_the_environment(api: CannedApi) -> None:
    run(api, "routes", "--token", SECRET, env={"INFERENCE_ROUTER_TOKEN": "another"})
    assert authorization(api) == f"Bearer {SECRET}"


def test_without_a_token_a_call_has_none(api: CannedApi) -> None:
    run(api, "routes", env={"INFERENCE_ROUTER_TOKEN": ""})
    assert authorization(api) is None


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--token", f"{SECRET}\x1b"), "printable ASCII"),
        (("--token", f"two {SECRET}"), "printable ASCII"),
        (("--token", f"{SECRET}é"), "printable ASCII"),
        (("--token", " "), "holds no token"),
        (("--token", SECRET, "--token-file", "x"), "not both"),
        (("--token-file", "/nonexistent"), "/nonexistent: No such file or directory"),
    ],
)
def test_a_token_that_cannot_be_used_is_exit_2_and_not_repeated(
    api: CannedApi, arguments: tuple[str, ...], text: str
) -> None:
    result = run(api, "routes", *arguments)
    assert result.exit_code == 2
    assert text in unfolded(result.stderr)
    assert SECRET not in result.output
    assert api.calls == []


def test_a_token_file_that_is_no_text_is_exit_2(api: CannedApi, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    result = run(api, "routes", "--token-file", str(tmp_path / "token"))
    assert result.exit_code == 2
    assert "it is not text" in unfolded(result.stderr)


@pytest.mark.parametrize(
    "url",
    ["ftp://host", "127.0.0.1:8081", "http://", "http://h:99999", "http://h?a", "http://h/\x1b"],
)
def test_an_address_that_is_none_is_exit_2(api: CannedApi, url: str) -> None:
    result = run(api, "routes", "--server", url)
    assert result.exit_code == 2
    assert "not an address such as http://127.0.0.1:8081" in unfolded(result.stderr)


def test_an_address_with_a_password_is_refused_without_repeating_it(api: CannedApi) -> None:
    result = run(api, "routes", "--server", f"http://admin:{SECRET}@127.0.0.1:8081")
    assert result.exit_code == 2
    assert "no user and no password" in unfolded(result.stderr)
    assert SECRET not in result.output


@pytest.mark.parametrize("arguments", COMMANDS)
def test_every_command_says_that_it_cannot_reach_the_server_and_what_to_do(
    arguments: tuple[str, ...],
) -> None:
    with canned_api() as api:
        url = api.url
    result = run(api, *arguments, "-o", "json", env={"INFERENCE_ROUTER_TOKEN": SECRET})
    assert result.exit_code == 1
    assert result.stderr.startswith(f"cannot reach {url}: ")
    assert "--server URL or INFERENCE_ROUTER_URL" in result.stderr
    assert json.loads(result.stdout)["type"] == "urn:inference-router:client:unreachable"
    assert SECRET not in result.output


@pytest.mark.parametrize("arguments", COMMANDS)
def test_every_command_has_the_same_options_for_its_server(arguments: tuple[str, ...]) -> None:
    words = arguments[: 2 if arguments[0] in GROUPS else 1]
    help_ = CliRunner().invoke(main, [*words, "--help"]).stdout
    for option in ("--server", "--token", "--token-file", "--timeout", "--output"):
        assert option in help_


def test_help_shows_no_token(api: CannedApi) -> None:
    result = run(api, "routes", "--help", env={"INFERENCE_ROUTER_TOKEN": SECRET})
    assert "INFERENCE_ROUTER_TOKEN" in result.stdout
    assert SECRET not in result.stdout


def test_the_command_line_loads_what_a_command_needs_when_it_runs() -> None:
    code = (
        "import sys, router.cli; "
        "print([name for name in ('httpx', 'rich', 'sqlite3', 'router.config', 'starlette') "
        "if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def unfolded(text: str) -> str:
    """A usage error without its frame."""
    return " ".join(text.replace("│", " ").split())
