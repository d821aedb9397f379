"""What the control plane refuses, as a problem for the caller."""

from typing import Any

from router.admin.problems import Problem, ProblemType, invalid
from router.admin.routes import route_document
from router.controller.changes import (
    ConflictError,
    ForbiddenError,
    InvalidChangeError,
    KeyReusedError,
    NotReadyError,
    StaleGenerationError,
    UnknownRouteError,
)
from router.controller.events import TooManySubscribersError
from router.controller.plane import ControlPlane
from router.errors import ConfigError, RouterError
from router.store.base import StoreError

RETRY_STORE_S = 5
RETRY_BUSY_S = 10


def problem_of(error: RouterError, plane: ControlPlane, route: str | None) -> Problem | None:
    """The problem that tells `error`; None if nothing is known about it.

    `route` is the one that the call was about: its state comes along where it says why.
    """
    match error:
        case InvalidChangeError():
            return invalid([(error.field, str(error))])
        case UnknownRouteError():
            return Problem(ProblemType.NOT_FOUND, str(error))
        case ForbiddenError():
            return Problem(ProblemType.FORBIDDEN, str(error))
        case KeyReusedError():
            return Problem(ProblemType.IDEMPOTENCY_KEY_REUSED, str(error))
        case StaleGenerationError():
            return _with_current(ProblemType.STALE, error, plane, route)
        case NotReadyError():
            told = [{"url": each.url, "reason": each.reason} for each in error.endpoints]
            return _with_current(ProblemType.NOT_READY, error, plane, route, endpoints=told)
        case ConflictError() | ConfigError():
            return _with_current(ProblemType.CONFLICT, error, plane, route)
        case StoreError():
            return Problem(
                ProblemType.STORE_UNAVAILABLE, str(error), {"retry-after": str(RETRY_STORE_S)}
            )
        case TooManySubscribersError():
            return busy(str(error))
    return None


def busy(detail: str) -> Problem:
    """The problem that asks to come back later."""
    return Problem(ProblemType.BUSY, detail, {"retry-after": str(RETRY_BUSY_S)})


def _with_current(
    kind: ProblemType, error: RouterError, plane: ControlPlane, route: str | None, **more: Any
) -> Problem:
    if route is None:
        return Problem(kind, str(error), **more)
    return Problem(kind, str(error), current=route_document(plane, route), **more)
