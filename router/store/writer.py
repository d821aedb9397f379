"""The one writer of an SQLite store: everything here runs on its one thread.

It remembers what the last commit has left, so that a commit reads nothing.  After any failure it
forgets that, and its connection with it: what is true then is only what is on the disk.
"""

import sqlite3
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
from router.store.connection import answers, transaction
from router.store.file import OwnedFile
from router.store.plan import Newest, plan
from router.store.queries import newest
from router.store.schema import STATE


class Writer:
    """Owns the file from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._file: Final = OwnedFile(path, STATE)
        self._newest: Newest | None = None

    def open(self) -> None:
        """See `Store.open`."""
        try:
            self._file.open()
            self._recall()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; twice is once."""
        self._forget()
        self._file.close()

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
        return self._file.connect()

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
        self._newest = None
        self._file.disconnect()
