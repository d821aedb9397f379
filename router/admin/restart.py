"""`/restart`: replace the workers one by one, and see how far that is."""

from typing import Any

from starlette.responses import Response

from router.admin.operation import Asked
from router.admin.problems import Problem, ProblemType
from router.admin.reply import json_response
from router.admin.requests import Why
from router.config.fields import Section
from router.controller.restart import (
    NoSupervisorError,
    RestartRefusedError,
    Restarts,
    Stage,
    told_restart,
)


class ReplacementDocument(Section):
    """One worker: its stage, and the processes."""

    worker: str
    stage: Stage
    """waiting, starting (the old one serves), draining (the new one serves), done or failed."""
    old_pid: int | None
    new_pid: int | None


class RestartDocument(Section):
    """The newest restart since the router was started."""

    id: str
    """Empty while there was none."""
    stage: Stage
    """none, starting until the last new worker serves, draining until the last old one has ended,
    done; or failed."""
    by: str
    reason: str
    workers: list[ReplacementDocument]
    problem: str
    """Why it has failed, and what serves now."""


async def show_restart(asked: Asked[Any, None]) -> Response:
    """What the supervisor has told."""
    return json_response(told_restart(_restarts(asked).newest))


async def restart(asked: Asked[Any, Why]) -> Response:
    """It is answered when it has begun: its end may be minutes away."""
    try:
        begun = await _restarts(asked).begin(asked.actor, asked.body.reason)
    except RestartRefusedError as error:
        raise Problem(ProblemType.CONFLICT, str(error)) from None
    except NoSupervisorError as error:
        raise Problem(ProblemType.INTERNAL, str(error)) from None
    return json_response(told_restart(begun), 202)


def _restarts(asked: Asked[Any, Any]) -> Restarts:
    """Only `serve` has workers of its own: an embedded router lives with its application."""
    restarts: Restarts | None = getattr(asked.request.app.state, "restarts", None)
    if restarts is None:
        raise Problem(
            ProblemType.CONFLICT,
            "this router runs in one process: restart the application that it is part of",
        )
    return restarts
