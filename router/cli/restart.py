"""`restart`: replace the workers one by one, and tell each as it is done.

The restart goes on whether or not somebody looks; a control that is away meanwhile is waited for.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
import typer

from router.cli.change import ReasonOption, reason_or_ask
from router.cli.documents import read
from router.cli.events import passes
from router.cli.failures import CommandError
from router.cli.output import Output, plain, print_json
from router.cli.session import Session, against_server

if TYPE_CHECKING:
    from router.cli.client import AdminClient

LOOK_S: Final = 0.2
AWAY_S: Final = 60.0
"""Control may be restarted meanwhile; away for longer, it does not come back."""

_SERVES: Final = ("draining", "done")


class Replacement(msgspec.Struct, frozen=True, rename="camel"):
    """One worker of a restart."""

    worker: str
    stage: str
    old_pid: int | None = None
    new_pid: int | None = None


class Restart(msgspec.Struct, frozen=True):
    """How far a restart is."""

    id: str
    stage: str
    by: str = ""
    workers: tuple[Replacement, ...] = ()
    problem: str = ""


@against_server
def restart(session: Session, reason: ReasonOption = None) -> None:
    """Replace the workers one by one: no request fails, streams finish on the old ones."""
    body = {"reason": reason_or_ask(reason)}
    document = begun = session.client.change("POST", "restart", body=body).document
    told: set[str] = set()
    for document in _looks(session.client, begun):
        if session.output is Output.TEXT:
            _tell(read(document, Restart), told)
    _conclude(session, document)


def _looks(client: AdminClient, begun: Any) -> Iterator[Any]:
    """The restart as it was begun, and as it is, until it has ended or another one has begun."""
    yield begun
    document, seen_at = begun, clock.monotonic()
    while _goes_on(begun, document):
        clock.sleep(LOOK_S)
        try:
            document = client.get("restart")
        except CommandError as error:
            if not passes(error) or clock.monotonic() - seen_at > AWAY_S:
                raise
        else:
            seen_at = clock.monotonic()
            yield document


def _goes_on(begun: Any, document: Any) -> bool:
    now = read(document, Restart)
    return now.stage == "starting" and now.id == read(begun, Restart).id


def _tell(now: Restart, told: set[str]) -> None:
    for each in now.workers:
        if each.stage in _SERVES and each.worker not in told:
            told.add(each.worker)
            typer.echo(
                plain(
                    f"{each.worker}: pid {each.new_pid} serves, "
                    f"pid {each.old_pid} finishes what it has begun"
                )
            )


def _conclude(session: Session, document: Any) -> None:
    if session.output is Output.JSON:
        print_json(document)
    now = read(document, Restart)
    if now.stage not in _SERVES:
        why = now.problem or f"its end is unknown: a newer one, by {now.by}, is under way"
        typer.echo(plain(f"the restart has failed: {why}"), err=True)
        raise typer.Exit(1)
    if session.output is Output.TEXT:
        typer.echo(f"{len(now.workers)} workers were replaced")
