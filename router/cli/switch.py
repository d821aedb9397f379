"""`switch`: all traffic of a route to one version, at once."""

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
def switch(
    session: Session,
    route: Annotated[str, typer.Argument(help="the route")],
    version: Annotated[str, typer.Argument(help="the version that gets all traffic")],
    reason: ReasonOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Send all of a route's traffic to one version at once, if it is ready for it."""
    headers = conditions(if_generation, idempotency_key)
    body = {"to": version, "reason": reason_or_ask(reason, dry_run=dry_run), **forced(force)}
    path = ("routes", route, "switch")
    answer = session.client.change("POST", *path, body=body, query=dry(dry_run), headers=headers)
    conclude(session, answer)
