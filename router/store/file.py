"""A file that one process writes to: made, locked, taken over, connected to."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from router.store.base import StoreUnavailableError
from router.store.connection import answers, connect_to_read, connect_to_write
from router.store.lock import FileLock
from router.store.schema import Format, migrate, steps_taken


class OwnedFile:
    """Ours from `open` to `close`; everything here runs on the writer's thread."""

    def __init__(self, path: Path, format_: Format) -> None:
        self._path: Final = path
        self._format: Final = format_
        self._lock: Final = FileLock(path)
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Make sure that it is there, of this release, and nobody else's.

        Raises:
            StoreInUseError, StoreCorruptError, StoreUnavailableError: see `router.store.base`.
        """
        try:
            with _told_plainly(self._path):
                _make_sure_it_exists(self._path)
                self._lock.acquire()
                self._take_over()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it; twice is once."""
        self.disconnect()
        self._lock.release()

    def connect(self) -> sqlite3.Connection:
        """The one writing connection."""
        if self._connection is None:
            self._connection = connect_to_write(self._path, self._format.pragmas)
        return self._connection

    def disconnect(self) -> None:
        """Drop the connection: after a failure the next one begins anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):  # it may be what has just failed
                connection.close()

    def _take_over(self) -> None:
        migrations, application_id = self._format.migrations, self._format.application_id
        with answers(self._path):
            # To connect for writing already changes a file; another program's must not be.
            with closing(connect_to_read(self._path)) as connection:
                steps_taken(connection, self._path, migrations, application_id)
            self._path.chmod(0o600)  # SQLite's own files beside it get the same mode
            migrate(self.connect(), self._path, migrations, application_id)


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
