"""Tables: plain lines in a pipe, as wide as the terminal on one; nothing is cut off in either."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import lists, text
from rich.cells import cell_len

from router.cli import tables
from router.cli.tables import print_table

NAME = "a-route-with-a-name-that-is-longer-than-this-narrow-terminal-is-wide"
_STYLES = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A screen of 50 columns."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def print_on(terminal: Terminal, *table: Any, **options: str) -> list[str]:
    # Only now: before each test's call pytest puts its own stdout back.
    with redirect_stdout(terminal):
        print_table(*table, **options)
    return _STYLES.sub("", terminal.getvalue()).splitlines()


def test_on_a_terminal_a_long_name_is_folded_and_never_cut_off(terminal: Terminal) -> None:
    lines = print_on(terminal, ("route", "weight"), [(NAME, "95 %")], right="weight")
    heading, _, first, *folded = lines
    assert heading.split() == ["route", "weight"]
    assert first.rstrip().endswith("95 %")
    assert first.split()[0] + "".join(line.strip() for line in folded) == NAME
    assert max(map(len, lines)) <= 50


def test_on_a_terminal_the_heading_stands_out(terminal: Terminal) -> None:
    print_on(terminal, ("route",), [("chat",)])
    assert "\x1b[1m" in terminal.getvalue()


def test_on_a_terminal_what_a_cell_holds_is_shown_and_not_obeyed(terminal: Terminal) -> None:
    lines = print_on(terminal, ("reason",), [("[red]x[/] :tada: \x1b[2J",)])
    assert lines[2].rstrip() == r"[red]x[/] :tada: \u001b[2J"


def test_a_table_that_is_too_long_for_rich_is_printed_plainly(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "MAX_RICH_ROWS", 1)
    assert print_on(terminal, ("route",), [(NAME,), ("b",)]) == [
        "route",
        "─" * len(NAME),
        NAME,
        "b",
    ]


def test_in_a_pipe_columns_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("route", "n"), [("a", 7), ("bbbbbb", None), ("模型", 100)], right="n")
    assert capsys.readouterr().out.splitlines() == [
        "route     n",
        "──────  ───",
        "a         7",
        "bbbbbb",
        "模型    100",
    ]


def test_a_table_without_rows_has_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("route", "n"), [])
    assert capsys.readouterr().out.splitlines() == ["route  n", "─────  ─"]


@given(lists(lists(text(), min_size=2, max_size=2), max_size=5))
def test_every_row_is_one_line_and_every_second_cell_begins_in_one_column(
    rows: list[list[str]],
) -> None:
    cells = [[f"<{cell}>".replace("\x1b", "") for cell in row] for row in rows]
    printed = list(tables._lines(("a", "b"), cells, ()))
    assert len(printed) == len(rows) + 2
    width = cell_len(printed[1].split("  ")[0]) + 2
    for (left, right), line in zip(cells, printed[2:], strict=True):
        assert line == left + " " * (width - cell_len(left)) + right.rstrip()
