"""A few reading connections on threads of their own: no query waits for a commit, none blocks
the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from sqlite3 import Connection
from typing import Final, TypeVar

from router.store.base import StoreUnavailableError
from router.store.connection import answers, connect_to_read

T = TypeVar("T")

READERS: Final = 2
"""Threads, and so connections, at most."""


class Readers:
    """Runs queries on one file; made where it is used, closed once."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._threads: Final = ThreadPoolExecutor(READERS, "store-reader")
        self._idle: Final[list[Connection]] = []
        self._closed = False

    async def ask(self, query: Callable[[Connection], T]) -> T:
        """Answer a query.

        Raises:
            StoreUnavailableError: it could not be answered, or this is closed.
            StoreCorruptError: what it found is damaged.
        """
        if self._closed:
            raise StoreUnavailableError(f"{self._path} has been closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, query)

    def close(self) -> None:
        """Wait for the queries that run, and let go of the file."""
        self._closed = True
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().close()

    def _ask(self, query: Callable[[Connection], T]) -> T:
        with answers(self._path):
            connection = self._idle.pop() if self._idle else connect_to_read(self._path)
            try:
                answer = query(connection)
            except BaseException:
                connection.close()  # whatever is wrong, the next query begins anew
                raise
            self._idle.append(connection)
            return answer
