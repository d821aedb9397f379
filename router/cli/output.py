"""How commands speak: tables and lines for people, one JSON document for programs.

What others wrote (reasons, names, details) reaches a terminal only through `plain` or `print_json`:
its control characters are shown, never obeyed.
"""

import json
import sys
from enum import StrEnum
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer


class Output(StrEnum):
    """Who reads it."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text or json")]


def print_json(document: Any) -> None:
    """One document, indented."""
    lines = _json(document, indent=2).split("\n")
    typer.echo("\n".join(map(plain, lines)))


def print_json_line(document: Any) -> None:
    """One document on one line, for streams of them."""
    typer.echo(plain(_json(document)))


def survive_any_encoding() -> None:
    """Show what this terminal has no character for as `\\u2588`, rather than fail half-way."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def plain(text: object) -> str:
    """Text on one line that a terminal only shows: ESC, line ends and their like as in JSON."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in shown)


def _json(document: Any, indent: int | None = None) -> str:
    unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(document, indent=indent, ensure_ascii=not unicode)


def fail(message: object) -> NoReturn:
    """Say why on standard error and end with 1."""
    typer.echo(str(message), err=True)
    raise typer.Exit(1)
