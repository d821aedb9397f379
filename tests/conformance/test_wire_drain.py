"""The end of a data plane: what runs finishes, idle connections close, new ones are refused."""

from __future__ import annotations

import asyncio
import json

import pytest

from router.snapshot import Limits
from tests.support.dataplanes import STOP_DEADLINE_S, RunningDataPlane, route, version
from tests.support.raw import (
    BrokenMessageError,
    RawClient,
    chunked_post,
    get,
    message,
    post,
    wait_until,
)
from tests.support.sse import DONE, delta, read_events
from tests.support.upstreams import Upstream, Upstreams, naming

CHAT = "/v1/chat/completions"


async def ended(router: RunningDataPlane) -> None:
    assert router.serving is not None
    async with asyncio.timeout(STOP_DEADLINE_S):
        await router.serving


async def wait_refusing(router: RunningDataPlane) -> None:
    """Wait until nothing is accepted any more."""
    async with asyncio.timeout(STOP_DEADLINE_S):
        while not await refuses(router):  # noqa: ASYNC110 - only connecting can tell
            await asyncio.sleep(0.02)


async def refuses(router: RunningDataPlane) -> bool:
    try:
        client = await RawClient.connect(router.port)
    except ConnectionRefusedError:
        return True
    client.reset()
    return False


async def test_a_stream_finishes_while_the_data_plane_drains(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.start(stream=True)
    await client.read_head()
    router.draining.set()
    await wait_refusing(router)
    for number in range(3):
        await call.send_chunk(delta(str(number)))
        assert await client.read_chunk() == delta(str(number))
    await call.send_chunk(DONE)
    assert await client.read_chunk() == DONE
    await call.end_chunks()
    assert await client.read_chunk() == b""
    await client.wait_closed()
    await ended(router)
    assert router.errors == {}


async def test_idle_connections_close_when_the_data_plane_drains(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200
    silent = await router.connect()
    await asyncio.sleep(0.02)
    router.draining.set()
    await client.wait_closed()
    await silent.wait_closed()
    await ended(router)


async def test_an_answer_while_the_data_plane_drains_says_that_its_connection_closes(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    router.draining.set()
    await wait_refusing(router)
    await call.answer()
    answer = await client.read_answer()
    assert (answer.status, answer.field("connection")) == (200, "close")
    await client.wait_closed()
    await ended(router)


async def test_an_upload_finishes_while_the_data_plane_drains(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(chunked_post("/upload", chunks=[b"first "]))
    call = await v1.next_call()
    router.draining.set()
    await wait_refusing(router)
    await client.send(b"4\r\nlast\r\n0\r\n\r\n")
    assert await call.read_request() == b"first last"
    await call.answer()
    assert (await client.read_answer()).status == 200
    await ended(router)


@pytest.mark.parametrize("settings", [{"drain_delay_s": 0.2}], ids=["with delay"])
async def test_requests_are_answered_until_the_delay_is_over(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    assert (await client.ask(get())).status == 200
    assert (await (await router.connect()).ask(get())).status == 200
    await ended(router)


@pytest.mark.parametrize("settings", [{"drain_s": 0.05}], ids=["short"])
async def test_a_stream_beyond_the_deadline_ends_with_an_error_event(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.start(stream=True)
    await client.read_head()
    await call.send_chunk(delta("a"))
    assert await client.read_chunk() == delta("a")
    router.draining.set()
    stream = await client.read_broken_chunks()
    error = json.loads(read_events(stream)[-1])["error"]
    assert error["code"] == "draining"
    await call.read_to_end()
    call.finish()
    await ended(router)
    assert router.errors == {}


@pytest.mark.parametrize("settings", [{"drain_s": 0.05}], ids=["short"])
async def test_a_request_without_an_answer_at_the_deadline_is_answered_503(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    router.draining.set()
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (503, "draining")
    assert int(answer.field("retry-after") or "0") >= 1
    assert answer.field("x-should-retry") == "true"
    assert answer.field("connection") == "close"
    await call.wait_closed()
    call.finish()
    await ended(router)
    assert router.errors == {}


@pytest.mark.parametrize("settings", [{"drain_s": 0.05}], ids=["short"])
async def test_an_answer_that_is_no_stream_breaks_off_at_the_deadline(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 100", body=b"half"))
    head = await client.read_head()
    assert await client.read_exactly(4) == b"half"
    router.draining.set()
    with pytest.raises(BrokenMessageError):
        await client.read_body(head)
    await call.wait_closed()
    call.finish()
    await ended(router)


@pytest.mark.parametrize("settings", [{"drain_s": 0.05}], ids=["short"])
async def test_who_waits_for_a_place_at_the_deadline_is_answered_503(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), limits=Limits(max_in_flight=1)))
    await client.send(get("/1"))
    call = await v1.next_call()
    waiting = await router.connect()
    await waiting.send(get("/2"))
    await wait_until(lambda: len(router.plane.active) == 2)
    router.draining.set()
    assert (await waiting.read_answer()).status == 503
    assert (await client.read_answer()).status == 503
    call.finish()
    await ended(router)
    assert [request.target for request in v1.requests] == ["/1"]


async def test_a_drained_data_plane_has_closed_its_upstream_connections(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200
    router.draining.set()
    await ended(router)
    await router.plane.close()
    await wait_until(lambda: v1.open == 0)
