"""A failing canary loses its share in the worker itself, whatever control does."""

from __future__ import annotations

from collections import Counter

import msgspec

from router.link.messages import Trip
from router.routing.split import Split, choose_by_key
from router.snapshot import (
    BreakerLimits,
    HeaderCondition,
    HeaderRoute,
    Role,
    StickyKind,
    StickySource,
)
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, get, post, wait_until
from tests.support.upstreams import Upstreams, failing, naming, next_call_of

CHAT = "/v1/chat/completions"


async def counted(client: RawClient, number: int) -> Counter[str]:
    answers = [await client.ask(post(CHAT, b"x")) for _ in range(number)]
    assert {answer.status for answer in answers} == {200}
    return Counter(str(answer.field("x-model-version")) for answer in answers)


async def test_after_five_failures_in_a_row_no_request_reaches_the_canary(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    router.install(route("chat", canary("v2", v2, weight=50), version("v1", v1, weight=50)))
    assert await counted(client, 10) == {"v1": 10}  # each failure is replayed on stable
    assert router.errors == {("chat", "v2", "canary", "upstream_5xx"): 5}
    assert await counted(client, 40) == {"v1": 40}
    assert router.errors == {("chat", "v2", "canary", "upstream_5xx"): 5}


async def test_it_is_told_when_it_happens_and_to_whoever_asks_later(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    told: list[Trip] = []
    router.plane.on_health = lambda health: told.extend(health.trips)
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    router.install(route("chat", canary("v2", v2, weight=50), version("v1", v1, weight=50)))
    await counted(client, 20)
    assert told == [Trip("chat", "v2", "5 failures in a row")]
    assert router.plane.health().trips == told


async def test_it_stays_out_while_weights_move_and_comes_back_after_a_generation_without_it(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    router.install(route("chat", canary("v2", v2, weight=50), version("v1", v1, weight=50)))
    await counted(client, 10)
    router.install(route("chat", canary("v2", v2, weight=90), version("v1", v1, weight=10)))
    assert await counted(client, 20) == {"v1": 20}
    router.install(route("chat", canary("v2", v2, weight=0), version("v1", v1, weight=100)))
    assert router.plane.health().trips == []
    v2.replies = naming("v2")
    router.install(route("chat", canary("v2", v2, weight=50), version("v1", v1, weight=50)))
    assert await counted(client, 20) == {"v1": 10, "v2": 10}


async def test_the_next_attempt_begins_anew_for_a_worker_that_has_missed_the_generations_between(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    versions = (canary("v2", v2, weight=50), version("v1", v1, weight=50))
    first = msgspec.structs.replace(versions[0], trial=1)
    router.install(route("chat", first, versions[1]))
    await counted(client, 10)
    v2.replies = naming("v2")
    second = msgspec.structs.replace(versions[0], trial=2)
    router.install(route("chat", second, versions[1]))
    assert await counted(client, 20) == {"v1": 10, "v2": 10}


async def test_a_change_of_another_route_does_not_bring_it_back(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    chat = route("chat", canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(chat)
    await counted(client, 10)
    router.install(chat, route("other", version("v1", v1), order=1))
    assert await counted(client, 20) == {"v1": 20}


async def test_the_stable_version_is_never_taken_out(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1", failing())
    router.install(route("chat", version("v1", v1)))
    for _ in range(30):
        assert (await client.ask(post(CHAT, b"x"))).status == 500
    assert router.plane.health().trips == []


async def test_a_breaker_that_is_off_takes_nothing_out(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    versions = (canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(route("chat", *versions, breaker=None))
    await counted(client, 40)
    assert router.errors == {("chat", "v2", "canary", "upstream_5xx"): 20}


async def test_a_share_of_failures_takes_it_out(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    good, bad = naming("v2"), failing()
    limits = BreakerLimits(consecutive=0, error_percent=50, min_requests=10)
    versions = (canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(route("chat", *versions, breaker=limits))
    for turn in range(40):
        v2.replies = good if turn % 4 < 2 else bad  # it has every second request
        await client.ask(post(CHAT, b"x"))
    assert [trip.version for trip in router.plane.health().trips] == ["v2"]
    assert router.errors[("chat", "v2", "canary", "upstream_5xx")] < 9


async def test_sticky_users_of_the_canary_go_to_stable_and_others_stay_where_they_are(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    v3 = await upstreams.named("v3")
    versions = (
        canary("v3", v3, weight=30),
        canary("v2", v2, weight=40),
        version("v1", v1, weight=30),
    )
    sticky = (StickySource(kind=StickyKind.HEADER, name="x-user"),)
    router.install(route("chat", *versions, sticky=sticky))
    split = Split(b"chat", (("v3", 3000), ("v2", 4000), ("v1", 3000)))
    users = [f"user-{number}" for number in range(60)]
    for user in users:
        await client.ask(get(CHAT, f"x-user: {user}"))
    assert [trip.version for trip in router.plane.health().trips] == ["v2"]
    for user in users:
        answer = await client.ask(get(CHAT, f"x-user: {user}"))
        before = choose_by_key(split, user.encode())
        assert answer.field("x-model-version") == ("v3" if before == "v3" else "v1")


async def test_who_asks_for_the_canary_by_name_still_gets_it(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2", failing())
    by_name = HeaderRoute(
        conditions=(HeaderCondition(name="x-canary", value="always"),), version="v2"
    )
    versions = (canary("v2", v2, weight=50), version("v1", v1, weight=50))
    router.install(route("chat", *versions, header_routes=(by_name,)))
    await counted(client, 10)
    answer = await client.ask(get(CHAT, "x-canary: always"))
    assert (answer.status, answer.field("x-model-version")) == (500, "v2")


async def test_what_runs_on_the_canary_runs_on(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.start("v2")
    limits = BreakerLimits(consecutive=1)
    versions = (canary("v2", v2, weight=100), version("v1", v1, weight=0, role=Role.STABLE))
    router.install(route("chat", *versions, breaker=limits))
    slow, other = await router.connect(), await router.connect()
    await slow.send(post(CHAT, b"x"))
    _, call = await next_call_of(v2)
    await other.send(post(CHAT, b"x"))
    _, bad = await next_call_of(v2)
    bad.reset()
    await wait_until(lambda: router.plane.health().trips != [])
    assert (await counted(client, 3)) == {"v1": 3}
    await call.answer(b"late")
    assert (await slow.read_answer("POST")).body == b"late"
