"""The formats of SQLite files: tables, as numbered steps that only go forward.

A step that has been released is never changed: what a later release needs is another step.
`PRAGMA user_version` says how many steps a file has taken; each is one transaction.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router.store.base import StoreCorruptError, StoreUnavailableError
from router.store.connection import read_value, transaction

APPLICATION_ID: Final = 0x49525354
"""`IRST` in the file's header: this database is ours (`PRAGMA application_id`)."""

OLDEST_SQLITE: Final = (3, 37, 0)
"""The first with STRICT tables."""

Step = Sequence[str]


@dataclass(frozen=True, slots=True)
class Format:
    """What makes a file one of ours: its mark, its tables, and how one connects to write to it."""

    application_id: int
    migrations: Sequence[Step]
    pragmas: Sequence[str]


_FIRST: Final[Step] = (
    # One row: what the newest commit has left.  The audit head stands here too, apart from the
    # entries, so that a trail whose end was cut off is noticed.
    """
    CREATE TABLE newest (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        generation INTEGER NOT NULL,
        time_s REAL NOT NULL,
        audit_sequence INTEGER,
        audit_hash TEXT
    ) STRICT
    """,
    "INSERT INTO newest VALUES (1, 0, 0, 0.0, NULL, NULL)",
    "CREATE TABLE states (route TEXT PRIMARY KEY, state BLOB NOT NULL) STRICT, WITHOUT ROWID",
    # The compiled table, a row for each route: a weight that moves writes one of 10 000.
    "CREATE TABLE routes (name TEXT PRIMARY KEY, route BLOB NOT NULL) STRICT",
    """
    CREATE TABLE generations (
        number INTEGER PRIMARY KEY,
        time_s REAL NOT NULL,
        routes BLOB NOT NULL,
        routes_changed INTEGER NOT NULL,
        first_entry INTEGER NOT NULL,
        entries INTEGER NOT NULL
    ) STRICT
    """,
    # What is filtered by is taken out of the hashed text itself: it cannot say anything else.
    """
    CREATE TABLE audit (
        sequence INTEGER PRIMARY KEY,
        previous TEXT NOT NULL,
        hash TEXT NOT NULL,
        draft TEXT NOT NULL,
        route TEXT GENERATED ALWAYS AS (json_extract(draft, '$.route')) VIRTUAL,
        action TEXT GENERATED ALWAYS AS (json_extract(draft, '$.action')) VIRTUAL,
        actor TEXT GENERATED ALWAYS AS (json_extract(draft, '$.actor.name')) VIRTUAL
    ) STRICT
    """,
    "CREATE INDEX audit_by_route ON audit (route)",
    "CREATE INDEX audit_by_action ON audit (action)",
    "CREATE INDEX audit_by_actor ON audit (actor)",
    """
    CREATE TRIGGER audit_is_not_edited BEFORE UPDATE ON audit
    BEGIN SELECT RAISE (ABORT, 'the audit trail is append-only'); END
    """,
    """
    CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
    BEGIN SELECT RAISE (ABORT, 'the audit trail is append-only'); END
    """,
    # INSERT OR REPLACE deletes without asking the trigger above.
    """
    CREATE TRIGGER audit_is_only_appended BEFORE INSERT ON audit
    WHEN EXISTS (SELECT 1 FROM audit WHERE sequence >= NEW.sequence)
    BEGIN SELECT RAISE (ABORT, 'the audit trail is append-only'); END
    """,
    """
    CREATE TABLE requests (
        number INTEGER PRIMARY KEY,
        actor TEXT NOT NULL,
        key TEXT NOT NULL,
        digest TEXT NOT NULL,
        generation INTEGER NOT NULL,
        time_s REAL NOT NULL,
        UNIQUE (actor, key)
    ) STRICT
    """,
    "CREATE INDEX requests_by_time ON requests (time_s)",
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        route TEXT NOT NULL,
        phase TEXT NOT NULL,
        started_s REAL NOT NULL,
        finished_s REAL,
        document BLOB NOT NULL
    ) STRICT
    """,
    "CREATE INDEX runs_by_time ON runs (started_s, number)",
    "CREATE INDEX runs_by_route ON runs (route, started_s, number)",
    "CREATE INDEX runs_unfinished ON runs (started_s, number) WHERE finished_s IS NULL",
)

MIGRATIONS: Final[Sequence[Step]] = (_FIRST,)

STATE: Final = Format(
    application_id=APPLICATION_ID,
    migrations=MIGRATIONS,
    # A commit returns once it is on the disk (https://www.sqlite.org/pragma.html#pragma_synchronous).
    pragmas=("synchronous = FULL",),
)


def migrate(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[Step] = MIGRATIONS,
    application_id: int = APPLICATION_ID,
) -> None:
    """Bring a new or older file to this release's tables.

    Raises:
        StoreCorruptError: it is of a newer release, or of another program.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreUnavailableError(
            f"SQLite {sqlite3.sqlite_version} is too old, 3.37 or newer is needed"
        )
    taken = steps_taken(connection, path, migrations, application_id)
    for number, step in enumerate(migrations[taken:], start=taken + 1):
        with transaction(connection):
            for statement in step:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {application_id}")
            connection.execute(f"PRAGMA user_version = {number}")


def check_current(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that this release cannot read as it is.

    Raises:
        StoreCorruptError: it is older, newer, empty, or of another program.
    """
    taken = steps_taken(connection, path)
    if taken == 0:
        raise StoreCorruptError(f"{path} is empty: no router has written to it")
    if taken < len(MIGRATIONS):
        raise StoreCorruptError(
            f"{path} is of an older release (version {taken}): start the router on it once"
        )


def steps_taken(
    connection: sqlite3.Connection,
    path: Path,
    migrations: Sequence[Step] = MIGRATIONS,
    application_id: int = APPLICATION_ID,
) -> int:
    """How far a file has come; a new one has taken no step.

    Raises:
        StoreCorruptError: it is of a newer release, or of another program.
    """
    taken = read_value(connection, "PRAGMA user_version")
    ours = read_value(connection, "PRAGMA application_id") == application_id
    tables = read_value(connection, "SELECT count(*) FROM sqlite_schema")
    if not ours and (taken or tables):
        raise StoreCorruptError(
            f"{path} is the database of another program: move it away, or name another file"
        )
    if taken > len(migrations):
        raise StoreCorruptError(
            f"{path} is of a newer release (version {taken}, this one knows {len(migrations)}): "
            "use that release, or a backup from before it"
        )
    return taken
