"""A model server that fails: what the client is told, and what is booked on whom."""

from __future__ import annotations

import msgspec
import pytest

from router.snapshot import Health, Retry, Route, Timeouts
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import (
    Answer,
    BrokenMessageError,
    RawClient,
    chunk,
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
    naming,
    next_call_of,
    resetting,
)

CHAT = "/v1/chat/completions"
OF_V1 = ("chat", "v1", "stable")
ONCE = Retry(attempts=1)


# -- connecting --------------------------------------------------------------------------------


async def test_a_refused_connection_is_answered_502(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    router.install(route("chat", version("v1", upstreams.refusing())))
    answer = await client.ask(post(CHAT, b"{}"))
    assert answer.status == 502
    assert answer.error["code"] == "upstream_connect"
    assert answer.error["type"] == "api_error"
    assert answer.field("x-model-version") == "v1"
    assert answer.field("x-router-route") == "chat"
    assert answer.field("x-should-retry") == "true"
    assert router.answers == {(*OF_V1, "502"): 1}
    assert router.errors == {(*OF_V1, "connect"): 1}


async def test_a_connection_that_is_not_made_in_time_is_answered_504(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    timeouts = Timeouts(connect_s=0.05)
    router.install(
        route("chat", version("v1", upstreams.unreachable()), timeouts=timeouts, retry=ONCE)
    )
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.error["code"]) == (504, "connect_timeout")
    assert answer.field("x-model-version") == "v1"
    assert answer.field("x-should-retry") == "true"
    assert router.errors == {(*OF_V1, "timeout"): 1}


async def test_a_server_that_comes_back_is_used_again(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named()
    router.install(route("chat", version("v1", v1)))
    assert (await client.ask(get())).status == 200
    await v1.stop()
    for _ in range(5):
        assert (await client.ask(get())).status == 502
    await v1.start()
    assert (await client.ask(get())).status == 200


# -- no answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [resetting, closing], ids=["reset", "close"])
async def test_a_connection_that_ends_without_an_answer_is_answered_502(
    router: RunningDataPlane, client: RawClient, v1: Upstream, how: Replies
) -> None:
    v1.replies = how
    answer = await client.ask(post("/files", b"x"))
    assert (answer.status, answer.error["code"]) == (502, "upstream_reset")
    assert answer.field("x-model-version") == "v1"
    assert answer.field("x-should-retry") == "false"
    assert router.answers == {(*OF_V1, "502"): 1}
    assert router.errors == {(*OF_V1, "reset"): 1}
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200


async def test_half_a_head_is_no_answer(client: RawClient, v1: Upstream) -> None:
    await client.send(post("/files", b"x"))
    call = await v1.next_call()
    await call.read_request()
    await call.send(b"HTTP/1.1 200 OK\r\nX-Half: ye")
    call.close()
    answer = await client.read_answer()
    assert answer.status == 502
    assert "x-half" not in answer.head.names


async def test_an_answer_that_does_not_begin_in_time_is_answered_504(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post("/files", b"x"))
    call = await v1.next_call()
    await call.read_request()
    router.jump(119)
    assert router.plane.active
    router.jump(2)
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (504, "upstream_timeout")
    assert answer.field("x-model-version") == "v1"
    assert answer.field("x-should-retry") == "false"
    await call.wait_closed()
    call.finish()
    assert router.answers == {(*OF_V1, "504"): 1}
    assert router.errors == {(*OF_V1, "timeout"): 1}
    assert (await _answered(client, v1)).status == 200


async def test_interim_answers_do_not_extend_the_time_to_the_first_byte(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    router.jump(119)
    await call.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    router.jump(2)
    assert (await client.read_answer()).status == 504
    call.finish()


async def test_a_body_that_falls_silent_breaks_off(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 100", body=b"half"))
    head = await client.read_head()
    assert await client.read_exactly(4) == b"half"
    router.jump(61)
    with pytest.raises(BrokenMessageError):
        await client.read_body(head)
    await call.wait_closed()
    call.finish()
    assert router.answers == {(*OF_V1, "200"): 1}
    assert router.errors == {(*OF_V1, "timeout"): 1}


async def test_each_piece_of_a_body_begins_the_idle_time_anew(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    await client.read_head()
    for _ in range(4):
        router.jump(50)
        await call.send_chunk(b"x")
        assert await client.read_chunk() == b"x"
    await call.end_chunks()
    assert await client.read_chunk() == b""
    assert router.errors == {}


async def test_routes_have_times_of_their_own(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start()
    timeouts = Timeouts(first_byte_s=5)
    router.install(route("chat", version("v1", v1), timeouts=timeouts))
    await client.send(get())
    call = await v1.next_call()
    router.jump(6)
    assert (await client.read_answer()).status == 504
    call.finish()


async def _answered(client: RawClient, v1: Upstream) -> Answer:
    await client.send(get("/again"))
    await (await v1.next_call()).answer()
    return await client.read_answer()


# -- 5xx ---------------------------------------------------------------------------------------


async def test_a_5xx_is_the_versions_failure_and_a_4xx_is_not(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    for status in ("500 A", "429 B", "503 C", "404 D"):
        await client.send(get())
        await (await v1.next_call()).answer(status=status)
        assert (await client.read_answer()).status == int(status[:3])
    assert router.errors == {(*OF_V1, "upstream_5xx"): 2}
    assert router.answers == {(*OF_V1, code): 1 for code in ("500", "429", "503", "404")}


# -- health ------------------------------------------------------------------------------------

PROBED = Health(path="/health", interval_s=0.02, timeout_s=5, unhealthy_after=1, healthy_after=1)
IMPATIENT = msgspec.structs.replace(PROBED, timeout_s=0.2)


class Probed:
    """Answers probes as it is told, and every other request with its name."""

    def __init__(self, name: str) -> None:
        self.health = "200 OK"
        self._answer = naming(name)

    async def __call__(self, call: Call) -> None:
        if call.request.target != "/health":
            await self._answer(call)
        elif self.health == "reset":
            call.reset()
        elif self.health != "silent":
            await call.answer(status=self.health)
        else:
            await call.finished.wait()


async def probed(upstreams: Upstreams, name: str = "v1") -> tuple[Upstream, Probed]:
    replies = Probed(name)
    return await upstreams.start(name, replies), replies


async def wait_health(router: RunningDataPlane, *healthy: bool) -> None:
    def found_out() -> bool:
        seen = router.plane.health().endpoints
        probed = all(each.reason != "not probed yet" for each in seen)
        return probed and [each.healthy for each in seen] == [*healthy]

    await wait_until(found_out)


@pytest.mark.parametrize("health", ["503 Loading", "404 Not Found", "reset", "silent"])
async def test_without_a_healthy_endpoint_the_answer_is_503(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, health: str
) -> None:
    v1, probes = await probed(upstreams)
    probes.health = health
    router.install(route("chat", version("v1", v1), health=IMPATIENT))
    await wait_health(router, False)
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.error["code"]) == (503, "no_healthy_endpoint")
    assert int(answer.field("retry-after") or "0") >= 1
    assert answer.field("x-should-retry") == "true"
    assert answer.field("x-model-version") == "v1"
    assert router.answers == {(*OF_V1, "503"): 1}
    assert sum(router.errors.values()) == 1
    assert {request.target for request in v1.requests} == {"/health"}
    router.install()


async def test_an_endpoint_is_not_called_healthy_before_its_first_probe_and_yet_used(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    router.install(route("chat", version("v1", v1), health=PROBED))
    (seen,) = router.plane.health().endpoints
    assert (seen.healthy, seen.reason) == (False, "not probed yet")


@pytest.mark.parametrize(
    ("said", "healthy"), [("ready: yes", True), ("ready: no", False), ("", False)]
)
async def test_a_probe_may_ask_for_words_in_the_answer(
    router: RunningDataPlane, upstreams: Upstreams, said: str, healthy: bool
) -> None:
    async def reply(call: Call) -> None:
        await call.answer(said.encode())

    v1 = await upstreams.start("v1", reply)
    probed = msgspec.structs.replace(PROBED, body="ready: y(es)?")
    router.install(route("chat", version("v1", v1), health=probed))
    await wait_until(lambda: len(v1.requests) >= 2)
    (seen,) = router.plane.health().endpoints
    assert seen.healthy is healthy
    if not healthy:
        assert "200, but its body has nothing like 'ready: y(es)?'" in seen.reason


@pytest.mark.parametrize(
    ("pieces", "healthy"),
    [((b"ok",), True), ((b"ok\n",), True), ((b"o", b"k"), True), ((b"ok", b"ay"), False)],
)
async def test_a_probe_judges_the_whole_answer_and_not_its_pieces(
    router: RunningDataPlane, upstreams: Upstreams, pieces: tuple[bytes, ...], healthy: bool
) -> None:
    async def reply(call: Call) -> None:
        await call.start(stream=True)
        for piece in pieces:
            await call.send_chunk(piece)
        await call.end_chunks()

    v1 = await upstreams.start("v1", reply)
    probed = msgspec.structs.replace(PROBED, body="^ok$")
    router.install(route("chat", version("v1", v1), health=probed))
    await wait_until(lambda: len(v1.requests) >= 2)
    (seen,) = router.plane.health().endpoints
    assert seen.healthy is healthy


async def test_an_endpoint_that_recovers_is_used_again(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, probes = await probed(upstreams)
    probes.health = "503 Loading"
    router.install(route("chat", version("v1", v1), health=PROBED))
    await wait_health(router, False)
    assert (await client.ask(get())).status == 503
    probes.health = "200 OK"
    await wait_health(router, True)
    assert (await client.ask(get())).status == 200
    router.install()


async def test_only_healthy_endpoints_get_requests(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    (one, sick), (other, _) = await probed(upstreams, "one"), await probed(upstreams, "other")
    sick.health = "500 Sick"
    router.install(route("chat", version("v1", one, other), health=PROBED))
    await wait_health(router, False, True)
    servers = [(await client.ask(get())).json()["server"] for _ in range(6)]
    assert servers == ["other"] * 6
    router.install()


async def test_a_canary_without_a_healthy_endpoint_is_replaced_by_stable(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    (v1, _), (v2, sick) = await probed(upstreams, "v1"), await probed(upstreams, "v2")
    sick.health = "500 Sick"
    router.install(
        route("chat", canary("v2", v2, weight=100), version("v1", v1, weight=0), health=PROBED)
    )
    await wait_health(router, False, True)
    answer = await client.ask(post(CHAT, b"{}"))
    assert (answer.status, answer.field("x-model-version")) == (200, "v1")
    router.install()


async def test_health_outlives_a_change_of_weights(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    (one, sick), (other, _) = await probed(upstreams, "one"), await probed(upstreams, "other")
    sick.health = "500 Sick"

    def chat(weight: float) -> Route:
        stable = version("v1", one, other, weight=100 - weight)
        return route("chat", canary("v2", other, weight=weight), stable, health=PROBED)

    router.install(chat(0))
    await wait_health(router, True, False, True)
    router.install(chat(10))
    assert [each.healthy for each in router.plane.health().endpoints] == [True, False, True]
    servers = {(await client.ask(get())).json()["server"] for _ in range(10)}
    assert servers == {"other"}
    router.install()


async def test_endpoints_that_nobody_probes_any_more_are_used_again(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    (one, sick), (other, ill) = await probed(upstreams, "one"), await probed(upstreams, "other")
    sick.health = ill.health = "404 Not Found"
    router.install(route("chat", version("v1", one, other), health=PROBED))
    await wait_health(router, False, False)
    assert (await client.ask(get())).status == 503
    router.install(route("chat", version("v1", one, other)))
    servers = {(await client.ask(get())).json()["server"] for _ in range(4)}
    assert servers == {"one", "other"}


async def test_probes_do_not_wait_behind_requests(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), health=PROBED))
    probe = await v1.next_call()
    assert probe.request.target == "/health"
    await probe.answer()
    await wait_health(router, True)
    await client.send(get("/long"))
    long, probes = None, 0
    while long is None or probes < 3:
        _, call = await next_call_of(v1)
        if call.request.target == "/long":
            long = call
        else:
            probes += 1
            await call.answer()
    await long.answer()
    assert (await client.read_answer()).status == 200
    assert len(v1.connections) >= 4
    router.install()


async def test_the_end_of_a_probe_takes_no_connection_away_from_a_request(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    # The probe's answer and the request reach the router in one turn of its loop.
    v1 = await upstreams.start()
    health = Health(path="/health", interval_s=60)
    router.install(route("chat", version("v1", v1), health=health))
    probe = await v1.next_call()
    with probe.kernel_socket() as answering, client.kernel_socket() as requesting:
        answering.sendall(message("HTTP/1.1 200 OK", "Content-Length: 2", body=b"ok"))
        requesting.sendall(get("/request"))
    probe.finish()
    call = await v1.next_call()
    assert call.request.target == "/request"
    await call.answer(b"answered")
    assert (await client.read_answer()).body == b"answered"


async def test_an_endpoint_that_refuses_is_ejected_and_the_others_are_used(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, dead = await upstreams.named(), upstreams.refusing()
    router.install(route("chat", version("v1", v1, dead)))
    for _ in range(10):
        assert (await client.ask(get())).status == 200
    assert [each.healthy for each in router.plane.health().endpoints] == [True, False]


# -- after the answer has begun ----------------------------------------------------------------


async def test_a_broken_chunk_breaks_the_answer_off(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    await call.send(chunk(b"good"))
    head = await client.read_head()
    assert await client.read_chunk() == b"good"
    await call.send(b"-5\r\nbad\r\n")
    with pytest.raises(BrokenMessageError) as broken:
        await client.read_body(head)
    assert broken.value.body == b""
    await call.wait_closed()
    call.finish()
    assert router.errors == {(*OF_V1, "reset"): 1}
