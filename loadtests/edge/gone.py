"""A client goes: how long until the model server sees its connection close, in every phase.

Both ends are played here, in one process and on one clock; between them stands a whole router.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from loadtests.edge.figure import Figure, percentile
from loadtests.edge.scale import Scale
from tests.support.raw import RawClient, message, post
from tests.support.routers import document, route, running_router
from tests.support.sse import delta
from tests.support.upstreams import Call, Upstream, started_upstreams

BAR_MS: Final = 100.0
DOORS: Final = ("native", "asgi")
_PATH: Final = "/v1/chat/completions"
_BODY: Final = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}
_OWED: Final = 200_000
_MOMENT_S: Final = 0.02
"""At most so long a client waits before it goes: no tick and no turn of a loop is favoured."""

Begin = Callable[[RawClient, Upstream], Awaitable[Call]]


async def _in_body(client: RawClient, upstream: Upstream) -> Call:
    head = f"POST {_PATH} HTTP/1.1"
    await client.send(message(head, "Host: edge", f"Content-Length: {_OWED}", body=b"x" * 1000))
    return await upstream.next_call()


async def _before_head(client: RawClient, upstream: Upstream) -> Call:
    await client.send(post(_PATH, _BODY))
    call = await upstream.next_call()
    await call.read_request()
    return call


async def _before_token(client: RawClient, upstream: Upstream) -> Call:
    call = await _before_head(client, upstream)
    await call.start(stream=True)
    await client.read_head()
    return call


async def _in_stream(client: RawClient, upstream: Upstream) -> Call:
    call = await _before_token(client, upstream)
    for word in ("a", "b", "c"):
        await call.send_chunk(delta(word))
        await client.read_some()
    return call


PHASES: Final[dict[str, Begin]] = {
    "body": _in_body,
    "before the head": _before_head,
    "before the first token": _before_token,
    "stream": _in_stream,
}
WAYS: Final[dict[str, Callable[[RawClient], None]]] = {
    "FIN": lambda client: client.close(),
    "RST": lambda client: client.reset(),
}


async def clients_gone(folder: Path, scale: Scale) -> list[Figure]:
    """Each door, each phase, both ways to go."""
    figures: list[Figure] = []
    for door in DOORS:
        home = folder / door
        home.mkdir()
        async with AsyncExitStack() as stack:
            upstreams = await stack.enter_async_context(started_upstreams())
            upstream = await upstreams.start()
            config = document(route(v1=upstream.url), workers=1, door=door)
            router = stack.enter_context(running_router(home, config))
            port = int(router.traffic.rpartition(":")[2])
            for phase, begin in PHASES.items():
                for way, go in WAYS.items():
                    await _sample(port, upstream, begin, go)  # code warm
                    took = [
                        await _sample(port, upstream, begin, go) for _ in range(scale.gone_samples)
                    ]
                    figures += _told(f"{door}, {phase}, {way}", took)
    return figures


async def _sample(
    port: int, upstream: Upstream, begin: Begin, go: Callable[[RawClient], None]
) -> float:
    """Milliseconds; infinite where nothing is seen within three seconds."""
    client = await RawClient.connect(port)
    call = await begin(client, upstream)
    await asyncio.sleep(random.uniform(0, _MOMENT_S))
    went = time.perf_counter()
    go(client)
    try:
        await call.read_to_end()
    except TimeoutError:
        return float("inf")
    finally:
        call.close()
    return (time.perf_counter() - went) * 1000


def _told(case: str, took: list[float]) -> list[Figure]:
    return [
        Figure("gone", f"{case}: p50", percentile(took, 0.5), "ms"),
        Figure("gone", f"{case}: p99", percentile(took, 0.99), "ms", BAR_MS),
        Figure("gone", f"{case}: max", max(took), "ms"),
    ]
