"""What every pair store promises, in the order of `router.store.pairs.base`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.store.base import StoreError, StoreUnavailableError
from router.store.pairs.base import BLOCK_BYTES, MAX_PAGE, KeptPair, PairStore, Retention
from router.store.pairs.prune import SLICE_PAIRS
from tests.store.kept import NOW_S, PAIR_STORES, PLENTY, documents, keep, kept, streamed

pytestmark = pytest.mark.anyio


@pytest.fixture(params=sorted(PAIR_STORES))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PairStore]:
    """Each implementation in turn, open and empty."""
    store = PAIR_STORES[request.param](tmp_path)
    await store.open()
    yield store
    await store.close()


def at_most(pairs: int) -> Retention:
    return Retention(max_pairs=pairs, max_age_s=1e9, max_bytes=1 << 40)


# -- a batch -----------------------------------------------------------------------------------


async def test_a_new_store_is_empty(store: PairStore) -> None:
    assert await store.pairs("chat") == []
    assert await store.tallies() == {}
    assert await streamed(store) == []


async def test_what_was_kept_is_read_with_an_id(store: PairStore) -> None:
    told = kept({"a": [1, 2.5, None, "ü"]}, verdict="mismatch", time_s=NOW_S + 0.125)
    assert await keep(store, [told]) == 0
    (read,) = await store.pairs("chat")
    assert read.id > 0
    assert read == kept(
        {"a": [1, 2.5, None, "ü"]}, verdict="mismatch", id=read.id, time_s=read.time_s
    )
    assert read.time_s == told.time_s
    assert await store.pair("chat", read.id) == read


async def test_an_id_that_the_caller_gives_means_nothing(store: PairStore) -> None:
    await keep(store, [kept(1, id=77), kept(2, id=77)])
    ids = [pair.id for pair in await streamed(store)]
    assert len(set(ids)) == 2
    assert 77 not in ids


async def test_what_the_caller_does_to_a_document_later_changes_nothing(store: PairStore) -> None:
    document = {"answer": "yes"}
    await keep(store, [kept(document)])
    document["answer"] = "no"
    assert await documents(store) == [{"answer": "yes"}]


async def test_a_long_document_comes_back_as_it_was(store: PairStore) -> None:
    document = {
        "text": "the same again " * 10_000,
        "noise": [n * 7919 % 65_537 for n in range(2_000)],
    }
    await keep(store, [kept(document)])
    assert await documents(store) == [document]


@pytest.mark.parametrize("broken", [object(), "\ud800", {"deep": {1, object()}}])
async def test_a_batch_with_what_cannot_be_written_is_refused_whole(
    store: PairStore, broken: Any
) -> None:
    await keep(store, [kept("old")])
    with pytest.raises(StoreError, match=r"pair 2 of the batch \(chat\) cannot be stored"):
        await store.keep([kept("new"), kept(broken)], {"chat": 1}, {"chat": at_most(0)}, NOW_S)
    with pytest.raises(StoreError, match="the tally of chat cannot be stored"):
        await store.keep([kept("new")], {"chat": broken}, {"chat": at_most(0)}, NOW_S)
    assert await documents(store) == ["old"]
    assert await store.tallies() == {}


async def test_ids_rise_also_after_everything_was_pruned(store: PairStore) -> None:
    highest = 0
    for _ in range(3):
        await keep(store, [kept(n) for n in range(3)])
        ids = [pair.id for pair in await streamed(store)]
        assert ids == sorted(ids)
        assert ids[0] > highest
        highest = ids[-1]
        await keep(store, [], chat=at_most(0))
        assert await streamed(store) == []


# -- tallies -----------------------------------------------------------------------------------


async def test_a_tally_replaces_that_of_its_route_only(store: PairStore) -> None:
    retention = {"chat": PLENTY, "code": PLENTY}
    await store.keep([], {"chat": {"pairs": 1}, "code": {"pairs": 5}}, retention, NOW_S)
    await store.keep([], {"chat": {"pairs": 2, "text": "x" * 5_000}}, retention, NOW_S)
    assert await store.tallies() == {
        "chat": {"pairs": 2, "text": "x" * 5_000},
        "code": {"pairs": 5},
    }


async def test_a_route_without_retention_loses_its_pairs_and_its_tally(store: PairStore) -> None:
    both = {"chat": PLENTY, "code": PLENTY}
    await store.keep([kept(1), kept(2, "code")], {"chat": 1, "code": 2}, both, NOW_S)
    assert await store.keep([], {}, {"code": PLENTY}, NOW_S) == 1
    assert await store.tallies() == {"code": 2}
    assert await documents(store) == []
    assert await documents(store, "code") == [2]


async def test_what_comes_for_a_route_without_retention_counts_as_pruned(store: PairStore) -> None:
    told = [kept(1), kept(2, "gone"), kept(object(), "gone")]
    assert await store.keep(told, {"gone": object()}, {"chat": PLENTY}, NOW_S) == 2
    assert await documents(store, "gone") == []
    assert await store.tallies() == {}


async def test_a_route_that_keeps_no_pairs_keeps_its_tally(store: PairStore) -> None:
    assert await store.keep([kept(1)], {"chat": 7}, {"chat": at_most(0)}, NOW_S) == 1
    assert await store.tallies() == {"chat": 7}
    assert await documents(store) == []


# -- retention ---------------------------------------------------------------------------------


async def test_the_newest_pairs_are_kept(store: PairStore) -> None:
    assert await keep(store, [kept(n) for n in range(5)], chat=at_most(3)) == 2
    assert await keep(store, [kept(5)], chat=at_most(3)) == 1
    assert await documents(store) == [5, 4, 3]


async def test_a_pair_is_pruned_by_its_age_though_newer_ones_came_before_it(
    store: PairStore,
) -> None:
    hour = Retention(max_pairs=100, max_age_s=3_600.0, max_bytes=1 << 40)
    ages_s = {"young": 10.0, "late": 3_500.0, "youngest": 0.0}
    await keep(store, [kept(name, time_s=NOW_S - age) for name, age in ages_s.items()])
    assert await keep(store, [], chat=hour) == 0
    assert await keep(store, [], now_s=NOW_S + 100.0, chat=hour) == 0  # "late" is an hour old now
    assert await keep(store, [], now_s=NOW_S + 200.0, chat=hour) == 1
    assert await documents(store) == ["youngest", "young"]


async def test_bytes_are_those_that_are_stored(store: PairStore) -> None:
    small = Retention(max_pairs=100, max_age_s=1e9, max_bytes=1_000)
    assert await keep(store, [kept("x" * 598), kept("x" * 398)], chat=small) == 0
    assert await keep(store, [kept("a" * 50_000)], chat=small) == 1  # nearly nothing, compressed
    assert await documents(store) == ["a" * 50_000, "x" * 398]


async def test_a_pair_that_is_larger_than_all_may_be_together_is_not_kept(
    store: PairStore,
) -> None:
    small = Retention(max_pairs=100, max_age_s=1e9, max_bytes=100)
    assert await keep(store, [kept("old"), kept("x" * 99)], chat=small) == 2
    assert await documents(store) == []
    assert await keep(store, [kept("new")], chat=small) == 0
    assert await documents(store) == ["new"]


async def test_a_prune_of_many_slices_is_done_when_keep_returns(store: PairStore) -> None:
    many = 2 * SLICE_PAIRS + 3
    both = {"chat": PLENTY, "code": PLENTY}
    told = [kept(n, route) for n in range(many) for route in both]
    assert await store.keep(told, {}, both, NOW_S) == 0
    assert await store.keep([], {}, {"chat": at_most(2), "code": at_most(1)}, NOW_S) == 2 * many - 3
    assert await documents(store) == [many - 1, many - 2]
    assert await documents(store, "code") == [many - 1]


# -- pages -------------------------------------------------------------------------------------


async def test_a_page_is_of_one_route_and_one_verdict(store: PairStore) -> None:
    retention = {"chat": PLENTY, "code": PLENTY}
    told = [
        kept(n, route, verdict=verdict)
        for n in range(3)
        for route in retention
        for verdict in ("match", "mismatch")
    ]
    await store.keep(told, {}, retention, NOW_S)
    assert await documents(store) == [2, 2, 1, 1, 0, 0]
    assert await documents(store, verdict="mismatch") == [2, 1, 0]
    assert await documents(store, verdict="error") == []
    assert await documents(store, "none") == []


@pytest.mark.parametrize("verdict", [None, "match"])
async def test_pages_meet_without_a_gap(store: PairStore, verdict: str | None) -> None:
    await keep(store, [kept(n) for n in range(25)])
    pages, before = [], None
    while page := await store.pairs("chat", verdict=verdict, before=before, limit=10):
        pages.append([pair.document for pair in page])
        before = page[-1].id
    assert [len(page) for page in pages] == [10, 10, 5]
    assert [n for page in pages for n in page] == list(range(24, -1, -1))


async def test_a_page_goes_on_where_it_was_though_pairs_came_and_went(store: PairStore) -> None:
    await keep(store, [kept(n) for n in range(20)])
    first = await store.pairs("chat", limit=5)
    await keep(store, [kept(n) for n in range(20, 25)], chat=at_most(15))
    second = await store.pairs("chat", before=first[-1].id, limit=100)
    assert [pair.document for pair in first] == [19, 18, 17, 16, 15]
    assert [pair.document for pair in second] == [14, 13, 12, 11, 10]


@pytest.mark.parametrize(
    ("limit", "given"), [(-1, 0), (0, 0), (1, 1), (10**30, MAX_PAGE), (MAX_PAGE + 1, MAX_PAGE)]
)
async def test_a_page_has_bounds(store: PairStore, limit: int, given: int) -> None:
    await keep(store, [kept(n) for n in range(MAX_PAGE + 5)])
    assert len(await store.pairs("chat", limit=limit)) == given


@pytest.mark.parametrize(("before", "given"), [(10**30, 1), (-(10**30), 0), (0, 0)])
async def test_any_number_is_a_place_to_begin(store: PairStore, before: int, given: int) -> None:
    await keep(store, [kept(1)])
    assert len(await store.pairs("chat", before=before)) == given


async def test_a_pair_is_found_in_its_route_only(store: PairStore) -> None:
    await keep(store, [kept(1)])
    (pair,) = await store.pairs("chat")
    assert await store.pair("code", pair.id) is None
    assert await store.pair("chat", pair.id + 1) is None
    assert await store.pair("chat", 10**30) is None


# -- streams -----------------------------------------------------------------------------------


async def test_a_stream_brings_all_pairs_the_oldest_first(store: PairStore) -> None:
    await keep(store, [kept(n, verdict="error" if n % 3 else "match") for n in range(50)])
    assert [pair.document for pair in await streamed(store)] == list(range(50))
    matches = await streamed(store, verdict="match")
    assert [pair.document for pair in matches] == list(range(0, 50, 3))


async def test_a_block_is_bounded_by_what_it_is_unpacked(store: PairStore) -> None:
    quarter = "a" * (BLOCK_BYTES // 4)
    await keep(store, [kept(quarter) for _ in range(9)] + [kept(quarter * 8), kept("end")])
    blocks = [block async for block in store.stream("chat")]
    assert [len(block) for block in blocks] == [4, 4, 2, 1]


async def test_a_stream_ends_where_the_route_ended_when_it_began(store: PairStore) -> None:
    half = "a" * (BLOCK_BYTES // 2)
    await keep(store, [kept(half) for _ in range(4)])
    seen: list[KeptPair] = []
    async for block in store.stream("chat"):
        seen += block
        await keep(store, [kept(half) for _ in range(2)])
        assert len(seen) <= 4
    assert len(seen) == 4
    assert len(await streamed(store)) == 8


async def test_a_stream_goes_on_though_everything_is_pruned(store: PairStore) -> None:
    half = "a" * (BLOCK_BYTES // 2)
    await keep(store, [kept(half) for _ in range(6)])
    seen: list[KeptPair] = []
    async for block in store.stream("chat"):
        seen += block
        await keep(store, [], chat=at_most(0))
    assert len(seen) in (2, 6)
    assert await streamed(store) == []


# -- open and closed ---------------------------------------------------------------------------


async def test_a_store_that_is_not_open_refuses_everything(store: PairStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await keep(store, [kept(1)])
    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.tallies()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.pairs("chat")
    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.pair("chat", 1)
    with pytest.raises(StoreUnavailableError, match="not open"):
        await streamed(store)


async def test_a_store_that_was_closed_can_be_opened_again(store: PairStore) -> None:
    await store.keep([kept(1)], {"chat": 2}, {"chat": PLENTY}, NOW_S)
    await store.close()
    await store.open()
    assert await documents(store) == [1]
    assert await store.tallies() == {"chat": 2}
    assert await keep(store, [kept(3)], chat=at_most(1)) == 1
    assert await documents(store) == [3]
