"""`rollout`: how a release is doing, and what people say to it."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any, Final

import typer

from router.cli.change import (
    DryRunOption,
    IfGenerationOption,
    KeyOption,
    ReasonOption,
    conclude,
    conditions,
    dry,
    reason_or_ask,
)
from router.cli.documents import read
from router.cli.failures import CommandError
from router.cli.output import Output, plain
from router.cli.rollout_documents import Rollout
from router.cli.session import Session, against_server
from router.cli.standing import standing, summary
from router.cli.tables import print_blocks

app = typer.Typer(help="How a release is doing, and what is done about it.", no_args_is_help=True)

RouteArgument = Annotated[str, typer.Argument(help="the route")]

_PLAIN: Final = {
    "pause": "Stand still until resumed; weights stay, timers and analyses go on.",
    "resume": "Go on after a pause; measure again after an inconclusive analysis.",
    "abort": "Give all traffic back to the stable version.",
    "retry": "Try a release again that was aborted or rolled back, from the first step.",
}
"""Commands that need nothing but a reason."""


@app.command()
@against_server
def status(session: Session, route: RouteArgument) -> None:
    """Show how a route's newest rollout stands: phase, steps, timers, metrics, what is possible."""
    session.show(session.client.get("routes", route, "rollout"), _tell)


@app.command()
@against_server
def watch(
    session: Session,
    route: RouteArgument,
    forever: Annotated[
        bool, typer.Option("--forever", help="go on when the rollout has ended")
    ] = False,
) -> None:
    """Follow a rollout until it is Healthy (exit status 0) or Degraded (1)."""
    from router.cli.wakeups import waking
    from router.cli.watch_views import view_for
    from router.cli.watching import Course, sights

    course = Course()
    try:
        with waking(session.connect(), route) as wait, view_for(session.output) as view:
            for number, sight in enumerate(sights(session.client, route, wait)):
                view.show(sight)
                ended_well = course.verdict(sight.rollout)
                if ended_well is not None and not forever:
                    raise typer.Exit(0 if ended_well else 1)
                if number == 0 and not sight.rollout.in_flight:
                    typer.echo("nothing is under way: waiting for a rollout to begin", err=True)
    except KeyboardInterrupt:
        # Without --forever 0 would say that the rollout has become Healthy.
        raise typer.Exit(0 if forever else 1) from None


@app.command()
@against_server
def start(
    session: Session,
    route: RouteArgument,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="instead of the release")
    ] = None,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Begin a rollout, to the release or to another version."""
    more = {} if to is None else {"to": to}
    headers = conditions(if_generation, idempotency_key)
    _say(session, route, "start", reason, headers, dry_run=dry_run, more=more)


@app.command()
@against_server
def promote(
    session: Session,
    route: RouteArgument,
    full: Annotated[
        bool, typer.Option("--full", help="past all steps, pauses, gates and analyses")
    ] = False,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Go on to the next step, whatever this one waits for."""
    name = "promote-full" if full else "promote"
    _say(session, route, name, reason, conditions(if_generation, idempotency_key), dry_run=dry_run)


def _saying(name: str, what: str) -> Callable[..., None]:
    """The command of this name."""

    @against_server
    def command(
        session: Session,
        route: RouteArgument,
        reason: ReasonOption = None,
        dry_run: DryRunOption = False,
        if_generation: IfGenerationOption = None,
        idempotency_key: KeyOption = None,
    ) -> None:
        headers = conditions(if_generation, idempotency_key)
        _say(session, route, name, reason, headers, dry_run=dry_run)

    command.__doc__ = what
    return command


for _name, _what in _PLAIN.items():
    app.command(_name)(_saying(_name, _what))


def _say(
    session: Session,
    route: str,
    command: str,
    reason: str | None,
    headers: dict[str, str],
    *,
    dry_run: bool,
    more: dict[str, str] | None = None,
) -> None:
    body = {"reason": reason_or_ask(reason, dry_run=dry_run), **(more or {})}
    path = ("routes", route, "rollout", command)
    answer = session.client.change("POST", *path, body=body, query=dry(dry_run), headers=headers)
    conclude(session, answer)
    if session.output is Output.TEXT and not dry_run:
        _tell_what_follows(session, route)


def _tell_what_follows(session: Session, route: str) -> None:
    # The change is made and told: that this look failed must not make it look like a failure.
    with suppress(CommandError):
        rollout = read(session.client.get("routes", route, "rollout"), Rollout)
        typer.echo(plain(summary(rollout)))


def _tell(document: Any) -> None:
    print_blocks(standing(read(document, Rollout), clock.time()))
