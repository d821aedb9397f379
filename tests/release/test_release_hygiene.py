"""One version, a lock that fits, a change log that is made from changes/, an honest audit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from router import __version__

ROOT: Final = Path(__file__).parents[2]
PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS: Final = {
    "runtime": PROJECT["project"]["dependencies"],
    "build": PROJECT["build-system"]["requires"],
}
_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def pins(name: str) -> Iterator[tuple[Requirement, str]]:
    """Each locked package, with the text of its options."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for entry in lines.replace("\\\n", " ").splitlines():
        pin, _, options = entry.partition(" --hash")
        yield Requirement(pin), f"--hash{options}"


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


# -- the version -----------------------------------------------------------------------------------


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "router.__version__"}


def test_the_chart_installs_the_image_of_this_version() -> None:
    chart = yaml.safe_load((ROOT / "helm" / "inference-router" / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


# -- the lock --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_what_pyproject_asks_for_in_a_version_that_it_allows(name: str) -> None:
    locked = {canonicalize_name(pin.name): pin for pin, _ in pins(name)}
    for line in LOCKS[name]:
        wanted = Requirement(line)
        assert wanted.name in locked, f"{line} is not locked: run `make lock`"
        (exact,) = locked[canonicalize_name(wanted.name)].specifier
        assert wanted.specifier.contains(exact.version), f"{line}, locked {exact}: run `make lock`"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(name: str) -> None:
    found = list(pins(name))
    assert len({pin.name for pin, _ in found}) == len(found)
    for pin, options in found:
        assert [each.operator for each in pin.specifier] == ["=="], pin
        assert options.split(), pin
        assert all(_HASH.fullmatch(option) for option in options.split()), pin


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_is_for_no_index_and_no_machine(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    assert re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ ", text) is None


# -- the change log --------------------------------------------------------------------------------


def test_the_change_log_is_what_the_script_makes() -> None:
    made = python("scripts/changelog").stdout
    assert (ROOT / "CHANGELOG.md").read_text() == made, "run `make changelog`"


def test_a_released_change_stands_below_its_version_and_the_newest_is_first(tmp_path: Path) -> None:
    for name, text in {
        "0.9.0/0001-a.md": "A first.", "0.10.0/0002-b.md": "B\nsecond.", "0003-c.md": "C third.",
    }.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    page = python("scripts/changelog", str(tmp_path)).stdout
    assert page.partition("## ")[2] == (
        "Not released yet\n\n* C third.\n\n## 0.10.0\n\n* B\n  second.\n\n## 0.9.0\n\n* A first.\n"
    )


@pytest.mark.parametrize(("name", "text"), [("note.md", "A."), ("0001-a.md", "\n")])
def test_a_change_without_number_or_words_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    done = python("scripts/changelog", str(tmp_path))
    assert done.returncode == 1
    assert f"{tmp_path / name}: must be called NNNN-what.md" in done.stderr
    assert done.stdout == ""


# -- the audit -------------------------------------------------------------------------------------

_CLEAN: Final = {"name": "anyio", "version": "4.16.0", "vulns": []}
_SKIPPED: Final = {"name": "idna", "skip_reason": "Dependency not found: idna (3.20)"}
_BAD: Final = {
    "name": "h11", "version": "0.16.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.17"]}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("packages", "status", "strict_status", "said"),
    [
        ([_CLEAN], 0, 0, "1 packages: no vulnerability is known"),
        ([_CLEAN, _SKIPPED], 0, 1, "NOT AUDITED: 1 of 2 packages:\n  Dependency not found: idna"),
        ([_CLEAN, _BAD, _SKIPPED], 1, 1, "h11 0.16.0: PYSEC-1, fixed in 0.17"),
        (None, 0, 1, "NOT AUDITED: the service did not answer:\nConnectionError"),
    ],
    ids=["clean", "unknown", "bad", "away"],
)
def test_an_audit_is_clean_only_if_every_package_was_looked_up(
    tmp_path: Path, packages: list[object] | None, status: int, strict_status: int, said: str
) -> None:
    auditor = tmp_path / "pip-audit"
    answer = "ConnectionError" if packages is None else json.dumps({"dependencies": packages})
    end = ">&2; exit 1" if packages is None else "; exit 0"
    auditor.write_text(f"#!/bin/sh\nprintf %s '{answer}' {end}\n")
    auditor.chmod(0o755)
    done = python("scripts/audit", f"--program={auditor}")
    assert said in done.stdout + done.stderr
    assert done.returncode == status
    assert python("scripts/audit", f"--program={auditor}", "--strict").returncode == strict_status
