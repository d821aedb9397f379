"""A client that does not take its answer is waited for, but not for ever, and fills no memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import pytest

from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import RawClient, get, message, wait_settled, wait_until
from tests.support.upstreams import Call, Upstream, Upstreams

SMALL: Final = 64 * 1024
LARGE: Final = bytes(range(251)) * 8_354
"""About 2 MiB: much more than the kernel and the router hold for a client that reads nothing."""
WRITE_S: Final = 20.0
MOST_HELD: Final = 1024 * 1024
"""For one client that reads nothing: the kernel's buffers and the router's own."""
SIZES: Final = range(SMALL, 7 * SMALL, SMALL // 4)
"""Of answers: what the kernel holds of one cannot be told, but some lie just above it."""


@pytest.fixture
def settings() -> dict[str, object]:
    return {"buffer_bytes": SMALL, "write_timeout_s": WRITE_S}


@pytest.fixture
async def v1(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    upstream = await upstreams.start(buffer_bytes=SMALL)
    router.install(route("chat", version("v1", upstream)))
    return upstream


@pytest.fixture
async def deaf(router: RunningDataPlane) -> RawClient:
    """A client with a small window, which reads only where the test does."""
    return await deaf_client(router)


async def deaf_client(router: RunningDataPlane) -> RawClient:
    client = await router.connect(buffer_bytes=SMALL)
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of sockets
    return client


async def sized_answer(call: Call) -> None:
    await call.answer(b"x" * int(call.request.target[1:]))


async def large_answer(call: Call) -> None:
    await call.read_request()
    await call.send(message("HTTP/1.1 200 OK", f"Content-Length: {len(LARGE)}", body=LARGE))
    call.finish()


def connections(router: RunningDataPlane) -> int:
    return len(router.plane.connections)


def given_up(router: RunningDataPlane) -> float:
    values = router.values("router_http_refusals_total")
    return sum(value for labels, value in values.items() if "write_timeout" in labels)


async def wait_gone(router: RunningDataPlane) -> None:
    await wait_until(lambda: connections(router) == 0, "the connection stays open")


async def begin_stalled(router: RunningDataPlane, v1: Upstream, client: RawClient) -> Call:
    """An answer of which more than the buffers hold waits for the client."""
    await client.send(get("/large"))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 99000000"))
    sent = 0

    async def feed() -> None:
        nonlocal sent
        with suppress(OSError):  # the router closes, which is what the test waits for
            while True:
                await call.send(LARGE)
                sent += len(LARGE)

    router.feeding = asyncio.ensure_future(feed())  # type: ignore[attr-defined]  # kept alive by it
    await wait_settled(lambda: sent)
    return call


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off_at_the_write_timeout(
    router: RunningDataPlane, v1: Upstream, deaf: RawClient
) -> None:
    call = await begin_stalled(router, v1, deaf)
    router.jump(WRITE_S - 1)
    await asyncio.sleep(0.7)  # the sweep has looked
    assert connections(router) == 1
    router.jump(2)
    await wait_gone(router)
    call.finish()
    await router.wait_idle()
    assert given_up(router) == 1
    assert {labels[3] for labels in router.answers} == {"499"}


async def test_a_client_that_takes_its_answer_in_time_again_and_again_is_not_cut_off(
    router: RunningDataPlane, v1: Upstream
) -> None:
    deaf = await router.connect(buffer_bytes=SMALL)  # reads half a MiB ahead, and then no more
    await deaf.send(get("/large"))
    answering = asyncio.ensure_future(large_answer(await v1.next_call()))
    head = await deaf.read_head()
    left = len(LARGE)
    for _ in range(3):
        await wait_settled(lambda: connections(router))
        router.jump(WRITE_S - 2)
        left -= len(await deaf.read_exactly(4 * SMALL))
    assert head.length == len(LARGE)
    await deaf.read_exactly(left)
    await answering
    await wait_until(lambda: router.answers)
    assert given_up(router) == 0
    assert {labels[3] for labels in router.answers} == {"200"}


@pytest.mark.parametrize("last", ["", "Connection: close"], ids=["kept alive", "to close"])
async def test_an_answer_that_is_ended_but_not_taken_holds_its_connection_for_that_long_only(
    router: RunningDataPlane, v1: Upstream, last: str
) -> None:
    v1.replies = sized_answer
    for size in SIZES:
        client = await deaf_client(router)
        await client.send(get(f"/{size}", *([last] if last else [])))
    await wait_settled(lambda: int(sum(router.answers.values())))
    # Some answers have ended, as far as their exchanges go, and are not taken all the same.
    assert connections(router) > len(router.plane.active) < len(SIZES)
    for _ in range(3):  # idle, looked at, closing
        await wait_settled(lambda: connections(router), quiet_s=0.6)
        router.jump(max(76.0, WRITE_S))
    await wait_gone(router)


async def test_who_leaves_an_answer_lying_spoils_no_connection_to_the_model_server(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = sized_answer
    for size in SIZES:
        stalled = await deaf_client(router)
        await stalled.send(get(f"/{size}"))
        await wait_settled(lambda: int(sum(router.answers.values())), quiet_s=0.03)
        # What its last bytes filled must not be left paused for whoever is next.
        assert (await client.ask(get("/5"))).body == b"xxxxx"


@pytest.mark.parametrize(("size", "number"), [(32 * 1024, 200), (2 * 1024 * 1024, 10)])
async def test_a_client_that_asks_on_and_on_and_reads_nothing_is_answered_only_so_far(
    router: RunningDataPlane, v1: Upstream, deaf: RawClient, size: int, number: int
) -> None:
    v1.replies = sized_answer
    await deaf.send(get(f"/{size}") * number)
    await wait_settled(lambda: len(v1.requests))
    assert len(v1.requests) * min(size, SMALL) < MOST_HELD
    assert connections(router) == 1
    deaf.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
    for _ in range(number):
        assert len((await deaf.read_answer()).body) == size
    assert router.answers == {("chat", "v1", "stable", "200"): number}
