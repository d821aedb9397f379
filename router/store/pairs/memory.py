"""A pair store that lives as long as its process: for embedding and tests.

It promises what `base` does except to outlive the process, and keeps the same bytes as a file
would: retention bounds its memory.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from msgspec.structs import replace

from router.store.base import StoreUnavailableError
from router.store.pairs.base import BLOCK_BYTES, MAX_PAGE, NOTHING, KeptPair, Retention
from router.store.pairs.document import (
    decode_pair,
    decode_tally,
    encode_pairs,
    encode_tallies,
    sized_pair,
)


class MemoryPairStore:
    """See `PairStore`.  JSON is written and read on a thread, everything else never awaits."""

    def __init__(self) -> None:
        self._routes: dict[str, _Kept] = {}
        self._tallies: dict[str, bytes] = {}
        self._last_id = 0
        self._is_open = False

    async def open(self) -> None:
        """See `PairStore`."""
        self._is_open = True

    async def close(self) -> None:
        """See `PairStore`; what it knows is still there when it is opened again."""
        self._is_open = False

    async def keep(
        self,
        pairs: Sequence[KeptPair],
        tallies: Mapping[str, Any],
        retention: Mapping[str, Retention],
        now_s: float,
    ) -> int:
        """See `PairStore`."""
        self._check_open()
        wanted = [pair for pair in pairs if pair.route in retention]
        encoded = await asyncio.to_thread(encode_pairs, wanted)
        told = encode_tallies({r: tally for r, tally in tallies.items() if r in retention})
        self._check_open()
        self._tallies = {r: t for r, t in (self._tallies | told).items() if r in retention}
        for pair in encoded:
            self._last_id += 1
            self._routes.setdefault(pair.route, _Kept()).add(replace(pair, id=self._last_id))
        pruned = [self._prune(r, retention.get(r, NOTHING), now_s) for r in tuple(self._routes)]
        return len(pairs) - len(wanted) + sum(pruned)

    async def tallies(self) -> dict[str, Any]:
        """See `PairStore`."""
        self._check_open()
        return {route: decode_tally(tally, route) for route, tally in self._tallies.items()}

    async def pairs(
        self,
        route: str,
        *,
        verdict: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[KeptPair]:
        """See `PairStore`."""
        asked = (
            pair
            for pair in reversed(self._of(route, verdict))
            if before is None or pair.id < before
        )
        page = list(islice(asked, max(0, min(limit, MAX_PAGE))))
        return await asyncio.to_thread(lambda: [decode_pair(pair) for pair in page])

    async def pair(self, route: str, id_: int) -> KeptPair | None:
        """See `PairStore`."""
        self._check_open()
        kept = self._routes.get(route)
        pair = kept and kept.pairs.get(id_)
        return await asyncio.to_thread(decode_pair, pair) if pair else None

    async def stream(
        self, route: str, *, verdict: str | None = None
    ) -> AsyncIterator[Sequence[KeptPair]]:
        """See `PairStore`."""
        left = iter(self._of(route, verdict))
        while block := await asyncio.to_thread(_block, left):
            yield block
            self._check_open()

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailableError("the memory pair store is not open")

    def _of(self, route: str, verdict: str | None) -> list[KeptPair]:
        self._check_open()
        kept = self._routes.get(route)
        pairs = kept.pairs.values() if kept else ()
        return [pair for pair in pairs if verdict is None or pair.verdict == verdict]

    def _prune(self, route: str, retention: Retention, now_s: float) -> int:
        pruned = self._routes[route].prune(retention, now_s)
        if not self._routes[route].pairs:
            del self._routes[route]
        return pruned


class _Kept:
    """What is kept of one route, the oldest first; documents are bytes."""

    def __init__(self) -> None:
        self.pairs: dict[int, KeptPair] = {}
        self._bytes = 0

    def add(self, pair: KeptPair) -> None:
        self.pairs[pair.id] = pair
        self._bytes += len(pair.document)

    def prune(self, retention: Retention, now_s: float) -> int:
        """Come within the retention; how many pairs that took."""
        before = len(self.pairs)
        oldest_s = now_s - retention.max_age_s
        self._remove([pair for pair in self.pairs.values() if pair.time_s < oldest_s])
        self._remove(list(self._surplus(retention)))
        return before - len(self.pairs)

    def _surplus(self, retention: Retention) -> Iterator[KeptPair]:
        count, size = len(self.pairs), self._bytes
        for pair in self.pairs.values():
            if count <= retention.max_pairs and size <= retention.max_bytes:
                return
            yield pair
            count, size = count - 1, size - len(pair.document)

    def _remove(self, pairs: Iterable[KeptPair]) -> None:
        for pair in pairs:
            del self.pairs[pair.id]
            self._bytes -= len(pair.document)


def _block(left: Iterator[KeptPair]) -> list[KeptPair]:
    block, size = [], 0
    for pair, bytes_ in map(sized_pair, left):
        block.append(pair)
        size += bytes_
        if size >= BLOCK_BYTES:
            break
    return block
