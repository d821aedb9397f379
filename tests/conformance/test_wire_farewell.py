"""The last moment of kept-alive connections: who is about to ask is answered, not cut off."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.dataplanes import RunningDataPlane
from tests.support.raw import RawClient, get, wait_until
from tests.support.upstreams import Upstream, naming

pytestmark = pytest.mark.parametrize("settings", [{"farewell_s": 30.0}], ids=["farewell"])

DEADLINE_S = 15.0


async def has_ended(router: RunningDataPlane) -> None:
    """Long before the farewell's time is up: nobody is left."""
    assert router.serving is not None
    async with asyncio.timeout(DEADLINE_S):
        await router.serving


async def test_the_next_request_of_a_kept_connection_is_answered_and_closes_it(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get())).field("connection") is None
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    answer = await client.ask(get())
    assert (answer.status, answer.field("connection")) == (200, "close")
    await client.wait_closed()
    await has_ended(router)


async def test_a_connection_that_was_accepted_just_before_gets_its_answer(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200
    fresh = await router.connect()
    await asyncio.sleep(0.02)
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    for each in (fresh, client):
        answer = await each.ask(get())
        assert (answer.status, answer.field("connection")) == (200, "close")
    await has_ended(router)


async def test_nobody_new_is_let_in_meanwhile(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    await asyncio.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        await router.connect()
    assert (await client.ask(get())).status == 200
    await has_ended(router)


async def test_an_answer_that_had_begun_before_leaves_its_client_one_more_request(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    """Its head did not say that the connection closes: closing it would lose what comes next."""
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    assert (await client.read_head()).field("connection") is None
    router.draining.set()
    await wait_until(lambda: router.plane.draining)
    await asyncio.sleep(0.02)
    await call.end_chunks()
    assert await client.read_chunk() == b""
    await asyncio.sleep(0.02)
    v1.replies = naming("v1")
    answer = await client.ask(get())
    assert (answer.status, answer.field("connection")) == (200, "close")
    await has_ended(router)
