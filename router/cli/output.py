"""How commands speak: tables and lines for people, one JSON document for programs."""

import json
from enum import StrEnum
from typing import Annotated, Any, NoReturn

import typer


class Output(StrEnum):
    """Who reads it."""

    TEXT = "text"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text or json")]


def print_json(document: Any) -> None:
    """One document, indented."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def fail(message: object) -> NoReturn:
    """Say why on standard error and end with 1."""
    typer.echo(str(message), err=True)
    raise typer.Exit(1)
