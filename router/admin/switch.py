"""`/routes/{route}/switch`: all traffic of a route to one version, at once."""

from starlette.responses import Response

from router.admin.changes import answer_change, call_of, check_may_force
from router.admin.operation import Asked
from router.admin.requests import ChangeParameters, Switch
from router.admin.rollouts import check_target


async def switch(asked: Asked[ChangeParameters, Switch]) -> Response:
    """Switch, if the version is ready for all traffic, or if an admin does not care."""
    body = asked.body
    check_may_force(asked)
    check_target(asked.plane, asked.parameters.route, body.to)
    change = await asked.plane.switch(
        asked.parameters.route, body.to, call_of(asked, body.reason), force=body.force
    )
    return await answer_change(asked, change)
