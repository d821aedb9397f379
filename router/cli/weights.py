"""`weights`: show a route's weights, set them, or give them back to the controller."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated

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
from router.cli.routes import tell_weights
from router.cli.session import Session, against_server


@against_server
def weights(
    session: Session,
    route: Annotated[str, typer.Argument(help="the route")],
    assignments: Annotated[
        list[str] | None, typer.Argument(help="VERSION=PERCENT of every version with a share")
    ] = None,
    reason: ReasonOption = None,
    expires: Annotated[
        str | None, typer.Option(help="give them back after this time: 90s, 10m, 1h30m")
    ] = None,
    release: Annotated[
        bool, typer.Option("--release", help="give them back to the controller now")
    ] = False,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    """Set a route's weights (v1=95 v2=5) and hold them; alone: show them."""
    if release and (assignments or expires is not None):
        raise typer.BadParameter("sets no weights and has no time", param_hint="--release")
    headers = conditions(if_generation, idempotency_key)
    if release:
        query = {"reason": reason_or_ask(reason, dry_run=dry_run), **dry(dry_run)}
        path = ("routes", route, "weights")
        conclude(session, session.client.change("DELETE", *path, query=query, headers=headers))
    elif assignments:
        body: dict[str, object] = {"weights": _weights(assignments)}
        if expires is not None:
            body["expiresSeconds"] = _seconds(expires)
        body["reason"] = reason_or_ask(reason, dry_run=dry_run)
        path, query = ("routes", route, "weights"), dry(dry_run)
        conclude(
            session,
            session.client.change("PUT", *path, body=body, query=query, headers=headers),
        )
    elif headers or dry_run or reason is not None or expires is not None:
        raise typer.BadParameter(
            "say which weights, such as v1=95 v2=5, or --release", param_hint="ASSIGNMENTS"
        )
    else:
        session.show(session.client.get("routes", route), tell_weights)


def _weights(assignments: list[str]) -> dict[str, float]:
    weights: dict[str, float] = {}
    for text in assignments:
        name, weight = assignment(text)
        if name in weights:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint=repr(text))
        weights[name] = weight
    return weights


def assignment(text: str) -> tuple[str, float]:
    """`v2=5` or `v2=0.25%`; whether the route has that version, and the sum, the server judges."""
    name, equals, number = text.rpartition("=")
    if not equals or not name:
        raise typer.BadParameter("write VERSION=PERCENT, such as v2=5", param_hint=repr(text))
    return name, percentage(number, repr(text))


def percentage(text: str, hint: str) -> float:
    """`5`, `0.25` or `5%`; `hint` is where it stands on the command line."""
    try:
        share = Decimal(text.removesuffix("%").strip())
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite() or not 0 <= share <= 100:
        raise typer.BadParameter(f"{text!r} is no percentage between 0 and 100", param_hint=hint)
    if share * 100 % 1:
        raise typer.BadParameter(f"{text} has more than two decimals", param_hint=hint)
    return float(share)


def _seconds(text: str) -> float:
    from router.config.units import parse_duration  # 0.4 s that no other command pays

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from None
    if not seconds:
        raise typer.BadParameter("is no time at all", param_hint="--expires")
    return seconds
