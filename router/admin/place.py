"""A path of the API: finds the operation for a method, checks the role, tells what went wrong."""

from collections.abc import Iterable, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from router.admin.intake import take_in
from router.admin.operation import Operation
from router.admin.problems import Problem, ProblemType
from router.admin.refusals import problem_of
from router.admin.reply import NOT_KEPT
from router.audit.entry import Actor
from router.controller.plane import ControlPlane
from router.errors import RouterError

OPTIONS: Final = "OPTIONS"


def places(operations: Iterable[Operation]) -> list[Route]:
    """One Starlette route for each path."""
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    return [Route(path, Place(found)) for path, found in by_path.items()]


class Place:
    """All operations of one path, as an ASGI application behind the guard."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations: Final = {one.method: one for one in operations}
        if (get := self._operations.get("GET")) is not None:
            self._operations["HEAD"] = get  # the server leaves the body out (RFC 9110 §9.3.2)
        self._allow: Final = ", ".join([*sorted(self._operations), OPTIONS])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        request = Request(scope, receive, send)
        plane: ControlPlane = request.app.state.plane
        try:
            response = await self._answer(request, plane)
            await response(scope, receive, send)
        except RouterError as error:
            problem = problem_of(error, plane, request.path_params.get("route"))
            if problem is None:
                raise
            raise problem from error

    async def _answer(self, request: Request, plane: ControlPlane) -> Response:
        if request.method == OPTIONS:
            return Response(status_code=204, headers={**NOT_KEPT, "allow": self._allow})
        operation = self._operations.get(request.method)
        if operation is None:
            raise Problem(
                ProblemType.METHOD_NOT_ALLOWED,
                f"this path knows {self._allow}",
                {"allow": self._allow},
            )
        actor: Actor = request.state.actor
        _check_role(operation, actor)
        return await operation.handle(await take_in(operation, request, plane, actor))


def _check_role(operation: Operation, actor: Actor) -> None:
    if not operation.admits(actor.role):
        raise Problem(
            ProblemType.FORBIDDEN,
            f"this needs the role {operation.role.value}; token {actor.name} has {actor.role}",
        )
