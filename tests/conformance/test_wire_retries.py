"""Sending again: only before the first byte, only what may be repeated, and booked rightly."""

from __future__ import annotations

import asyncio
import socket

import pytest

from router.snapshot import HeaderCondition, HeaderRoute, Limits, Retry, Timeouts
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import (
    RawClient,
    chunk,
    chunked_post,
    get,
    message,
    post,
    wait_until,
)
from tests.support.upstreams import (
    Call,
    Replies,
    Upstream,
    Upstreams,
    closing,
    failing,
    naming,
    next_call_of,
    resetting,
    saying,
)

CHAT = "/v1/chat/completions"
ONCE = Retry(attempts=1)


# -- another attempt ---------------------------------------------------------------------------


async def test_a_refused_endpoint_is_replaced_before_the_client_notices(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named()
    router.install(route("chat", version("v1", upstreams.refusing(), v1)))
    for _ in range(4):
        assert (await client.ask(post("/any/path", b"x"))).status == 200
    assert router.answers == {("chat", "v1", "stable", "200"): 4}
    assert router.errors == {}
    ((labels, number),) = router.values("router_retries_total").items()
    assert labels == ("chat", "v1", "connect")
    assert 1 <= number <= 4


@pytest.mark.parametrize("how", [resetting, closing], ids=["reset", "close"])
async def test_a_connection_that_ends_without_an_answer_is_tried_on_another_endpoint(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, how: Replies
) -> None:
    bad = await upstreams.start("bad", how)
    good = await upstreams.named("good")
    router.install(route("chat", version("v1", bad, good)))
    for _ in range(2):
        answer = await client.ask(post(CHAT, b'{"n": 1}'))
        assert (answer.status, answer.json()["server"]) == (200, "good")
    assert router.errors == {}
    assert router.values("router_retries_total") == {("chat", "v1", "reset"): len(bad.requests)}
    assert len(bad.requests) >= 1


async def test_a_status_that_the_route_lists_is_tried_on_another_endpoint(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    busy, good = await upstreams.start("busy", failing("503 Busy")), await upstreams.named("good")
    retry = Retry(statuses=(503,))
    router.install(route("chat", version("v1", busy, good), retry=retry))
    for _ in range(2):
        assert (await client.ask(post(CHAT, b"{}"))).status == 200
    assert router.values("router_retries_total") == {("chat", "v1", "503"): len(busy.requests)}
    assert router.errors == {}

    busy.replies = failing("500 Other")
    statuses = {(await client.ask(post(CHAT, b"{}"))).status for _ in range(2)}
    assert statuses == {200, 500}


async def test_the_last_answer_counts_where_all_attempts_fail(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    one, other = [await upstreams.start(n, failing("503 Busy")) for n in ("one", "other")]
    retry = Retry(attempts=2, statuses=(503,))
    router.install(route("chat", version("v1", one, other), retry=retry))
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.json()["error"]["message"]) == (503, "broken")
    assert [len(one.requests), len(other.requests)] == [1, 1]
    assert router.answers == {("chat", "v1", "stable", "503"): 1}
    assert router.errors == {("chat", "v1", "stable", "upstream_5xx"): 1}


@pytest.mark.parametrize("attempts", [1, 2, 3])
async def test_there_are_as_many_attempts_as_configured(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, attempts: int
) -> None:
    servers = [await upstreams.start(f"e{n}", resetting) for n in range(4)]
    router.install(route("chat", version("v1", *servers), retry=Retry(attempts=attempts)))
    assert (await client.ask(get())).status == 502
    assert sum(len(server.requests) for server in servers) == attempts
    assert {len(server.requests) for server in servers} <= {0, 1}


async def test_what_the_route_does_not_retry_is_not_retried(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    dead, good = upstreams.refusing(), await upstreams.named()
    router.install(route("chat", version("v1", dead, good), retry=Retry(on_connect=False)))
    assert {(await client.ask(get())).status for _ in range(2)} == {200, 502}
    bad = await upstreams.start("bad", resetting)
    router.install(route("chat", version("v1", bad, good), retry=Retry(on_reset=False)))
    assert {(await client.ask(get())).status for _ in range(2)} == {200, 502}


async def test_retries_end_with_their_budget(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    bad = [await upstreams.start(name, resetting) for name in ("one", "other")]
    router.install(route("chat", version("v1", *bad), retry=Retry(budget_percent=0)))
    for _ in range(20):
        assert (await client.ask(get())).status == 502
    assert sum(len(server.requests) for server in bad) == 20 + 3  # three a second at least
    router.jump(1)
    for _ in range(20):
        assert (await client.ask(get())).status == 502
    assert sum(len(server.requests) for server in bad) == 40 + 6


# -- what may be repeated ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_bytes", "repeated"),
    [
        (get("/anything"), True),
        (get("/anything", method="PUT"), True),
        (get("/anything", method="DELETE"), True),
        (post(CHAT, b"{}"), True),
        (post("/v1/embeddings", b"{}"), True),
        (post("/v2/models/m/infer", b"{}"), True),
        (post("/v1/models/m:predict", b"{}"), True),
        (post("/generate", b"{}"), True),
        (post("/v1/responses", b"{}"), False),
        (post("/v1/files", b"{}"), False),
        (post("/anything", b"{}"), False),
        (get("/anything", method="PATCH"), False),
        (post("/anything", b"{}", "Idempotency-Key: 7"), True),
    ],
    ids=lambda value: value.split(b" HTTP")[0].decode() if isinstance(value, bytes) else None,
)
async def test_only_what_may_be_repeated_is_sent_again(
    router: RunningDataPlane,
    client: RawClient,
    upstreams: Upstreams,
    request_bytes: bytes,
    *,
    repeated: bool,
) -> None:
    bad = [await upstreams.start(name, resetting) for name in ("one", "other")]
    router.install(route("chat", version("v1", *bad)))
    await client.send(request_bytes)
    assert (await client.read_answer()).status == 502
    assert sum(len(server.requests) for server in bad) == (2 if repeated else 1)


@pytest.mark.parametrize(
    ("methods", "repeated"),
    [((), set()), (("POST",), {"POST"}), (("GET", "POST"), {"GET", "POST"})],
)
async def test_the_route_may_say_which_methods_are_repeated(
    router: RunningDataPlane,
    client: RawClient,
    upstreams: Upstreams,
    methods: tuple[str, ...],
    repeated: set[str],
) -> None:
    bad = [await upstreams.start(name, resetting) for name in ("one", "other")]
    router.install(route("chat", version("v1", *bad), retry=Retry(methods=methods)))
    for request in (get("/x"), post("/x", b"{}")):
        before = sum(len(server.requests) for server in bad)
        assert (await client.ask(request)).status == 502
        sent = sum(len(server.requests) for server in bad) - before
        assert sent == (2 if request[: request.index(b" ")].decode() in repeated else 1)


async def test_nothing_is_sent_again_after_the_first_byte(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    servers = [await upstreams.start(name) for name in ("one", "other")]
    router.install(route("chat", version("v1", *servers), retry=Retry(attempts=3)))
    await client.send(get())
    _, call = await next_call_of(*servers)
    await call.start()
    await client.read_head()
    call.reset()
    await client.read_to_end()
    assert sum(len(server.requests) for server in servers) == 1
    assert router.values("router_retries_total") == {}


async def test_a_body_too_long_to_be_kept_is_not_sent_again(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    bad = [await upstreams.start(name, resetting) for name in ("one", "other")]
    limits = Limits(max_replay_bytes=1000)
    router.install(route("chat", version("v1", *bad), limits=limits))
    assert (await client.ask(post(CHAT, b"x" * 1001))).status == 502
    assert sum(len(server.requests) for server in bad) == 1
    assert (await client.ask(post(CHAT, b"x" * 1000))).status == 502
    assert sum(len(server.requests) for server in bad) == 3


async def test_a_body_too_long_to_be_kept_may_go_to_another_endpoint_if_none_has_seen_it(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    good = await upstreams.named()
    limits = Limits(max_replay_bytes=1000)
    router.install(route("chat", version("v1", upstreams.refusing(), good), limits=limits))
    for _ in range(2):
        assert (await client.ask(post("/files", b"x" * 5000))).json()["echo"] == "x" * 5000


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_request_is_repeated_byte_for_byte_even_if_it_was_not_yet_whole(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, *, chunked: bool
) -> None:
    servers = [await upstreams.start(name) for name in ("one", "other")]
    router.install(route("chat", version("v1", *servers)))
    body = bytes(range(256)) * 4
    if chunked:
        await client.send(chunked_post(CHAT, "X-A: 1", chunks=[body[:500]]))
    else:
        await client.send(post(CHAT, body, "X-A: 1")[: -len(body) + 500])
    _, call = await next_call_of(*servers)
    first = call.request
    if chunked:
        assert await call.read_chunks(500) == body[:500]
    else:
        assert await call.read_exactly(500) == body[:500]
    call.reset()
    _, call = await next_call_of(*servers)
    await client.send((chunk(body[500:]) + chunk(b"")) if chunked else body[500:])
    assert await call.read_request() == body
    assert call.request.head.target == first.head.target
    assert call.request.field("x-a") == "1"
    assert call.request.field("x-request-id") == first.field("x-request-id")
    await call.answer()
    assert (await client.read_answer()).status == 200


# -- the canary's failures ---------------------------------------------------------------------

CANARY_FAILS: dict[str, tuple[Replies | None, str, str]] = {
    "refused": (None, "502", "connect"),
    "reset": (resetting, "502", "reset"),
    "500": (failing("500 Internal"), "500", "upstream_5xx"),
    "503": (failing("503 Busy"), "503", "upstream_5xx"),
    "nonsense": (saying(b"nonsense\r\n\r\n", then_close=True), "502", "reset"),
}


@pytest.mark.parametrize("how", CANARY_FAILS)
async def test_a_failed_canary_request_is_answered_by_stable_and_booked_on_the_canary(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, how: str
) -> None:
    replies, code, reason = CANARY_FAILS[how]
    v2 = upstreams.refusing() if replies is None else await upstreams.start("v2", replies)
    v1 = await upstreams.named("v1")
    router.install(route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0)))
    answer = await client.ask(post(CHAT, b'{"n": 1}', "X-Request-Id: same"))
    assert (answer.status, answer.json()["server"]) == (200, "v1")
    assert answer.json()["echo"] == '{"n": 1}'
    assert answer.field("x-model-version") == "v1"
    assert v1.requests[0].field("x-request-id") == "same"
    assert router.answers == {
        ("chat", "v2", "canary", code): 1,
        ("chat", "v1", "stable", "200"): 1,
    }
    assert router.errors == {("chat", "v2", "canary", reason): 1}
    assert router.values("router_fallbacks_total") == {("chat", "v2", reason): 1}


async def test_a_canary_that_is_too_slow_is_replaced_by_stable(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2"), await upstreams.named("v1")
    router.install(route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0)))
    await client.send(post(CHAT, b"{}"))
    call = await v2.next_call()
    await call.read_request()
    router.jump(121)
    answer = await client.read_answer()
    assert (answer.status, answer.field("x-model-version")) == (200, "v1")
    await call.wait_closed()
    call.finish()
    assert router.errors == {("chat", "v2", "canary", "timeout"): 1}


async def test_a_canarys_4xx_is_an_answer(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2", failing("429 Slow down")), await upstreams.named("v1")
    router.install(route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0)))
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.field("x-model-version")) == (429, "v2")
    assert v1.requests == []
    assert router.errors == {}


async def test_a_route_may_keep_its_canarys_failures(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2", failing()), await upstreams.named("v1")
    versions = canary("v2", v2, weight=100), version("v1", v1, weight=0)
    router.install(route("chat", *versions, retry=Retry(canary_fallback=False)))
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.field("x-model-version")) == (500, "v2")
    assert v1.requests == []


async def test_a_version_that_the_request_asked_for_is_not_replaced(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2", failing()), await upstreams.named("v1")
    asked = HeaderRoute(conditions=(HeaderCondition(name="x-canary", value="1"),), version="v2")
    versions = canary("v2", v2, weight=100), version("v1", v1, weight=0)
    router.install(route("chat", *versions, header_routes=(asked,)))
    answer = await client.ask(post(CHAT, b"{}", "X-Canary: 1"))
    assert (answer.status, answer.field("x-model-version")) == (500, "v2")
    assert v1.requests == []
    assert (await client.ask(post(CHAT, b"{}"))).status == 200


async def test_a_canary_request_that_may_not_be_repeated_is_not_replayed(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2", failing()), await upstreams.named("v1")
    router.install(route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0)))
    answer = await client.ask(post("/v1/responses", b"{}"))
    assert (answer.status, answer.field("x-model-version")) == (500, "v2")
    assert v1.requests == []


async def test_where_canary_and_stable_fail_both_are_booked(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2", failing()), upstreams.refusing()
    router.install(route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0)))
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.field("x-model-version")) == (502, "v1")
    assert router.errors == {
        ("chat", "v2", "canary", "upstream_5xx"): 1,
        ("chat", "v1", "stable", "connect"): 1,
    }


