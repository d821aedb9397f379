"""How this house opens an SQLite file, and what its errors mean here."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from router.store.base import StoreCorruptError, StoreUnavailableError

BUSY_TIMEOUT_S: Final = 5.0
"""Only somebody with an SQLite shell can make us wait: the lock file keeps other routers out."""

_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect_to_write(path: Path, pragmas: Sequence[str]) -> sqlite3.Connection:
    """The one writing connection, with what its file's format asks for.

    WAL: readers never wait for the writer, nor it for them.

    Raises:
        StoreUnavailableError: the file system cannot do WAL.
    """
    connection = _connect(path, "rw")
    try:
        # Before WAL, which writes the first page: what is laid down there cannot change later.
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreUnavailableError(
                f"{path}: its file system has no shared memory for SQLite's WAL: "
                "put the store on a local disk"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A connection that can write nothing."""
    return _connect(path, "ro")


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,  # transactions are begun where they are needed, and said so
        check_same_thread=False,  # a pool hands a connection from thread to thread
    )


@contextmanager
def answers(path: Path) -> Iterator[None]:
    """Tell SQLite's errors in the store's words.

    Raises:
        StoreCorruptError: the file is damaged, or no SQLite file.
        StoreUnavailableError: anything else.
    """
    try:
        yield
    except sqlite3.Error as error:
        # An extended code has the primary one in its low byte.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT:
            raise StoreCorruptError(
                f"{path} cannot be read as a store: {error}; restore it from a backup, or move "
                "it away to start anew"
            ) from error
        raise StoreUnavailableError(f"{path}: {error}{_remedy(error)}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Everything in it is written, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite may have rolled back by itself (a full disk); what is left open is undone here.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def read_value(connection: sqlite3.Connection, query: str) -> int:
    """The one number that a query answers with."""
    with closing(connection.execute(query)) as cursor:
        return int(cursor.fetchone()[0])


def _remedy(error: sqlite3.Error) -> str:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_FULL:
            return ": free some space; nothing else needs to be done"
        case sqlite3.SQLITE_BUSY:
            return ": another program holds it, end that one's transaction"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return ": this user must own the file and be able to write to its folder"
        case _:
            return ""
