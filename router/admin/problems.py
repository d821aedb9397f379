"""Errors of the admin API, as RFC 9457 problem details; `type` is what programs compare."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

MEDIA_TYPE: Final = "application/problem+json"


class ProblemType(Enum):
    """Every problem that the API can name: (type, status, title)."""

    UNAUTHENTICATED = ("unauthenticated", 401, "A token is needed")
    NOT_FOUND = ("not-found", 404, "There is no such thing")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The method does not fit this path")
    INTERNAL = ("internal", 500, "The router has a fault")

    def __init__(self, name: str, status: int, title: str) -> None:
        self.urn: Final = f"urn:inference-router:{name}"
        self.status: Final = status
        self.title: Final = title


class Problem(HTTPException):
    """Raised by handlers; becomes the answer."""

    def __init__(
        self, kind: ProblemType, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(kind.status, detail, headers)
        self.kind: Final = kind


def problem_response(
    kind: ProblemType, detail: str, instance: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer that tells a problem."""
    body = {
        "type": kind.urn,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
    }
    return JSONResponse(body, kind.status, headers, media_type=MEDIA_TYPE)


def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    kind = error.kind if isinstance(error, Problem) else _kind_of(error.status_code)
    return problem_response(kind, error.detail, request.url.path, error.headers)


def _on_fault(request: Request, _error: Exception) -> JSONResponse:
    # The traceback goes to the log, not to whoever asks.
    return problem_response(ProblemType.INTERNAL, "see the router's log", request.url.path)


def _kind_of(status: int) -> ProblemType:
    return next((kind for kind in ProblemType if kind.status == status), ProblemType.INTERNAL)


exception_handlers: Final[dict[Any, Any]] = {
    HTTPException: _on_http_exception,
    Exception: _on_fault,
}
