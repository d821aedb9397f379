"""After a switch: what runs on the old version goes on, to its end or to its deadline."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from router.snapshot import HeaderCondition, HeaderRoute, Limits, Version
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import BrokenMessageError, RawClient, get, message, post, wait_until
from tests.support.sse import DONE, delta, read_events
from tests.support.upstreams import Call, Upstream, Upstreams

CHAT = "/v1/chat/completions"
DRAIN_S = 30.0
NAMED = HeaderRoute(conditions=(HeaderCondition(name="x-version", value="v1"),), version="v1")


class Sides:
    """Two sides of one route, and how the traffic goes from one to the other."""

    def __init__(self, router: RunningDataPlane, v1: Upstream, v2: Upstream) -> None:
        self._router = router
        self.v1, self.v2 = v1, v2

    def serve(self, name: str, *, drain_s: float | None = DRAIN_S, **more: Any) -> None:
        """Give all traffic to one side; the other has lost it now, and drains."""
        until_s = None if drain_s is None else self._router.clock.wall() + drain_s
        self._install(name, until_s, **more)

    def _install(self, name: str, until_s: float | None, **more: Any) -> None:
        sides = [
            version("v1", self.v1) if name == "v1" else drained("v1", self.v1, until_s),
            version("v2", self.v2) if name == "v2" else drained("v2", self.v2, until_s),
        ]
        self._router.install(route("chat", *sides, header_routes=(NAMED,), **more))

    def drain_until(self, until_s: float | None, **more: Any) -> None:
        """v2 has all traffic; v1's drain ends then."""
        self._install("v2", until_s, **more)


def drained(name: str, server: Upstream, until_s: float | None) -> Version:
    return msgspec.structs.replace(canary(name, server, weight=0), drain_until_s=until_s)


@pytest.fixture
async def sides(router: RunningDataPlane, upstreams: Upstreams) -> Sides:
    """v1 has all traffic."""
    found = Sides(router, await upstreams.start("v1"), await upstreams.named("v2"))
    router.install(route("chat", version("v1", found.v1), canary("v2", found.v2, weight=0)))
    return found


async def stream(client: RawClient, upstream: Upstream, *fields: str) -> Call:
    """A stream that has begun."""
    await client.send(post(CHAT, {"stream": True}, *fields))
    call = await upstream.next_call()
    await call.start(stream=True)
    await client.read_head()
    await say(client, call, "a")
    return call


async def say(client: RawClient, call: Call, word: str) -> None:
    await call.send_chunk(delta(word))
    assert await client.read_chunk() == delta(word)


async def finish(client: RawClient, call: Call) -> None:
    await call.send_chunk(DONE)
    assert await client.read_chunk() == DONE
    await call.end_chunks()
    assert await client.read_chunk() == b""


