"""The trail over the API: pages in both directions, filters, and the verdict about it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from router.admin.audit import MAX_PAGE_BYTES, MAX_VERIFYING
from router.audit.entry import Actor, Draft, Entry
from router.store.base import MAX_SEARCHED, Commit, Store, StoreCorruptError
from router.store.memory import MemoryStore
from tests.support.admin import Admin, admin_port, fields_of

pytestmark = pytest.mark.anyio


async def pages(admin: Admin, query: str) -> list[list[int]]:
    """Sequence numbers, page by page, by the Link header alone."""
    found, following = [], f"/audit?{query}"
    while following:
        response = await admin.call("GET", following)
        document = response.json()
        found.append([entry["sequence"] for entry in document["entries"]])
        link = response.headers.get("link", "")
        assert (document["next"] is None) == (link == "")
        following = link.partition(">")[0].removeprefix("</api/v1")
    return found


@pytest.fixture
async def busy_trail(guarded: Admin) -> Admin:
    """Entries 1 to 9: the start, then an operator at `chat` and an admin at `walk`, in turn."""
    for number in range(8):
        role = ("operator", "admin")[number % 2]
        route = ("chat", "walk")[number % 2]
        weights = {"v1": 100 - number, "v2": number}
        body = {"weights": weights, "reason": f"change {number}"}
        await guarded.call("PUT", f"/routes/{route}/weights", body, role=role)
    guarded.client.headers["authorization"] = "Bearer the viewer secret"
    return guarded


async def test_the_newest_entries_come_first(busy_trail: Admin) -> None:
    assert await pages(busy_trail, "limit=4") == [[9, 8, 7, 6], [5, 4, 3, 2], [1]]
    assert await pages(busy_trail, "before=5&limit=3") == [[4, 3, 2], [1]]


async def test_after_an_entry_the_oldest_come_first(busy_trail: Admin) -> None:
    assert await pages(busy_trail, "after=0&limit=4") == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert await pages(busy_trail, "after=9") == [[]]


async def test_a_page_that_is_just_full_is_the_last(busy_trail: Admin) -> None:
    assert await pages(busy_trail, "limit=9") == [[9, 8, 7, 6, 5, 4, 3, 2, 1]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("route=chat", [8, 6, 4, 2]),
        ("route=nope", []),
        ("actor=operator-1", [8, 6, 4, 2]),
        ("actor=admin-1&route=walk", [9, 7, 5, 3]),
        ("actor=admin-1&route=chat", []),
        ("action=config.loaded", [1]),
        ("action=weights.set&after=7", [8, 9]),
        ("route=", []),
        ("route=%00", []),
    ],
)
async def test_filters_go_together_and_stay_from_page_to_page(
    busy_trail: Admin, query: str, expected: list[int]
) -> None:
    found = await pages(busy_trail, f"{query}&limit=2")
    assert [sequence for page in found for sequence in page] == expected


async def test_a_page_of_the_largest_size_goes_on() -> None:
    store = MemoryStore()
    async with admin_port(store=store) as admin:
        drafts = [
            Draft(time_s=float(n), actor=Actor("ann", "admin"), action="test") for n in range(1_999)
        ]
        record = await store.read()
        await store.commit(Commit(revision=record.revision, entries=drafts))
        found = await pages(admin, "limit=1000")
    assert sum(len(page) for page in found) == 2_000
    assert found[1][0] == found[0][-1] - 1


@pytest.mark.parametrize("query", ["limit=1000", "limit=1000&after=1", "limit=20&search=large"])
async def test_a_page_of_large_entries_ends_before_its_bound_and_the_next_goes_on(
    query: str,
) -> None:
    store = MemoryStore()
    async with admin_port(store=store) as admin:
        await _write_large(store, 30, MAX_PAGE_BYTES // 8)
        found = await pages(admin, query)
        first = await admin.call("GET", f"/audit?{query}")
    large = [sequence for page in found for sequence in page if sequence > 1]
    assert large == sorted(range(2, 32), reverse="after" not in query)
    assert [len(page) for page in found[:4]] == [7] * 4
    assert MAX_PAGE_BYTES * 3 / 4 < len(first.content) < MAX_PAGE_BYTES + 1_000


async def test_an_entry_that_is_larger_than_a_page_is_a_page(admin: Admin) -> None:
    await _write_large(admin.store, 2, MAX_PAGE_BYTES + 1)
    assert await pages(admin, "limit=1000") == [[3], [2], [1]]
    assert await pages(admin, "limit=1000&after=0") == [[1], [2], [3]]


async def _write_large(store: Store, many: int, size: int) -> None:
    """Entries whose `after` has so many characters."""
    ann = Actor("ann", "admin")
    drafts = [
        Draft(time_s=float(n), actor=ann, action="large", after={"text": "x" * size})
        for n in range(many)
    ]
    record = await store.read()
    await store.commit(Commit(revision=record.revision, entries=drafts))


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("after=-1", "after"),
        ("before=x", "before"),
        ("after=1&before=5", "before"),
        ("rout=chat", "rout"),
        ("route=a&route=b", "route"),
        (f"actor={'x' * 256}", "actor"),
    ],
)
async def test_a_filter_that_is_not_understood_is_refused(
    admin: Admin, query: str, field: str
) -> None:
    assert list(fields_of(await admin.call("GET", f"/audit?{query}"))) == [field]


async def test_an_entry_is_told_with_its_place_in_the_chain(admin: Admin) -> None:
    await admin.weights()
    newest, first = (await admin.call("GET", "/audit")).json()["entries"]
    assert (first["sequence"], first["previous"]) == (1, "0" * 64)
    assert newest["previous"] == first["hash"]
    assert newest["actor"] == {"name": "local", "role": "admin", "address": "127.0.0.1"}


# -- the verdict -------------------------------------------------------------------------------


async def test_a_trail_as_it_was_written_is_good_and_has_a_head(busy_trail: Admin) -> None:
    verdict = (await busy_trail.call("GET", "/audit/verify")).json()
    head = (await busy_trail.trail())[-1]
    assert verdict == {"ok": True, "entries": 9, "head": {"sequence": 9, "hash": head.hash}}


class Forged(MemoryStore):
    """Somebody has edited an entry, or made it unreadable."""

    edited: int | None = None
    unreadable: int | None = None

    async def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        async for block in super().stream_entries():
            for entry in block:
                if entry.sequence == self.unreadable:
                    raise StoreCorruptError(f"entry {entry.sequence} is no JSON")
                bad = entry.sequence == self.edited
                yield [msgspec.structs.replace(entry, reason="all is well") if bad else entry]


@pytest.mark.parametrize(
    ("how", "kind", "problem"),
    [
        ({"edited": 2}, "edited", "entry 2 was edited"),
        ({"unreadable": 3}, "unreadable", "entry 3 cannot be read"),
    ],
)
async def test_a_forged_trail_names_the_first_bad_entry(
    how: dict[str, int], kind: str, problem: str
) -> None:
    store = Forged()
    async with admin_port(store=store) as admin:
        for _ in range(4):
            await admin.weights()
        vars(store).update(how)
        verdict = (await admin.call("GET", "/audit/verify")).json()
    assert verdict["ok"] is False
    assert verdict["firstBad"]["kind"] == kind
    assert verdict["firstBad"]["problem"].startswith(problem)
    (bad,) = how.values()
    assert verdict["firstBad"]["sequence"] == bad
    assert verdict["entries"] == verdict["head"]["sequence"] == bad - 1


async def test_a_trail_whose_oldest_entries_are_not_kept_is_good() -> None:
    async with admin_port(store=MemoryStore(max_entries=3)) as admin:
        for _ in range(20):
            await admin.weights()
        verdict = (await admin.call("GET", "/audit/verify")).json()
        kept = len(await admin.trail())
    assert (verdict["ok"], verdict["entries"]) == (True, kept)
    assert verdict["head"]["sequence"] == 21


async def test_the_loop_turns_while_a_long_trail_is_judged(admin: Admin) -> None:
    actor = Actor("ann", "admin")
    drafts = [Draft(time_s=float(n), actor=actor, action="test") for n in range(5_000)]
    record = await admin.store.read()
    await admin.store.commit(Commit(revision=record.revision, entries=drafts))
    judging = asyncio.create_task(admin.call("GET", "/audit/verify"))
    turns = 0
    while not judging.done():
        await asyncio.sleep(0)
        turns += 1
    assert judging.result().json()["entries"] == 5_001
    assert turns > 10  # once a block of 256


class Slow(MemoryStore):
    """A trail that is read until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.all_read = asyncio.Event()
        self.reading = 0

    async def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        self.reading += 1
        if self.reading == MAX_VERIFYING:
            self.all_read.set()
        await self.go.wait()
        async for block in super().stream_entries():
            yield block


