"""docs/cli.md: every command is there, and every example is one that is understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from router.cli import analysis, audit, main, rollout, shadow
from tests.support.admin_api import canned_api, run

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
EXAMPLES = re.findall(r"^\$ inference-router (.*)$", PAGE, re.MULTILINE)
RUN_FOR_LONG = ("serve", "demo")


def named(command: object) -> str:
    name = getattr(command, "name", None) or command.callback.__name__  # type: ignore[attr-defined]
    return str(name)


GROUPS = {"audit": audit, "rollout": rollout, "analysis": analysis, "shadow": shadow}
COMMANDS = [named(each) for each in main.registered_commands]
COMMANDS += [
    f"{group} {named(each)}"
    for group, module in GROUPS.items()
    for each in module.app.registered_commands
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command: str) -> None:
    assert any(f"{example} ".startswith(f"{command} ") for example in EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_understood(example: str, tmp_path: Path) -> None:
    if example.startswith(RUN_FOR_LONG):
        example = f"{example.split()[0]} --help"
    (tmp_path / "request.json").write_text("{}")
    words = [word.replace("@", f"@{tmp_path}/") for word in shlex.split(example)]
    with canned_api() as api:
        result = run(api, *words)
    assert result.exit_code != 2, result.stderr
