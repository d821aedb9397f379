"""An endpoint that has come back, or has joined, gets its share little by little."""

from __future__ import annotations

from typing import Any

import pytest

from router.routing.slow_start import LEAST, SlowStart
from router.snapshot import Balance, BreakerLimits, Outlier, Retry
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import RawClient, post, wait_until
from tests.support.upstreams import Upstream, Upstreams, failing, naming

CHAT = "/v1/chat/completions"
OUTLIER = Outlier(failures=BreakerLimits(consecutive=3, min_requests=10, window_s=10.0))
WINDOW_S = 30.0
EACH = pytest.mark.parametrize("balance", list(Balance))


def install(router: RunningDataPlane, *servers: Upstream, **how: Any) -> None:
    how = {"slow_start_s": WINDOW_S, "outlier": OUTLIER, "retry": Retry(attempts=1), **how}
    router.install(route("chat", version("v1", *servers), **how))


def balancer(router: RunningDataPlane) -> Any:
    return router.plane.table.routes["chat"].versions["v1"].balancer


async def got(client: RawClient, server: Upstream, requests: int) -> int:
    """How many of so many requests a server gets."""
    before = len(server.requests)
    for _ in range(requests):
        assert (await client.ask(post(CHAT, b"x"))).status == 200
    return len(server.requests) - before


async def grown(router: RunningDataPlane, seconds: float) -> None:
    """Let time pass, and the tick see it."""
    before = [each.ramp.share for each in balancer(router)._others]
    router.jump(seconds)
    await wait_until(
        lambda: (
            not isinstance(balancer(router), SlowStart)
            or [each.ramp.share for each in balancer(router)._others] != before
        )
    )


@EACH
async def test_an_endpoint_that_was_left_alone_gets_its_share_little_by_little(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, balance: Balance
) -> None:
    back, good = await upstreams.start("back", failing()), await upstreams.named("good")
    install(router, back, good, balance=balance)
    while not [one for one in router.plane.health().endpoints if not one.healthy]:
        await client.ask(post(CHAT, b"x"))
    back.replies = naming("back")
    router.jump(5.1)
    await wait_until(lambda: isinstance(balancer(router), SlowStart))
    assert await got(client, back, 60) == 60 * LEAST / 2
    await grown(router, WINDOW_S / 2)
    assert 14 <= await got(client, back, 60) <= 15
    await grown(router, WINDOW_S)
    assert not isinstance(balancer(router), SlowStart)
    if balance is not Balance.P2C:  # which goes by what it has measured of both
        assert await got(client, back, 60) == 30


async def test_an_endpoint_that_joins_a_version_is_warmed_and_one_that_was_there_is_not(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    first, second = await upstreams.named("first"), await upstreams.named("second")
    install(router, first)
    assert not isinstance(balancer(router), SlowStart)
    install(router, first, second)
    assert await got(client, second, 60) == 60 * LEAST / 2
    install(router, first, second, retry=Retry(attempts=2))
    assert isinstance(balancer(router), SlowStart)  # a generation later it goes on


async def test_at_the_start_nothing_is_warmed(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    first, second = await upstreams.named("first"), await upstreams.named("second")
    install(router, first, second)
    assert not isinstance(balancer(router), SlowStart)
    assert await got(client, second, 10) == 5


async def test_without_slow_start_an_endpoint_has_its_share_at_once(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    first, second = await upstreams.named("first"), await upstreams.named("second")
    install(router, first, slow_start_s=0.0)
    install(router, first, second, slow_start_s=0.0)
    assert not isinstance(balancer(router), SlowStart)
    assert await got(client, second, 10) == 5


async def test_control_is_told_how_far_an_endpoint_has_come_and_until_when_one_is_left_alone(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    bad, good = await upstreams.start("bad", failing()), await upstreams.named("good")
    install(router, bad, good)
    for _ in range(6):
        await client.ask(post(CHAT, b"x"))
    now = router.clock.wall()
    told = {one.endpoint: one for one in router.plane.health().endpoints}
    assert (told[bad.url].ejections, told[bad.url].ejected_until_s) == (1, now + 5.0)
    assert (told[good.url].ejections, told[good.url].ejected_until_s) == (0, 0.0)
    router.jump(5.1)
    await wait_until(lambda: isinstance(balancer(router), SlowStart))
    now = router.clock.wall()
    told = {one.endpoint: one for one in router.plane.health().endpoints}
    assert (told[bad.url].warm_from_s, told[bad.url].warm_until_s) == (now, now + WINDOW_S)
    assert told[good.url].warm_until_s == 0.0
