"""What the tests of the pair stores keep, and in which stores.

A new implementation joins by one line in `PAIR_STORES`: a function from a folder to a store that
is not open yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from router.store.pairs.base import KeptPair, PairStore, Retention
from router.store.pairs.memory import MemoryPairStore
from router.store.pairs.sqlite import SqlitePairStore

PAIR_STORES: dict[str, Callable[[Path], PairStore]] = {
    "memory": lambda folder: MemoryPairStore(),
    "sqlite": lambda folder: SqlitePairStore(folder / "state-pairs.db"),
}

NOW_S = 1_000_000.0

PLENTY = Retention(max_pairs=100_000, max_age_s=1e9, max_bytes=1 << 40)


def kept(document: Any = None, route: str = "chat", **more: Any) -> KeptPair:
    """A pair to be kept, of now."""
    told: dict[str, Any] = {"stable": "v1", "shadow": "v2", "verdict": "match", "time_s": NOW_S}
    return KeptPair(route=route, document=document, **told | more)


async def keep(
    store: PairStore, pairs: Sequence[KeptPair], now_s: float = NOW_S, **retention: Retention
) -> int:
    """Keep them; without any retention, `chat` has plenty."""
    return await store.keep(pairs, {}, retention or {"chat": PLENTY}, now_s)


async def documents(store: PairStore, route: str = "chat", **asked: Any) -> list[Any]:
    """What a page shows."""
    return [pair.document for pair in await store.pairs(route, **asked)]


async def streamed(store: PairStore, route: str = "chat", **asked: Any) -> list[KeptPair]:
    """All that a stream brings."""
    return [pair async for block in store.stream(route, **asked) for pair in block]
