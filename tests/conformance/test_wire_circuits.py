"""A version's own bounds: places, the line before them, and that each place is given back once."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest

from router.snapshot import BreakerLimits, Circuit, HeaderCondition, HeaderRoute, Limits, Version
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.endings import end_call
from tests.support.raw import RawClient, get, post, wait_until
from tests.support.upstreams import Call, Upstream, Upstreams, failing, naming

CHAT = "/v1/chat/completions"
"""A call that may be repeated: a failed canary's is replayed on stable."""
TO_V2 = HeaderRoute(conditions=(HeaderCondition(name="x-v2"),), version="v2")
WAIT_S = 5.0


def bounded(spec: Version, in_flight: int = 1, pending: int = 0) -> Version:
    circuit = Circuit(max_in_flight=in_flight, max_pending=pending)
    return msgspec.structs.replace(spec, circuit=circuit)


def install(router: RunningDataPlane, *versions: Version, **more: Any) -> int:
    more.setdefault("limits", Limits(queue_timeout_s=WAIT_S))
    return router.install(route("chat", *versions, **more))


async def ask_all(router: RunningDataPlane, *requests: bytes) -> list[RawClient]:
    """Clients that have asked one after the other; each request has arrived."""
    active, clients = router.plane.active, []
    for each in requests:
        number = len(active) + 1
        client = await router.connect()
        await client.send(each)
        await wait_until(partial(lambda wanted: len(active) == wanted, number))
        clients.append(client)
    return clients


def gauge(router: RunningDataPlane, family: str, *labels: str) -> float:
    rows = router.plane.gauges()
    return next(row.value for row in rows if (row.family, row.labels) == (family, labels))


def pending(router: RunningDataPlane, name: str = "v1") -> float:
    return gauge(router, "router_circuit_pending", "chat", name)


def in_flight(router: RunningDataPlane, name: str = "v1") -> float:
    return gauge(router, "router_circuit_in_flight", "chat", name)


def refusals(router: RunningDataPlane) -> dict[tuple[str, ...], float]:
    return router.values("router_circuit_refusals_total")


