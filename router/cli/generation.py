"""`generation`: what one generation of the routing table changed, who did it, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from router.cli.audit import print_entries
from router.cli.documents import Generation, read
from router.cli.session import Session, against_server
from router.cli.tables import print_table
from router.cli.words import moved, time


@against_server
def generation(
    session: Session,
    number: Annotated[int, typer.Argument(min=0, help="as in x-router-generation")],
) -> None:
    """Tell what a generation changed, who did it, and why."""
    session.show(session.client.get("generations", number), _tell)


def _tell(document: Any) -> None:
    told = read(document, Generation)
    typer.echo(f"generation {told.number}, {time(told.time)}")
    if told.routes:
        rows = [(each.route, moved(each.before, each.after)) for each in told.routes]
        print_table(("route", "weights"), rows)
    if (untold := told.routes_changed - len(told.routes)) > 0:
        typer.echo(f"and {untold} more routes")
    if told.entries:
        typer.echo("")
        print_entries(told.entries)
