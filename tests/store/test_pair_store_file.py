"""The pair store's file: who may use it, what it survives, what is refused."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from router.store import create_pair_store, create_store
from router.store.base import (
    StoreCorruptError,
    StoreError,
    StoreInUseError,
    StoreUnavailableError,
)
from router.store.pairs import queries
from router.store.pairs.base import BLOCK_BYTES, Retention
from router.store.pairs.memory import MemoryPairStore
from router.store.pairs.prune import SLACK_PAGES, SLICE_BYTES, SLICE_PAIRS
from router.store.pairs.schema import PAIRS
from router.store.pairs.sqlite import SqlitePairStore
from router.store.sqlite import SqliteStore
from tests.store.kept import NOW_S, PLENTY, documents, keep, kept, streamed

pytestmark = pytest.mark.anyio

FEW = Retention(max_pairs=2, max_age_s=1e9, max_bytes=1 << 40)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state-pairs.db"


@pytest.fixture
async def store(file: Path) -> AsyncIterator[SqlitePairStore]:
    """Open, with three pairs and a tally."""
    store = SqlitePairStore(file)
    await store.open()
    told = [kept("one"), kept("two", verdict="mismatch"), kept("three")]
    await store.keep(told, {"chat": {"pairs": 3}}, {"chat": PLENTY}, NOW_S)
    yield store
    await store.close()


def alter(file: Path, *statements: str) -> None:
    """Do what only somebody with an SQLite shell can."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def read(file: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchall()


def contents(file: Path) -> bytes:
    return file.read_bytes()


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


async def refusal(file: Path, error: type[Exception]) -> str:
    store = SqlitePairStore(file)
    with pytest.raises(error) as refused:
        await store.open()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.tallies()
    return str(refused.value)


# -- where it lies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ("sqlite:///var/lib/router/state.db", "/var/lib/router/state-pairs.db"),
        ("sqlite:///var/lib/router/state", "/var/lib/router/state-pairs.db"),
        ("sqlite:///var/lib/router.d/.state", "/var/lib/router.d/.state-pairs.db"),
        ("sqlite:///var/lib/state.v1.sqlite3", "/var/lib/state.v1-pairs.sqlite3"),
    ],
)
def test_pairs_lie_beside_the_state(location: str, path: str) -> None:
    store = create_pair_store(location)
    assert isinstance(store, SqlitePairStore)
    assert store.path == Path(path)


def test_pairs_lie_where_the_state_really_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state.db").symlink_to(tmp_path / "disk" / "real.db")
    monkeypatch.chdir(tmp_path)
    store = create_pair_store("sqlite:state.db")
    assert isinstance(store, SqlitePairStore)
    assert store.path == tmp_path / "disk" / "real-pairs.db"


def test_pairs_of_a_state_in_memory_live_in_memory() -> None:
    assert isinstance(create_pair_store("memory:"), MemoryPairStore)


def test_a_location_that_means_no_store_means_no_pair_store() -> None:
    with pytest.raises(StoreError, match="not built in yet"):
        create_pair_store("postgresql://admin:hunter2@db/router")


async def test_state_and_pairs_are_open_beside_each_other(tmp_path: Path) -> None:
    location = f"sqlite:{tmp_path / 'state.db'}"
    state, pairs = create_store(location), create_pair_store(location)
    await state.open()
    await pairs.open()
    await keep(pairs, [kept(1)])
    assert (await state.read()).revision == 0
    await pairs.close()
    await state.close()


# -- whose it is -------------------------------------------------------------------------------


async def test_a_second_owner_is_refused_by_the_files_name(
    store: SqlitePairStore, file: Path
) -> None:
    told = await refusal(file, StoreInUseError)
    assert told.startswith(f"{file} is in use by process {os.getpid()}")
    await store.close()
    other = SqlitePairStore(file)
    await other.open()
    await other.close()


async def test_a_store_is_opened_once(store: SqlitePairStore) -> None:
    with pytest.raises(StoreUnavailableError, match="open already"):
        await store.open()
    assert await documents(store) == ["three", "two", "one"]


async def test_the_file_is_its_owners_only(store: SqlitePairStore, file: Path) -> None:
    files = sorted(file.parent.iterdir())
    assert [file.name for file in files] == [
        "state-pairs.db",
        "state-pairs.db-shm",
        "state-pairs.db-wal",
        "state-pairs.db.lock",
    ]
    assert {mode(file) for file in files} == {0o600}


async def test_a_batch_does_not_wait_for_the_disk_and_the_file_can_shrink(
    store: SqlitePairStore,
) -> None:
    def pragmas() -> list[Any]:
        connection = store._writer._file.connect()
        names = ("synchronous", "journal_mode", "auto_vacuum")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store._do(pragmas) == [1, "wal", 2]


# -- what is refused ---------------------------------------------------------------------------


