"""The default pair store: one SQLite file, one writer, readers that never wait for it.

Promises what `base` does, and of the file:
  * it is the operator's only (mode 0600), and one process writes to it at a time;
  * a batch outlives the process when `keep` returns; a power cut may take the newest batches,
    each of them whole (WAL with synchronous=NORMAL);
  * no transaction prunes more than a slice; what stays free of the file beyond a quarter is given
    back to the disk, at most 32 MB with each `keep`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final, TypeVar

from router.store.base import StoreCorruptError, StoreUnavailableError
from router.store.pairs import queries
from router.store.pairs.base import KeptPair, Retention
from router.store.pairs.writer import PairWriter
from router.store.readers import Readers

T = TypeVar("T")

SHRINKS: Final = 8
"""Slices of free pages that a `keep` gives back at most: 0.4 s of CPU in a file of 256 MB."""


class SqlitePairStore:
    """Owns a file of pairs."""

    def __init__(self, path: Path) -> None:
        # Another name of one file must lead to one lock.
        self.path: Final = path.resolve()
        self._writer: Final = PairWriter(self.path)
        self._thread: ThreadPoolExecutor | None = None
        self._readers: Readers | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    async def open(self) -> None:
        """See `PairStore`."""
        if self._thread is not None:
            raise StoreUnavailableError(f"{self.path} is open already")
        self._thread = ThreadPoolExecutor(1, "pair-writer")
        try:
            await self._do(self._writer.open)
        except BaseException:
            await self.close()
            raise
        self._readers = Readers(self.path)

    async def close(self) -> None:
        """See `PairStore`."""
        readers, self._readers = self._readers, None
        if readers is not None:
            await asyncio.to_thread(readers.close)
        thread, self._thread = self._thread, None
        if thread is not None:
            await asyncio.get_running_loop().run_in_executor(thread, self._writer.close)
            thread.shutdown(wait=False)

    async def keep(
        self,
        pairs: Sequence[KeptPair],
        tallies: Mapping[str, Any],
        retention: Mapping[str, Retention],
        now_s: float,
    ) -> int:
        """See `PairStore`."""
        batch = partial(self._writer.keep, pairs, tallies, retention, now_s)
        pruned, more = await self._do(batch)
        while more:
            slice_, more = await self._do(partial(self._writer.prune, retention, now_s))
            pruned += slice_
        await self._shrink()
        return pruned

    async def tallies(self) -> dict[str, Any]:
        """See `PairStore`."""
        return await self._ask(queries.tallies)

    async def pairs(
        self,
        route: str,
        *,
        verdict: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[KeptPair]:
        """See `PairStore`."""
        return await self._ask(
            partial(queries.pairs, route=route, verdict=verdict, before=before, limit=limit)
        )

    async def pair(self, route: str, id_: int) -> KeptPair | None:
        """See `PairStore`."""
        return await self._ask(partial(queries.pair, route=route, id_=id_))

    async def stream(
        self, route: str, *, verdict: str | None = None
    ) -> AsyncIterator[Sequence[KeptPair]]:
        """See `PairStore`.  Each block is a read of its own: nothing is held between two."""
        above, upto = 0, await self._ask(queries.last_id)
        next_ = partial(queries.block, route=route, verdict=verdict, upto=upto)
        while block := await self._ask(partial(next_, above=above)):
            yield block
            above = block[-1].id

    async def _shrink(self) -> None:
        # Nobody is promised a small file: a batch that has been written is not called unwritten
        # for it.
        with suppress(StoreUnavailableError):
            for _ in range(SHRINKS):
                if not await self._do(self._writer.shrink):
                    return

    async def _ask(self, query: Callable[[Connection], T]) -> T:
        if self._readers is None:
            raise StoreUnavailableError(f"{self.path} is not open")
        return await self._readers.ask(partial(self._answer, query))

    def _answer(self, query: Callable[[Connection], T], connection: Connection) -> T:
        try:
            return query(connection)
        except StoreCorruptError as error:
            raise StoreCorruptError(
                f"{self.path} is damaged: {error}; move it away to start anew"
            ) from None

    async def _do(self, job: Callable[[], T]) -> T:
        if self._thread is None:
            raise StoreUnavailableError(f"{self.path} is not open")
        return await asyncio.get_running_loop().run_in_executor(self._thread, job)
