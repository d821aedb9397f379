"""Calls that change where a route's traffic goes, and the answer when the workers have followed."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from router.admin.operation import RANKS, Asked
from router.admin.problems import Problem, ProblemType, invalid
from router.admin.reply import json_response
from router.admin.requests import Back, ChangeParameters, ReleaseParameters, Weights, Why
from router.admin.routes import route_document
from router.config.models import Role
from router.config.shadow import shadow_of
from router.controller.changes import UnknownRouteError, told
from router.controller.plane import Call, Change, ControlPlane
from router.link.server import Applied
from router.store.base import RequestKey


async def set_weights(asked: Asked[ChangeParameters, Weights]) -> Response:
    """A person's weights replace the controller's."""
    body = asked.body
    change = await asked.plane.set_weights(
        asked.parameters.route,
        body.weights,
        call_of(asked, body.reason),
        for_s=body.expires_seconds,
    )
    return await answer_change(asked, change)


async def release_weights(asked: Asked[ReleaseParameters, Why | None]) -> Response:
    """The controller takes over again."""
    call = call_of(asked, reason_of(asked))
    change = await asked.plane.release_weights(asked.parameters.route, call)
    return await answer_change(asked, change)


async def roll_back(asked: Asked[ChangeParameters, Back]) -> Response:
    """All traffic to the last stable version."""
    body = asked.body
    check_may_force(asked)
    change = await asked.plane.roll_back(
        asked.parameters.route, call_of(asked, body.reason), force=body.force
    )
    return await answer_change(asked, change)


def reason_of(asked: Asked[ReleaseParameters, Why | None]) -> str:
    """The reason, which may stand in the query or in the body.

    Raises:
        Problem: it stands in both, or in neither.
    """
    in_query = asked.parameters.reason
    in_body = None if asked.body is None else asked.body.reason
    if in_query is not None and in_body is not None:
        raise invalid([("reason", "stands in the query and in the body: give it once")])
    if (reason := in_body or in_query) is None:
        raise invalid([("reason", "is required, in the query or in a JSON body")])
    return reason


def check_may_force(asked: Asked[Any, Any]) -> None:
    """Only admins may force a change (a body that is a `Back`).

    Raises:
        Problem: somebody else does.
    """
    actor = asked.actor
    if asked.body.force and RANKS[actor.role] < RANKS[Role.ADMIN.value]:
        raise Problem(
            ProblemType.FORBIDDEN,
            f"force needs the role admin; token {actor.name} has {actor.role}",
        )


async def wait_applied(
    plane: ControlPlane, generation: int, deadline_s: float
) -> tuple[int, dict[str, Any]]:
    """The status, and who serves the generation: 202 names who is missing."""
    applied: Applied = await plane.wait_applied(deadline_s, generation)
    document = {"workers": list(applied.workers)}
    if not applied.missing:
        return 200, document
    return 202, {**document, "missing": list(applied.missing)}


def call_of(asked: Asked[Any, Any], reason: str) -> Call:
    """The caller's wish and its conditions."""
    parameters: ChangeParameters = asked.parameters
    key = parameters.idempotency_key
    return Call(
        actor=asked.actor,
        reason=reason,
        seen=parameters.if_match,
        dry_run=parameters.dry_run,
        key=None if key is None else RequestKey(asked.actor.name, key, asked.digest),
    )


async def answer_change(asked: Asked[Any, Any], change: Change) -> Response:
    """The route as it is now, once the workers have followed."""
    if change.dry_run:
        return json_response(_told_dry(asked.plane, change))
    parameters: ChangeParameters = asked.parameters
    status, applied = await wait_applied(asked.plane, change.generation, parameters.wait_seconds)
    document = _document(asked.plane, change)
    etag = f'"{document["generation"]}"'
    document |= {
        "generation": change.generation,
        "applied": applied,
        "repeated": change.repeated,
    }
    return json_response(document, status, {"etag": etag})


def _document(plane: ControlPlane, change: Change) -> dict[str, Any]:
    try:
        return route_document(plane, change.route)
    except UnknownRouteError as error:
        # While we waited.  The change was made all the same: nobody shall repeat it.
        made = f"generation {change.generation} has made the change; since then"
        raise Problem(ProblemType.NOT_FOUND, f"{made} {error}") from None


def _told_dry(plane: ControlPlane, change: Change) -> dict[str, Any]:
    route, _ = plane.route(change.route)
    before, after = change.before, change.after
    return {
        "dryRun": True,
        "generation": change.generation,
        "tag": f"{change.generation}-{change.tag}",
        "changes": _moved(before.shares, after.shares),
        "before": told(before, shadow_of(route, before)),
        "after": told(after, shadow_of(route, after)),
    }


def _moved(before: Mapping[str, int], after: Mapping[str, int]) -> list[dict[str, Any]]:
    names = dict.fromkeys([*before, *after])
    return [
        {"version": name, "before": before.get(name, 0) / 100, "after": after.get(name, 0) / 100}
        for name in names
        if before.get(name, 0) != after.get(name, 0)
    ]
