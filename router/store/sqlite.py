"""The default store: one SQLite file, one writer, readers that never wait for it.

Promises what `base` does, and of the file:
  * it is the operator's only (mode 0600), and one process writes to it at a time;
  * a commit is on the disk when it returns (WAL with synchronous=FULL);
  * the audit table refuses UPDATE and DELETE to every program that honours its triggers.

Generations and audit entries are kept for ever: about 1 KB for each change.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from router.audit.entry import Entry
from router.store import queries
from router.store.base import (
    Commit,
    Generation,
    Head,
    Record,
    RequestKey,
    Run,
    StoreCorruptError,
    StoreUnavailableError,
)
from router.store.codec import decode_entry_strictly
from router.store.readers import Readers
from router.store.schema import check_current
from router.store.writer import Writer

T = TypeVar("T")

BLOCK: Final = 256
"""Audit entries that are streamed at once: a few milliseconds of work."""


class SqliteReader:
    """Reads a store's file, also while a router writes to it, or after it has died.

    What `Store` has for readers, without the record: no lock, and nothing is written.
    """

    def __init__(self, path: Path) -> None:
        # Another name of one file must lead to one lock.
        self.path: Final = path.resolve()
        self._readers: Readers | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    async def open(self) -> None:
        """Make it ready.

        Raises:
            StoreCorruptError: it is no store of ours, or of another release.
            StoreUnavailableError: there is no such file, or it cannot be read.
        """
        if not self.path.is_file():
            raise StoreUnavailableError(f"{self.path} is no file")
        self._readers = Readers(self.path)
        try:
            await self._ask(lambda connection: check_current(connection, self.path))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Let go of it; twice is once."""
        readers, self._readers = self._readers, None
        if readers is not None:
            await asyncio.to_thread(readers.close)

    async def find_request(self, actor: str, key: str) -> tuple[RequestKey, int] | None:
        """See `Store`."""
        return await self._ask(lambda connection: queries.request(connection, actor, key))

    async def generation(self, number: int) -> Generation | None:
        """See `Store`."""
        return await self._ask(lambda connection: queries.generation(connection, number))

    async def generations(self, *, before: int | None = None, limit: int = 100) -> list[Generation]:
        """See `Store`."""
        return await self._ask(lambda connection: queries.generations(connection, before, limit))

    async def entries(
        self,
        *,
        after: int | None = None,
        before: int | None = None,
        route: str | None = None,
        action: str | None = None,
        actor: str | None = None,
        search: str | None = None,
        limit: int = 100,
    ) -> list[Entry]:
        """See `Store`."""
        query = partial(
            queries.entries,
            after=after,
            before=before,
            search=search,
            limit=limit,
            route=route,
            action=action,
            actor=actor,
        )
        return await self._ask(query)

    async def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        """See `Store`."""
        above, upto = queries.LOWEST, await self._ask(queries.last_sequence)
        while rows := await self._ask(partial(queries.block, above=above, upto=upto, limit=BLOCK)):
            entries, unreadable = await asyncio.to_thread(_decode, rows)
            yield entries
            if unreadable is not None:
                raise unreadable
            above = rows[-1][0]

    async def head(self) -> Head | None:
        """See `Store`."""
        return await self._ask(queries.head)

    async def origin(self) -> Head | None:
        """See `Store`: this trail is always whole."""
        return None

    async def run(self, id_: str) -> Run | None:
        """See `Store`."""
        return await self._ask(lambda connection: queries.run(connection, id_))

    async def runs(
        self, *, route: str | None = None, unfinished: bool = False, limit: int = 100
    ) -> list[Run]:
        """See `Store`."""
        return await self._ask(
            lambda connection: queries.runs(connection, route, unfinished, limit)
        )

    async def _ask(self, query: Callable[..., T]) -> T:
        if self._readers is None:
            raise StoreUnavailableError(f"{self.path} is not open")
        return await self._readers.ask(query)


class SqliteStore(SqliteReader):
    """Owns a store's file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writer: Final = Writer(self.path)
        self._thread: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """See `Store`."""
        if self._thread is not None:
            raise StoreUnavailableError(f"{self.path} is open already")
        self._thread = ThreadPoolExecutor(1, "store-writer")
        try:
            await self._do(self._writer.open)
            await super().open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """See `Store`."""
        await super().close()
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._writer.close)
            thread.shutdown(wait=False)

    async def read(self) -> Record:
        """See `Store`."""
        return await self._do(self._writer.read)

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        """See `Store`."""
        return await self._do(partial(self._writer.commit, commit))

    async def _do(self, job: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreUnavailableError(f"{self.path} is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)


def _decode(rows: Sequence[queries.Row]) -> tuple[list[Entry], StoreCorruptError | None]:
    """Entries up to the first that cannot be read, and why it cannot."""
    entries: list[Entry] = []
    for row in rows:
        try:
            entries.append(decode_entry_strictly(*row))
        except StoreCorruptError as error:
            return entries, error
    return entries, None
