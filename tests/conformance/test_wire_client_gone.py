"""A client that goes away: its upstream exchange ends in every phase, and nobody is blamed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from router.snapshot import Limits, Rule, StickyKind, StickySource, Timeouts
from tests.support.dataplanes import RunningDataPlane, canary, route, version
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
from tests.support.sse import delta
from tests.support.upstreams import Call, Upstream, Upstreams

CHAT = "/v1/chat/completions"
GONE = {("chat", "v1", "stable", "499"): 1}
SMALL = 64 * 1024

Leave = Callable[[RawClient], None]


@pytest.fixture(params=["reset", "close", "half-close"])
def leave(request: pytest.FixtureRequest) -> Leave:
    """The ways to go; a client that only closes its sending side counts as gone too."""
    ways: dict[str, Leave] = {
        "reset": RawClient.reset,
        "close": RawClient.close,
        "half-close": RawClient.finish_writing,
    }
    return ways[request.param]


async def assert_gone(router: RunningDataPlane, call: Call) -> None:
    """The model server sees the end, and the client's going is what is counted."""
    await call.read_to_end()
    call.finish()
    await router.wait_idle()
    assert router.plane.active == set()
    assert router.answers == GONE
    assert router.errors == {}


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_while_the_body_uploads(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave, *, chunked: bool
) -> None:
    if chunked:
        await client.send(chunked_post("/upload", chunks=[b"first"]))
    else:
        await client.send(post("/upload", b"first and last")[:-9])
    call = await v1.next_call()
    leave(client)
    await assert_gone(router, call)


