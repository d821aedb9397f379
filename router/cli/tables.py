"""Tables for people, which stay readable in a pipe: no colours there, and no name is cut off."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import typer

from router.cli.output import plain

if TYPE_CHECKING:
    from rich.table import Table

MAX_RICH_ROWS: Final = 500
"""rich takes 1 ms for a row: with it `routes` took 20 s for 10 000 routes, without it 1.7 s."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table that is not shown yet; `right` and `whole` as in `print_table`."""

    headings: Sequence[str]
    rows: Sequence[Sequence[object]]
    right: str = ""
    whole: str = ""


Block = str | Grid
"""A line or a table, of what is told at some length."""


def print_blocks(blocks: Iterable[Block]) -> None:
    """Print lines and tables, one below the other."""
    for block in blocks:
        if isinstance(block, Grid):
            print_table(block.headings, block.rows, right=block.right, whole=block.whole)
        else:
            typer.echo(plain(block))


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[object]], *, right: str = "", whole: str = ""
) -> None:
    """Print rows below their headings.

    Columns that `right` names are aligned there; those of `right` and `whole`, which are short,
    are never folded on a narrow terminal.
    """
    grid = Grid(headings, [*rows], right, whole)
    if sys.stdout.isatty() and len(grid.rows) <= MAX_RICH_ROWS:
        from rich.console import Console

        Console().print(folded(grid))
    else:
        typer.echo("\n".join(_lines(headings, _cells(grid), right.split())))


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A line for each row below the headings, where no whole table can be printed."""
    return _lines(headings, _cells(Grid(headings, rows)), ())


def folded(grid: Grid) -> Table:
    """As wide as the terminal; what does not fit is folded within its column."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    right = grid.right.split()
    short = {*right, *grid.whole.split()}
    for heading in grid.headings:
        table.add_column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=heading in short,
            overflow="fold",
        )
    for row in _cells(grid):
        table.add_row(*map(Text, row))
    return table


def _cells(grid: Grid) -> list[list[str]]:
    return [["" if cell is None else plain(cell) for cell in row] for row in grid.rows]


def _lines(
    headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]
) -> Iterator[str]:
    """A line for each row, as long as it has to be."""
    from rich.cells import cell_len  # Chinese takes two cells a character, accents none

    columns = list(zip(headings, *rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    for row in (headings, ["─" * width for width in widths], *rows):
        fields = []
        for heading, cell, width in zip(headings, row, widths, strict=True):
            space = " " * (width - cell_len(cell))
            fields.append(space + cell if heading in right else cell + space)
        yield "  ".join(fields).rstrip()
