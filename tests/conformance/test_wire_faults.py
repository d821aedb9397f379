"""Whatever a connection to a model server suffers, a client gets one answer, and it is its own.

A fault proxy (tests/support/faultproxy) stands before the server.  That no exchange, count or busy
connection is left over is looked at after each test (`running_dataplane`).
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from router.snapshot import Endpoint, Retry, Role, Shadow, Timeouts
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.faultproxy import (
    BlackHole,
    Delay,
    Fault,
    FaultProxy,
    Finish,
    Garbage,
    Reset,
    StaleClose,
    Trickle,
    Truncate,
    fault_proxy,
)
from tests.support.raw import Answer, BrokenMessageError, RawClient, post, wait_until
from tests.support.sse import DONE, delta, read_events
from tests.support.upstreams import Call, Replies, Upstream, Upstreams, naming

CHAT = "/v1/chat/completions"
RETRY = Retry(budget_percent=100)  # the clock stands still: only requests pay into the budget
SHORT = Timeouts(first_byte_s=2, idle_s=2)

BEFORE: dict[str, Fault] = {
    "reset": Reset(),
    "reset in the head": Reset(20),
    "fin": Finish(),
    "fin in the head": Finish(20),
    "garbage": Garbage(),
    "garbage that begins well": Garbage(b"HTTP/1.1 2x0 OK\r\n\r\n"),
}
"""Nothing of the answer has reached the client when they strike."""

STALE: dict[str, Fault] = {"stale fin": StaleClose(), "stale reset": StaleClose(reset=True)}

BEGUN: dict[str, Fault] = {
    "fin in the body": Truncate(5),
    "reset in the body": Reset(150),
    "fin later in the body": Truncate(120),
}
"""The answer has begun: its head is shorter than 110 bytes, its body longer than 200."""

SLOW: dict[str, Fault] = {"late": Delay(0.05), "trickle": Trickle(9, 0.001)}

Before = Callable[..., Awaitable[FaultProxy]]


@pytest.fixture
async def before() -> AsyncIterator[Before]:
    """Puts a proxy before a server."""
    async with AsyncExitStack() as stack:

        async def put(server: Upstream, *faults: Fault | None) -> FaultProxy:
            proxy = await stack.enter_async_context(fault_proxy(server.port))
            proxy.suffer(*faults)
            return proxy

        yield put


def at(proxy: FaultProxy) -> Endpoint:
    return Endpoint(url=proxy.url, host="127.0.0.1", port=proxy.port)


def own(number: int) -> str:
    return f"request {number} {'x' * 200}"


async def ask(client: RawClient, text: str) -> Answer:
    return await client.ask(post(CHAT, text.encode()))


async def ask_own(client: RawClient, number: int) -> str:
    """Ask, and look that the answer is the one to this request; gives who answered."""
    answer = await ask(client, own(number))
    assert (answer.status, answer.json()["echo"]) == (200, own(number))
    assert client.silent, "there is more than one answer"
    server: str = answer.json()["server"]
    return server


async def ask_many(router: RunningDataPlane, clients: int = 4, each: int = 3) -> Counter[str]:
    """Several at once, so that connections are shared out anew; gives who answered."""

    async def one(first: int) -> list[str]:
        client = await router.connect()
        return [await ask_own(client, first + number) for number in range(each)]

    said = await asyncio.gather(*(one(100 * number) for number in range(clients)))
    return Counter(server for servers in said for server in servers)


async def chunked(call: Call) -> None:
    """The answer of `naming`, in chunks."""
    body = json.dumps({"server": "v1", "echo": (await call.read_request()).decode()}).encode()
    await call.start("Content-Type: application/json")
    for begin in range(0, len(body), 50):
        await call.send_chunk(body[begin : begin + 50])
    await call.end_chunks()


async def streamed(call: Call) -> None:
    """A stream whose tokens are the request's words."""
    words = (await call.read_request()).decode().split()
    await call.start(stream=True)
    for word in words:
        await call.send_chunk(delta(word))
    await call.send_chunk(delta(finish="stop") + DONE)
    await call.end_chunks()


