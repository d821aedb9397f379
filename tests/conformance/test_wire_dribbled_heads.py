"""Heads that come in many pieces or without an end: each byte is looked at once, and few are kept.

What they cost is counted, never timed.
"""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Final

import pytest

from router.dataplane.frontends import native
from router.dataplane.upstream import connection
from router.http1.grammar import has_bare_line_end
from router.http1.rules import RULES
from tests.support.dataplanes import RunningDataPlane
from tests.support.raw import RawClient, get, message, post, wait_until
from tests.support.upstreams import Upstream, naming

LONG: Final = tuple(f"X-{number}: {'v' * 600}" for number in range(95))
"""Fields of about 60 KB."""
DRIBBLED: Final = 40
ENDLESS: Final = b"GET /endless HTTP/1.1\r\nHost: router.test\r\nX-Endless: "
FLOOD: Final = 16 * 1024 * 1024
"""Half a second of it without a bound is hundreds; the kernel's buffers take some."""


class Looks:
    """Counts the looks for bare line ends, and the bytes that they took."""

    def __init__(self) -> None:
        self.number = 0
        self.size = 0

    def __call__(self, data: bytes, start: int = 0) -> bool:
        self.number += 1
        self.size += len(data) - start
        return has_bare_line_end(data, start)


def counted(monkeypatch: pytest.MonkeyPatch, where: ModuleType) -> Looks:
    looks = Looks()
    monkeypatch.setattr(where, "has_bare_line_end", looks)
    return looks


async def dribble(wire: RawClient, looks: Looks, data: bytes) -> None:
    """Send it byte by byte, each to be read alone."""
    for at in range(len(data)):
        before = looks.number
        await wire.send(data[at : at + 1])
        await wait_until(lambda before=before: looks.number > before)  # type: ignore[misc]


async def test_a_clients_head_that_comes_byte_by_byte_is_looked_through_once(
    client: RawClient, v1: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    v1.replies = naming("v1")
    looks = counted(monkeypatch, native)
    head = get("/x", *LONG)
    await client.send(head[: -DRIBBLED - 4])
    await wait_until(lambda: looks.number)
    await asyncio.sleep(0.05)
    await dribble(client, looks, head[-DRIBBLED - 4 : -1])
    assert looks.size < 2 * len(head)
    await client.send(head[-1:])
    assert (await client.read_answer()).status == 200


async def test_a_model_servers_head_that_comes_byte_by_byte_is_looked_through_once(
    client: RawClient, v1: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counted(monkeypatch, connection)
    await client.send(get())
    call = await v1.next_call()
    head = message("HTTP/1.1 200 OK", *LONG, "Content-Length: 2")
    await call.send(head[: -DRIBBLED - 4])
    await wait_until(lambda: looks.number)
    await asyncio.sleep(0.05)
    await dribble(call, looks, head[-DRIBBLED - 4 : -1])  # type: ignore[arg-type]  # as a `Wire`
    assert looks.size < 2 * len(head)
    await call.send(head[-1:] + b"ok")
    call.finish()
    assert (await client.read_answer()).body == b"ok"


@pytest.mark.parametrize(
    "head",
    [b"GET / HTTP/1.1\r\nX-A: 1\n", b"GET / HTTP/1.1\r\nX-A: 1\rX", b"GET / HTTP/1.1\n"],
    ids=["bare LF", "bare CR", "first line"],
)
async def test_a_bare_line_end_is_found_where_it_is_cut_in_two(
    router: RunningDataPlane, client: RawClient, door: str, head: bytes
) -> None:
    for at in range(len(head)):
        await client.send(head[at : at + 1])
        await asyncio.sleep(0.002)
    assert (await client.read_answer()).status == 400
    if door == "native":  # uvicorn refuses it itself
        assert router.values("router_http_refusals_total") == {("400", "bare_line_end"): 1}


@pytest.mark.parametrize("first", [False, True], ids=["later request", "first request"])
async def test_a_head_without_an_end_is_answered_431_and_closed(
    router: RunningDataPlane, client: RawClient, v1: Upstream, *, first: bool
) -> None:
    if not first:
        v1.replies = naming("v1")
        assert (await client.ask(post("/before", b"x"))).status == 200
    await client.send(ENDLESS)
    await asyncio.sleep(0.05)
    await client.send(b"v" * (RULES.max_head_bytes + 1))
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (431, "head_too_large")
    await client.wait_closed()
    assert router.values("router_http_refusals_total") == {("431", "head_too_large"): 1}
    assert len(v1.requests) == (0 if first else 1)


async def test_a_head_without_an_end_behind_a_request_is_taken_so_far_only(
    router: RunningDataPlane, v1: Upstream
) -> None:
    client = await router.connect(buffer_bytes=64 * 1024)
    await client.send(get("/answered"))
    call = await v1.next_call()
    sent = 0

    async def flood() -> None:
        nonlocal sent
        await client.send(ENDLESS)
        while True:
            await client.send(b"v" * 8192)
            sent += 8192

    flooding = asyncio.ensure_future(flood())
    await asyncio.sleep(0.5)
    assert sent < FLOOD
    await call.answer(b"as if nothing were")
    assert (await client.read_answer()).body == b"as if nothing were"
    await asyncio.wait([flooding], timeout=3)
    assert isinstance(flooding.exception(), OSError)
    assert router.values("router_http_refusals_total") == {("431", "head_too_large"): 1}
