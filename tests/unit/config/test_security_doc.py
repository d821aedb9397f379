"""docs/security.md names only what there is: every file and every test in it exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "security.md").read_text()
FILES = sorted(set(re.findall(r"`(tests/[\w/.]+)`", PAGE)))
TESTS = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)
    if "| test |" in section
    for line in section.splitlines()
    if line.startswith("| ") and "| test |" not in line
]


def names_in(file: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)}


@pytest.mark.parametrize(("file", "name"), TESTS, ids=[name for _, name in TESTS])
def test_every_test_that_is_named_exists(file: str, name: str) -> None:
    assert name in names_in(ROOT / file)


def test_every_file_that_is_named_exists() -> None:
    assert [file for file in FILES if not (ROOT / file).exists()] == []


def test_every_line_of_a_threat_names_a_test() -> None:
    assert len(ROWS) > 40
    assert [
        row for row in ROWS if len(row) != 3 or not re.search(r"\.py::test_\w+`$", row[2])
    ] == []