async def test_a_stream_runs_to_its_end_where_nothing_bounds_it(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    sides.serve("v2", drain_s=None)
    for _ in range(3):
        router.jump(50.0)  # below the 60 s in which a model server must say something
        await say(client, call, "b")
    await finish(client, call)
    assert router.errors == {}


async def test_a_stream_beyond_the_deadline_of_its_version_ends_with_an_error_event(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    sides.serve("v2")
    router.jump(DRAIN_S - 1)
    await say(client, call, "still here")
    router.jump(1)
    error = json.loads(read_events(await client.read_broken_chunks())[-1])["error"]
    assert error["code"] == "draining"
    assert "version v1" in error["message"]
    await call.read_to_end()
    call.finish()
    await router.wait_idle()
    assert router.errors == {}  # no version has failed


async def test_a_request_without_an_answer_at_the_deadline_is_answered_503_and_may_come_again(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    await client.send(get())
    call = await sides.v1.next_call()
    sides.serve("v2")
    router.jump(DRAIN_S)
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (503, "draining")
    assert answer.field("x-should-retry") == "true"
    await call.wait_closed()
    call.finish()
    again = await (await router.connect()).ask(get())
    assert (again.status, again.field("x-model-version")) == (200, "v2")


async def test_an_answer_that_is_no_stream_breaks_off_at_the_deadline_of_its_version(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    await client.send(get())
    call = await sides.v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 100", body=b"half"))
    head = await client.read_head()
    assert await client.read_exactly(4) == b"half"
    sides.serve("v2")
    router.jump(DRAIN_S)
    with pytest.raises(BrokenMessageError):
        await client.read_body(head)
    await call.wait_closed()
    call.finish()


async def test_a_switch_back_lets_what_runs_there_run_on(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    sides.serve("v2")
    router.jump(DRAIN_S - 1)
    sides.serve("v1")
    await say(client, call, "b")
    router.jump(DRAIN_S)
    await wait_until_tick(router)
    await say(client, call, "c")
    await finish(client, call)


async def test_a_second_switch_away_counts_anew(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    sides.serve("v2")
    router.jump(DRAIN_S - 1)
    sides.serve("v1")
    sides.serve("v2")
    router.jump(DRAIN_S - 1)
    await wait_until_tick(router)
    await say(client, call, "still here")
    router.jump(1)
    assert b"draining" in await client.read_broken_chunks()
    await call.read_to_end()
    call.finish()


async def test_what_comes_to_the_old_version_after_the_switch_has_no_deadline(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    before = await stream(client, sides.v1)
    sides.serve("v2")
    router.jump(1)
    asked = await router.connect()
    since = await stream(asked, sides.v1, "X-Version: v1")
    router.jump(DRAIN_S)
    assert b"draining" in await client.read_broken_chunks()
    await before.read_to_end()
    before.finish()
    await say(asked, since, "b")
    await finish(asked, since)


async def test_the_new_side_is_not_touched_by_the_old_ones_deadline(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, sides: Sides
) -> None:
    sides.v2 = await upstreams.start("v2")
    sides.serve("v2", drain_s=None)
    call = await stream(client, sides.v2)
    sides.serve("v2")
    router.jump(DRAIN_S)
    await wait_until_tick(router)
    await say(client, call, "b")
    await finish(client, call)


async def test_another_change_of_the_route_neither_renews_nor_lifts_the_deadline(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    until_s = router.clock.wall() + DRAIN_S
    sides.drain_until(until_s)
    router.jump(DRAIN_S - 1)
    sides.drain_until(until_s, limits=Limits(max_in_flight=7))
    await say(client, call, "b")
    router.jump(1)
    assert b"draining" in await client.read_broken_chunks()
    await call.read_to_end()
    call.finish()


async def test_a_bound_that_is_edited_counts_from_the_switch(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    switched_at = router.clock.wall()
    sides.drain_until(switched_at + DRAIN_S)
    router.jump(10)
    sides.drain_until(switched_at + 20)
    router.jump(10)
    assert b"draining" in await client.read_broken_chunks()
    await call.read_to_end()
    call.finish()


async def test_a_version_that_leaves_the_table_keeps_its_deadline(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    sides.serve("v2")
    router.install(route("chat", version("v2", sides.v2)))
    router.jump(DRAIN_S)
    assert b"draining" in await client.read_broken_chunks()
    await call.read_to_end()
    call.finish()


async def test_a_worker_that_hears_of_the_switch_after_the_deadline_ends_what_runs_at_once(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    call = await stream(client, sides.v1)
    sides.drain_until(router.clock.wall() - 5)
    assert b"draining" in await client.read_broken_chunks()
    await call.read_to_end()
    call.finish()


async def test_a_drain_that_is_over_ends_nothing_more_when_the_route_changes(
    router: RunningDataPlane, client: RawClient, sides: Sides
) -> None:
    until_s = router.clock.wall() + DRAIN_S
    sides.drain_until(until_s)
    router.jump(DRAIN_S)
    await wait_until_tick(router)
    call = await stream(client, sides.v1, "X-Version: v1")
    sides.drain_until(until_s, limits=Limits(max_in_flight=7))
    await wait_until_tick(router)
    await say(client, call, "b")
    await finish(client, call)


async def wait_until_tick(router: RunningDataPlane) -> None:
    """Wait until the worker has looked at its deadlines once more."""

    def looked() -> float:
        return sum(router.values("router_event_loop_delay_seconds").values())

    before = looked()
    await wait_until(lambda: looked() > before)
