"""Errors of the admin API, as RFC 9457 problem details; `type` is what programs compare.

docs/api.md says of each when it comes and what to do (a test compares the two).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from router.admin.reply import json_response

MEDIA_TYPE: Final = "application/problem+json"


class ProblemType(Enum):
    """Every problem that the API can name: (type, status, title)."""

    MALFORMED = ("malformed", 400, "The request cannot be read")
    UNAUTHENTICATED = ("unauthenticated", 401, "A token is needed")
    FORBIDDEN = ("forbidden", 403, "The token may not do this")
    FOREIGN = ("foreign-origin", 403, "The call comes from elsewhere")
    NOT_FOUND = ("not-found", 404, "There is no such thing")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "The method does not fit this path")
    CONFLICT = ("conflict", 409, "It cannot be done in the present state")
    NOT_READY = ("not-ready", 409, "The version is not ready for all traffic")
    STALE = ("stale", 412, "It has changed since you looked")
    BODY_TOO_LARGE = ("body-too-large", 413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "The body is not JSON")
    INVALID = ("invalid", 422, "The request makes no sense")
    IDEMPOTENCY_KEY_REUSED = (
        "idempotency-key-reused",
        422,
        "The Idempotency-Key was used for another request",
    )
    CONFIG_REFUSED = ("config-refused", 422, "The configuration cannot be used")
    TOO_MANY_FAILED_LOGINS = ("too-many-failed-logins", 429, "Too many unknown tokens")
    INTERNAL = ("internal", 500, "The router has a fault")
    STORE_UNAVAILABLE = ("store-unavailable", 503, "The store does not answer")
    BUSY = ("busy", 503, "Every place is taken")

    def __init__(self, name: str, status: int, title: str) -> None:
        self.urn: Final = f"urn:inference-router:{name}"
        self.status: Final = status
        self.title: Final = title


class Problem(HTTPException):
    """Raised by handlers; becomes the answer.  `more` are members beside those of RFC 9457."""

    def __init__(
        self,
        kind: ProblemType,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(kind.status, detail, headers)
        self.kind: Final = kind
        self.more: Final = more


def invalid(errors: list[tuple[str, str]]) -> Problem:
    """The problem that names every wrong field and what is wrong with it."""
    detail = "; ".join(f"{field}: {message}" for field, message in errors)
    told = [{"field": field, "message": message} for field, message in errors]
    return Problem(ProblemType.INVALID, detail, errors=told)


def problem_response(
    kind: ProblemType,
    detail: str,
    instance: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Response:
    """The answer that tells a problem."""
    body = {
        "type": kind.urn,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        **(more or {}),
    }
    return json_response(body, kind.status, headers, media_type=MEDIA_TYPE)


def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if isinstance(error, Problem):
        return problem_response(error.kind, error.detail, path, error.headers, error.more)
    return problem_response(_kind_of(error.status_code), error.detail, path, error.headers)


def _on_fault(request: Request, _error: Exception) -> Response:
    # The traceback goes to the log, not to whoever asks.
    return problem_response(ProblemType.INTERNAL, "see the router's log", request.url.path)


def _kind_of(status: int) -> ProblemType:
    return next((kind for kind in ProblemType if kind.status == status), ProblemType.INTERNAL)


exception_handlers: Final[dict[Any, Any]] = {
    HTTPException: _on_http_exception,
    Exception: _on_fault,
}
