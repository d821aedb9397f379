"""`check`: judge configuration files before anything runs on them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.output import Output, OutputOption, plain, print_json

if TYPE_CHECKING:
    from router.config import FileReport, Report


def check(
    files: Annotated[list[Path] | None, typer.Argument(help="configuration files")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="print the JSON Schema")] = False,
    requests_per_second: Annotated[
        float | None,
        typer.Option(min=0.0, help="expected of each route; warns of samples that are too small"),
    ] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Say everything that is wrong with configuration files, and what their releases will do."""
    from router import config  # 0.4 s that no other command pays

    if schema:
        print_json(config.json_schema())
        return
    if not files:
        raise typer.BadParameter("give a file, or --schema", param_hint="FILES")
    report = config.check(files, requests_per_s=requests_per_second)
    if output is Output.JSON:
        print_json({"ok": report.ok, "files": [_as_document(file) for file in report.files]})
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(1)


def _as_document(report: FileReport) -> dict[str, Any]:
    return {"ok": not report.problems, **asdict(report)}


def _print(report: Report) -> None:
    for file in report.files:
        for problem in file.problems:
            typer.echo(plain(problem), err=True)
        for warning in file.warnings:
            typer.echo(plain(f"{warning} (warning)"), err=True)
        if file.problems:
            continue
        typer.echo(plain(f"{file.file}: ok"))
        for plan in file.plans:
            for line in str(plan).splitlines():
                typer.echo(plain(f"  {line}"))
