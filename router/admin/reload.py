"""`/reload`: read the configuration again."""

from starlette.responses import Response

from router.admin.changes import wait_applied
from router.admin.operation import Asked
from router.admin.problems import Problem, ProblemType
from router.admin.reply import json_response
from router.admin.requests import WaitParameters, Why


async def reload(asked: Asked[WaitParameters, Why]) -> Response:
    """A configuration that cannot be used changes nothing."""
    reloaded = await asked.plane.reload(asked.actor, asked.body.reason)
    if reloaded.problem is not None:
        raise Problem(ProblemType.CONFIG_REFUSED, reloaded.problem)
    status, applied = await wait_applied(
        asked.plane, reloaded.generation, asked.parameters.wait_seconds
    )
    return json_response({"generation": reloaded.generation, "applied": applied}, status)
