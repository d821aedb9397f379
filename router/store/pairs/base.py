"""The port to recorded pairs.  One test suite (tests/store) runs over every implementation.

Promises:
  * a batch is written whole or not at all; after kill -9 the file opens again, and what is
    missing is at most the newest batches;
  * after `keep`, every route is within its retention, and what is kept of it is the newest;
  * ids only rise, also after everything was pruned;
  * nobody who reads makes the writer wait.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

MAX_PAGE: Final = 1_000
"""A larger `limit` is this one."""

BLOCK_BYTES: Final = 1024 * 1024
"""A block of a stream ends with the pair that makes it so large (its documents as JSON)."""


class KeptPair(msgspec.Struct, frozen=True, kw_only=True):
    """One recorded pair; `document` (JSON-like, redacted already) is opaque here.

    `id` is given by the store (0 before).  `time_s` since 1970 UTC.
    """

    id: int = 0
    route: str
    stable: str
    shadow: str
    verdict: str
    time_s: float
    document: Any = None


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a route: the newest `max_pairs`, not older, not more bytes than these.

    Bytes are those of the documents as they are stored, compressed.
    """

    max_pairs: int
    max_age_s: float
    max_bytes: int


NOTHING: Final = Retention(max_pairs=0, max_age_s=0.0, max_bytes=0)
"""The retention of a route that has none."""


class PairStore(Protocol):
    """Every method may raise `router.store.base.StoreUnavailableError`; those that read also
    StoreCorruptError, naming what is damaged.
    """

    async def open(self) -> None:
        """Make it ready.

        Raises:
            StoreInUseError, StoreCorruptError: see `router.store.base`.
        """
        ...

    async def close(self) -> None:
        """Let go of it; twice is once."""
        ...

    async def keep(
        self,
        pairs: Sequence[KeptPair],
        tallies: Mapping[str, Any],
        retention: Mapping[str, Retention],
        now_s: float,
    ) -> int:
        """Write a batch: add `pairs`, replace the tallies of the routes named, prune.

        A route without `retention` loses its pairs and its tally.  Returns how many pairs were
        pruned, those among them that came with this batch.  `now_s` since 1970 UTC.

        A large prune goes on after the batch was written, slice by slice.

        Raises:
            StoreError: a document or a tally cannot be written as JSON; nothing was written.
            StoreUnavailableError: the batch **may or may not** have been written.
        """
        ...

    async def tallies(self) -> dict[str, Any]:
        """The tally of every route that has one (JSON-like, opaque here)."""
        ...

    async def pairs(
        self,
        route: str,
        *,
        verdict: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[KeptPair]:
        """A route's newest pairs (below id `before`), newest first, with their documents."""
        ...

    async def pair(self, route: str, id_: int) -> KeptPair | None:
        """One pair."""
        ...

    def stream(
        self, route: str, *, verdict: str | None = None
    ) -> AsyncIterator[Sequence[KeptPair]]:
        """All pairs of a route as of the moment it begins, oldest first, in blocks.

        What is pruned before its block is read may not come.
        """
        ...