async def test_a_request_beyond_a_versions_places_and_line_is_refused_at_once_and_no_failure(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    install(router, bounded(version("v1", v1), pending=1))
    first, second = await ask_all(router, get("/1"), get("/2"))
    call = await v1.next_call()
    assert (in_flight(router), pending(router)) == (1, 1)
    assert gauge(router, "router_circuit_limit", "chat", "v1") == 1

    answer = await client.ask(get("/3"))
    assert (answer.status, answer.error["code"]) == (503, "version_overloaded")
    assert int(answer.field("retry-after") or "0") >= 1
    assert answer.field("x-should-retry") == "true"
    assert refusals(router) == {("chat", "v1", "full"): 1}
    assert router.values("router_unrouted_requests_total") == {("version_overloaded",): 1}
    assert (router.answers, router.errors) == ({}, {})

    await call.answer()
    assert (await first.read_answer()).status == 200
    await (await v1.next_call()).answer()
    assert (await second.read_answer()).status == 200
    await router.wait_idle()
    assert (in_flight(router), pending(router)) == (0, 0)


async def test_a_versions_line_is_served_first_come_first_served(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    install(router, bounded(version("v1", v1), pending=3))
    clients = await ask_all(router, *(get(f"/{number}") for number in range(4)))
    for number, each in enumerate(clients):
        call = await v1.next_call()
        assert (call.request.target, v1.waiting) == (f"/{number}", 0)
        await call.answer()
        assert (await each.read_answer()).status == 200


async def test_a_full_version_leaves_the_others_of_its_route_alone(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2")
    versions = bounded(canary("v2", v2, weight=0)), version("v1", v1)
    install(router, *versions, header_routes=(TO_V2,))
    (first,) = await ask_all(router, get("/", "x-v2: "))
    call = await v2.next_call()
    assert (await client.ask(get("/", "x-v2: "))).status == 503
    assert (await client.ask(get("/"))).status == 200
    await call.answer()
    assert (await first.read_answer()).status == 200


async def test_who_waits_too_long_for_a_version_is_refused_and_the_next_one_is_not(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    install(router, bounded(version("v1", v1), pending=2))
    first, late = await ask_all(router, get("/1"), get("/2"))
    call = await v1.next_call()
    router.jump(3)
    (patient,) = await ask_all(router, get("/3"))
    router.jump(3)
    answer = await late.read_answer()
    assert (answer.status, answer.error["code"]) == (503, "version_overloaded")
    assert answer.field("x-should-retry") == "true"
    assert refusals(router) == {("chat", "v1", "deadline"): 1}
    await call.answer()
    assert (await first.read_answer()).status == 200
    call = await v1.next_call()
    assert call.request.target == "/3"
    await call.answer()
    assert (await patient.read_answer()).status == 200


async def test_the_time_to_wait_is_one_for_both_lines_together(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.start("v2")
    versions = bounded(canary("v2", v2, weight=0), pending=1), version("v1", v1)
    limits = Limits(max_in_flight=2, max_queue=1, queue_timeout_s=WAIT_S)
    install(router, *versions, header_routes=(TO_V2,), limits=limits)
    one, two = await ask_all(router, get("/1"), get("/2", "x-v2: "))
    of_v1, of_v2 = await v1.next_call(), await v2.next_call()
    (late,) = await ask_all(router, get("/3", "x-v2: "))  # waits for the route
    router.jump(3)
    await of_v1.answer()
    assert (await one.read_answer()).status == 200
    await wait_until(lambda: pending(router, "v2") == 1)  # and then for the version
    router.jump(3)
    answer = await late.read_answer()
    assert answer.error["code"] == "version_overloaded"
    await of_v2.answer()
    assert (await two.read_answer()).status == 200


async def test_a_client_that_goes_while_it_waits_for_a_version_gives_back_both_its_places(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    limits = Limits(max_in_flight=2, max_queue=0, queue_timeout_s=WAIT_S)
    install(router, bounded(version("v1", v1), pending=1), limits=limits)
    first, gone = await ask_all(router, get("/1"), get("/2"))
    call = await v1.next_call()
    gone.reset()
    await wait_until(lambda: len(router.plane.active) == 1)
    assert pending(router) == 0
    (third,) = await ask_all(router, get("/3"))  # has the place of its route, and waits
    assert pending(router) == 1
    await call.answer()
    assert (await first.read_answer()).status == 200
    call = await v1.next_call()
    assert call.request.target == "/3"
    await call.answer()
    assert (await third.read_answer()).status == 200


@pytest.mark.parametrize(
    "end", ["answered", "client gone", "reset", "broken", "timeout", "5xx", "gone while it streams"]
)
async def test_whatever_ends_a_request_gives_its_versions_place_back(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, end: str
) -> None:
    v1 = await upstreams.start("v1")
    install(router, bounded(version("v1", v1)))
    await client.send(post("/x", b"x"))
    call = await v1.next_call()
    await call.read_request()
    await end_call(router, client, call, end)
    await router.wait_idle()
    call.finish()
    assert in_flight(router) == 0
    v1.replies = naming("v1")
    again = await router.connect()
    for _ in range(3):
        assert (await again.ask(get())).status == 200


# -- when the table changes ----------------------------------------------------------------------


async def test_who_waits_for_a_version_that_loses_its_traffic_goes_to_the_new_one_at_once(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2")
    v2_bounded = partial(lambda weight: bounded(canary("v2", v2, weight=weight), pending=2))
    install(router, v2_bounded(100), version("v1", v1, weight=0))
    hanging, second, third = await ask_all(router, get("/1"), get("/2"), get("/3"))
    call = await v2.next_call()
    assert pending(router, "v2") == 2
    generation = install(router, v2_bounded(0), version("v1", v1))
    for client in (second, third):  # v2 still answers nothing
        answer = await client.read_answer()
        assert answer.field("x-model-version") == "v1"
        assert answer.field("x-router-generation") == str(generation)
    assert (in_flight(router, "v2"), pending(router, "v2")) == (1, 0)
    await call.answer()
    assert (await hanging.read_answer()).field("x-model-version") == "v2"
    await router.wait_idle()
    assert in_flight(router, "v2") == 0


async def test_who_waits_for_a_version_that_leaves_the_configuration_is_answered_by_another(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2")
    install(router, bounded(canary("v2", v2, weight=100), pending=1), version("v1", v1, weight=0))
    hanging, waiting = await ask_all(router, get("/1"), get("/2"))
    call = await v2.next_call()
    install(router, version("v1", v1))
    assert (await waiting.read_answer()).field("x-model-version") == "v1"
    await call.answer()
    assert (await hanging.read_answer()).field("x-model-version") == "v2"


async def test_who_waits_for_a_version_that_a_breaker_takes_out_goes_to_stable_at_once(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, bad = await upstreams.named("v1"), await upstreams.start("v2")
    breaker = BreakerLimits(consecutive=1)
    v2 = bounded(canary("v2", bad, weight=100), in_flight=2, pending=1)
    install(router, v2, version("v1", v1, weight=0), breaker=breaker)
    hanging, failed, waiting = await ask_all(router, get("/1"), get("/2"), get("/3"))
    calls = [await bad.next_call(), await bad.next_call()]
    await calls[1].answer(status="500 Oh")
    assert (await failed.read_answer()).status == 200  # replayed on stable
    answer = await waiting.read_answer()
    assert answer.field("x-model-version") == "v1"
    await calls[0].answer()
    assert (await hanging.read_answer()).field("x-model-version") == "v2"


async def test_places_that_a_reload_adds_are_given_to_who_waits_at_once(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    narrow = Limits(max_in_flight=2, max_queue=5, queue_timeout_s=WAIT_S)
    install(router, bounded(version("v1", v1), in_flight=1, pending=5), limits=narrow)
    clients = await ask_all(router, *(get(f"/{number}") for number in range(4)))
    calls = [await v1.next_call()]
    install(router, bounded(version("v1", v1), in_flight=3, pending=5), limits=Limits())
    calls += [await v1.next_call(), await v1.next_call()]
    assert sorted(call.request.target for call in calls) == ["/0", "/1", "/2"]
    assert (in_flight(router), pending(router)) == (3, 1)
    for call in calls:
        await call.answer()
    await (await v1.next_call()).answer()
    for client in clients:
        assert (await client.read_answer()).status == 200


async def test_bounds_that_a_reload_takes_away_let_everybody_in(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    install(router, bounded(version("v1", v1), pending=1))
    clients = await ask_all(router, get("/0"), get("/1"))
    calls = [await v1.next_call()]
    install(router, version("v1", v1))
    calls.append(await v1.next_call())
    for call, client in zip(calls, clients, strict=True):
        await call.answer()
        assert (await client.read_answer()).status == 200


async def test_an_unbounded_versions_requests_do_not_count_against_bounds_that_come_later(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    install(router, version("v1", v1))
    before = await ask_all(router, get("/0"), get("/1"))
    calls = [await v1.next_call(), await v1.next_call()]
    install(router, bounded(version("v1", v1)))
    (first,) = await ask_all(router, get("/2"))
    calls.append(await v1.next_call())
    assert (await client.ask(get("/3"))).status == 503
    for call, each in zip(calls, (*before, first), strict=True):
        await call.answer()
        assert (await each.read_answer()).status == 200
    await router.wait_idle()
    assert in_flight(router) == 0


# -- a canary's failed request -------------------------------------------------------------------


async def _replaying(
    router: RunningDataPlane, upstreams: Upstreams, room: int
) -> tuple[Upstream, Call, RawClient]:
    """Stable's one place is taken; a canary fails everything at once."""
    v1, v2 = await upstreams.start("v1"), await upstreams.start("v2", failing())
    stable = bounded(version("v1", v1), pending=room)
    v2_spec = bounded(canary("v2", v2, weight=0))
    install(router, v2_spec, stable, header_routes=(), sticky=(), breaker=None)
    (first,) = await ask_all(router, get("/1"))
    call = await v1.next_call()
    install(
        router,
        bounded(canary("v2", v2, weight=100)),
        bounded(version("v1", v1, weight=0), pending=room),
        breaker=None,
    )
    return v1, call, first


async def test_a_replay_waits_for_a_place_of_stable_and_its_canarys_place_is_free_meanwhile(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, call, first = await _replaying(router, upstreams, room=1)
    (failed,) = await ask_all(router, post(CHAT, {"prompt": "x"}))
    await wait_until(lambda: pending(router) == 1)
    assert in_flight(router, "v2") == 0
    await call.answer()
    assert (await first.read_answer()).status == 200
    call = await v1.next_call()
    assert await call.read_request() == b'{"prompt": "x"}'
    await call.answer()
    assert (await failed.read_answer()).field("x-model-version") == "v1"
    assert router.errors == {("chat", "v2", "canary", "upstream_5xx"): 1}


async def test_a_replay_that_waits_goes_to_stable_even_if_the_table_changes_meanwhile(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, call, first = await _replaying(router, upstreams, room=1)
    (failed,) = await ask_all(router, post(CHAT, {"prompt": "x"}))
    await wait_until(lambda: pending(router) == 1)
    v2 = upstreams.refusing()  # with all the traffic
    install(router, canary("v2", v2, weight=100), version("v1", v1, weight=0), breaker=None)
    again = await v1.next_call()
    await again.answer()
    assert (await failed.read_answer()).field("x-model-version") == "v1"
    await call.answer()
    assert (await first.read_answer()).status == 200


async def test_a_replay_without_a_place_is_refused_and_worth_another_try(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    _, call, first = await _replaying(router, upstreams, room=0)
    answer = await client.ask(post(CHAT, {"prompt": "x"}))
    assert (answer.status, answer.error["code"]) == (503, "version_overloaded")
    # The canary has seen it, but what is replayed may be sent twice.
    assert answer.field("x-should-retry") == "true"
    assert router.errors == {("chat", "v2", "canary", "upstream_5xx"): 1}
    await call.answer()
    assert (await first.read_answer()).status == 200


@pytest.mark.parametrize(
    ("path", "again"), [("/v1/files", "false"), ("/v1/chat/completions", "true")]
)
async def test_a_request_that_the_drain_ends_is_worth_another_try_where_it_may_be_sent_twice(
    router: RunningDataPlane, upstreams: Upstreams, path: str, again: str
) -> None:
    v1 = await upstreams.start("v1")
    install(router, bounded(version("v1", v1), pending=1))
    sent, waits = await ask_all(router, post(path, b"{}"), post(path, b"{}"))
    await v1.next_call()
    router.plane.break_off_all()
    answers = [await sent.read_answer(), await waits.read_answer()]
    assert [each.error["code"] for each in answers] == ["draining", "draining"]
    assert answers[0].field("x-should-retry") == again