async def test_before_the_head_of_the_answer(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.read_request()
    leave(client)
    await assert_gone(router, call)


async def test_before_the_first_chunk(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.start(stream=True)
    await client.read_head()
    leave(client)
    await assert_gone(router, call)


async def test_in_the_middle_of_a_stream(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.start(stream=True)
    await call.send_chunk(delta("one"))
    await client.read_head()
    await client.read_chunk()
    leave(client)
    await assert_gone(router, call)


@pytest.mark.parametrize("framing", ["Content-Length: 100", "X-Until: close"])
async def test_in_the_middle_of_an_answer_that_is_no_stream(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave, framing: str
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", framing, body=b"half"))
    await client.read_head()
    leave(client)
    await assert_gone(router, call)


async def test_while_it_does_not_read(router: RunningDataPlane, upstreams: Upstreams) -> None:
    v1 = await upstreams.start(buffer_bytes=SMALL)
    router.install(route("chat", version("v1", v1)))
    client = await router.connect(buffer_bytes=SMALL)
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await call.send_chunk(b"x" * 100_000)
            sent += 1

    sending = asyncio.ensure_future(send())
    await wait_settled(lambda: sent)
    client.reset()
    with pytest.raises(OSError):
        await sending
    await assert_gone(router, call)


async def test_while_its_upload_waits_for_the_model_server(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    # While it reads no more, the router may not see the client go: then the time for the body
    # ends it.
    v1 = await upstreams.start(buffer_bytes=SMALL)
    router.install(route("chat", version("v1", v1)))
    client = await router.connect(buffer_bytes=SMALL)
    await client.send(chunked_post("/upload", chunks=[b"first"]))
    call = await v1.next_call()
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await client.send(chunk(b"x" * 100_000))
            sent += 1

    sending = asyncio.ensure_future(send())
    await wait_settled(lambda: sent)
    sending.cancel()
    client.reset()
    await asyncio.wait({sending})
    await asyncio.sleep(0.02)
    router.jump(121)
    await call.read_to_end()
    call.finish()
    await router.wait_idle()


async def test_while_a_connection_is_made(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    timeouts = Timeouts(connect_s=30)
    router.install(route("chat", version("v1", upstreams.unreachable()), timeouts=timeouts))
    await client.send(get())
    await wait_until(lambda: router.plane.active)
    leave(client)
    await router.wait_idle()
    assert router.answers == GONE
    assert router.errors == {}


async def test_while_it_waits_for_a_place(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), limits=Limits(max_in_flight=1)))
    first = await router.connect()
    await first.send(get("/first"))
    call = await v1.next_call()
    await client.send(get("/second"))
    await wait_until(lambda: len(router.plane.active) == 2)
    leave(client)
    await wait_until(lambda: len(router.plane.active) == 1)

    last = await router.connect()
    await last.send(get("/last"))
    await wait_until(lambda: len(router.plane.active) == 2)
    await call.answer()
    assert (await first.read_answer()).status == 200
    await (await v1.next_call()).answer()
    assert (await last.read_answer()).status == 200
    assert [request.target for request in v1.requests] == ["/first", "/last"]
    assert router.errors == {}


async def test_while_routing_waits_for_the_body(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    v1 = await upstreams.named()
    rule = Rule(path=CHAT, model="m")
    router.install(route("chat", version("v1", v1), rules=(rule,)))
    await client.send(post(CHAT, {"model": "m"})[:-1])
    await wait_until(lambda: router.plane.active)
    leave(client)
    await router.wait_idle()
    assert v1.requests == []
    assert router.errors == {}


async def test_while_its_sticky_key_is_still_to_come(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    v1 = await upstreams.named()
    source = StickySource(kind=StickyKind.BODY, name="user")
    router.install(route("chat", version("v1", v1), sticky=(source,)))
    await client.send(chunked_post("/x", chunks=[b'{"user": ']))
    await wait_until(lambda: router.plane.active)
    leave(client)
    await router.wait_idle()
    assert v1.requests == []


LARGE = post(CHAT, {"user": "u", "prompt": "x" * 100_000})
"""More than a door takes ahead; it comes in two parts, the second of which is its end."""
PARTS = LARGE[:60_000], LARGE[60_000:]


async def send_in_parts(router: RunningDataPlane, client: RawClient) -> None:
    number = len(router.plane.active) + 1
    await client.send(PARTS[0])
    await wait_until(lambda: len(router.plane.active) == number)
    await client.send(PARTS[1])
    await asyncio.sleep(0.05)


async def test_behind_a_large_request_while_the_model_server_is_connected_to(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    timeouts = Timeouts(connect_s=20)
    router.install(route("chat", version("v1", upstreams.unreachable()), timeouts=timeouts))
    await send_in_parts(router, client)
    leave(client)
    await router.wait_idle()
    assert router.answers == GONE


async def test_behind_a_large_request_while_it_waits_for_a_place(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), limits=Limits(max_in_flight=1, max_queue=1)))
    await client.send(get("/first"))
    call = await v1.next_call()
    waiting = await router.connect()
    await send_in_parts(router, waiting)
    leave(waiting)
    await wait_until(lambda: len(router.plane.active) == 1, "it waits on, for nobody")
    await call.answer()
    assert (await client.read_answer()).status == 200
    await router.wait_idle()
    assert [request.target for request in v1.requests] == ["/first"]


async def test_behind_a_large_request_that_had_waited_for_its_place(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), limits=Limits(max_in_flight=1, max_queue=1)))
    await client.send(get("/first"))
    call = await v1.next_call()
    waited = await router.connect()
    await send_in_parts(router, waited)
    await call.answer()
    call = await v1.next_call()
    await call.read_request()
    leave(waited)
    await call.wait_closed()
    call.finish()
    await router.wait_idle()
    assert router.answers == {**GONE, ("chat", "v1", "stable", "200"): 1}


async def test_while_a_whole_request_waits_in_the_router_for_its_model_server_to_read(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, leave: Leave
) -> None:
    v1 = await upstreams.start(buffer_bytes=SMALL)
    sticky = (StickySource(StickyKind.BODY, "user"),)
    looks = Limits(max_inspect_bytes=16 * 1024 * 1024)
    router.install(route("chat", version("v1", v1), sticky=sticky, limits=looks))
    await client.send(post(CHAT, {"user": "u", "prompt": "x" * (9 * 1024 * 1024)}))
    call = await v1.next_call()
    await asyncio.sleep(0.05)
    leave(client)
    await router.wait_idle()  # before anybody reads on, and the router with it
    await assert_gone(router, call)


async def test_before_its_request_was_whole(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave
) -> None:
    await client.send(get()[:-4])
    leave(client)
    await wait_until(lambda: not router.plane.connections)
    assert router.plane.active == set()
    assert v1.requests == []


async def test_a_pipelined_request_of_a_client_that_went_is_never_sent(
    router: RunningDataPlane, client: RawClient, v1: Upstream, leave: Leave
) -> None:
    await client.send(get("/1") + get("/2"))
    call = await v1.next_call()
    leave(client)
    await call.wait_closed()
    call.finish()
    await router.wait_idle()
    await asyncio.sleep(0.02)
    assert [request.target for request in v1.requests] == ["/1"]


async def test_the_canary_is_not_blamed_and_stable_is_not_asked(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.start("v2")
    router.install(route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0)))
    await client.send(post(CHAT, b"{}"))
    call = await v2.next_call()
    await call.read_request()
    client.reset()
    await call.wait_closed()
    call.finish()
    await router.wait_idle()
    assert router.answers == {("chat", "v2", "canary", "499"): 1}
    assert router.errors == {}
    assert v1.requests == []


async def test_its_duration_and_tokens_are_not_taken_for_an_answers(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    client.reset()
    await call.wait_closed()
    await router.wait_idle()
    assert router.values("model_request_duration_seconds") == {}
    assert router.values("model_time_to_first_byte_seconds") == {}


async def test_a_hundred_clients_that_leave_at_once_leave_nothing_behind(
    router: RunningDataPlane, v1: Upstream
) -> None:
    clients = [await router.connect() for _ in range(100)]
    for number, each in enumerate(clients):
        await each.send(
            post(CHAT, {"stream": True}) if number % 2 else chunked_post("/", chunks=[b"x"])
        )
    calls = [await v1.next_call() for _ in clients]
    assert router.in_flight == 100
    for each in clients:
        each.reset()
    for call in calls:
        await call.read_to_end()
        call.finish()
    await router.wait_idle()
    assert router.answers == {("chat", "v1", "stable", "499"): 100}
    assert router.plane.connections == set()