async def test_a_file_that_is_no_database_is_refused_and_stays_as_it_is(file: Path) -> None:
    text = b"models:\n- chat\n" * 500
    write(file, text)
    told = await refusal(file, StoreCorruptError)
    assert told.startswith(f"{file} cannot be read as a store")
    assert "move it away" in told
    assert contents(file) == text


async def test_the_state_of_a_router_is_no_file_of_pairs(tmp_path: Path) -> None:
    state = SqliteStore(tmp_path / "state.db")
    await state.open()
    await state.close()
    before = contents(tmp_path / "state.db")
    told = await refusal(tmp_path / "state.db", StoreCorruptError)
    assert "another program: move it away, or name another file" in told
    assert contents(tmp_path / "state.db") == before


async def test_a_file_of_a_newer_release_is_refused(store: SqlitePairStore, file: Path) -> None:
    await store.close()
    alter(file, f"PRAGMA user_version = {len(PAIRS.migrations) + 1}")
    assert "newer release" in await refusal(file, StoreCorruptError)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    told = await refusal(tmp_path / "nowhere" / "x.db", StoreUnavailableError)
    assert f"create the folder {tmp_path / 'nowhere'}" in told


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
async def test_a_folder_that_takes_no_file_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.open", refuse)
    told = await refusal(file, StoreUnavailableError)
    assert told.startswith(f"{file} cannot be written to: {os.strerror(number)}")
    assert str(file.parent) in told


# -- damage ------------------------------------------------------------------------------------


async def test_a_damaged_file_is_named_with_a_remedy(store: SqlitePairStore, file: Path) -> None:
    await keep(store, [kept("x" * 1_000) for _ in range(200)])
    await store.close()
    whole = contents(file)
    write(file, whole[:8192] + b"\xa5" * (len(whole) - 8192))
    try:
        await store.open()
    except StoreCorruptError as error:
        refused: StoreError = error
    else:
        with pytest.raises(StoreCorruptError) as on_read:
            await streamed(store)
        refused = on_read.value
        with pytest.raises(StoreUnavailableError, match="move it away to start anew"):
            await keep(store, [kept("new")])
    assert str(file) in str(refused)
    assert "move it away to start anew" in str(refused)


@pytest.mark.parametrize("damage", ["x'7801ffff'", "x'7b22'", "x'22ff22'", "x''", "zeroblob(3)"])
async def test_a_pair_that_cannot_be_read_is_named_and_the_others_are_read(
    store: SqlitePairStore, file: Path, damage: str
) -> None:
    pair = (await store.pairs("chat", verdict="mismatch"))[0]
    alter(file, f"UPDATE pairs SET document = {damage} WHERE id = {pair.id}")
    asked: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.pairs("chat"),
        lambda: store.pair("chat", pair.id),
        lambda: streamed(store),
    ]
    for ask in asked:
        with pytest.raises(StoreCorruptError) as refused:
            await ask()
        told = str(refused.value)
        assert told.startswith(f"{file} is damaged: pair {pair.id} of route chat cannot be read")
        assert told.endswith("move it away to start anew")
    assert await documents(store, verdict="match") == ["three", "one"]
    assert await keep(store, [], chat=FEW) == 1


async def test_a_tally_that_cannot_be_read_is_named(store: SqlitePairStore, file: Path) -> None:
    alter(file, "UPDATE tallies SET tally = x'7b'")
    with pytest.raises(StoreCorruptError, match="the tally of route chat cannot be read"):
        await store.tallies()


# -- failures ----------------------------------------------------------------------------------


async def everything(store: SqlitePairStore) -> tuple[Any, ...]:
    return await streamed(store), await store.tallies()


async def test_a_full_disk_refuses_a_batch_and_takes_the_next_one(store: SqlitePairStore) -> None:
    before = await everything(store)

    def fill_up() -> None:
        connection = store._writer._file.connect()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await store._do(fill_up)
    much = [kept([n * 7919 % 65_537 for n in range(50_000)])]
    with pytest.raises(StoreUnavailableError, match="full: free some space"):
        await store.keep(much, {"chat": "new"}, {"chat": FEW}, NOW_S)
    assert await everything(store) == before
    # The connection that failed is gone, and with it the bound that this test has set.
    assert await store.keep(much, {"chat": "new"}, {"chat": FEW}, NOW_S) == 2


async def test_a_batch_that_fails_half_way_writes_nothing_and_is_counted_from_the_disk(
    store: SqlitePairStore, file: Path
) -> None:
    before = await everything(store)
    alter(
        file,
        "CREATE TRIGGER fails BEFORE DELETE ON pairs BEGIN SELECT RAISE (FAIL, 'oh'); END",
    )
    with pytest.raises(StoreUnavailableError, match="oh"):
        await store.keep([kept("new")], {"chat": "new"}, {"chat": FEW}, NOW_S)
    alter(file, "DROP TRIGGER fails")
    assert await everything(store) == before
    assert await keep(store, [kept("new")], chat=FEW) == 2
    assert await documents(store) == ["new", "three"]
    assert read(file, "SELECT * FROM totals") == [("chat", 2, len('"new"') + len('"three"'))]


