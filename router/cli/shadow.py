"""`shadow`: which version gets copies of a route's requests, and what its answers tell."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

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
from router.cli.failures import ForeignError
from router.cli.output import Output, fail, plain, print_json, print_json_line
from router.cli.session import Session, against_server
from router.cli.shadow_documents import Comparisons, Copies, Override, Report, Standing
from router.cli.shadow_report import report_blocks
from router.cli.tables import print_blocks, print_table
from router.cli.weights import assignment, percentage
from router.cli.words import percent, time
from router.cli.words import shadow as told_shadow

app = typer.Typer(
    help="Copies of requests that a version answers unseen, and what its answers tell.",
    no_args_is_help=True,
)

RouteArgument = Annotated[str, typer.Argument(help="the route")]
VerdictOption = Annotated[
    str | None,
    typer.Option("--verdict", help="only these: match, within_noise, mismatch or error"),
]


@app.command()
@against_server
def report(session: Session, route: RouteArgument) -> None:
    """Tell how the shadow's answers differ, beyond how stable differs from itself."""
    session.show(session.client.get("routes", route, "shadow", "report"), _tell_report)


@app.command()
@against_server
def show(session: Session, route: RouteArgument) -> None:
    """Show which shadow is in force, who wants it, its limits, and why nothing is copied if so."""
    session.show(session.client.get("routes", route, "shadow"), _tell_standing)


@app.command("set")
@against_server
def set_shadow(
    session: Session,
    route: RouteArgument,
    share: Annotated[
        str, typer.Argument(metavar="VERSION=PERCENT", help="v3=10; v3=0: nothing is copied")
    ],
    noise: Annotated[
        str | None,
        typer.Option("--noise", help="percent of the copied requests that stable answers again"),
    ] = None,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Copy a share of a route's requests to a version, until it is cleared."""
    version, copied = assignment(share)
    body: dict[str, object] = {"version": version, "percent": copied}
    if noise is not None:
        body["noisePercent"] = percentage(noise, "--noise")
    headers = conditions(if_generation, idempotency_key)
    body["reason"] = reason_or_ask(reason, dry_run=dry_run)
    path, query = ("routes", route, "shadow"), dry(dry_run)
    conclude(session, session.client.change("PUT", *path, body=body, query=query, headers=headers))


@app.command()
@against_server
def clear(
    session: Session,
    route: RouteArgument,
    reason: ReasonOption = None,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Take back what `set` said: configuration and rollout say again what is copied."""
    headers = conditions(if_generation, idempotency_key)
    query = {"reason": reason_or_ask(reason, dry_run=dry_run), **dry(dry_run)}
    path = ("routes", route, "shadow")
    conclude(session, session.client.change("DELETE", *path, query=query, headers=headers))


@app.command()
@against_server
def comparisons(
    session: Session,
    route: RouteArgument,
    id_: Annotated[
        int | None, typer.Argument(metavar="[ID]", min=1, help="one pair, with all of it")
    ] = None,
    verdict: VerdictOption = None,
    before: Annotated[
        int | None, typer.Option("--before", min=1, help="the newest below this id")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="pairs at most")] = 20,
) -> None:
    """Show recorded pairs of answers, the newest first; or one of them as it was recorded."""
    path = ("routes", route, "shadow", "comparisons")
    if id_ is not None:
        if verdict is not None or before is not None:
            raise typer.BadParameter("does not go with --verdict and --before", param_hint="ID")
        print_json(session.client.get(*path, id_))
        return
    query = {"verdict": verdict, "before": before, "limit": limit}
    session.show(session.client.get(*path, query=query), _tell_comparisons)


@app.command()
@against_server
def export(
    session: Session,
    route: RouteArgument,
    verdict: VerdictOption = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="write them there, as they came", dir_okay=False)
    ] = None,
) -> None:
    """Write all recorded pairs, the oldest first, as JSON lines to standard output or a file."""
    path, query = ("routes", route, "shadow", "export"), {"verdict": verdict}
    if file is None:
        with session.client.lines(*path, query=query) as lines:
            for line in lines:
                print_json_line(_document(line))
        return
    count = 0
    with session.client.lines(*path, query=query) as lines, _whole_file(file) as target:
        for line in lines:
            target.write(line + b"\n")
            count += 1
    if session.output is Output.JSON:
        print_json({"file": str(file), "pairs": count})
    else:
        typer.echo(f"{count} pairs are in {plain(file)}")


def _document(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise ForeignError("a line of the answer is no JSON") from None


@contextmanager
def _whole_file(file: Path) -> Iterator[IO[bytes]]:
    """A file that is there only when all was written to it; nobody else may read users' texts."""
    part = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
            yield target
        part.replace(file)
    except OSError as error:
        fail(f"cannot write {plain(file)}: {error.strerror}")
    finally:
        part.unlink(missing_ok=True)


def _tell_report(document: Any) -> None:
    print_blocks(report_blocks(read(document, Report)))


def _tell_standing(document: Any) -> None:
    standing = read(document, Standing)
    if standing.shadow is not None:
        typer.echo(plain(f"route {standing.route}, {told_shadow(standing.shadow)}"))
    else:
        typer.echo(plain(f"route {standing.route}: nothing is copied; {standing.why}"))
    rows = list(_wishes(standing))
    if rows:
        typer.echo("")
        print_table(("who", "version", "percent", "why"), rows, right="percent", whole="who")
    if standing.copies:
        typer.echo("")
        headings = ("version", "copies", "answered", "errors", "timeouts", "running", "dropped")
        ended = [_ended(each) for each in standing.copies]
        print_table(
            headings, ended, right="copies answered errors timeouts running", whole="version"
        )
    if standing.limits:
        typer.echo("")
        print_table(("limit", ""), [*_limits(standing.limits)], whole="limit")


def _wishes(standing: Standing) -> Iterator[tuple[str, ...]]:
    """A row for each who wants a shadow; the first is heard."""
    if (person := standing.override) is not None:
        yield (person.holder, person.version, percent(person.percent), _why(person))
    if (step := standing.step) is not None:
        yield ("a step of the rollout", step.version, percent(step.percent), "")
    if (configured := standing.configured) is not None:
        yield ("the configuration", configured.version, percent(configured.percent), "")


def _ended(copies: Copies) -> tuple[object, ...]:
    ended = (copies.answered, copies.error, copies.timeout)
    dropped = ", ".join(f"{number} {reason}" for reason, number in copies.dropped.items())
    return (copies.version, copies.sampled, *ended, copies.in_flight, dropped or "0")


def _why(person: Override) -> str:
    noise = "" if person.noise_percent is None else f", noise {percent(person.noise_percent)}"
    return f"{person.reason} (since {time(person.since)}{noise})"


def _limits(limits: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each limit by its name in the configuration; a list or a mapping as JSON."""
    for name, value in limits.items():
        told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield name, "none" if value is None else told


def _tell_comparisons(document: Any) -> None:
    page = read(document, Comparisons)
    headings = ("id", "time", "shadow", "stable", "verdict", "rule", "differs in", "request")
    rows = [
        (
            each.id,
            time(each.time),
            each.shadow,
            each.stable,
            each.verdict,
            each.rule,
            ", ".join(each.differing) or each.error,
            each.request_id,
        )
        for each in page.comparisons
    ]
    print_table(headings, rows, right="id", whole="time verdict")
    if page.next is not None:
        typer.echo(f"there are more: --before {plain(page.next)}", err=True)
