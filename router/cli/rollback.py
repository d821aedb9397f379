"""`rollback`: all traffic back to the last stable version, in one call."""

from __future__ import annotations

from typing import Annotated

import typer

from router.cli.change import (
    DryRunOption,
    ForceOption,
    IfGenerationOption,
    KeyOption,
    ReasonOption,
    conclude,
    conditions,
    dry,
    forced,
    reason_or_ask,
)
from router.cli.session import Session, against_server


@against_server
def rollback(
    session: Session,
    route: Annotated[str, typer.Argument(help="the route")],
    reason: ReasonOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Send all of a route's traffic back to its last stable version."""
    headers = conditions(if_generation, idempotency_key)
    body = {"reason": reason_or_ask(reason, dry_run=dry_run), **forced(force)}
    path = ("routes", route, "rollback")
    answer = session.client.change("POST", *path, body=body, query=dry(dry_run), headers=headers)
    conclude(session, answer)