async def test_a_stables_failure_is_not_replayed_on_the_canary(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.named("v2"), await upstreams.start("v1", failing())
    router.install(route("chat", canary("v2", v2, weight=0), version("v1", v1)))
    assert (await client.ask(post(CHAT, b"{}"))).status == 500
    assert v2.requests == []


# -- a connection that died while it was idle --------------------------------------------------


async def use_once(client: RawClient, v1: Upstream) -> None:
    """Leave one idle upstream connection behind."""
    await client.send(get("/first"))
    await (await v1.next_call()).answer()
    assert (await client.read_answer()).status == 200


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_stale_connection_is_replaced_once_without_being_an_attempt(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, how: str
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), retry=ONCE))
    await use_once(client, v1)
    await client.send(post(CHAT, b"{}"))
    stale = await v1.next_call()
    await stale.read_request()
    if how == "reset":
        stale.reset()
    else:
        stale.close()
    fresh = await v1.next_call()
    assert fresh.connection is not stale.connection
    assert await fresh.read_request() == b"{}"
    await fresh.answer()
    assert (await client.read_answer()).status == 200
    assert router.errors == {}
    assert router.answers == {("chat", "v1", "stable", "200"): 2}


async def test_a_fresh_connection_that_dies_is_no_stale_one(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1", resetting)
    router.install(route("chat", version("v1", v1), retry=ONCE))
    assert (await client.ask(post(CHAT, b"{}"))).status == 502
    assert len(v1.requests) == 1


async def test_a_stale_connection_is_replaced_by_a_fresh_one_not_by_another_stale_one(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), retry=ONCE))
    clients = [await router.connect() for _ in range(3)]
    for each in clients:
        await each.send(get("/first"))
    for call in [await v1.next_call() for _ in clients]:
        await call.answer()
    for each in clients:
        assert (await each.read_answer()).status == 200
    assert len(v1.connections) == 3

    async def stale_or_fresh(call: Call) -> None:
        """Every connection from before the restart is dead."""
        if call.connection.number < 3:
            await resetting(call)
        else:
            await naming("fresh")(call)

    v1.replies = stale_or_fresh
    answer = await client.ask(post(CHAT, b"{}"))
    assert answer.status == 200
    assert router.errors == {}


