"""Pairs that wait: bounded by number and by bytes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.controller.shadow.intake import Intake, size_of
from router.link.messages import Captured, Pair

pytestmark = pytest.mark.anyio


def pair(number: int = 0, *, body: bytes = b"", twin: Captured | None = None) -> Pair:
    return Pair(
        route="chat",
        request_id=f"id-{number}",
        time_s=1.0,
        generation=1,
        method="POST",
        target="/v1/chat/completions",
        fields=[("content-type", "application/json")],
        request=body,
        primary=Captured("v1", "answered", body=body),
        shadow=Captured("v2", "answered", body=body),
        twin=twin,
    )


async def test_pairs_come_out_in_the_order_in_which_they_came() -> None:
    intake = Intake()
    assert all(intake.put(pair(number)) for number in range(5))
    assert [each.request_id for each in intake.take(3)] == ["id-0", "id-1", "id-2"]
    assert [each.request_id for each in intake.take(3)] == ["id-3", "id-4"]


async def test_a_flood_is_refused_beyond_the_number() -> None:
    intake = Intake(max_pairs=10)
    assert [intake.put(pair(number)) for number in range(1_000)] == [True] * 10 + [False] * 990
    assert len(intake) == 10
    intake.take(1)
    assert intake.put(pair())


async def test_a_few_long_answers_are_refused_beyond_the_bytes() -> None:
    intake = Intake(max_bytes=2 * size_of(pair(body=b"x" * 50_000)))
    long = pair(body=b"x" * 50_000)
    assert [intake.put(long) for _ in range(3)] == [True, True, False]
    intake.take(1)
    assert intake.put(long)


async def test_whoever_waits_is_woken_by_a_pair_and_sleeps_again_when_all_are_taken() -> None:
    intake = Intake()
    waiting = asyncio.create_task(intake.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    intake.put(pair())
    await waiting
    intake.take(10)
    waiting = asyncio.create_task(intake.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()


@given(st.lists(st.integers(0, 3_000) | st.none(), max_size=60))
def test_never_more_is_held_than_the_bounds_allow(steps: list[int | None]) -> None:
    intake, held = Intake(max_pairs=8, max_bytes=20_000), list[int]()
    for step in steps:
        if step is None:
            taken = intake.take(2)
            assert [size_of(each) for each in taken] == held[:2]
            del held[:2]
            continue
        one = pair(body=b"x" * step)
        fits = len(held) < 8 and sum(held) + size_of(one) <= 20_000
        assert intake.put(one) is fits
        held += [size_of(one)] if fits else []
        assert len(intake) == len(held)


def test_a_pair_is_as_large_as_everything_that_it_holds() -> None:
    twin = Captured("v1", "answered", body=b"x" * 500, fields=[("x", "y" * 100)])
    assert size_of(pair(body=b"x" * 1_000)) >= 3_000
    assert size_of(pair(twin=twin)) == size_of(pair()) + 601
