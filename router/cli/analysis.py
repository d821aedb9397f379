"""`analysis`: what was measured of a version, and what came of it."""

from __future__ import annotations

import time as clock
from typing import Annotated, Any

import typer

from router.cli.documents import read
from router.cli.metrics import measurement_blocks, run_blocks
from router.cli.rollout_documents import Run, Runs
from router.cli.session import Session, against_server
from router.cli.tables import print_blocks, print_table
from router.cli.words import duration, time

app = typer.Typer(help="What was measured, and what came of it.", no_args_is_help=True)

RouteOption = Annotated[str | None, typer.Option("--route", help="of this route only")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=100, help="runs at most")]


@app.command("list")
@against_server
def list_runs(session: Session, route: RouteOption = None, limit: LimitOption = 20) -> None:
    """Show analysis runs, the newest first."""
    query = {"route": route, "limit": limit}
    session.show(session.client.get("analysis-runs", query=query), _tell_all)


@app.command()
@against_server
def show(
    session: Session,
    id_: Annotated[str, typer.Argument(metavar="ID", help="as `list` or the trail names it")],
) -> None:
    """Show one run: its metrics, their conditions, and every measurement that is kept."""
    session.show(session.client.get("analysis-runs", id_), _tell_one)


def _tell_all(document: Any) -> None:
    headings = ("id", "route", "version", "against", "phase", "started", "took", "message")
    rows = [
        (
            run.id,
            run.route,
            run.canary,
            run.stable,
            run.phase,
            time(run.started),
            _took(run),
            run.message,
        )
        for run in read(document, Runs).runs
    ]
    print_table(headings, rows, right="took", whole="phase started")


def _tell_one(document: Any) -> None:
    run = read(document, Run)
    took = f"begun {time(run.started)}, took {_took(run)}"
    print_blocks([f"{run.route}: {run.canary} against {run.stable}, {took}"])
    print_blocks(run_blocks(run))
    print_blocks(measurement_blocks(run))


def _took(run: Run) -> str:
    end = clock.time() if run.finished is None else run.finished
    return duration(end - run.started) + (" so far" if run.finished is None else "")