async def test_a_route_that_is_gone_leaves_nothing_behind(
    store: SqlitePairStore, file: Path
) -> None:
    assert await store.keep([], {}, {}, NOW_S) == 3
    for table in ("pairs", "totals", "tallies"):
        assert read(file, f"SELECT count(*) FROM {table}") == [(0,)]


# -- readers and the writer --------------------------------------------------------------------


async def test_pairs_are_read_while_somebody_writes(store: SqlitePairStore, file: Path) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("DELETE FROM pairs")
        assert await documents(store) == ["three", "two", "one"]
        assert len(await streamed(store)) == 3
        shell.execute("ROLLBACK")


async def test_a_stream_that_nobody_goes_on_with_holds_nothing(
    store: SqlitePairStore, file: Path
) -> None:
    await keep(store, [kept("x" * (BLOCK_BYTES // 2)) for _ in range(6)])
    stream = store.stream("chat")
    await anext(stream)
    await keep(store, [kept("new")])
    # A reader that held its snapshot would keep the log from being written back whole.
    with closing(sqlite3.connect(file)) as shell:
        busy, pages, written_back = shell.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert (busy, pages, written_back) == (0, 0, 0)
    assert [pair.document async for block in stream for pair in block][-1] != "new"


@pytest.mark.parametrize("verdict", [None, "match"])
async def test_a_page_and_a_block_come_in_the_order_of_an_index(
    store: SqlitePairStore, file: Path, verdict: str | None
) -> None:
    plans: list[str] = []

    class Explaining(sqlite3.Connection):
        def execute(self, query: str, *values: Any) -> sqlite3.Cursor:
            explained = super().execute(f"EXPLAIN QUERY PLAN {query}", *values)
            plans.append(" ".join(step[3] for step in explained))
            return super().execute(query, *values)

    with closing(sqlite3.connect(file, factory=Explaining)) as connection:
        queries.pairs(connection, "chat", verdict, 1_000, 100)
        queries.block(connection, "chat", verdict, 0, 1_000)
    index = (
        "pairs_by_route (route=?" if verdict is None else "pairs_by_verdict (route=? AND verdict=?"
    )
    assert len(plans) == 2
    for plan in plans:
        assert f"USING INDEX {index}" in plan
        assert "rowid" in plan
        assert "TEMP B-TREE" not in plan


async def test_no_transaction_prunes_more_than_a_slice(store: SqlitePairStore) -> None:
    half = [n * 2_654_435_761 for n in range(SLICE_BYTES // 24)]
    await keep(store, [kept(n) for n in range(SLICE_PAIRS)])
    await keep(store, [kept(half) for _ in range(5)])
    slices = []
    more = True
    while more:
        pruned, more = await store._do(lambda: store._writer.prune({}, NOW_S))
        slices.append(pruned)
    assert slices[0] == SLICE_PAIRS
    assert sum(slices) == SLICE_PAIRS + 3 + 5
    assert 0 < slices[1] < 8  # as many as the bytes of a slice allow


# -- the file's size ---------------------------------------------------------------------------


async def test_a_batch_that_is_written_is_not_called_unwritten_for_the_files_size(
    store: SqlitePairStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: sqlite3.Connection) -> bool:
        raise sqlite3.OperationalError("oh")

    monkeypatch.setattr("router.store.pairs.writer.shrink", fail)
    assert await keep(store, [kept("new")], chat=FEW) == 2
    assert await documents(store) == ["new", "three"]


async def test_the_file_gives_back_what_a_large_prune_has_freed(
    store: SqlitePairStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.store.pairs.sqlite.SHRINKS", 1)
    random_text = [f"{n * 2_654_435_761 % 2**32:08x}" for n in range(10_000)]
    for n in range(6):
        await keep(store, [kept([n, m, *random_text]) for m in range(50)])
    grown = read(file, "PRAGMA page_count")[0][0]
    assert grown > 4 * SLACK_PAGES
    sizes = [grown]
    await keep(store, [], chat=FEW)
    while (pages := read(file, "PRAGMA page_count")[0][0]) < sizes[-1]:
        sizes.append(pages)
        await keep(store, [], chat=FEW)
    assert sizes[-1] <= 2 * SLACK_PAGES
    assert len(sizes) > 3  # a little with each batch
    await store.close()
    assert len(contents(file)) == sizes[-1] * 4096
    await store.open()
    assert [document[1] for document in await documents(store)] == [49, 48]
