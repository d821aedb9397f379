"""Verify a store's audit trail from its first entry to its end, while it may be growing."""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

from router.audit.chain import Verdict, Verifier
from router.audit.entry import Entry, Head
from router.store.base import StoreCorruptError


class Trail(Protocol):
    """What a verification reads: any `Store`, or an `SqliteReader`."""

    async def head(self) -> Head | None:
        """See `Store`."""
        ...

    async def origin(self) -> Head | None:
        """See `Store`."""
        ...

    def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        """See `Store`."""
        ...


async def verify_trail(trail: Trail, anchors: Iterable[Head] = ()) -> Verdict:
    """Read it block by block, never all of it, and judge it.

    `anchors` are heads that were kept elsewhere.

    Raises:
        StoreUnavailableError: the trail could not be read.
    """
    # The head first: what is committed while we read comes after it, and is no fault.
    head, origin = await trail.head(), await trail.origin()
    verifier = Verifier(head, origin=origin, anchors=anchors)
    try:
        async for block in trail.stream_entries():
            verifier.feed(block)
            if verifier.fault is not None:
                break
    except StoreCorruptError as error:
        verifier.on_unreadable(str(error))
    return verifier.finish(await trail.head())
