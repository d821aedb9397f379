"""The one writer of an SQLite store: everything here runs on its one thread.

It remembers what the last commit has left, so that a commit reads nothing.  After any failure it
forgets that, and its connection with it: what is true then is only what is on the disk.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from router.audit.entry import Entry
from router.store.base import (
    Commit,
    KnownRequestError,
    Record,
    StoreCorruptError,
    StoreUnavailableError,
)
from router.store.changes import write
from router.store.connection import answers, connect_to_read, connect_to_write, transaction
from router.store.lock import FileLock
from router.store.plan import Newest, plan
from router.store.queries import newest
from router.store.schema import migrate, steps_taken


class Writer:
    """Owns the file from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._lock: Final = FileLock(path)
        self._connection: sqlite3.Connection | None = None
        self._newest: Newest | None = None

    def open(self) -> None:
        """See `Store.open`."""
        try:
            with _told_plainly(self._path):
                _make_sure_it_exists(self._path)
                self._lock.acquire()
                self._take_over()
            self._recall()
        except BaseException:
            self.close()
            raise

    def _take_over(self) -> None:
        with answers(self._path):
            # To connect for writing already changes a file; another program's must not be.
            with closing(connect_to_read(self._path)) as connection:
                steps_taken(connection, self._path)
            self._path.chmod(0o600)  # SQLite's own files beside it get the same mode
            migrate(self._connect(), self._path)

    def close(self) -> None:
        """Let go of the file; twice is once."""
        self._forget()
        self._lock.release()

    def read(self) -> Record:
        """See `Store.read`."""
        return self._recall().record

    def commit(self, commit: Commit) -> tuple[Entry, ...]:
        """See `Store.commit`."""
        planned = plan(self._recall(), commit)
        try:
            with answers(self._path), transaction(self._connect()):
                write(self._connect(), planned, commit.key)
        except KnownRequestError:
            raise  # nothing is wrong: what is remembered holds
        except StoreCorruptError as error:
            self._forget()
            raise StoreUnavailableError(str(error)) from error
        except BaseException:
            self._forget()
            raise
        self._newest = planned.newest
        return planned.entries

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect_to_write(self._path)
        return self._connection

    def _recall(self) -> Newest:
        if self._newest is None:
            try:
                with answers(self._path):
                    self._newest = newest(self._connect())
            except BaseException:
                self._forget()
                raise
        return self._newest

    def _forget(self) -> None:
        connection, self._connection, self._newest = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):  # it may be what has just failed
                connection.close()


def _make_sure_it_exists(path: Path) -> None:
    if path.is_dir():
        raise StoreUnavailableError(f"{path} is a folder: name a file in it")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def _told_plainly(path: Path) -> Iterator[None]:
    """Tell the system's errors in the store's words.

    Raises:
        StoreUnavailableError: there can be no such file, or this user may not write to it.
    """
    try:
        yield
    except FileNotFoundError:
        raise StoreUnavailableError(
            f"{path} cannot be made: create the folder {path.parent} first"
        ) from None
    except OSError as error:
        raise StoreUnavailableError(
            f"{path} cannot be written to: {error.strerror}: let this user own {path.parent}"
        ) from None
