"""`/explain`: where a request would go, and why.  The request is neither sent, kept nor logged."""

import asyncio
from typing import Any

from starlette.responses import Response

from router.admin.fields import Parameters
from router.admin.json_text import write_json
from router.admin.operation import Asked
from router.admin.problems import invalid
from router.admin.reply import json_response
from router.admin.requests import Question
from router.controller.explain import Request, explain


async def explain_request(asked: Asked[Parameters, Question]) -> Response:
    """The data plane's decision, step by step."""
    snapshot = asked.plane.snapshot
    # In a thread: the rules of 10 000 routes are indexed anew.
    told = await asyncio.to_thread(explain, snapshot, _request(asked.body))
    return json_response(
        {
            "generation": snapshot.generation,
            "route": told.route,
            "version": told.version,
            "shares": None if told.shares is None else dict(told.shares),
            "endpoints": list(told.endpoints),
            "upstreamModel": told.upstream_model,
            "why": list(told.why),
        }
    )


def _request(question: Question) -> Request:
    return Request(
        path=question.path,
        method=question.method,
        headers=question.headers,
        body=_body(question.body),
    )


def _body(content: Any) -> bytes:
    if content is None:
        return b""
    if isinstance(content, str):
        return content.encode()
    try:
        return write_json(content)
    except ValueError as error:
        raise invalid([("body", str(error))]) from None
