"""Answers that the router makes itself: errors, and the list of models.

Errors have OpenAI's shape, so that its clients raise the right exception; `x-should-retry` tells
them whether sending the request again is safe, `Retry-After` when it makes sense: never sooner
than in a second, later where the line of those who wait moves slowly.
"""

from functools import lru_cache
from http import HTTPStatus
from typing import Final

import orjson

from router.errors import ErrorCode

JSON: Final = b"content-type: application/json\r\n"
SOONEST_RETRY_S: Final = 1
_BUSY: Final = frozenset(
    (
        ErrorCode.NO_HEALTHY_ENDPOINT,
        ErrorCode.OVERLOADED,
        ErrorCode.VERSION_OVERLOADED,
        ErrorCode.ROUTER_OVERLOADED,
        ErrorCode.DRAINING,
    )
)


def error_body(code: ErrorCode, message: str, param: str | None = None) -> bytes:
    """OpenAI's error object."""
    return orjson.dumps(
        {"error": {"message": message, "type": code.type, "param": param, "code": code.code}}
    )


def error_fields(
    code: ErrorCode, *, safe: bool = True, retry_after_s: int = SOONEST_RETRY_S
) -> bytes:
    """The header fields that belong to an error.

    `safe`: no model server was sent the request, or it is one that may be sent twice.
    """
    again = b"true" if code.retryable and safe else b"false"
    fields = b"%bx-should-retry: %b\r\n" % (JSON, again)
    return fields + b"retry-after: %d\r\n" % retry_after_s if code in _BUSY else fields


@lru_cache(maxsize=64)
def reason_phrase(status: int) -> bytes:
    """The phrase of a status line."""
    return HTTPStatus(status).phrase.encode()


def model_list(models: tuple[str, ...], created: int) -> bytes:
    """`GET /v1/models`: the public names of all routes."""
    return orjson.dumps({"object": "list", "data": [_model(name, created) for name in models]})


def model_card(model: str, created: int) -> bytes:
    """`GET /v1/models/{model}`."""
    return orjson.dumps(_model(model, created))


def _model(name: str, created: int) -> dict[str, object]:
    return {"id": name, "object": "model", "created": created, "owned_by": "inference-router"}
