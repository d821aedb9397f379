"""Places and the queue of a route: who comes in, who waits, who is refused, who gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Sized
from functools import partial

import pytest

from router.snapshot import HeaderCondition, HeaderRoute, Limits, Route, Rule, Timeouts
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.endings import end_call
from tests.support.raw import RawClient, get, post, wait_until
from tests.support.upstreams import Upstream, Upstreams, naming

FULL = Limits(max_in_flight=1, max_queue=0)
QUEUE = Limits(max_in_flight=1, max_queue=2, queue_timeout_s=5)


async def install(router: RunningDataPlane, upstreams: Upstreams, limits: Limits) -> Upstream:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), limits=limits))
    return v1


def _are(active: Sized, number: int) -> bool:
    return len(active) == number


async def queue(router: RunningDataPlane, *requests: bytes) -> list[RawClient]:
    """Clients that wait in this order."""
    clients = []
    active = router.plane.active
    for number, each in enumerate(requests, len(active) + 1):
        client = await router.connect()
        await client.send(each)
        await wait_until(partial(_are, active, number))
        clients.append(client)
    return clients


async def test_a_request_beyond_all_places_is_answered_503(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await install(router, upstreams, FULL)
    (first,) = await queue(router, get("/first"))
    call = await v1.next_call()
    answer = await client.ask(get("/second"))
    assert (answer.status, answer.error["code"]) == (503, "overloaded")
    assert int(answer.field("retry-after") or "0") >= 1
    assert answer.field("x-should-retry") == "true"
    assert router.values("router_queue_refusals_total") == {("chat", "full"): 1}
    assert router.errors == {}
    await call.answer()
    assert (await first.read_answer()).status == 200

    v1.replies = naming("v1")
    assert (await client.ask(get("/third"))).status == 200


async def test_who_waits_gets_the_next_place_in_order(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await install(router, upstreams, QUEUE)
    clients = await queue(router, get("/1"), get("/2"), get("/3"))
    assert (await client.ask(get("/4"))).status == 503
    for number, each in enumerate(clients, 1):
        call = await v1.next_call()
        assert call.request.target == f"/{number}"
        assert len(v1.requests) == number
        await call.answer()
        assert (await each.read_answer()).status == 200


async def test_who_waits_too_long_is_answered_503(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await install(router, upstreams, QUEUE)
    first, late = await queue(router, get("/1"), get("/2"))
    call = await v1.next_call()
    router.jump(3)
    (patient,) = await queue(router, get("/3"))
    router.jump(3)
    answer = await late.read_answer()
    assert (answer.status, answer.error["code"]) == (503, "overloaded")
    assert int(answer.field("retry-after") or "0") >= 1
    assert router.values("router_queue_refusals_total") == {("chat", "deadline"): 1}
    await call.answer()
    assert (await first.read_answer()).status == 200
    call = await v1.next_call()
    assert call.request.target == "/3"
    await call.answer()
    assert (await patient.read_answer()).status == 200


async def test_the_time_to_wait_for_a_place_ends_with_the_place(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start()
    to_v2 = HeaderRoute(conditions=(HeaderCondition(name="x-v2", value="1"),), version="v2")
    versions = canary("v2", upstreams.unreachable(), weight=0), version("v1", v1)
    timeouts = Timeouts(connect_s=30)
    router.install(
        route("chat", *versions, header_routes=(to_v2,), limits=QUEUE, timeouts=timeouts)
    )
    first, second = await queue(router, get("/1"), get("/2", "X-V2: 1"))
    router.jump(4)
    await (await v1.next_call()).answer()
    assert (await first.read_answer()).status == 200
    await wait_until(lambda: router.upstream_connections("connecting"))
    router.jump(2)
    for _ in range(6):  # more than one tick
        await asyncio.sleep(0.05)
    assert second.silent
    assert router.answers == {("chat", "v1", "stable", "200"): 1}


async def test_the_body_of_a_request_that_waits_arrives_whole(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await install(router, upstreams, QUEUE)
    (first,) = await queue(router, get("/1"))
    call = await v1.next_call()
    body = bytes(range(256)) * 8000
    sending = asyncio.ensure_future(client.send(post("/2", body)))
    await wait_until(lambda: len(router.plane.active) == 2)
    await call.answer()
    assert (await first.read_answer()).status == 200
    call = await v1.next_call()
    assert await call.read_request() == body
    await sending
    await call.answer()
    assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    "end",
    ["answered", "client gone", "reset", "broken", "truncated stream", "timeout", "5xx", "refused",
     "too large", "gone while it streams"],
)  # fmt: skip
async def test_whatever_ends_a_request_gives_its_place_back(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, end: str
) -> None:
    limits = Limits(max_in_flight=1, max_queue=0, max_body_bytes=1000)
    v1 = await upstreams.start()
    server = upstreams.refusing() if end == "refused" else v1
    router.install(route("chat", version("v1", server), limits=limits))
    if end == "refused":
        assert (await client.ask(get())).status == 502
    else:
        await _end(router, client, v1, end)
    await router.wait_idle()

    v1.replies = naming("v1")
    router.install(route("chat", version("v1", v1), limits=limits))
    again = await router.connect()
    for _ in range(3):
        assert (await again.ask(get())).status == 200


async def _end(router: RunningDataPlane, client: RawClient, v1: Upstream, end: str) -> None:
    """Have one request end in this way."""
    if end == "too large":
        await client.send(post("/x", b"x" * 1001))
        assert (await client.read_answer()).status == 413
        return
    await client.send(post("/x", b"x"))
    call = await v1.next_call()
    await call.read_request()
    await end_call(router, client, call, end)
    await router.wait_idle()
    call.finish()


async def test_routes_have_places_of_their_own(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.named("v2")
    router.install(
        route("one", version("v1", v1), rules=(Rule(path_prefix="/one"),), limits=FULL),
        route("two", version("v2", v2), rules=(Rule(path_prefix="/two"),), limits=FULL, order=1),
    )
    (first,) = await queue(router, get("/one"))
    call = await v1.next_call()
    assert (await client.ask(get("/two"))).status == 200
    assert (await client.ask(get("/one"))).status == 503
    await call.answer()
    assert (await first.read_answer()).status == 200


async def test_places_outlive_a_new_generation(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.named("v2")

    def chat(weight: float) -> Route:
        versions = canary("v2", v2, weight=weight), version("v1", v1, weight=100 - weight)
        return route("chat", *versions, limits=QUEUE)

    router.install(chat(0))
    first, second = await queue(router, get("/1"), get("/2"))
    call = await v1.next_call()
    router.install(chat(100))
    (third,) = await queue(router, get("/3"))
    assert (await client.ask(get("/4"))).status == 503
    await call.answer()
    assert (await first.read_answer()).status == 200
    v1.replies = naming("v1")
    if v1.waiting:
        await (await v1.next_call()).answer_json({"server": "v1"})
    assert (await second.read_answer()).status == 200
    assert (await third.read_answer()).json()["server"] == "v2"


async def test_a_request_that_has_waited_through_a_switch_goes_to_the_new_version(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.named("v2")

    def switched(old: int, new: int) -> Route:
        versions = (canary("v2", v2, weight=new), version("v1", v1, weight=old))
        return route("chat", *versions, limits=QUEUE)

    router.install(switched(100, 0))
    first, second = await queue(router, get("/first"), get("/second"))
    call = await v1.next_call()
    generation = router.install(switched(0, 100))
    await call.answer()
    assert (await first.read_answer()).field("x-model-version") == "v1"
    answer = await second.read_answer()
    assert answer.field("x-model-version") == "v2"
    assert answer.field("x-router-generation") == str(generation)
    assert v1.waiting == 0


async def test_a_request_that_has_waited_while_its_route_went_is_still_answered(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    router.install(route("chat", version("v1", v1), limits=QUEUE))
    first, second = await queue(router, get("/first"), get("/second"))
    call = await v1.next_call()
    router.install(route("other", version("v1", v1), rules=(Rule(path="/other"),)))
    await call.answer()
    assert (await first.read_answer()).status == 200
    await (await v1.next_call()).answer()
    assert (await second.read_answer()).status == 200


async def test_who_is_let_in_at_the_moment_of_its_deadline_has_its_whole_time(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    """One tick ends the request before it; until then both were due.  Either may be looked at
    first, so there are some rounds: it is let in and answered, or was refused, and never a 504.
    """
    v1 = await upstreams.start()
    limits = Limits(max_in_flight=1, max_queue=2, queue_timeout_s=5)
    parts = {"limits": limits, "timeouts": Timeouts(first_byte_s=5), "outlier": None}
    router.install(route("chat", version("v1", v1), **parts))
    for _ in range(8):
        first, second = await queue(router, get("/first"), get("/second"))
        await v1.next_call()
        router.jump(6)
        assert (await first.read_answer()).status == 504
        answer = asyncio.ensure_future(second.read_answer())
        next_call = asyncio.ensure_future(v1.next_call())
        await asyncio.wait({answer, next_call}, return_when=asyncio.FIRST_COMPLETED)
        let_in = next_call.done()
        if let_in:
            await next_call.result().answer()
        else:
            next_call.cancel()
        assert (await answer).status == (200 if let_in else 503)
        await router.wait_idle()


async def test_who_waits_when_the_time_to_drain_is_over_is_never_sent(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await install(router, upstreams, Limits(max_in_flight=6))
    warm = await queue(router, *(get("/warm") for _ in range(6)))
    for call in [await v1.next_call() for _ in warm]:
        await call.answer()
    for client in warm:
        await client.read_answer()
    router.install(route("chat", version("v1", v1), limits=Limits(max_in_flight=1, max_queue=9)))
    clients = await queue(router, *(post(f"/{number}", b"x") for number in range(6)))
    await v1.next_call()
    router.plane.break_off_all()
    answers = [await client.read_answer() for client in clients]
    assert {answer.error["code"] for answer in answers} == {"draining"}
    assert [answer.field("x-should-retry") for answer in answers[1:]] == ["true"] * 5
    assert len(v1.requests) == len(warm) + 1
