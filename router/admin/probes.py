"""Is the router alive, may it be sent traffic, and what does it count."""

import asyncio
import gzip
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from router.controller.plane import ControlPlane
from router.telemetry.exposition import Scrape, render

COMPRESS_ABOVE_BYTES: Final = 1_024


async def livez(_request: Request) -> JSONResponse:
    """Control's loop turns; whether traffic flows is another question."""
    return JSONResponse({"status": "live"})


async def readyz(request: Request) -> JSONResponse:
    """200 when every live worker serves the newest generation and some version can be reached."""
    plane: ControlPlane = request.app.state.plane
    readiness = plane.readiness()
    return JSONResponse(
        {
            "ready": readiness.ready,
            "generation": readiness.generation,
            "workers": {name: worker.generation for name, worker in plane.fleet.workers.items()},
            "reasons": readiness.reasons,
            "warnings": readiness.warnings,
        },
        200 if readiness.ready else 503,
    )


async def metrics(request: Request) -> Response:
    """Everything counted on this host, as text or OpenMetrics."""
    plane: ControlPlane = request.app.state.plane
    accept = request.headers.get("accept", "")
    compressed = "gzip" in request.headers.get("accept-encoding", "")
    # In a thread: with 10 000 routes it is 250 000 lines, and the link must not wait for them.
    scrape = plane.scrape(request.app.state.logins.series())
    return await asyncio.to_thread(_render, scrape, accept, compressed=compressed)


def _render(scrape: Scrape, accept: str, *, compressed: bool) -> Response:
    body, content_type = render(scrape, accept)
    headers = {"content-type": content_type, "vary": "accept, accept-encoding"}
    if compressed and len(body) > COMPRESS_ABOVE_BYTES:
        body = gzip.compress(body, compresslevel=1)
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers)


ROUTES: Final = [
    Route("/livez", livez),
    Route("/readyz", readyz),
    Route("/metrics", metrics),
]
