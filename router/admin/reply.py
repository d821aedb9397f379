"""Answers as JSON; nothing that the API says may be kept by anybody on the way."""

from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.responses import Response

MEDIA_TYPE: Final = "application/json"
NOT_KEPT: Final = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def json_response(
    document: Any,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = MEDIA_TYPE,
) -> Response:
    """A whole document."""
    return bytes_response(orjson.dumps(document), status, headers, media_type)


def bytes_response(
    body: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    media_type: str = MEDIA_TYPE,
) -> Response:
    """A document that is JSON already."""
    return Response(body, status, {**NOT_KEPT, **(headers or {})}, media_type)