async def stable_of_two(
    router: RunningDataPlane, upstreams: Upstreams, before: Before, **retry: Any
) -> FaultProxy:
    """One version with two endpoints; a proxy stands before `faulty`."""
    faulty, good = await upstreams.named("faulty"), await upstreams.named("good")
    proxy = await before(faulty)
    router.install(
        route(
            "chat",
            version("v1", at(proxy), good),
            retry=Retry(budget_percent=100, **retry),
            timeouts=SHORT,
        )
    )
    return proxy


async def stable_of_one(
    router: RunningDataPlane,
    upstreams: Upstreams,
    before: Before,
    *faults: Fault | None,
    replies: Replies | None = None,
) -> FaultProxy:
    """One version with one endpoint, and a proxy before it."""
    server = await upstreams.start("v1", replies or naming("v1"))
    proxy = await before(server, *faults)
    router.install(route("chat", version("v1", at(proxy)), retry=RETRY, timeouts=SHORT))
    return proxy


# -- the stable version, one of two endpoints ----------------------------------------------------


@pytest.mark.parametrize("case", [*BEFORE, *STALE])
async def test_a_fault_before_the_answer_is_hidden_by_the_other_endpoint(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    proxy = await stable_of_two(router, upstreams, before)
    proxy.always((BEFORE | STALE)[case])
    number = 0
    while not proxy.counts:
        await ask_own(client, number)
        number += 1
        assert number < 50, "the faulty endpoint gets no requests"
    await ask_many(router)
    assert router.errors == {}
    proxy.always(None)
    await ask_many(router)


async def test_an_endpoint_that_refuses_and_comes_back_costs_no_client_an_answer(
    router: RunningDataPlane, upstreams: Upstreams, before: Before
) -> None:
    proxy = await stable_of_two(router, upstreams, before)
    for reset in (False, True):
        assert (await ask_many(router))["faulty"]
        await proxy.refuse(reset=reset)
        await ask_many(router)
        await proxy.accept()
    assert router.errors == {}


@pytest.mark.parametrize("case", SLOW)
async def test_a_slow_answer_is_whole_and_nobody_elses(
    router: RunningDataPlane, upstreams: Upstreams, before: Before, case: str
) -> None:
    proxy = await stable_of_two(router, upstreams, before)
    proxy.always(SLOW[case])
    assert (await ask_many(router))["faulty"]
    assert router.errors == {}
    assert router.values("router_retries_total") == {}


# -- the stable version, its only endpoint -------------------------------------------------------


@pytest.mark.parametrize("case", BEFORE)
async def test_a_fault_of_the_only_endpoint_is_answered_once_and_forgotten(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    fault = BEFORE[case]
    proxy = await stable_of_one(router, upstreams, before)
    await ask_own(client, 0)
    proxy.always(fault)
    answer = await ask(client, own(1))
    proxy.always(None)
    kind = "upstream_protocol" if isinstance(fault, Garbage) else "upstream_reset"
    assert (answer.status, answer.error["code"]) == (502, kind)
    assert client.silent
    assert router.errors == {("chat", "v1", "stable", "reset"): 1}
    await ask_own(client, 2)
    await ask_many(router)


@pytest.mark.parametrize("case", STALE)
async def test_a_stale_connection_costs_nothing(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    proxy = await stable_of_one(router, upstreams, before)
    proxy.always(STALE[case])
    for number in range(6):
        await ask_own(client, number)
    assert proxy.counts == {"StaleClose": 5}
    assert router.errors == {}
    await ask_many(router)


async def test_an_only_endpoint_that_refuses_is_used_again_when_it_is_back(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before
) -> None:
    proxy = await stable_of_one(router, upstreams, before)
    await ask_own(client, 0)
    await proxy.refuse(reset=True)
    answer = await ask(client, own(1))
    assert (answer.status, answer.error["code"]) == (502, "upstream_connect")
    await proxy.accept()
    await ask_own(client, 2)
    await ask_many(router)


@pytest.mark.parametrize("case", BEGUN)
@pytest.mark.parametrize("replies", [naming("v1"), chunked], ids=["length", "chunks"])
async def test_an_answer_that_breaks_in_its_body_is_visibly_short(
    router: RunningDataPlane,
    client: RawClient,
    upstreams: Upstreams,
    before: Before,
    case: str,
    replies: Replies,
) -> None:
    await stable_of_one(router, upstreams, before, BEGUN[case], replies=replies)
    with pytest.raises(BrokenMessageError) as broken:
        await ask(client, own(7))
    assert broken.value.head is None or broken.value.head.status == 200
    whole = json.dumps({"server": "v1", "echo": own(7)}).encode()
    assert whole.startswith(broken.value.body)
    assert len(broken.value.body) < len(whole)
    assert await client.read_to_end() == b""
    assert router.answers == {("chat", "v1", "stable", "200"): 1}
    assert router.errors == {("chat", "v1", "stable", "truncated"): 1}
    await ask_many(router)


@pytest.mark.parametrize("case", BEGUN)
async def test_a_stream_that_breaks_ends_with_an_error_event_and_without_its_last_chunk(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    await stable_of_one(router, upstreams, before, BEGUN[case], replies=streamed)
    await client.send(post(CHAT, b"one two three four"))
    assert (await client.read_head()).status == 200
    events = read_events(await client.read_broken_chunks())
    assert json.loads(events[-1])["error"]["code"] == "upstream_truncated"
    assert "[DONE]" not in events
    assert router.errors == {("chat", "v1", "stable", "truncated"): 1}
    fresh = await router.connect()
    stream = (await fresh.ask(post(CHAT, b"five six"))).body
    assert stream == delta("five") + delta("six") + delta(finish="stop") + DONE


# -- silence -------------------------------------------------------------------------------------


async def swallowed(
    router: RunningDataPlane, proxy: FaultProxy, client: RawClient, number: int
) -> None:
    """Send a request, wait until its answer has got lost, and let the time for it be over."""
    await client.send(post(CHAT, own(number).encode()))
    await wait_until(lambda: proxy.counts["BlackHole"], "no request gets lost")
    router.jump(2.1)


@pytest.mark.parametrize("after_bytes", [0, 20])
async def test_an_answer_that_never_begins_is_hidden_by_another_endpoint_where_the_route_says_so(
    router: RunningDataPlane,
    client: RawClient,
    upstreams: Upstreams,
    before: Before,
    after_bytes: int,
) -> None:
    proxy = await stable_of_two(router, upstreams, before, on_timeout=True)
    proxy.always(BlackHole(after_bytes))
    number = 0
    while not proxy.counts:
        await client.send(post(CHAT, own(number).encode()))
        await wait_until(lambda: proxy.counts or not client.silent)
        if proxy.counts:
            router.jump(2.1)
        assert (await client.read_answer()).json() == {"server": "good", "echo": own(number)}
        assert client.silent
        number += 1
        assert number < 50, "the faulty endpoint gets no requests"
    assert router.errors == {}
    assert router.values("router_retries_total") == {("chat", "v1", "timeout"): 1}
    await wait_until(lambda: not proxy.open, "the dead connection is kept")


@pytest.mark.parametrize("after_bytes", [0, 20])
async def test_an_answer_that_never_begins_is_answered_504_once_and_forgotten(
    router: RunningDataPlane,
    client: RawClient,
    upstreams: Upstreams,
    before: Before,
    after_bytes: int,
) -> None:
    proxy = await stable_of_one(router, upstreams, before, BlackHole(after_bytes))
    await swallowed(router, proxy, client, 0)
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert client.silent
    await wait_until(lambda: not proxy.open, "the dead connection is kept")
    await ask_own(client, 1)
    await ask_many(router)


async def test_an_answer_that_falls_silent_in_its_body_is_visibly_short(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before
) -> None:
    proxy = await stable_of_one(router, upstreams, before, BlackHole(150))
    await client.send(post(CHAT, own(0).encode()))
    head = await client.read_head()  # else the time to wait for more might begin after the jump
    await wait_until(lambda: proxy.counts["BlackHole"], "no answer gets lost")
    router.jump(2.1)
    with pytest.raises(BrokenMessageError):
        await client.read_body(head)
    await wait_until(lambda: not proxy.open, "the dead connection is kept")
    assert router.errors == {("chat", "v1", "stable", "timeout"): 1}
    await ask_many(router)


# -- the canary ----------------------------------------------------------------------------------


async def canary_and_stable(
    router: RunningDataPlane, upstreams: Upstreams, before: Before, *faults: Fault | None
) -> FaultProxy:
    """A canary that gets everything, behind a proxy; stable gets what falls back."""
    v2, v1 = await upstreams.named("v2"), await upstreams.named("v1")
    proxy = await before(v2, *faults)
    versions = canary("v2", at(proxy), weight=100), version("v1", v1, weight=0)
    router.install(route("chat", *versions, timeouts=SHORT))
    return proxy


@pytest.mark.parametrize("case", BEFORE)
async def test_a_fault_of_the_canary_is_answered_by_stable_and_booked_on_the_canary(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    await canary_and_stable(router, upstreams, before, BEFORE[case])
    assert await ask_own(client, 0) == "v1"
    assert router.errors == {("chat", "v2", "canary", "reset"): 1}
    assert router.values("router_fallbacks_total") == {("chat", "v2", "reset"): 1}
    assert await ask_own(client, 1) == "v2"
    assert (await ask_many(router)).keys() == {"v2"}


async def test_a_canary_that_refuses_is_replaced_by_stable_and_booked(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before
) -> None:
    proxy = await canary_and_stable(router, upstreams, before)
    await proxy.refuse()
    assert await ask_own(client, 0) == "v1"
    assert router.errors == {("chat", "v2", "canary", "connect"): 1}
    await proxy.accept()
    assert await ask_own(client, 1) == "v2"


async def test_a_canary_that_never_answers_is_replaced_by_stable_and_booked(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before
) -> None:
    proxy = await canary_and_stable(router, upstreams, before, BlackHole())
    await swallowed(router, proxy, client, 0)
    answer = await client.read_answer()
    assert answer.json() == {"server": "v1", "echo": own(0)}
    assert client.silent
    assert router.errors == {("chat", "v2", "canary", "timeout"): 1}
    assert await ask_own(client, 1) == "v2"


@pytest.mark.parametrize("case", STALE)
async def test_a_stale_connection_is_no_failure_of_the_canary(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    proxy = await canary_and_stable(router, upstreams, before)
    proxy.always(STALE[case])
    for number in range(4):
        assert await ask_own(client, number) == "v2"
    assert proxy.counts == {"StaleClose": 3}
    assert router.errors == {}


@pytest.mark.parametrize("case", BEGUN)
async def test_a_canarys_answer_that_has_begun_is_short_booked_and_asked_of_nobody_else(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    await canary_and_stable(router, upstreams, before, BEGUN[case])
    with pytest.raises(BrokenMessageError):
        await ask(client, own(0))
    assert router.errors == {("chat", "v2", "canary", "truncated"): 1}
    assert router.values("router_fallbacks_total") == {}
    assert (await ask_many(router)).keys() == {"v2"}


# -- the shadow ----------------------------------------------------------------------------------


async def mirrored(
    router: RunningDataPlane, upstreams: Upstreams, before: Before
) -> tuple[FaultProxy, Upstream]:
    """A stable version, and a shadow behind a proxy that gets a copy of everything."""
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    proxy = await before(v2)
    router.install(
        route(
            "chat",
            version("v2", at(proxy), weight=0, role=Role.SHADOW),
            version("v1", v1),
            shadow=Shadow(version="v2", timeout_s=5.0),
        )
    )
    return proxy, v2


def outcomes(router: RunningDataPlane) -> Counter[str]:
    """How copies ended."""
    rows = router.values("model_shadow_requests_total")
    return Counter({labels[2]: int(number) for labels, number in rows.items()})


async def wait_copies(router: RunningDataPlane, number: int) -> Counter[str]:
    """Wait until so many copies have ended."""
    await wait_until(lambda: outcomes(router).total() == number, f"not {number} copies ended")
    assert not router.values("router_shadow_in_flight")
    return outcomes(router)


@pytest.mark.parametrize("case", [*BEFORE, *STALE, *BEGUN, *SLOW])
async def test_a_fault_of_the_shadow_changes_no_clients_answer_and_poisons_nothing(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before, case: str
) -> None:
    proxy, shadow = await mirrored(router, upstreams, before)
    fault = (BEFORE | STALE | BEGUN | SLOW)[case]
    proxy.always(fault)
    for number in range(4):
        assert await ask_own(client, number) == "v1"
        await wait_copies(router, number + 1)
    failing = case in BEFORE or case in BEGUN
    assert outcomes(router) == {"error" if failing else "answered": 4}
    assert proxy.counts
    proxy.always(None)
    shadow.requests.clear()
    assert (await ask_many(router)).keys() == {"v1"}
    assert (await wait_copies(router, 16))["answered"] == (12 if failing else 16)
    copied = sorted(each.body.decode() for each in shadow.requests)
    assert copied == sorted(own(100 * one + each) for one in range(4) for each in range(3))
    assert router.errors == {}


async def test_a_shadow_that_refuses_changes_no_clients_answer(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before
) -> None:
    proxy, _ = await mirrored(router, upstreams, before)
    assert await ask_own(client, 0) == "v1"
    assert await wait_copies(router, 1) == {"answered": 1}
    await proxy.refuse(reset=True)
    assert await ask_own(client, 1) == "v1"
    assert await wait_copies(router, 2) == {"answered": 1, "error": 1}
    await proxy.accept()
    assert await ask_own(client, 2) == "v1"
    assert (await wait_copies(router, 3))["answered"] == 2
    assert router.errors == {}


async def test_a_shadow_that_never_answers_keeps_no_client_waiting(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, before: Before
) -> None:
    proxy, _ = await mirrored(router, upstreams, before)
    proxy.suffer(BlackHole(), BlackHole(150))
    for number in range(2):
        assert await ask_own(client, number) == "v1"
    await wait_until(lambda: proxy.counts["BlackHole"] == 2)
    router.jump(5.1)
    assert await wait_copies(router, 2) == {"timeout": 2}
    await wait_until(lambda: not proxy.open, "the dead connections are kept")
    await ask_many(router)
    assert (await wait_copies(router, 14))["answered"] == 12
    assert router.errors == {}


# -- all at once ---------------------------------------------------------------------------------

STORM: tuple[Fault | None, ...] = (
    None,
    None,
    *BEFORE.values(),
    *STALE.values(),
    *BEGUN.values(),
    Delay(0.01),
    Trickle(9, 0.001),
    BlackHole(),
    BlackHole(150),
)
ERRORS = {"upstream_reset", "upstream_protocol", "upstream_timeout", "upstream_connect"}


async def end_of(client: RawClient, number: int, streams: bool) -> str:
    """Ask, and say how it ended; what is not allowed to happen is an error."""
    try:
        answer = await ask(client, own(number))
    except BrokenMessageError:
        await client.wait_closed()
        return "short"
    if answer.status != 200:
        assert answer.error["code"] in ERRORS
        return str(answer.error["code"])
    if streams:
        words = b"".join(map(delta, own(number).split()))
        assert answer.body == words + delta(finish="stop") + DONE
    else:
        assert answer.json()["echo"] == own(number)
    return "whole"


@pytest.mark.parametrize("replies", [naming("any"), streamed], ids=["answers", "streams"])
async def test_in_a_storm_of_faults_on_every_side_each_request_has_one_end_and_its_own_answer(
    router: RunningDataPlane, upstreams: Upstreams, before: Before, replies: Replies
) -> None:
    chance = random.Random(17)
    servers = [await upstreams.start(name, replies) for name in ("faulty", "v2", "v3", "good")]
    proxies = [await before(server) for server in servers[:3]]
    for proxy in proxies:
        proxy.choose = lambda: chance.choice(STORM)
    faulty, new, shadow = map(at, proxies)
    router.install(
        route(
            "chat",
            version("v3", shadow, weight=0, role=Role.SHADOW),
            canary("v2", new, weight=30),
            version("v1", faulty, servers[3], weight=70),
            shadow=Shadow(version="v3", timeout_s=3.0),
            retry=RETRY,
            timeouts=SHORT,
        )
    )
    ends = Counter[str]()

    async def ask_again_and_again(first: int) -> None:
        client = await router.connect()
        for number in range(first, first + 20):
            end = await end_of(client, number, replies is streamed)
            ends[end] += 1
            if end == "short":
                client = await router.connect()

    async def let_time_pass() -> None:
        while True:
            await asyncio.sleep(0.02)
            router.jump(0.1)

    clock = asyncio.ensure_future(let_time_pass())
    try:
        await asyncio.gather(*(ask_again_and_again(100 * each) for each in range(8)))
        sampled: dict[Any, float] = router.values("router_shadow_sampled_total")
        await wait_copies(router, int(sum(sampled.values())))
    finally:
        clock.cancel()
    assert ends.total() == 160
    assert ends["whole"] > 80
    assert ends["short"]
    for proxy in proxies:
        proxy.choose = lambda: None
