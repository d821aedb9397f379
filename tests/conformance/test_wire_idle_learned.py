"""A server that closes idle connections early is learned: requests do not meet those closes."""

from __future__ import annotations

import pytest

from router.dataplane.upstream.idle import CEILING_S, MARGIN, RECOVER_S
from router.link.messages import Health
from tests.support.dataplanes import RunningDataPlane
from tests.support.raw import RawClient, get, post, wait_until
from tests.support.upstreams import Call, Upstream

KEEP_ALIVE_S = 1.0


class Impatient:
    """Answers, and closes what has been idle for `KEEP_ALIVE_S` by the router's clock.

    It closes when the next request is on its way: the worst moment.  `lost` are requests that
    were written into a connection that it was closing.
    """

    def __init__(self, router: RunningDataPlane, server: Upstream) -> None:
        self._router = router
        self._server = server
        self._idle_since: dict[int, float] = {}
        self.lost = 0
        server.replies = self._reply

    async def _reply(self, call: Call) -> None:
        await call.read_request()
        now, number = self._router.clock.monotonic(), call.connection.number
        if now - self._idle_since.get(number, now) >= KEEP_ALIVE_S:
            self.lost += 1
            call.reset()
            return
        self._idle_since[number] = now
        await call.answer()


def idle_s(router: RunningDataPlane) -> float:
    """What control is told; 0: nothing was learned."""
    return router.plane.health().endpoints[0].idle_s


async def changed(router: RunningDataPlane) -> None:
    before = idle_s(router)
    await wait_until(lambda: idle_s(router) != before)


async def test_after_the_first_close_no_request_meets_a_connection_that_is_being_closed(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    server = Impatient(router, v1)
    assert (await client.ask(post("/v1/completions", b"x"))).status == 200
    router.jump(1.2)
    assert (await client.ask(post("/v1/completions", b"x"))).status == 200  # once more, unseen
    assert server.lost == 1
    assert idle_s(router) == pytest.approx(1.2 * MARGIN)
    router.jump(1.0)
    await wait_until(lambda: router.upstream_connections("idle") == 0)  # a sweep was first
    for gap_s in (1.0, 0.97, 1.5, 3.0, 0.98, 1.1) * 3:
        assert (await client.ask(post("/v1/completions", b"x"))).status == 200
        router.jump(gap_s)  # and no sweep comes in between
    assert server.lost == 1
    assert router.errors == {}
    before = len(v1.connections)
    for _ in range(10):
        assert (await client.ask(post("/v1/completions", b"x"))).status == 200
        router.jump(0.05)
    assert len(v1.connections) == before + 1  # what is young enough is used again


async def test_a_close_while_it_is_idle_is_learned_and_told_and_in_time_forgotten(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    told: list[Health] = []
    router.plane.on_health = told.append
    await client.send(get("/first"))
    await (await v1.next_call()).answer()
    assert (await client.read_answer()).status == 200
    assert idle_s(router) == 0.0
    router.jump(2.0)
    v1.close_idle()
    await wait_until(lambda: router.upstream_connections("idle") == 0)
    assert idle_s(router) == pytest.approx(2.0 * MARGIN)
    await wait_until(lambda: told)
    assert told[-1].endpoints[0].idle_s == pytest.approx(2.0 * MARGIN)
    for _ in range(2):  # 1.6 s, 3.2 s, 4 s
        router.jump(RECOVER_S)
        await changed(router)
    assert idle_s(router) == 0.0
    await wait_until(lambda: told[-1].endpoints[0].idle_s == 0.0)


async def test_what_the_router_closes_itself_teaches_nothing(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get("/first"))
    await (await v1.next_call()).answer()
    assert (await client.read_answer()).status == 200
    router.jump(CEILING_S + 0.1)
    await wait_until(lambda: v1.open == 0)
    assert idle_s(router) == 0.0