async def test_only_so_many_verifications_run_at_once() -> None:
    store = Slow()
    async with admin_port(store=store) as admin:
        running = [
            asyncio.create_task(admin.call("GET", "/audit/verify")) for _ in range(MAX_VERIFYING)
        ]
        await store.all_read.wait()
        refused = await admin.call("GET", "/audit/verify")
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:inference-router:busy")
        assert refused.headers["retry-after"] == "10"
        store.go.set()
        assert [(await one).json()["ok"] for one in running] == [True] * MAX_VERIFYING
        assert (await admin.call("GET", "/audit/verify")).status_code == 200


# -- searching ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("search=CHANGE 7", [9]),
        ("search=change", [9, 8, 7, 6, 5, 4, 3, 2]),
        ("search=Config.", [1]),
        ("search=operator-1", [8, 6, 4, 2]),
        ("search=operator-1&route=walk", []),
        ("search=walk&after=0", [3, 5, 7, 9]),
        ("search=change&before=4", [3, 2]),
        ("search=nothing like it", []),
    ],
)
async def test_a_search_goes_over_the_trail_page_by_page(
    busy_trail: Admin, query: str, expected: list[int]
) -> None:
    found = await pages(busy_trail, f"{query}&limit=2")
    assert [sequence for page in found for sequence in page] == expected


async def test_a_search_of_a_long_trail_says_where_to_go_on() -> None:
    store = MemoryStore()
    async with admin_port(store=store) as admin:
        ann = Actor("ann", "admin")
        reasons = ["needle", *(f"hay {number}" for number in range(2 * MAX_SEARCHED)), "needle"]
        drafts = [
            Draft(time_s=float(n), actor=ann, action="test", reason=reason)
            for n, reason in enumerate(reasons)
        ]
        revision = (await store.read()).revision
        await store.commit(Commit(revision=revision, entries=drafts))
        first = (await admin.call("GET", "/audit?search=Needle")).json()
        found = await pages(admin, "search=needle")
        rising = await pages(admin, "search=needle&after=0")
    last = len(drafts) + 1  # the entry of the start comes before all
    assert [entry["sequence"] for entry in first["entries"]] == [last]
    assert first["next"] == last - MAX_SEARCHED + 1
    assert found == [[last], [], [2]]
    assert rising == [[2], [], [last]]


async def test_a_search_that_is_too_long_is_refused(admin: Admin) -> None:
    response = await admin.call("GET", f"/audit?search={'x' * 256}")
    assert [*fields_of(response)] == ["search"]
