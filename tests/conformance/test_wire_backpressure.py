"""Large bodies and slow ends: nothing is lost, and nothing piles up in between.

What is measured is how much a slow end lets the other one send.  The kernel's buffers are in
that number, so they are made small where the test owns the socket; the data are many times
what is left.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.snapshot import Limits, StickyKind, StickySource
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import RawClient, Wire, chunk, get, message, wait_settled
from tests.support.sse import DONE, delta
from tests.support.upstreams import Call, Upstream, Upstreams

MIB = 1024 * 1024
SMALL = 64 * 1024
PIECE = bytes(range(251)) * 261  # about 64 KiB; its period hides no shifted block
LARGE_PIECES = 800
"""50 MiB."""
BOUND = 12 * MIB
"""Far below `LARGE_PIECES`: the kernel's buffers and the router's own (measured: 2 to 5 MB)."""
RSS_BOUND = 24 * MIB


class Sender:
    """Sends pieces as fast as they are taken, and knows how many were."""

    def __init__(self, wire: Wire, *, chunked: bool) -> None:
        self._wire = wire
        self._chunked = chunked
        self.sent = 0
        self.digest = hashlib.sha256()

    async def run(self, pieces: int = LARGE_PIECES) -> None:
        for _ in range(pieces):
            self.digest.update(PIECE)
            await self._wire.send(chunk(PIECE) if self._chunked else PIECE)
            self.sent += len(PIECE)
        if self._chunked:
            await self._wire.send(chunk(b""))


async def digest_of(pieces: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def length_field(*, chunked: bool) -> str:
    size = LARGE_PIECES * len(PIECE)
    return "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"


def rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


@pytest.fixture
def settings() -> dict[str, object]:
    return {"buffer_bytes": SMALL}


@pytest.fixture
async def v1(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    upstream = await upstreams.start(buffer_bytes=SMALL)
    router.install(route("chat", version("v1", upstream)))
    return upstream


@pytest.fixture(params=[False, True], ids=["length", "chunked"])
def chunked(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def begin_large_answer(client: RawClient, v1: Upstream, *, chunked: bool) -> Call:
    await client.send(get("/large"))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", length_field(chunked=chunked)))
    return call


async def test_a_slow_reader_slows_the_model_server_down(
    router: RunningDataPlane, v1: Upstream, *, chunked: bool
) -> None:
    client = await router.connect(buffer_bytes=SMALL)
    call = await begin_large_answer(client, v1, chunked=chunked)
    sender = Sender(call, chunked=chunked)
    sending = asyncio.ensure_future(sender.run())
    assert await wait_settled(lambda: sender.sent) < BOUND

    head = await client.read_head()
    assert await digest_of(client.pieces(head)) == sender.digest.hexdigest()
    await sending
    call.finish()
    assert router.answers == {("chat", "v1", "stable", "200"): 1}


async def test_a_slow_model_server_slows_the_client_down(
    router: RunningDataPlane, v1: Upstream, *, chunked: bool
) -> None:
    client = await router.connect(buffer_bytes=SMALL)
    await client.send(
        message("POST /large HTTP/1.1", "Host: router.test", length_field(chunked=chunked))
    )
    sender = Sender(client, chunked=chunked)
    sending = asyncio.ensure_future(sender.run())
    call = await v1.next_call()
    assert await wait_settled(lambda: sender.sent) < BOUND

    assert await digest_of(call.pieces(call.request.head)) == sender.digest.hexdigest()
    await sending
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"))
    call.finish()
    assert (await client.read_answer()).body == b"ok"
    assert router.answers == {("chat", "v1", "stable", "200"): 1}


async def test_a_slow_reader_of_a_stream_slows_the_model_server_down(
    router: RunningDataPlane, v1: Upstream
) -> None:
    client = await router.connect(buffer_bytes=SMALL)
    await client.send(get("/stream"))
    call = await v1.next_call()
    await call.start(stream=True)
    event = delta("x" * 10_000)
    sent = 0

    async def stream() -> None:
        nonlocal sent
        for _ in range(2_000):
            await call.send_chunk(event)
            sent += len(event)
        await call.send_chunk(DONE)
        await call.end_chunks()

    streaming = asyncio.ensure_future(stream())
    assert await wait_settled(lambda: sent) < BOUND
    head = await client.read_head()
    size = 0
    async for piece in client.pieces(head):
        size += len(piece)
    await streaming
    assert size == sent + len(DONE)
    assert router.errors == {}


async def test_a_slow_reader_does_not_hold_up_others(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    slow = await router.connect(buffer_bytes=SMALL)
    call = await begin_large_answer(slow, v1, chunked=True)
    sender = Sender(call, chunked=True)
    sending = asyncio.ensure_future(sender.run())
    await wait_settled(lambda: sender.sent)
    for _ in range(5):
        await client.send(get("/quick"))
        await (await v1.next_call()).answer()
        assert (await client.read_answer()).status == 200
    slow.reset()
    with pytest.raises(OSError):
        await sending
    call.finish()


async def test_a_reader_that_has_stopped_for_good_is_given_up(
    router: RunningDataPlane, v1: Upstream
) -> None:
    client = await router.connect(buffer_bytes=SMALL)
    call = await begin_large_answer(client, v1, chunked=True)
    sender = Sender(call, chunked=True)
    sending = asyncio.ensure_future(sender.run())
    await wait_settled(lambda: sender.sent)
    router.jump(61)
    with pytest.raises(OSError):
        await sending
    call.finish()
    await router.wait_idle()
    assert router.errors == {}
    assert {labels[3] for labels in router.answers} == {"499"}


@pytest.mark.parametrize("settings", [{}], ids=["buffers as usual"])
async def test_fifty_megabytes_flow_both_ways_in_bounded_memory(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, *, chunked: bool
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1)))
    before = rss()
    await client.send(
        message("POST /mirror HTTP/1.1", "Host: router.test", length_field(chunked=chunked))
    )
    sender = Sender(client, chunked=chunked)
    sending = asyncio.ensure_future(sender.run())
    call = await v1.next_call()
    received = hashlib.sha256()

    async def mirror() -> None:
        await call.send(message("HTTP/1.1 200 OK", length_field(chunked=chunked)))
        async for piece in call.pieces(call.request.head):
            received.update(piece)
            await call.send(chunk(piece) if chunked else piece)
        if chunked:
            await call.send(chunk(b""))
        call.finish()

    mirroring = asyncio.ensure_future(mirror())
    head = await client.read_head()
    back = await digest_of(client.pieces(head))
    await asyncio.gather(sending, mirroring)
    assert back == received.hexdigest() == sender.digest.hexdigest()
    assert rss() - before < RSS_BOUND
    assert router.answers == {("chat", "v1", "stable", "200"): 1}


async def test_a_body_that_was_looked_into_slows_down_with_the_model_server_as_well(
    router: RunningDataPlane, v1: Upstream
) -> None:
    """What was held for the look fills the connection at once, before the rest is asked for."""
    sticky = (StickySource(StickyKind.BODY, "user"),)
    looks = Limits(max_inspect_bytes=512 * 1024)
    router.install(route("chat", version("v1", v1), sticky=sticky, limits=looks))
    client = await router.connect(buffer_bytes=SMALL)
    await client.send(
        message("POST /large HTTP/1.1", "Host: router.test", length_field(chunked=False))
    )
    sender = Sender(client, chunked=False)
    sending = asyncio.ensure_future(sender.run())
    call = await v1.next_call()
    assert await wait_settled(lambda: sender.sent) < BOUND + looks.max_inspect_bytes
    assert await digest_of(call.pieces(call.request.head)) == sender.digest.hexdigest()
    await sending
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"))
    call.finish()
    assert (await client.read_answer()).body == b"ok"
