"""What every store promises, in the order of `router.store.base`."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import msgspec
import pytest

from router.audit.chain import AuditError, head_of
from router.audit.entry import Entry
from router.rollouts.state import RouteState
from router.snapshot import FULL, Snapshot
from router.store import verify_trail
from router.store.base import (
    MAX_FINISHED_RUNS,
    MAX_PAGE,
    MAX_ROUTES_TOLD,
    MAX_SEARCHED,
    REQUESTS_KEPT_S,
    Commit,
    Generation,
    KnownRequestError,
    Record,
    RequestKey,
    RouteShares,
    Run,
    StaleError,
    Store,
    StoreError,
    StoreUnavailableError,
)
from tests.store.commits import ALICE, BOB, draft, route, state, table
from tests.store.conftest import Change

pytestmark = pytest.mark.anyio


async def sequences(store: Store, **asked: Any) -> list[int]:
    return [entry.sequence for entry in await store.entries(**asked)]


async def everything(store: Store) -> tuple[Any, ...]:
    """All that a caller can see; equal means that nothing was written."""
    return (
        await store.read(),
        await store.head(),
        await store.entries(limit=MAX_PAGE),
        await store.generations(limit=MAX_PAGE),
        await store.runs(limit=MAX_PAGE),
        await store.find_request("alice", "key"),
    )


# -- the record --------------------------------------------------------------------------------


async def test_a_new_store_is_empty(store: Store) -> None:
    assert await everything(store) == (Record(), None, [], [], [], None)
    assert (await store.read()).snapshot == Snapshot(generation=0)


async def test_what_was_committed_is_read(store: Store) -> None:
    entries = await store.commit(
        Commit(
            revision=0,
            snapshot=table(1, chat=500, code=0),
            states={"chat": state(500), "code": state()},
            entries=[draft(), draft("code")],
        )
    )
    record = await store.read()
    assert record.revision == 1
    assert record.snapshot == table(1, chat=500, code=0)
    assert record.states == {"chat": state(500), "code": state()}
    assert [entry.sequence for entry in entries] == [1, 2]
    assert await store.entries(after=0) == list(entries)
    assert await store.head() == head_of(entries[-1])


async def test_a_commit_changes_only_what_it_names(store: Store, change: Change) -> None:
    first = {"chat": state(), "code": state()}
    await change(snapshot=table(1, chat=0, code=0), states=first)
    await change(states={"chat": state(100)}, entries=[draft()])
    record = await store.read()
    assert record.states == {"chat": state(100), "code": state()}
    assert record.snapshot == table(1, chat=0, code=0)
    assert record.revision == 2


async def test_a_removed_route_leaves_states_and_table(store: Store, change: Change) -> None:
    await change(snapshot=table(1, chat=0, code=0), states={"chat": state(), "code": state()})
    await change(snapshot=table(2, code=0), removed=["chat", "never"])
    record = await store.read()
    assert record.states == {"code": state()}
    assert record.snapshot == table(2, code=0)


async def test_what_is_removed_and_given_in_one_commit_is_given(
    store: Store, change: Change
) -> None:
    await change(states={"chat": state()})
    await change(states={"chat": state(5)}, removed=["chat"])
    assert (await store.read()).states == {"chat": state(5)}


async def test_a_state_keeps_what_it_says_exactly(store: Store, change: Change) -> None:
    lineage = {"v1": {"auc": 0.1 + 0.2, "lost": math.inf, "runs": [1, None, "ü"]}}
    told = RouteState(stable="v1", weights={"v1": FULL}, past=("v0",), lineage=lineage)
    await change(states={"chat": told})
    assert (await store.read()).states == {"chat": told}


async def test_what_the_caller_does_to_a_committed_value_later_changes_nothing(
    store: Store, change: Change
) -> None:
    told = state(500)
    await change(states={"chat": told})
    told.weights["v2"] = 9_999
    assert (await store.read()).states == {"chat": state(500)}


# -- one after the other -----------------------------------------------------------------------


async def test_of_two_commits_on_one_revision_one_succeeds(store: Store, change: Change) -> None:
    await change(snapshot=table(1, chat=0))
    told = await asyncio.gather(
        *(
            store.commit(Commit(revision=1, snapshot=table(n, chat=n), entries=[draft()]))
            for n in (2, 3, 4)
        ),
        return_exceptions=True,
    )
    assert [type(answer) for answer in told].count(StaleError) == 2
    assert (await store.read()).revision == 2
    assert len(await store.entries()) == len(await store.generations(before=10)) - 1 == 1


@pytest.mark.parametrize("revision", [0, 2, -1])
async def test_a_commit_on_another_revision_is_refused(
    store: Store, change: Change, revision: int
) -> None:
    await change(snapshot=table(1, chat=0), entries=[draft()])
    before = await everything(store)
    with pytest.raises(StaleError, match="revision"):
        await store.commit(Commit(revision=revision, snapshot=table(2, chat=9), entries=[draft()]))
    assert await everything(store) == before


@pytest.mark.parametrize("generation", [4, 5])
async def test_a_generation_that_does_not_rise_is_refused(
    store: Store, change: Change, generation: int
) -> None:
    await change(snapshot=table(5, chat=0), entries=[draft()])
    before = await everything(store)
    with pytest.raises(StaleError, match="generation"):
        await change(snapshot=table(generation, chat=1), entries=[draft()])
    assert await everything(store) == before


async def test_generations_may_leave_numbers_out(store: Store, change: Change) -> None:
    await change(snapshot=table(5, chat=0))
    await change(snapshot=table(900, chat=1))
    assert [g.number for g in await store.generations()] == [900, 5]


async def test_an_empty_commit_counts_too(store: Store, change: Change) -> None:
    assert await change() == ()
    assert await store.read() == Record(revision=1)


# -- whole or not at all -----------------------------------------------------------------------

ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)

UNFIT: dict[str, dict[str, Any]] = {
    "entry": {"entries": [draft(), draft(after=object())]},
    "entry without end": {"entries": [draft(), draft(after=ENDLESS)]},
    "state": {
        "states": {
            "chat": state(9),
            "code": RouteState(stable="v", weights={"v": FULL}, lineage={"v": {"a": object()}}),
        }
    },
    "run": {"runs": [Run(id="a", route="chat", phase="Running", started_s=1.0, document=2**65)]},
}


@pytest.mark.parametrize("part", UNFIT)
async def test_a_commit_with_a_part_that_cannot_be_stored_writes_nothing(
    store: Store, change: Change, part: str
) -> None:
    await change(snapshot=table(1, chat=0), states={"chat": state()}, entries=[draft()])
    before = await everything(store)
    whole: dict[str, Any] = {
        "snapshot": table(2, chat=9),
        "states": {"chat": state(9)},
        "entries": [draft()],
        "runs": [Run(id="b", route="chat", phase="Running", started_s=1.0)],
        "key": RequestKey("alice", "key", "d"),
    }
    with pytest.raises((StoreError, AuditError)):
        await change(**whole | UNFIT[part])
    assert await everything(store) == before
    await change(**whole)
    assert (await store.read()).revision == 2


# -- generations -------------------------------------------------------------------------------


async def test_a_generation_tells_what_it_changed_and_which_entries_say_why(
    store: Store, change: Change
) -> None:
    await change(snapshot=table(1, gone=0, chat=0, same=0), entries=[draft(), draft()])
    later = Snapshot(
        generation=2, routes=(route("chat", 500, 1), route("same", 0, 2), route("new", 0, 3))
    )
    await change(snapshot=later, entries=[draft(time_s=2_000.0), draft()])
    assert await store.generation(2) == Generation(
        number=2,
        time_s=2_000.0,
        routes=(
            RouteShares(route="chat", before={"v1": FULL, "v2": 0}, after={"v1": 9_500, "v2": 500}),
            RouteShares(route="new", before=None, after={"v1": FULL, "v2": 0}),
            RouteShares(route="gone", before={"v1": FULL, "v2": 0}, after=None),
        ),
        routes_changed=3,
        entries=(3, 4),
    )


async def test_a_generation_without_entries_has_the_commits_time(
    store: Store, change: Change
) -> None:
    await change(snapshot=table(1, chat=0), time_s=7.0)
    await change(snapshot=table(2, chat=1))
    assert [(g.time_s, g.entries) for g in await store.generations()] == [(7.0, ()), (7.0, ())]


async def test_a_commit_without_a_table_makes_no_generation(store: Store, change: Change) -> None:
    await change(snapshot=table(1, chat=0))
    await change(entries=[draft()])
    assert [g.number for g in await store.generations()] == [1]


async def test_a_generation_that_never_was_is_none(store: Store, change: Change) -> None:
    await change(snapshot=table(3, chat=0))
    assert [await store.generation(n) for n in (2, 4, -1, 2**80)] == [None] * 4


async def test_a_generation_tells_of_a_bounded_number_of_routes(
    store: Store, change: Change
) -> None:
    many = {f"r{n}": 0 for n in range(MAX_ROUTES_TOLD + 5)}
    await change(snapshot=table(1, **many))
    generation = await store.generation(1)
    assert generation is not None
    assert len(generation.routes) == MAX_ROUTES_TOLD
    assert generation.routes_changed == MAX_ROUTES_TOLD + 5


async def test_generations_are_paged_from_the_newest_down(store: Store, change: Change) -> None:
    for number in range(1, 6):
        await change(snapshot=table(number, chat=number))
    assert [g.number for g in await store.generations(limit=2)] == [5, 4]
    assert [g.number for g in await store.generations(before=4, limit=2)] == [3, 2]
    assert await store.generations(before=1) == []


# -- idempotency keys --------------------------------------------------------------------------

KEY = RequestKey("alice", "key", "digest")


async def test_a_key_is_found_with_its_digest_and_the_generation_that_answered(
    store: Store, change: Change
) -> None:
    await change(snapshot=table(7, chat=0), key=KEY)
    assert await store.find_request("alice", "key") == (KEY, 7)
    assert await store.find_request("bob", "key") is None
    assert await store.find_request("alice", "other") is None


async def test_a_key_of_a_commit_without_a_table_is_answered_by_the_generation_in_force(
    store: Store, change: Change
) -> None:
    await change(snapshot=table(7, chat=0))
    await change(entries=[draft()], key=KEY)
    assert await store.find_request("alice", "key") == (KEY, 7)


async def test_a_known_key_is_refused_and_nothing_is_written(store: Store, change: Change) -> None:
    await change(snapshot=table(1, chat=0), key=KEY)
    before = await everything(store)
    with pytest.raises(KnownRequestError):
        await change(
            snapshot=table(2, chat=0),
            entries=[draft()],
            key=RequestKey("alice", "key", "another"),
        )
    assert await everything(store) == before
    await change(key=RequestKey("bob", "key", "digest"))


async def test_a_key_is_remembered_for_a_day(store: Store, change: Change) -> None:
    await change(key=KEY, time_s=0.0)
    await change(key=RequestKey("alice", "second", "d"), time_s=REQUESTS_KEPT_S)
    assert await store.find_request("alice", "key") is not None
    await change(key=RequestKey("alice", "third", "d"), time_s=REQUESTS_KEPT_S + 1)
    assert await store.find_request("alice", "key") is None
    assert await store.find_request("alice", "second") is not None
    await change(key=KEY, time_s=REQUESTS_KEPT_S + 2)


# -- the audit trail ---------------------------------------------------------------------------


@pytest.fixture
async def trail(store: Store, change: Change) -> Store:
    """Nine entries in three commits."""
    for _ in range(3):
        await change(
            entries=[
                draft("chat", "weights.set"),
                draft("code", "weights.set", actor=BOB),
                draft(None, "reload", actor=BOB),
            ]
        )
    return store


async def test_pages_go_from_the_newest_down(trail: Store) -> None:
    assert await sequences(trail) == [9, 8, 7, 6, 5, 4, 3, 2, 1]
    assert await sequences(trail, limit=2) == [9, 8]
    assert await sequences(trail, before=8, limit=2) == [7, 6]
    assert await sequences(trail, before=1) == []


async def test_pages_go_from_the_oldest_up(trail: Store) -> None:
    assert await sequences(trail, after=0, limit=2) == [1, 2]
    assert await sequences(trail, after=7) == [8, 9]
    assert await sequences(trail, after=9) == []
    assert await sequences(trail, after=2, before=5) == [3, 4]


async def test_pages_are_filtered(trail: Store) -> None:
    assert await sequences(trail, route="chat") == [7, 4, 1]
    assert await sequences(trail, action="reload", limit=2) == [9, 6]
    assert await sequences(trail, actor="bob", after=3) == [5, 6, 8, 9]
    assert await sequences(trail, route="code", actor="bob", before=8) == [5, 2]
    assert await sequences(trail, route="chat", actor="bob") == []
    assert await sequences(trail, route="") == []


async def test_a_page_is_bounded(store: Store, change: Change) -> None:
    await change(entries=[draft() for _ in range(MAX_PAGE + 1)])
    assert len(await store.entries(limit=10**30)) == MAX_PAGE
    assert await store.entries(limit=0) == await store.entries(limit=-1) == []
    assert await store.entries(before=10**30, limit=1) != []
    assert await store.entries(after=10**30) == []


async def test_an_entry_is_read_as_it_was_returned(store: Store, change: Change) -> None:
    written = await change(
        entries=[
            draft(
                actor=ALICE,
                reason="because é\0\u2028",
                before={"v1": 100},
                after=[math.nan, 1e300, -0.0, 2**70, ""],
                generation=3,
                evidence={"p99": 0.25},
            ),
            draft(None),
            draft(""),
        ]
    )
    assert await store.entries(after=0) == list(written)
    assert (await verify_trail(store)).fault is None


async def test_the_trail_is_streamed_from_its_beginning(store: Store, change: Change) -> None:
    written = [
        *await change(entries=[draft() for _ in range(600)]),
        *await change(entries=[draft("code")]),
    ]
    streamed: list[Entry] = []
    async for block in store.stream_entries():
        assert 0 < len(block) < 600
        streamed += block
    assert streamed == written


async def test_a_stream_ends_where_the_trail_ended_when_it_began(
    store: Store, change: Change
) -> None:
    await change(entries=[draft() for _ in range(600)])
    stream = store.stream_entries()
    streamed = [*await anext(stream)]
    await change(entries=[draft()])
    async for block in stream:
        streamed += block
    assert [entry.sequence for entry in streamed] == list(range(1, 601))


async def test_an_empty_trail_streams_nothing_and_verifies(store: Store) -> None:
    assert [block async for block in store.stream_entries()] == []
    assert (await verify_trail(store)).fault is None


async def test_a_trail_verifies_while_it_grows(store: Store, change: Change) -> None:
    async def grow() -> None:
        for _ in range(30):
            await change(entries=[draft()])

    await change(entries=[draft() for _ in range(600)])
    verdict, _ = await asyncio.gather(verify_trail(store), grow())
    assert verdict.fault is None
    assert verdict.entries >= 600


# -- analysis runs -----------------------------------------------------------------------------


def run(number: int, finished: bool = True, route: str = "chat") -> Run:
    finished_s = number + 0.5 if finished else None
    phase = "Successful" if finished else "Running"
    return Run(
        id=f"{route}-{number}",
        route=route,
        phase=phase,
        started_s=float(number),
        finished_s=finished_s,
        document={"n": number, "p": 0.1},
    )


async def test_a_run_is_read_as_it_was_written(store: Store, change: Change) -> None:
    await change(runs=[run(1)])
    assert await store.run("chat-1") == run(1)
    assert await store.run("chat-2") is None


async def test_a_run_is_replaced_by_its_id(store: Store, change: Change) -> None:
    await change(runs=[run(1, finished=False), run(2, finished=False)])
    await change(runs=[run(1)])
    assert await store.runs() == [run(2, finished=False), run(1)]


async def test_runs_are_listed_newest_first_and_filtered(store: Store, change: Change) -> None:
    kept = [run(2), run(1, finished=False), run(3, route="code"), run(4, finished=False)]
    await change(runs=kept)
    assert await store.runs() == [kept[3], kept[2], kept[0], kept[1]]
    assert await store.runs(route="chat", limit=2) == [kept[3], kept[0]]
    assert await store.runs(unfinished=True) == [kept[3], kept[1]]
    assert await store.runs(route="code", unfinished=True) == []


async def test_runs_that_began_together_are_listed_last_written_first(
    store: Store, change: Change
) -> None:
    twins = [msgspec.structs.replace(run(n), started_s=1.0) for n in range(3)]
    await change(runs=twins)
    await change(runs=[msgspec.structs.replace(twins[0], phase="Failed")])
    assert [known.id for known in await store.runs()] == ["chat-2", "chat-1", "chat-0"]


async def test_the_newest_finished_runs_of_each_route_are_kept_and_all_that_still_run(
    store: Store, change: Change
) -> None:
    await change(runs=[run(0, finished=False), run(1, route="code")])
    await change(runs=[run(n) for n in range(1, MAX_FINISHED_RUNS + 6)])
    kept = await store.runs(route="chat", limit=MAX_PAGE)
    newest = range(MAX_FINISHED_RUNS + 5, 5, -1)
    assert [known.id for known in kept] == [f"chat-{n}" for n in newest] + ["chat-0"]
    assert await store.run("code-1") is not None


# -- opened and closed -------------------------------------------------------------------------


async def test_closing_twice_is_closing_once(store: Store) -> None:
    await store.close()
    await store.close()


async def test_a_closed_store_says_so(store: Store) -> None:
    await store.close()
    for ask in (store.read, store.head, store.entries, store.generations, store.runs):
        with pytest.raises(StoreUnavailableError, match="not open"):
            await ask()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.commit(Commit(revision=0))


async def test_a_store_that_is_opened_again_goes_on(store: Store, change: Change) -> None:
    await change(snapshot=table(1, chat=0), states={"chat": state()}, entries=[draft()])
    before = await everything(store)
    await store.close()
    await store.open()
    assert await everything(store) == before
    (entry,) = await change(entries=[draft()])
    assert entry.sequence == 2
    assert (await verify_trail(store)).fault is None


# -- searching the trail -----------------------------------------------------------------------

SAID = (
    ("chat", "weights.set", "v2 answers zu LANGSAM, sagt Öznur", BOB),
    ("code", "rollout.aborted", "p99 doubled", ALICE),
    (None, "config.loaded", "", ALICE),
    ("chat", "rollout.paused", "100% of_it", ALICE),
)


@pytest.fixture
async def told(store: Store, change: Change) -> Store:
    """Entries 1 to 4."""
    for route_, action, reason, actor in SAID:
        await change(entries=[draft(route_, action, reason=reason, actor=actor)])
    return store


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("langsam", [1]),
        ("ÖZNUR", [1]),
        ("CODE", [2]),
        ("bob", [1]),
        ("rollout.", [4, 2]),
        ("config.loaded", [3]),
        ("100%", [4]),
        ("of_it", [4]),
        ("ofXit", []),
        ("nobody", []),
        ("\0", []),
        ("", [4, 3, 2, 1]),
    ],
)
async def test_a_search_looks_into_reason_actor_action_and_route_whatever_their_case(
    told: Store, search: str, expected: list[int]
) -> None:
    assert await sequences(told, search=search) == expected
    assert await sequences(told, search=search, after=0) == expected[::-1]


async def test_a_search_goes_together_with_filters_and_pages(told: Store) -> None:
    assert await sequences(told, search="rollout", route="chat") == [4]
    assert await sequences(told, search="rollout", actor="bob") == []
    assert await sequences(told, search="rollout", before=4) == [2]
    assert await sequences(told, search="rollout", limit=1) == [4]
    assert await sequences(told, search="rollout", after=2) == [4]
    assert await sequences(told, search="rollout", after=0, before=4) == [2]


async def test_one_search_looks_at_a_bounded_part_of_the_trail(
    store: Store, change: Change
) -> None:
    first = draft(reason="needle")
    await change(entries=[first, *(draft(reason="hay") for _ in range(MAX_SEARCHED))])
    assert await sequences(store, search="needle") == []
    assert await sequences(store, search="needle", before=MAX_SEARCHED + 1) == [1]
    assert await sequences(store, search="needle", after=0) == [1]
    assert len(await sequences(store, search="hay", after=0, limit=MAX_PAGE)) == MAX_PAGE


async def test_an_empty_trail_can_be_searched(store: Store) -> None:
    assert await store.entries(search="x") == await store.entries(search="x", after=3) == []
