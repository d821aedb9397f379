"""A control that does nothing but keep pairs until it is killed.

`python -m tests.store.pair_keeper FILE`

Prints each batch's number once `keep` has returned.  Batch n is everything that can be derived
from n, so whoever reads the file later can tell a whole batch from a half one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from router.store.pairs.base import KeptPair, Retention
from router.store.pairs.sqlite import SqlitePairStore
from tests.store.kept import NOW_S, kept

PAIRS = 40
"""Of a batch: enough pages for a kill to fall between two of them."""

RETENTION = {"chat": Retention(max_pairs=10 * PAIRS, max_age_s=1e9, max_bytes=1 << 40)}


def batch_of(number: int) -> list[KeptPair]:
    """What batch `number` brings."""
    return [
        kept({"batch": number, "pair": n, "text": f"{number * n} " * 300}) for n in range(PAIRS)
    ]


async def keep_batch(store: SqlitePairStore, number: int) -> None:
    """Batch `number`, with a tally that tells it."""
    await store.keep(batch_of(number), {"chat": number}, RETENTION, NOW_S)


async def main(path: Path) -> None:
    """Go on where the last one was killed."""
    store = SqlitePairStore(path)
    await store.open()
    number = (await store.tallies()).get("chat", 0)
    while True:
        number += 1
        await keep_batch(store, number)
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
