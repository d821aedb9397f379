"""`selftest`: raw HTTP cases against a throw-away router with a configuration's limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from router.cli.output import Output, OutputOption, fail, plain, print_json
from router.cli.tables import print_table
from router.errors import RouterError

if TYPE_CHECKING:
    from router.selftest import Report, Verdict

SHOWN_BYTES: Final = 400
_MINIMAL: Final = {
    "routes": [
        {
            "name": "selftest",
            "match": [{"pathPrefix": "/"}],
            "versions": {"v1": {"endpoints": ["http://127.0.0.1:9"]}},
        }
    ]
}
"""Without a file: every field as it is by default."""


def selftest(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="configuration file; else the defaults")
    ] = None,
    route: Annotated[str | None, typer.Option(help="whose limits to use; else the first")] = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Play raw HTTP cases against a throw-away router with these limits, and show what fails."""
    from router.config import Config, load  # with the rest 0.6 s that no other command pays
    from router.selftest import run

    try:
        loaded = Config.model_validate(_MINIMAL) if config is None else load(config)
        report = run(loaded, route, _heard(output))
    except (RouterError, OSError) as error:
        fail(f"selftest: {error}")
    if output is Output.JSON:
        print_json(report.document())
    else:
        _tell(report)
    if not report.ok:
        raise typer.Exit(1)


def _heard(output: Output) -> Callable[[Verdict], None]:
    """What fails is told as it fails; a program gets it all at the end."""

    def hear(verdict: Verdict) -> None:
        if not verdict.passed and output is Output.TEXT:
            typer.echo(plain(f"{verdict.case.name}: {verdict.against[0]}"), err=True)

    return hear


def _tell(report: Report) -> None:
    for verdict in report.failures:
        case = verdict.case
        kind = "" if case.strict else " (not strict)"
        typer.echo(plain(f"FAILED {case.group.value}: {case.name}, {case.rule}{kind}"))
        for each in verdict.against:
            typer.echo(plain(f"  {each}"))
        typer.echo(f"  sent {_shown(case.raw)}")
        typer.echo(f"  got  {_shown(verdict.got)}")
    rows = [
        (group.value, tally.passed, tally.failed, tally.not_promised)
        for group, tally in report.groups.items()
    ]
    tallies = report.groups.values()
    total = (
        "all",
        sum(tally.passed for tally in tallies),
        sum(tally.failed for tally in tallies),
        sum(tally.not_promised for tally in tallies),
    )
    print_table(
        ("group", "passed", "failed", "not promised"),
        [*rows, total],
        right="passed failed",
        whole="group",
    )
    typer.echo(plain(f"{report.door} door, limits of route {report.route}"))


def _shown(raw: bytes) -> str:
    """Bytes as Python writes them, so that a terminal only shows them; long ones cut."""
    rest = len(raw) - SHOWN_BYTES
    return f"{raw[:SHOWN_BYTES]!r}" + (f" and {rest} bytes more" if rest > 0 else "")
