"""What commands share that move all of a route's traffic: their options, and the call they make."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

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


def moving(command: Callable[..., dict[str, object]]) -> Callable[..., None]:
    """Make a command of what its call says besides the reason; its name is the operation's.

    The route comes first, then the command's own arguments, then the options that all share.
    """
    own = list(inspect.signature(command, eval_str=True).parameters.values())
    call = inspect.signature(_move, eval_str=True).parameters.values()
    session, _operation, _wanted, route, *shared = call

    def run(session: Session, /, **given: Any) -> None:
        wanted = command(**{each.name: given.pop(each.name) for each in own})
        _move(session, command.__name__, wanted, **given)

    options = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (route, *own, *shared)]
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__signature__ = inspect.Signature([session, *options])  # type: ignore[attr-defined]  # as in `against_server`
    return against_server(run)


def _move(
    session: Session,
    operation: str,
    wanted: dict[str, object],
    route: Annotated[str, typer.Argument(help="the route")],
    reason: ReasonOption = None,
    force: ForceOption = False,
    dry_run: DryRunOption = False,
    if_generation: IfGenerationOption = None,
    idempotency_key: KeyOption = None,
) -> None:
    headers = conditions(if_generation, idempotency_key)
    body = {**wanted, "reason": reason_or_ask(reason, dry_run=dry_run), **forced(force)}
    path = ("routes", route, operation)
    answer = session.client.change("POST", *path, body=body, query=dry(dry_run), headers=headers)
    conclude(session, answer)
