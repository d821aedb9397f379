"""The port to the store: its values, and what is true after each success and each failure.

One test suite (tests/store) runs over every implementation; a new one (PostgreSQL) has to pass
it as it is.

Promises:
  * a commit is written whole or not at all, and outlives the process once it has returned
    (kill -9 at any moment; for SQLite also a power cut, as far as the disk keeps its word);
  * generations only rise, by any writer: a commit on an old base is refused, nothing written;
  * revisions count every commit; two commits on one revision cannot both succeed;
  * audit entries are numbered without a gap and chained (`router.audit.chain`) in the order of
    their commits; no operation of a store changes or removes one;
  * only one process at a time has a store open for writing.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from router.audit.entry import Draft, Entry
from router.audit.entry import Head as Head
from router.errors import RouterError
from router.rollouts.state import RouteState
from router.snapshot import Snapshot


class StoreError(RouterError):
    """Anything that a store raises on purpose."""


class StoreUnavailableError(StoreError):
    """No answer.  A commit may or may not have been written; only reading can tell."""


class StoreInUseError(StoreError):
    """Another process has it open for writing."""


class StoreCorruptError(StoreError):
    """What is stored cannot be what this release, or any, has written."""


class StaleError(StoreError):
    """Somebody else has committed in the meantime; nothing was written."""


class KnownRequestError(StaleError):
    """The idempotency key has been answered already; nothing was written.  Look up the answer."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The newest state: what a restarted control goes on from.

    `revision` counts commits (0: nothing was ever written).  `snapshot` is the routing table of
    the newest generation (generation 0: none yet).
    """

    revision: int = 0
    snapshot: Snapshot = Snapshot(generation=0)
    states: Mapping[str, RouteState] = {}


class RequestKey(msgspec.Struct, frozen=True):
    """An idempotency key (draft-ietf-httpapi-idempotency-key-header) and what it was sent with.

    `digest` stands for the whole request, so that a key that is used for another one is noticed.
    """

    actor: str
    key: str
    digest: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """An analysis run as the store knows it; `document` is its content, opaque here.

    `finished_s` is None while it runs.
    """

    id: str
    route: str
    phase: str
    started_s: float
    finished_s: float | None = None
    document: Any = None


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one decision writes, in one transaction.

    `revision` is the one that it was decided on.  `snapshot` is the new table, or None when the
    table stays the same; its generation must be above the recorded one.  `removed` drops the
    states of routes, then `states` replaces those of the routes that it names.  `runs` replaces
    runs by id.  `key` is remembered with the new generation for at least 24 hours (the newest
    `MAX_REQUESTS` of them).  `time_s` is when it was decided; None: the time of its first entry,
    or of the commit before.
    """

    revision: int
    snapshot: Snapshot | None = None
    states: Mapping[str, RouteState] = {}
    removed: Sequence[str] = ()
    entries: Sequence[Draft] = ()
    runs: Sequence[Run] = ()
    key: RequestKey | None = None
    time_s: float | None = None


class RouteShares(msgspec.Struct, frozen=True, kw_only=True):
    """A route in a generation's history: weights in basis points before and after.

    None: the route was not there.
    """

    route: str
    before: dict[str, int] | None
    after: dict[str, int] | None


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One generation in history: which routes it changed, at most `MAX_ROUTES_TOLD` of them.

    `routes_changed` counts all.  `entries` are the sequence numbers of the audit entries that
    were written with it.
    """

    number: int
    time_s: float
    routes: tuple[RouteShares, ...] = ()
    routes_changed: int = 0
    entries: tuple[int, ...] = ()


MAX_ROUTES_TOLD: Final = 1_000

MAX_PAGE: Final = 1_000
"""A larger `limit` is this one."""

MAX_SEARCHED: Final = 20_000
"""Audit entries that one search looks at: a page's cost has a bound, however long the trail is."""

MAX_REQUESTS: Final = 100_000
REQUESTS_KEPT_S: Final = 24 * 3600.0

MAX_FINISHED_RUNS: Final = 100
"""Finished runs that are kept of each route, the newest; unfinished ones are always kept."""


class Searched(NamedTuple):
    """The part of the audit trail that one search looks at: sequence numbers above `above` and
    below `below`."""

    above: int
    below: int


def searched(after: int | None, before: int | None, head: int) -> Searched:
    """What a search looks at: the `MAX_SEARCHED` entries that come first in the page's order.

    `head` is the newest entry's number.
    """
    if after is not None:
        return Searched(after, min(head, after + MAX_SEARCHED) + 1)
    below = head + 1 if before is None else min(before, head + 1)
    return Searched(max(0, below - 1 - MAX_SEARCHED), below)


def searchable(reason: str, actor: str, action: str, route: str | None) -> str:
    """The text in which a search looks, without regard to case (Unicode's case folding)."""
    return "\n".join((reason, actor, action, route or "")).casefold()


class Store(Protocol):
    """Where state outlives control.  Every method may raise StoreUnavailableError."""

    async def open(self) -> None:
        """Make it ready, migrating an older file forward.

        Raises:
            StoreInUseError: another process writes to it.
            StoreCorruptError: it is no store of ours, or of a newer release.
        """
        ...

    async def close(self) -> None:
        """Let go of it; twice is once."""
        ...

    async def read(self) -> Record:
        """The newest record."""
        ...

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        """Write it in one transaction; returns the audit entries with their places.

        Raises:
            StaleError: `commit.revision` is not the recorded one, or its generation is not
                above the recorded one; nothing was written.
            KnownRequestError: its key is known already; nothing was written.
            StoreError: a state or a run cannot be encoded; nothing was written.
            AuditError: an entry cannot be written as JSON; nothing was written.
            StoreUnavailableError: the commit **may or may not** have been written.
        """
        ...

    async def find_request(self, actor: str, key: str) -> tuple[RequestKey, int] | None:
        """What an idempotency key was first sent with, and the generation that answered it."""
        ...

    async def generation(self, number: int) -> Generation | None:
        """One generation of the history."""
        ...

    async def generations(self, *, before: int | None = None, limit: int = 100) -> list[Generation]:
        """The newest generations below `before`, newest first."""
        ...

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
        """A page of the audit trail.

        With `after` the oldest entries above that sequence, oldest first; else the newest ones
        (below `before`), newest first.  `search` is looked for in `searchable` of each entry, and
        only in those that `searched` names: what lies beyond is found by asking from there.
        """
        ...

    def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        """The whole trail from the first kept entry on, in blocks, as of the moment it begins.

        Raises:
            StoreCorruptError: naming an entry that cannot be read; those before it came first.
        """
        ...

    async def head(self) -> Head | None:
        """The newest audit entry, as it was recorded apart."""
        ...

    async def origin(self) -> Head | None:
        """The entry before the first one that is kept; None: the trail is whole."""
        ...

    async def run(self, id_: str) -> Run | None:
        """One analysis run."""
        ...

    async def runs(
        self, *, route: str | None = None, unfinished: bool = False, limit: int = 100
    ) -> list[Run]:
        """Analysis runs, the newest first."""
        ...
