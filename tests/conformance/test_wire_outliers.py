"""An endpoint that answers its probes and fails its requests is left alone for a while."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from router.snapshot import BreakerLimits, Outlier, Retry
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import RawClient, post, wait_until
from tests.support.upstreams import Upstream, Upstreams, failing, naming, resetting

CHAT = "/v1/chat/completions"
LIMITS = BreakerLimits(consecutive=3, min_requests=10, window_s=10.0)


def install(router: RunningDataPlane, *servers: Upstream, **how: Any) -> None:
    outlier = Outlier(failures=LIMITS, eject_s=5.0, **how)
    once = Retry(attempts=1)
    router.install(route("chat", version("v1", *servers), retry=once, outlier=outlier))


def out(router: RunningDataPlane) -> list[str]:
    """The endpoints that are not used now."""
    return [each.endpoint for each in router.plane.health().endpoints if not each.healthy]


async def ask(client: RawClient, number: int) -> list[int]:
    return [(await client.ask(post(CHAT, b"x"))).status for _ in range(number)]


@pytest.mark.parametrize("replies", [failing(), resetting], ids=["500", "reset"])
async def test_an_endpoint_that_fails_so_often_in_a_row_gets_no_more_requests(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, replies: Any
) -> None:
    bad, good = await upstreams.start("bad", replies), await upstreams.named("good")
    install(router, bad, good)
    statuses = await ask(client, 20)
    assert len(bad.requests) == 3
    assert sum(status >= 500 for status in statuses) == 3
    assert out(router) == [bad.url]
    reason = next(each.reason for each in router.plane.health().endpoints if not each.healthy)
    assert reason == "3 failures in a row; left alone for 5 s"
    assert router.values("router_endpoint_ejections_total") == {("chat", "v1", bad.url): 1}


async def test_it_is_tried_again_and_left_alone_twice_as_long_if_it_still_fails(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    bad, good = await upstreams.start("bad", failing()), await upstreams.named("good")
    install(router, bad, good)
    await ask(client, 10)
    router.jump(5.1)
    await wait_until(lambda: not out(router))
    await ask(client, 10)
    assert len(bad.requests) == 6
    router.jump(5.1)
    await asyncio.sleep(0.25)  # two ticks: it stays out
    assert out(router) == [bad.url]
    router.jump(5.1)
    await wait_until(lambda: not out(router))
    bad.replies = naming("bad")
    assert set(await ask(client, 10)) == {200}
    assert out(router) == []


async def test_the_only_endpoint_and_more_than_the_share_are_never_left_alone(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    bad, worse = await upstreams.start("bad", failing()), await upstreams.start("worse", failing())
    install(router, bad)
    assert set(await ask(client, 10)) == {500}
    assert out(router) == []
    install(router, bad, worse)
    assert set(await ask(client, 20)) == {500}
    assert len(out(router)) == 1  # half of them; the other one is all that is left


async def test_a_share_of_failures_is_enough(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    async def every_second(call: Any) -> None:
        if len(half.requests) % 2:
            await call.answer(status="500 Internal Server Error")
        else:
            await call.answer()

    half, good = await upstreams.start("half"), await upstreams.named("good")
    half.replies = every_second
    install(router, half, good)
    await ask(client, 40)
    assert out(router) == [half.url]
    assert 9 <= len(half.requests) <= 11


async def test_failures_in_a_row_are_forgotten_with_a_success(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    async def third_time_lucky(call: Any) -> None:
        if len(moody.requests) % 3:
            await call.answer(status="500 Internal Server Error")
        else:
            await call.answer()

    moody, good = await upstreams.start("moody"), await upstreams.named("good")
    moody.replies = third_time_lucky
    install(router, moody, good)
    await ask(client, 16)
    assert out(router) == []


async def test_a_client_that_goes_away_is_nobodys_failure(
    router: RunningDataPlane, upstreams: Upstreams
) -> None:
    slow, good = await upstreams.start("slow"), await upstreams.named("good")
    install(router, slow, good)
    for _ in range(8):
        client = await router.connect()
        await client.send(post(CHAT, b"x"))
        await asyncio.sleep(0.01)
        client.close()
    await wait_until(lambda: not router.plane.active)
    assert out(router) == []
