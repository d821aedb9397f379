"""`audit`: who changed what, when and why; and whether the trail is what was written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from router.cli.documents import Entries, Entry, Verdict, read
from router.cli.output import plain
from router.cli.session import Session, against_server
from router.cli.tables import print_table
from router.cli.words import change, time

app = typer.Typer(help="Who changed what, when and why.", no_args_is_help=True)

RouteOption = Annotated[str | None, typer.Option("--route", help="of this route only")]
ActionOption = Annotated[str | None, typer.Option("--action", help="such as weights.set")]
ActorOption = Annotated[str | None, typer.Option("--actor", help="by this token's name")]
AfterOption = Annotated[
    int | None, typer.Option("--after", min=0, help="the oldest above this sequence, oldest first")
]
BeforeOption = Annotated[
    int | None, typer.Option("--before", min=1, help="the newest below this sequence")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="entries at most")]
StoreOption = Annotated[
    str | None,
    typer.Option("--store", help="sqlite:FILE, read without a server, also while one writes to it"),
]
AnchorOption = Annotated[
    list[str] | None,
    typer.Option("--anchor", help="SEQUENCE:HASH as an earlier verify printed it; with --store"),
]


@app.command("list")
@against_server
def list_entries(
    session: Session,
    route: RouteOption = None,
    action: ActionOption = None,
    actor: ActorOption = None,
    after: AfterOption = None,
    before: BeforeOption = None,
    limit: LimitOption = 20,
) -> None:
    """Show entries of the trail, the newest first."""
    query = {
        "route": route,
        "action": action,
        "actor": actor,
        "after": after,
        "before": before,
        "limit": limit,
    }

    def tell(document: Any) -> None:
        page = read(document, Entries)
        print_entries(page.entries)
        if page.next is not None:
            where = "--before" if after is None else "--after"
            typer.echo(f"there are more: {where} {plain(page.next)}", err=True)

    session.show(session.client.get("audit", query=query), tell)


@app.command()
@against_server
def verify(session: Session, store: StoreOption = None, anchor: AnchorOption = None) -> None:
    """Check the whole trail: 1 if an entry was edited, removed or moved, and names the first."""
    if store is not None:
        from router.cli.stored_trail import verify_stored  # no other command reads a store

        document = verify_stored(store, anchor or [])
    elif anchor:
        raise typer.BadParameter("goes with --store", param_hint="--anchor")
    else:
        document = session.client.get("audit", "verify")
    verdict = read(document, Verdict)
    session.show(document, lambda _: _tell_verdict(verdict))
    if not verdict.ok:
        raise typer.Exit(1)


def print_entries(entries: Sequence[Entry]) -> None:
    """A line for each entry."""
    headings = ("#", "time", "actor", "action", "route", "generation", "weights", "reason")
    rows = [
        (
            entry.sequence,
            time(entry.time),
            _who(entry),
            entry.action,
            entry.route,
            entry.generation,
            change(entry.before, entry.after),
            entry.reason,
        )
        for entry in entries
    ]
    print_table(headings, rows, right="# generation", whole="time")


def _who(entry: Entry) -> str:
    actor = entry.actor
    return f"{actor.name} ({actor.role})" + (f" from {actor.address}" if actor.address else "")


def _tell_verdict(verdict: Verdict) -> None:
    if verdict.ok:
        typer.echo(f"ok: the whole trail is what was written (entries: {verdict.entries})")
    elif verdict.first_bad is not None:
        typer.echo(plain(verdict.first_bad.problem), err=True)
        typer.echo(
            f"what comes before it is what was written (entries: {verdict.entries})", err=True
        )
    if verdict.head is not None:
        # What a later `--anchor` takes, to find a trail that was written anew as a whole.
        typer.echo(f"anchor {verdict.head.sequence}:{plain(verdict.head.hash)}")
