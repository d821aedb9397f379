"""What a request leaves behind: nothing that only Python's cycle collector could take away.

A worker lets the collector look seldom (app/worker.py), so a cycle for each request is memory that
grows with traffic: it was 4 MB and more in a run of ten minutes.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest

from router.dataplane.exchange import Exchange
from router.dataplane.mirror.capture import Capture
from router.dataplane.mirror.copy import Copy
from router.dataplane.mirror.leg import Leg
from router.dataplane.mirror.tap import Tap
from router.dataplane.relay import AnswerRelay, StreamRelay
from router.dataplane.table import Table
from router.snapshot import StickyKind, StickySource
from tests.conformance.test_wire_mirror import Mirrored
from tests.conformance.test_wire_streams import CHAT, begin_stream, relay
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, post
from tests.support.sse import DONE, delta
from tests.support.upstreams import Upstream, Upstreams, resetting

OF_A_REQUEST = (Exchange, StreamRelay, AnswerRelay, Copy, Leg, Tap, Capture)

FIRST = count(1_000, 1_000)

Play = Callable[[RawClient, Upstream], Awaitable[None]]


async def whole(client: RawClient, v1: Upstream) -> None:
    await client.send(post(CHAT, {}))
    await (await v1.next_call()).answer_json({"usage": {}})
    assert (await client.read_answer()).status == 200


async def in_parts(client: RawClient, v1: Upstream) -> None:
    await client.send(post(CHAT, {}))
    call = await v1.next_call()
    await call.start()
    await client.read_head()
    await call.send_chunk(b"part")
    assert await client.read_chunk() == b"part"
    await call.end_chunks()
    assert await client.read_chunk() == b""


async def as_a_stream(client: RawClient, v1: Upstream) -> None:
    call = await begin_stream(client, v1)
    await relay(call, client, delta("a"), DONE)
    await call.end_chunks()
    assert await client.read_chunk() == b""


async def as_a_stream_whose_client_goes(client: RawClient, v1: Upstream) -> None:
    call = await begin_stream(client, v1)
    await relay(call, client, delta("a"))
    client.close()
    await call.read_to_end()
    call.finish()


async def as_a_stream_that_breaks_off(client: RawClient, v1: Upstream) -> None:
    call = await begin_stream(client, v1)
    await relay(call, client, delta("a"))
    call.reset()
    await client.read_to_end()


async def at_the_second_attempt(client: RawClient, v1: Upstream) -> None:
    await client.send(post(CHAT, {}))
    (await v1.next_call()).reset()
    await (await v1.next_call()).answer()
    assert (await client.read_answer()).status == 200


@contextmanager
def kept_garbage(*kinds: type) -> Iterator[list[object]]:
    """What of these kinds the collector would have taken away in this block."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    found: list[object] = []
    try:
        yield found
        gc.collect()
        found += [each for each in gc.garbage if isinstance(each, kinds)]
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.garbage.clear()


@pytest.mark.parametrize(
    "answered",
    [
        whole,
        in_parts,
        as_a_stream,
        as_a_stream_whose_client_goes,
        as_a_stream_that_breaks_off,
        at_the_second_attempt,
    ],
)
async def test_a_request_leaves_no_cycle_behind(
    router: RunningDataPlane, v1: Upstream, answered: Play
) -> None:
    with kept_garbage(*OF_A_REQUEST) as garbage:
        for _ in range(3):
            client = await router.connect()
            await answered(client, v1)
            client.close()
            await router.wait_idle()
    assert garbage == []


@pytest.mark.parametrize("broken", [False, True], ids=["answered", "reset"])
async def test_a_copied_request_leaves_no_cycle_behind(
    router: RunningDataPlane, upstreams: Upstreams, *, broken: bool
) -> None:
    mirrored = Mirrored(router, await upstreams.named("v1"), await upstreams.named("v2"))
    if broken:
        mirrored.v2.replies = resetting
    mirrored.install(noise_bp=10_000)
    with kept_garbage(*OF_A_REQUEST) as garbage:
        for number in range(1, 4):
            client = await router.connect()
            assert (await client.ask(post(CHAT, {}))).status == 200
            client.close()
            await router.wait_idle()
            await mirrored.wait_outcome(**{"error" if broken else "answered": number})
        mirrored.pairs.clear()
    assert garbage == []


async def test_a_generation_leaves_no_cycle_behind(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")

    first = next(FIRST)  # no generation of another test's data plane, which may be ending

    def install(weight: int) -> None:
        parts = canary("v2", v2, weight=weight), version("v1", v1, weight=100 - weight)
        sticky = (StickySource(StickyKind.BODY, "user"),)
        router.install(route("chat", *parts, sticky=sticky), generation=first + weight)

    install(1)
    reader = router.plane.table.body_reader
    with kept_garbage(Table) as garbage:
        for weight in range(2, 9):
            install(weight)
            assert (await client.ask(post(CHAT, {"user": "u"}))).status == 200
        await router.wait_idle()
    assert [t for t in garbage if isinstance(t, Table) and first < t.generation < first + 100] == []
    assert router.plane.table.body_reader is reader  # a class of its own, so a cycle by itself
