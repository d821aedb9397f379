"""A plain reverse proxy with starlette and httpx: two versions, 95 / 5, streams relayed."""

import os
import random

import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

_VERSIONS = (os.environ.get("V1_URL", ""), os.environ.get("V2_URL", ""))
_SHARES = (95, 5)
_HOP_BY_HOP = {"connection", "host", "keep-alive", "transfer-encoding"}


def make_app(client: httpx.AsyncClient) -> Starlette:
    """Return the proxy; `client` asks the versions."""

    async def forward(request: Request) -> StreamingResponse:
        [base] = random.choices(_VERSIONS, _SHARES)
        headers = [pair for pair in request.headers.items() if pair[0] not in _HOP_BY_HOP]
        question = client.build_request(
            request.method, base + request.url.path, headers=headers, content=request.stream()
        )
        answer = await client.send(question, stream=True)
        kept = {k: v for k, v in answer.headers.items() if k not in _HOP_BY_HOP}
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, kept, background=BackgroundTask(answer.aclose)
        )

    return Starlette(routes=[Route("/{path:path}", forward, methods=["GET", "POST"])])


_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=512)
app = make_app(httpx.AsyncClient(limits=_LIMITS, timeout=600))
