"""What commands that change something share: their options, and telling what has come of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router.cli.documents import Applied, Outcome, Shadow, Standing, read
from router.cli.output import plain
from router.cli.session import Session
from router.cli.tables import print_table
from router.cli.words import percent, shadow, weights

if TYPE_CHECKING:
    from router.cli.client import Answer

ReasonOption = Annotated[
    str | None, typer.Option("--reason", "-r", help="why: it is kept in the audit trail")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="tell what would change, and change nothing")
]
IfGenerationOption = Annotated[
    int | None,
    typer.Option("--if-generation", min=0, help="only if the route has not changed since this one"),
]
KeyOption = Annotated[
    str | None,
    typer.Option("--idempotency-key", help="the same call with the same key is made only once"),
]
ForceOption = Annotated[
    bool,
    typer.Option("--force", help="also to a version that is not healthy; takes the role admin"),
]


def reason_or_ask(reason: str | None, *, dry_run: bool = False) -> str:
    """The reason that was given; on a terminal it is asked for.  A dry run needs none."""
    if dry_run and reason is None:
        return "dry run"
    if reason is None and sys.stdin.isatty() and sys.stderr.isatty():
        reason = str(typer.prompt("Reason", err=True))
    if reason is None or not reason.strip():
        raise typer.BadParameter("say why: it is kept in the audit trail", param_hint="--reason")
    return reason.strip()


def conditions(if_generation: int | None, key: str | None) -> dict[str, str]:
    """The headers that say when a change is to be made."""
    headers = {}
    if if_generation is not None:
        headers["if-match"] = f'"{if_generation}"'
    if key is not None:
        # What HTTP could not carry would come back as a fault of the library.
        if not key or not all("!" <= char <= "~" for char in key):
            raise typer.BadParameter(
                "a key is printable ASCII without spaces", param_hint="--idempotency-key"
            )
        headers["idempotency-key"] = key
    return headers


def dry(dry_run: bool) -> dict[str, object]:
    """The query that asks for nothing to be done."""
    return {"dryRun": "true" if dry_run else None}


def forced(force: bool) -> dict[str, object]:
    """The part of a body that overrules health."""
    return {"force": True} if force else {}


def conclude(session: Session, answer: Answer) -> None:
    """Tell what a change has done; one that is not in force everywhere ends with 1."""
    outcome = read(answer.document, Outcome)
    session.show(answer.document, lambda _: _tell(outcome))
    if answer.status == 202 or (outcome.applied is not None and outcome.applied.missing):
        raise typer.Exit(1)


def _tell(outcome: Outcome) -> None:
    if outcome.dry_run:
        _tell_dry_run(outcome)
        return
    if outcome.repeated:
        typer.echo("the key was known: this was done already, and nothing was done again")
    if outcome.name is not None:
        shares = weights({each.name: each.weight for each in outcome.versions})
        typer.echo(plain(f"{outcome.name}: {shares}"))
        if outcome.shadow is not None:
            typer.echo(plain(shadow(outcome.shadow)))
    if outcome.applied is not None:
        _tell_applied(outcome.generation, outcome.applied)


def _tell_applied(generation: int, applied: Applied) -> None:
    workers = plain(", ".join(applied.workers)) or "none"
    if not applied.missing:
        typer.echo(f"generation {generation} is in force in every worker: {workers}")
        return
    typer.echo(f"generation {generation} is in force in: {workers}")
    typer.echo(
        f"not known to be in force in: {plain(', '.join(applied.missing))}\n"
        "It is written, and they get it as soon as they can; until then they may serve the one "
        "before. /readyz says when it is in force everywhere.",
        err=True,
    )


def _tell_dry_run(outcome: Outcome) -> None:
    if not outcome.changes:
        typer.echo("dry run: no weight would change")
    else:
        typer.echo("dry run, nothing was changed; it would be:")
        rows: list[tuple[Any, ...]] = [
            (each.version, percent(each.before), percent(each.after)) for each in outcome.changes
        ]
        print_table(("version", "now", "then"), rows, right="now then")
    before, after = _stands(outcome.before.rollout), _stands(outcome.after.rollout)
    if before != after:
        typer.echo(plain(f"the rollout would go from {before} to {after}"))
    before, after = _copies(outcome.before.shadow), _copies(outcome.after.shadow)
    if before != after:
        typer.echo(plain(f"the shadow would go from {before} to {after}"))


def _copies(told: Shadow | None) -> str:
    return "none" if told is None else f"{told.version} with {percent(told.percent)}"


def _stands(rollout: Standing | None) -> str:
    if rollout is None:
        return "none"
    reason = f" ({rollout.reason})" if rollout.reason else ""
    passed = "step" if rollout.step == 1 else "steps"
    return f"{rollout.phase}{reason} of {rollout.target} with {rollout.step} {passed} passed"
