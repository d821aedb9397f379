"""The SQLite store's file: who may use it, what it survives, what is refused."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from textwrap import dedent

import pytest

from router.store import verify_trail
from router.store.base import (
    Commit,
    StaleError,
    StoreCorruptError,
    StoreInUseError,
    StoreUnavailableError,
)
from router.store.connection import transaction
from router.store.schema import APPLICATION_ID, MIGRATIONS, migrate
from router.store.sqlite import SqliteReader, SqliteStore
from tests.store.commits import draft, state, table

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sqlite_store(database: Path) -> AsyncIterator[SqliteStore]:
    """Open, with one commit."""
    store = SqliteStore(database)
    await store.open()
    await store.commit(
        Commit(
            revision=0,
            snapshot=table(1, chat=0, code=0),
            states={"chat": state()},
            entries=[draft(), draft()],
        )
    )
    yield store
    await store.close()


def alter(database: Path, *statements: str) -> None:
    """Do what only somebody with an SQLite shell can."""
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def write(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o644)


def read(file: Path) -> bytes:
    return file.read_bytes()


def start(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", dedent(script), *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def files_beside(database: Path) -> list[Path]:
    return sorted(database.parent.iterdir())


# -- it outlives its process -------------------------------------------------------------------


async def test_everything_is_there_after_it_was_closed(
    sqlite_store: SqliteStore, database: Path
) -> None:
    before = await sqlite_store.read()
    entries = await sqlite_store.entries()
    await sqlite_store.close()
    again = SqliteStore(database)
    await again.open()
    assert await again.read() == before
    assert await again.entries() == entries
    await again.commit(Commit(revision=1, entries=[draft()]))
    assert (await verify_trail(again)).entries == 3
    await again.close()


async def test_a_weight_that_moves_writes_one_route_of_the_table(
    sqlite_store: SqliteStore, database: Path
) -> None:
    with closing(sqlite3.connect(database)) as shell:
        before = dict(shell.execute("SELECT name, route FROM routes"))
        alter(
            database,
            "CREATE TRIGGER code_is_not_written BEFORE INSERT ON routes WHEN NEW.name = 'code'"
            " BEGIN SELECT RAISE (ABORT, 'written for nothing'); END",
        )
        await sqlite_store.commit(Commit(revision=1, snapshot=table(2, chat=5, code=0)))
        after = dict(shell.execute("SELECT name, route FROM routes"))
    assert before["code"] == after["code"]
    assert before["chat"] != after["chat"]


async def test_what_another_has_written_to_the_file_makes_a_commit_stale(
    sqlite_store: SqliteStore, database: Path
) -> None:
    alter(database, "UPDATE newest SET revision = 41")
    with pytest.raises(StaleError):
        await sqlite_store.commit(Commit(revision=1))
    assert (await sqlite_store.read()).revision == 41
    await sqlite_store.commit(Commit(revision=41))


# -- one process at a time ---------------------------------------------------------------------


async def test_a_second_owner_is_refused_by_the_files_name(
    sqlite_store: SqliteStore, database: Path
) -> None:
    other = SqliteStore(database)
    with pytest.raises(StoreInUseError, match=f"{database} is in use by process"):
        await other.open()
    await sqlite_store.close()
    await other.open()
    await other.close()


async def test_another_name_of_the_file_is_the_same_store(
    sqlite_store: SqliteStore, database: Path
) -> None:
    alias = database.with_name("alias.db")
    alias.symlink_to(database)
    with pytest.raises(StoreInUseError):
        await SqliteStore(alias).open()


async def test_a_killed_process_lets_go(database: Path) -> None:
    script = """
        import asyncio, os, signal, sys
        from pathlib import Path
        from router.store.sqlite import SqliteStore

        async def main() -> None:
            await SqliteStore(Path(sys.argv[1])).open()
            print("open", flush=True)
            sys.stdin.read()

        asyncio.run(main())
    """
    with start(script, database) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        store = SqliteStore(database)
        with pytest.raises(StoreInUseError, match=f"process {holder.pid}"):
            await store.open()
        holder.kill()
    await store.open()
    await store.close()


async def test_the_file_is_its_owners_only(sqlite_store: SqliteStore, database: Path) -> None:
    files = files_beside(database)
    assert [file.name for file in files] == [
        "state.db",
        "state.db-shm",
        "state.db-wal",
        "state.db.lock",
    ]
    assert {mode(file) for file in files} == {0o600}


async def test_an_older_file_that_others_could_read_is_closed_to_them(database: Path) -> None:
    write(database, b"")
    store = SqliteStore(database)
    await store.open()
    assert mode(database) == 0o600
    await store.close()


async def test_a_commit_waits_for_the_disk(sqlite_store: SqliteStore) -> None:
    def pragmas() -> tuple[int, str]:
        connection = sqlite_store._writer._connect()
        full = connection.execute("PRAGMA synchronous").fetchone()[0]
        return full, connection.execute("PRAGMA journal_mode").fetchone()[0]

    assert await sqlite_store._do(pragmas) == (2, "wal")


# -- what is no store --------------------------------------------------------------------------


async def refusal(database: Path, error: type[Exception]) -> str:
    store = SqliteStore(database)
    with pytest.raises(error) as refused:
        await store.open()
    with pytest.raises(StoreUnavailableError, match="not open"):
        await store.read()
    return str(refused.value)


async def test_a_file_that_is_no_database_is_refused(database: Path) -> None:
    text = b"models:\n- chat\n" * 500
    write(database, text)
    assert f"{database} cannot be read as a store" in await refusal(database, StoreCorruptError)
    assert read(database) == text


async def test_another_programs_database_is_refused_and_stays_as_it_is(database: Path) -> None:
    alter(database, "CREATE TABLE theirs (a)")
    before = read(database), mode(database)
    assert "another program" in await refusal(database, StoreCorruptError)
    assert (read(database), mode(database)) == before


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder" in await refusal(tmp_path, StoreUnavailableError)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "nowhere"
    assert f"create the folder {folder}" in await refusal(
        folder / "state.db", StoreUnavailableError
    )


async def test_a_folder_that_nobody_can_write_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = await refusal(tmp_path / "file" / "state.db", StoreUnavailableError)
    assert "cannot be written to: Not a directory" in told


async def test_a_file_that_cannot_be_locked_is_named(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fcntl.flock", refuse)
    told = await refusal(database, StoreUnavailableError)
    assert told.startswith(f"{database} cannot be written to: Permission denied")


async def test_a_store_of_a_newer_release_is_refused(
    sqlite_store: SqliteStore, database: Path
) -> None:
    await sqlite_store.close()
    alter(database, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    assert "newer release" in await refusal(database, StoreCorruptError)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE states SET state = x'c1'", "the state of route chat"),
        ("UPDATE routes SET route = x'80' WHERE name = 'code'", "the table's route code"),
    ],
)
async def test_a_row_that_cannot_be_read_is_named(
    sqlite_store: SqliteStore, database: Path, statement: str, named: str
) -> None:
    await sqlite_store.close()
    alter(database, statement)
    assert f"{named} cannot be read" in await refusal(database, StoreCorruptError)


# -- when the disk fails -----------------------------------------------------------------------


async def test_a_full_disk_refuses_a_commit_and_takes_the_next_one(
    sqlite_store: SqliteStore,
) -> None:
    before = await sqlite_store.read()

    def fill_up() -> None:
        connection = sqlite_store._writer._connect()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    await sqlite_store._do(fill_up)
    much = Commit(
        revision=1,
        snapshot=table(2, chat=9),
        states={"chat": state(9)},
        entries=[draft(reason="x" * 100_000)],
    )
    with pytest.raises(StoreUnavailableError, match="full: free some space"):
        await sqlite_store.commit(much)
    assert await sqlite_store.read() == before
    assert len(await sqlite_store.entries()) == 2
    # The connection that failed is gone, and with it the bound that this test has set.
    await sqlite_store.commit(much)
    assert (await verify_trail(sqlite_store)).entries == 3


async def test_a_commit_that_fails_half_way_writes_nothing_and_is_read_from_the_disk(
    sqlite_store: SqliteStore, database: Path
) -> None:
    before = await sqlite_store.read()
    alter(
        database,
        "CREATE TRIGGER fails BEFORE INSERT ON generations BEGIN SELECT RAISE (FAIL, 'oh'); END",
    )
    next_ = Commit(
        revision=1, snapshot=table(2, chat=9), states={"chat": state(9)}, entries=[draft()]
    )
    with pytest.raises(StoreUnavailableError, match="oh"):
        await sqlite_store.commit(next_)
    alter(database, "UPDATE newest SET time_s = 5.0", "DROP TRIGGER fails")
    after = await sqlite_store.read()
    assert after == before
    assert after is not before
    await sqlite_store.commit(next_)


async def test_a_page_is_read_while_somebody_writes(
    sqlite_store: SqliteStore, database: Path
) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("UPDATE newest SET revision = 99")
        assert [entry.sequence for entry in await sqlite_store.entries()] == [2, 1]
        assert (await verify_trail(sqlite_store)).entries == 2
        shell.execute("ROLLBACK")


# -- the trail cannot be edited by accident ----------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET draft = '{}' WHERE sequence = 1",
        "UPDATE audit SET sequence = 7 WHERE sequence = 1",
        "DELETE FROM audit WHERE sequence = 2",
        "DELETE FROM audit",
        "REPLACE INTO audit (sequence, previous, hash, draft) VALUES (1, '', '', '{}')",
        "INSERT INTO audit (sequence, previous, hash, draft) VALUES (0, '', '', '{}')",
    ],
)
async def test_the_audit_table_refuses_changes(
    sqlite_store: SqliteStore, database: Path, statement: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        alter(database, statement)
    assert (await verify_trail(sqlite_store)).entries == 2


# -- reading offline ---------------------------------------------------------------------------


async def test_the_trail_is_verified_beside_a_router_and_after_its_end(
    sqlite_store: SqliteStore, database: Path
) -> None:
    for _ in range(2):
        reader = SqliteReader(database)
        await reader.open()
        assert (await verify_trail(reader)).entries == 2
        assert len(await reader.entries(route="chat")) == 2
        await reader.close()
        await sqlite_store.close()


async def test_a_reader_writes_nothing(sqlite_store: SqliteStore, database: Path) -> None:
    reader = SqliteReader(database)
    await reader.open()
    with pytest.raises(StoreUnavailableError, match="readonly"):
        await reader._ask(lambda connection: connection.execute("DELETE FROM states"))
    await reader.close()


async def test_a_reader_makes_no_file(database: Path) -> None:
    with pytest.raises(StoreUnavailableError, match="is no file"):
        await SqliteReader(database).open()
    assert files_beside(database) == []


async def test_a_reader_refuses_an_empty_file(database: Path) -> None:
    write(database, b"")
    with pytest.raises(StoreCorruptError, match="no router has written"):
        await SqliteReader(database).open()


# -- migrations --------------------------------------------------------------------------------

NEXT = ("ALTER TABLE newest ADD COLUMN epoch INTEGER NOT NULL DEFAULT 7",)


async def test_an_older_file_is_brought_forward_with_what_it_holds(
    sqlite_store: SqliteStore, database: Path
) -> None:
    await sqlite_store.close()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        migrate(connection, database, [*MIGRATIONS, NEXT])
        migrate(connection, database, [*MIGRATIONS, NEXT])
        told = connection.execute("SELECT revision, epoch FROM newest").fetchall()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    assert told == [(1, 7)]
    assert version == len(MIGRATIONS) + 1


async def test_a_step_that_fails_leaves_the_file_as_it_was(
    sqlite_store: SqliteStore, database: Path
) -> None:
    before = await sqlite_store.read()
    await sqlite_store.close()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, database, [*MIGRATIONS, (*NEXT, "DROP TABLE nowhere")])
        assert "epoch" not in str(connection.execute("SELECT sql FROM sqlite_schema").fetchall())
    await sqlite_store.open()
    assert await sqlite_store.read() == before


async def test_an_empty_file_becomes_a_store(database: Path) -> None:
    write(database, b"")
    store = SqliteStore(database)
    await store.open()
    await store.close()
    with closing(sqlite3.connect(database)) as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        ]
    assert pragmas == [APPLICATION_ID, len(MIGRATIONS)]


def test_a_transaction_that_fails_leaves_none_behind() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        with pytest.raises(ZeroDivisionError), transaction(connection):
            raise ZeroDivisionError
        assert not connection.in_transaction
