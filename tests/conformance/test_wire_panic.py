"""Where too few endpoints of a version are healthy, those left alone are used all the same."""

from __future__ import annotations

from typing import Any

from router.link.messages import Health, Panic
from router.snapshot import BreakerLimits, Outlier, Retry
from router.snapshot import Health as Probes
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import RawClient, post, wait_until
from tests.support.upstreams import Call, Upstream, Upstreams, failing, naming

CHAT = "/v1/chat/completions"
LIMITS = BreakerLimits(consecutive=3, min_requests=10, window_s=10.0)


def install(
    router: RunningDataPlane,
    *servers: Upstream,
    panic_percent: float = 50.0,
    probes: Probes | None = None,
) -> None:
    outlier = Outlier(failures=LIMITS, max_ejected_percent=100.0, panic_percent=panic_percent)
    once = Retry(attempts=1)
    router.install(
        route("chat", version("v1", *servers), retry=once, outlier=outlier, health=probes)
    )


def in_panic(router: RunningDataPlane) -> bool:
    return router.plane.health().panics == [Panic("chat", "v1", True)]


def out(router: RunningDataPlane) -> set[str]:
    return {each.endpoint for each in router.plane.health().endpoints if not each.healthy}


async def fail(router: RunningDataPlane, client: RawClient, number: int) -> None:
    """Ask until so many endpoints are left alone."""
    for _ in range(60):
        if len(out(router)) >= number:
            return
        await client.ask(post(CHAT, b"x"))
    raise AssertionError(f"left alone: {out(router)}")


async def test_below_half_of_the_endpoints_healthy_all_are_used_and_control_is_told(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    told: list[Health] = []
    router.plane.on_health = told.append
    bad = [await upstreams.start(f"bad{number}", failing()) for number in range(2)]
    good = await upstreams.named("good")
    install(router, *bad, good)
    await fail(router, client, 1)
    assert not in_panic(router)  # two of three are healthy
    await fail(router, client, 2)
    assert in_panic(router)
    assert told[-1].panics == [Panic("chat", "v1", True)]
    for each in bad:
        each.replies = naming(each.name)
    counts = [len(each.requests) for each in (*bad, good)]
    for _ in range(9):
        assert (await client.ask(post(CHAT, b"x"))).status == 200
    assert [
        len(each.requests) - count for each, count in zip((*bad, good), counts, strict=True)
    ] == [
        3,
        3,
        3,
    ]
    router.jump(5.1)
    await wait_until(lambda: not in_panic(router))
    assert out(router) == set()
    assert told[-1].panics == [Panic("chat", "v1", False)]


async def test_without_a_threshold_the_last_healthy_one_gets_everything(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    bad = [await upstreams.start(f"bad{number}", failing()) for number in range(2)]
    good = await upstreams.named("good")
    install(router, *bad, good, panic_percent=0.0)
    await fail(router, client, 2)
    assert not in_panic(router)
    before = len(good.requests)
    for _ in range(9):
        assert (await client.ask(post(CHAT, b"x"))).status == 200
    assert len(good.requests) == before + 9


async def test_one_that_fails_its_probes_or_refuses_connections_gets_nothing_even_in_panic(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    async def not_ready(call: Call) -> None:
        status = "503 Service Unavailable" if call.request.target == "/health" else "200 OK"
        await call.answer(status=status)

    async def only_health(call: Call) -> None:
        ready = call.request.target == "/health"
        await call.answer(status="200 OK" if ready else "500 Internal Server Error")

    loading = await upstreams.start("loading", not_ready)
    refusing = upstreams.refusing()
    flaky = await upstreams.start("flaky", only_health)
    good = await upstreams.named("good")
    install(router, loading, refusing, flaky, good, probes=Probes(interval_s=60.0))
    await wait_until(lambda: out(router) == {loading.url, refusing.url})
    assert not in_panic(router)
    await fail(router, client, 3)
    assert in_panic(router)  # one of four is healthy
    before = len(flaky.requests)
    statuses: list[Any] = [(await client.ask(post(CHAT, b"x"))).status for _ in range(8)]
    assert sorted(statuses) == [200] * 4 + [500] * 4
    assert len(flaky.requests) == before + 4
    assert [each.target for each in loading.requests] == ["/health"]
