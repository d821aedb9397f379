"""Answers that come before their requests are whole: they arrive, and nothing strange follows."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import pytest

from router.snapshot import Limits, StickyKind, StickySource
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import (
    RawClient,
    chunk,
    chunked_post,
    get,
    message,
    post,
    wait_settled,
    wait_until,
)
from tests.support.upstreams import Call, Upstream, Upstreams

SMALL: Final = 64 * 1024
MIB: Final = 1024 * 1024
WRITE_S: Final = 20.0
LINGER_S: Final = 2.0
SIZES: Final = range(SMALL, 7 * SMALL, SMALL // 2)
"""Of answers: what the kernel holds of one cannot be told, but some lie just above it."""
HALF: Final = message(
    "POST /x HTTP/1.1", "Host: router.test", f"Content-Length: {9 * MIB}", body=b"abc"
)
COLLECTED: Final = Limits(max_inspect_bytes=16 * MIB)
"""The router sends a body in one go: it is whole before its route is known."""


@pytest.fixture
def settings() -> dict[str, object]:
    return {"buffer_bytes": SMALL, "write_timeout_s": WRITE_S}


@pytest.fixture
async def v1(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    upstream = await upstreams.start(buffer_bytes=SMALL)
    router.install(route("chat", version("v1", upstream)))
    return upstream


def connections(router: RunningDataPlane) -> int:
    return len(router.plane.connections)


async def swept() -> None:
    """Time for the sweep to have looked, which comes twice a second."""
    await asyncio.sleep(0.7)


async def answer_early(call: Call, size: int) -> None:
    """A whole answer to a request of which the body has only begun."""
    await call.send(message("HTTP/1.1 200 OK", f"Content-Length: {size}", body=b"y" * size))
    call.finish()


async def deaf_client(router: RunningDataPlane) -> RawClient:
    """A client with a small window, which reads only where the test does."""
    client = await router.connect(buffer_bytes=SMALL)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of sockets
    return client


async def read_late(client: RawClient, size: int) -> None:
    client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
    assert len((await client.read_answer()).body) == size


async def early_answers(router: RunningDataPlane, v1: Upstream) -> dict[int, RawClient]:
    """One of each size, none of which is read; some are ended for the router, and unsent."""
    clients = {}
    for size in SIZES:
        clients[size] = await deaf_client(router)
        await clients[size].send(HALF)
        await answer_early(await v1.next_call(), size)
    await wait_settled(lambda: int(sum(router.answers.values())))
    assert connections(router) > len(router.plane.active)
    return clients


async def test_an_early_answer_is_sent_to_a_slow_reader_as_any_other(
    router: RunningDataPlane, v1: Upstream, door: str
) -> None:
    clients = await early_answers(router, v1)
    router.jump(WRITE_S - 1)
    await swept()
    for size, client in clients.items():
        await read_late(client, size)
    if door == "asgi":
        return  # uvicorn takes the rest of the body, and keeps the connection
    for client in clients.values():
        assert await client.read_to_end() == b""
    router.jump(LINGER_S + 1)
    await wait_until(lambda: connections(router) == 0, "a connection stays open")


async def test_an_early_answer_that_nobody_takes_is_given_up_at_the_write_timeout(
    router: RunningDataPlane, v1: Upstream
) -> None:
    await early_answers(router, v1)
    for _ in range(3):  # in the router, in the kernel, closing
        await swept()
        router.jump(WRITE_S + 1)
    await wait_until(lambda: connections(router) == 0, "a connection stays open")


@pytest.mark.parametrize("settings", [{}], ids=["buffers as usual"])
async def test_a_connection_that_was_answered_before_it_had_sent_all_is_not_used_again(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    sticky = (StickySource(StickyKind.BODY, "user"),)
    router.install(route("chat", version("v1", v1), sticky=sticky, limits=COLLECTED))
    await client.send(post("/x", {"user": "u", "more": "x" * (9 * MIB)}))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 401 Unauthorized", "Content-Length: 0"))
    assert (await client.read_answer()).status == 401
    assert router.upstream_connections("idle") == 0
    await client.send(get("/next"))
    later = await v1.next_call()
    assert later.connection is not call.connection
    await later.answer()
    assert (await client.read_answer()).status == 200


async def test_nothing_is_said_behind_a_stream_that_ended_before_its_request(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(chunked_post("/x", chunks=[b"first"]))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    await call.send_chunk(b"early")
    head = await client.read_head()
    assert await client.read_chunk() == b"early"
    await call.end_chunks()
    assert await client.read_body(head) == b""
    for _ in range(2):
        with suppress(ConnectionResetError):
            await client.send(chunk(b"more of a body that is not wanted any more"))
        await asyncio.sleep(0.02)
    router.jump(11)
    await client.wait_closed()
    await wait_until(lambda: connections(router) == 0)
    assert router.values("router_http_refusals_total") == {}
