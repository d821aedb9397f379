"""New generations under traffic: no request sees a mixture, no connection and no count is lost."""

from __future__ import annotations

import asyncio

import pytest

from router.snapshot import HeaderCondition, HeaderRoute, Retry, Role, Route, Rule
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, get, post, wait_until
from tests.support.sse import DONE, delta
from tests.support.upstreams import Upstream, Upstreams

CHAT = "/v1/chat/completions"


def two(v1: Upstream, v2: Upstream, weight: float) -> Route:
    return route("chat", canary("v2", v2, weight=weight), version("v1", v1, weight=100 - weight))


async def test_no_request_sees_two_generations(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    server = await upstreams.named("shared")
    flips = 60

    def install(generation: int) -> None:
        name = f"v{generation}"
        versions = version(name, server, model=f"model-{generation}")
        rules = (Rule(path=CHAT, model="m"),)
        router.install(route(f"route-{generation}", versions, rules=rules), generation=generation)

    async def ask(client: RawClient) -> None:
        while router.plane.generation < flips:
            answer = await client.ask(post(CHAT, {"model": "m", "text": "x" * 200}))
            assert answer.status == 200
            generation = answer.field("x-router-generation")
            assert answer.field("x-model-version") == f"v{generation}"
            assert answer.field("x-router-route") == f"route-{generation}"
            assert f'"model": "model-{generation}"' in answer.json()["echo"]
            seen.add(generation)

    seen: set[str | None] = set()
    install(1)
    clients = [await router.connect() for _ in range(8)]
    asking = [asyncio.ensure_future(ask(client)) for client in clients]
    for generation in range(2, flips + 1):
        await asyncio.sleep(0.003)
        install(generation)
    await asyncio.gather(*asking)
    assert len(seen) > 3


async def test_nothing_fails_while_weights_move_under_load(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(two(v1, v2, 0))
    asked = 0
    moving = True

    async def ask(client: RawClient) -> None:
        nonlocal asked
        while moving:
            asked += 1
            answer = await client.ask(post(CHAT, b"{}"))
            assert answer.status == 200
            assert answer.json()["server"] == answer.field("x-model-version")

    asking = [asyncio.ensure_future(ask(await router.connect())) for _ in range(8)]
    for step in range(60):
        await asyncio.sleep(0.003)
        router.install(two(v1, v2, step % 101))
    moving = False
    await asyncio.gather(*asking)
    assert sum(router.answers.values()) == asked
    assert len(v1.requests) + len(v2.requests) == asked
    assert router.errors == {}


async def test_a_request_that_runs_keeps_its_generation(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.named("v2")
    router.install(two(v1, v2, 0), generation=7)
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    router.install(two(v1, v2, 100), generation=8)
    await call.start(stream=True)
    head = await client.read_head()
    assert head.field("x-router-generation") == "7"
    assert head.field("x-model-version") == "v1"
    await call.send_chunk(delta("a"))
    await client.read_chunk()
    router.install(route("chat", version("v2", v2)), generation=9)
    await call.send_chunk(DONE)
    assert await client.read_chunks(len(DONE)) == DONE
    await call.end_chunks()
    assert await client.read_chunk() == b""
    answer = await client.ask(post(CHAT, {"stream": True}))
    assert answer.field("x-router-generation") == "9"
    assert answer.field("x-model-version") == "v2"


async def test_connections_survive_a_change_of_weights(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    for weight in (50, 60, 40, 50):
        router.install(two(v1, v2, weight))
        for _ in range(6):
            assert (await client.ask(get())).status == 200
    assert (len(v1.connections), len(v2.connections)) == (1, 1)
    assert (v1.open, v2.open) == (1, 1)


async def test_counts_survive_a_change_of_weights_and_roles(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(two(v1, v2, 50))
    for _ in range(4):
        await client.ask(get())
    router.install(two(v1, v2, 100))
    await client.ask(get())
    assert router.answers == {
        ("chat", "v1", "stable", "200"): 2,
        ("chat", "v2", "canary", "200"): 3,
    }
    router.install(route("chat", version("v2", v2), version("v1", v1, weight=0, role=Role.PREVIEW)))
    await client.ask(get())
    assert router.answers[("chat", "v2", "stable", "200")] == 1
    assert router.answers[("chat", "v2", "canary", "200")] == 3
    assert router.values("model_request_duration_seconds")[("chat", "v2")] == 4


async def test_the_series_of_a_removed_version_disappear(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(two(v1, v2, 50))
    for _ in range(4):
        await client.ask(get())
    assert router.labels() == {("chat", "v1"), ("chat", "v2")}
    router.install(route("chat", version("v2", v2)))
    assert router.labels() == {("chat", "v2")}
    router.install()
    assert router.labels() == set()


async def test_the_series_of_a_removed_version_disappear_with_its_last_request(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.start("v1"), await upstreams.named("v2")
    router.install(two(v1, v2, 0))
    await client.send(get())
    call = await v1.next_call()
    router.install(route("chat", version("v2", v2)))
    await call.answer()
    assert (await client.read_answer()).status == 200
    await router.wait_idle()
    assert router.labels() <= {("chat", "v2")}


async def test_the_same_head_is_decided_anew_in_each_generation(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    request = post(CHAT, {"model": "m"}, "X-Canary: 1")
    condition = HeaderCondition(name="x-canary", value="1")
    rules = (Rule(path=CHAT, model="m"),)

    async def asked() -> tuple[int, str | None, str | None]:
        answer = await client.ask(request)
        return answer.status, answer.field("x-router-route"), answer.field("x-model-version")

    assert await asked() == (404, None, None)
    router.install(route("one", version("v1", v1), rules=rules))
    assert await asked() == (200, "one", "v1")
    router.install(route("two", version("v2", v2), rules=rules))
    assert await asked() == (200, "two", "v2")
    versions = canary("v2", v2, weight=0), version("v1", v1)
    router.install(route("two", *versions, rules=rules))
    assert await asked() == (200, "two", "v1")
    by_header = HeaderRoute(conditions=(condition,), version="v2")
    router.install(route("two", *versions, rules=rules, header_routes=(by_header,)))
    assert await asked() == (200, "two", "v2")
    assert v2.requests[-1].field("x-canary") is None
    router.install(route("two", version("v2", v2, model="new"), rules=rules))
    assert await asked() == (200, "two", "v2")
    assert v2.requests[-1].json() == {"model": "new"}
    router.install()
    assert await asked() == (404, None, None)


async def test_an_endpoint_that_is_replaced_gets_no_more_requests_and_its_idle_ones_close(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    old, new = await upstreams.named("old"), await upstreams.named("new")
    router.install(route("chat", version("v1", old)))
    assert (await client.ask(get())).json()["server"] == "old"
    router.install(route("chat", version("v1", new)))
    await wait_until(lambda: old.open == 0)
    assert (await client.ask(get())).json()["server"] == "new"
    router.install(route("chat", version("v1", old)))
    assert (await client.ask(get())).json()["server"] == "old"


async def test_a_request_that_runs_at_a_removed_endpoint_finishes(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    old, new = await upstreams.start("old"), await upstreams.named("new")
    router.install(route("chat", version("v1", old)))
    await client.send(get())
    call = await old.next_call()
    router.install(route("chat", version("v1", new)))
    await call.answer(b"finished")
    assert (await client.read_answer()).body == b"finished"
    await wait_until(lambda: old.open == 0)


async def test_a_request_that_is_just_connecting_to_a_removed_endpoint_is_answered(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    old, new = await upstreams.named("old"), await upstreams.named("new")
    router.install(route("chat", version("v1", old)))
    await client.send(post("/files", b"x"))
    while not router.plane.active:  # noqa: ASYNC110 - the very turn in which it begins
        await asyncio.sleep(0)
    assert old.connections == []
    router.install(route("chat", version("v1", new)))
    answer = await client.read_answer()
    assert answer.status == 200
    assert answer.field("x-router-generation") == "1"


async def test_a_canary_that_is_removed_while_it_fails_still_falls_back(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2")
    router.install(two(v1, v2, 100))
    await client.send(post(CHAT, b"{}"))
    call = await v2.next_call()
    router.install(route("chat", version("v1", v1)))
    call.reset()
    answer = await client.read_answer()
    assert (answer.status, answer.field("x-model-version")) == (200, "v1")
    assert answer.field("x-router-generation") == "1"


@pytest.mark.parametrize("count", [2, 12])
async def test_load_is_remembered_over_a_change_of_weights(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, count: int
) -> None:
    servers = [await upstreams.start(f"e{number}") for number in range(count)]

    def chat(attempts: int) -> Route:
        return route("chat", version("v1", *servers), retry=Retry(attempts=attempts))

    router.install(chat(1))
    clients = [await router.connect() for _ in servers]
    for each in clients:
        await each.send(get("/long"))
    await wait_until(lambda: sum(each.waiting for each in servers) == count)
    free = await servers[0].next_call()
    router.install(chat(2))
    await free.answer()
    await wait_until(lambda: len(router.plane.active) == count - 1)
    for _ in range(3):
        await client.send(get("/short"))
        await (await servers[0].next_call()).answer()
        assert (await client.read_answer()).status == 200
    for server in servers[1:]:
        await (await server.next_call()).answer()


async def test_a_request_of_the_table_before_is_counted_where_the_next_ones_are_balanced(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    servers = [await upstreams.start(f"s{number}") for number in range(10)]
    v1 = version("v1", *servers)
    rules = (Rule(path=CHAT, model="m"),)  # so that it is decided before its body is there
    body = b'{"model": "m", "messages": ""}'

    def asking() -> bytes:
        return post(CHAT, body)

    def in_flight() -> list[int]:
        found = router.plane.table.routes["chat"].versions["v1"].endpoints
        return sorted(endpoint.in_flight for endpoint in found)

    router.install(route("chat", v1, rules=rules))
    early = [await router.connect() for _ in range(3)]
    for client in early:
        await client.send(asking()[:-1])
    await wait_until(lambda: len(router.plane.active) == len(early))
    busy = [await router.connect() for _ in range(22)]
    for client in busy[:12]:  # so that the new table knows higher numbers than the old one
        await client.send(asking())
    await wait_until(lambda: sum(in_flight()) == 12)
    router.install(route("chat", canary("v2", servers[0], weight=0), v1, rules=rules))
    for client in early:
        await client.send(asking()[-1:])
    for client in busy[12:]:
        await client.send(asking())
    await wait_until(lambda: sum(in_flight()) == 25)
    assert in_flight()[0] >= 2
    assert in_flight()[-1] <= 4  # what is of the table before knows of its own requests only


async def test_an_empty_table_answers_404(router: RunningDataPlane, client: RawClient) -> None:
    answer = await client.ask(get())
    assert (answer.status, answer.error["code"]) == (404, "route_not_found")
    assert answer.field("x-router-generation") == "0"


async def test_a_route_that_is_added_beside_the_others_is_counted(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    """After a change of another one: whose counts may be dropped was known since then."""
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(two(v1, v2, 0))
    changed = two(v1, v2, 5)
    router.install(changed)
    added = route("added", version("v1", v1), rules=(Rule(path="/added"),), order=1)
    router.install(changed, added)
    for _ in range(2):
        assert (await client.ask(get("/added"))).status == 200
        await router.wait_idle()
        router.plane.recorder.series()
    assert router.answers[("added", "v1", "stable", "200")] == 2