async def test_a_post_that_may_not_be_repeated_is_not_sent_again_over_a_stale_connection(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await use_once(client, v1)
    await client.send(post("/files", b"x"))
    stale = await v1.next_call()
    await stale.read_request()
    stale.reset()
    assert (await client.read_answer()).status == 502
    assert len(v1.requests) == 2


async def test_a_connection_that_the_server_closed_while_idle_is_not_used(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    for _ in range(5):
        assert (await client.ask(post("/files", b"x"))).status == 200
        v1.close_idle()
        await wait_until(lambda: router.upstream_connections("idle") == 0)
    assert len(v1.requests) == 5
    assert router.errors == {}


async def test_a_connection_that_the_server_is_just_closing_is_not_used(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    # The FIN is in the router's socket before the request is forwarded, but the loop has not yet
    # told of it: only a look at the socket can.
    v1.replies = naming("v1")
    assert (await client.ask(post("/files", b"x"))).status == 200
    with client.kernel_socket() as requesting, v1.connections[0].wire.kernel_socket() as idle:
        requesting.sendall(post("/files", b"y"))
        idle.shutdown(socket.SHUT_WR)
    assert (await client.read_answer()).json()["echo"] == "y"
    assert router.errors == {}


# -- what came besides an answer never reaches the next request --------------------------------

SURPLUS = {
    "behind a length": message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"okEVIL"),
    "a second answer": message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok")
    + message("HTTP/1.1 200 OK", "Content-Length: 4", body=b"EVIL"),
    "behind the last chunk": message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")
    + chunk(b"ok")
    + chunk(b"")
    + message("HTTP/1.1 200 OK", "Content-Length: 4", body=b"EVIL"),
    "behind a 204": message("HTTP/1.1 204 No Content", body=b"EVIL"),
    "behind a 304": message("HTTP/1.1 304 Not Modified", "Content-Length: 4", body=b"EVIL"),
}


@pytest.mark.parametrize("case", SURPLUS)
async def test_surplus_bytes_never_reach_the_next_request(
    client: RawClient, v1: Upstream, case: str
) -> None:
    v1.replies = saying(SURPLUS[case])
    answer = await client.ask(get("/first"))
    assert answer.status == int(SURPLUS[case][9:12])
    assert b"EVIL" not in answer.body
    v1.replies = naming("good")
    for _ in range(2):
        assert (await client.ask(get("/next"))).json()["server"] == "good"
    assert len(v1.connections) == 2


async def test_a_body_behind_the_answer_to_head_never_reaches_the_next_request(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = saying(message("HTTP/1.1 200 OK", "Content-Length: 4", body=b"EVIL"))
    answer = await client.ask(get("/first", method="HEAD"))
    assert answer.head.length == 4
    v1.replies = naming("good")
    assert (await client.ask(get("/next"))).json()["server"] == "good"
    assert len(v1.connections) == 2


async def test_what_an_idle_connection_says_closes_it(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get("/first"))
    call = await v1.next_call()
    await call.read_request()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"))
    assert (await client.read_answer()).body == b"ok"
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 4", body=b"EVIL"))
    await call.wait_closed()
    call.finish()
    v1.replies = naming("good")
    assert (await client.ask(get("/next"))).json()["server"] == "good"
    assert router.errors == {}


# -- time --------------------------------------------------------------------------------------


async def test_an_attempt_behind_a_late_failure_has_all_its_time_to_connect(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v2, v1 = await upstreams.start("v2"), version("v1", upstreams.unreachable(), weight=0)
    timeouts = Timeouts(connect_s=20, first_byte_s=10)
    router.install(route("chat", canary("v2", v2, weight=100), v1, timeouts=timeouts))
    await client.send(post(CHAT, b"{}"))
    call = await v2.next_call()
    await call.read_request()
    router.jump(9)
    call.reset()
    fallbacks = "router_fallbacks_total"
    await wait_until(lambda: router.values(fallbacks))
    router.jump(2)  # the first attempt would have ended now
    await asyncio.sleep(0.7)  # the sweep has looked
    assert len(router.plane.active) == 1
    client.reset()
    await router.wait_idle()
    assert {labels[1:] for labels in router.errors} == {("v2", "canary", "reset")}
