"""A store that lives as long as its process: for embedding and tests.

It promises what `base` does except to outlive the process, and it has bounds where a file has
none: the newest `MAX_ENTRIES` audit entries (a verification begins at the oldest of them) and the
newest `MAX_GENERATIONS` of the history are kept.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from typing import Final, TypeVar

import msgspec

from router.audit.chain import head_of
from router.audit.entry import Entry
from router.store.base import (
    MAX_FINISHED_RUNS,
    MAX_PAGE,
    MAX_REQUESTS,
    REQUESTS_KEPT_S,
    Commit,
    Generation,
    Head,
    KnownRequestError,
    Record,
    RequestKey,
    Run,
    StoreUnavailableError,
    searchable,
    searched,
)
from router.store.codec import decode_document
from router.store.plan import Newest, Plan, plan

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES: Final = 100_000
MAX_GENERATIONS: Final = 10_000

_BLOCK: Final = 256

_Requests = dict[tuple[str, str], tuple[RequestKey, int, float]]


class MemoryStore:
    """See `Store`.  A commit never awaits, so no other one comes between."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries: Final = max_entries
        self._newest = Newest()
        self._origin: Head | None = None
        self._entries: list[Entry] = []
        self._generations: dict[int, Generation] = {}
        self._requests: _Requests = {}
        self._runs: dict[str, Run] = {}
        self._is_open = False

    async def open(self) -> None:
        """See `Store`."""
        self._is_open = True

    async def close(self) -> None:
        """See `Store`; what it knows is still there when it is opened again."""
        self._is_open = False

    async def read(self) -> Record:
        """See `Store`."""
        self._check_open()
        return self._newest.record

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        """See `Store`."""
        self._check_open()
        planned = plan(self._newest, commit)
        if commit.key is not None:
            self._remember_request(commit.key, planned.newest)
        self._newest = planned.newest
        self._append(planned.entries)
        if planned.generation is not None:
            self._generations[planned.generation.number] = planned.generation
            _keep_newest(self._generations, MAX_GENERATIONS)
        self._write_runs(planned)
        return planned.entries

    async def find_request(self, actor: str, key: str) -> tuple[RequestKey, int] | None:
        """See `Store`."""
        self._check_open()
        known = self._requests.get((actor, key))
        return None if known is None else (known[0], known[1])

    async def generation(self, number: int) -> Generation | None:
        """See `Store`."""
        self._check_open()
        return self._generations.get(number)

    async def generations(self, *, before: int | None = None, limit: int = 100) -> list[Generation]:
        """See `Store`."""
        self._check_open()
        newest_first = (self._generations[number] for number in reversed(self._generations))
        below = (g for g in newest_first if before is None or g.number < before)
        return _page(below, limit)

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
        self._check_open()
        is_rising = after is not None
        if search is not None:
            after, upper = searched(
                after, before, self._entries[-1].sequence if self._entries else 0
            )
            before = upper if before is None else min(before, upper)
        asked = (
            entry
            for entry in (self._entries if is_rising else reversed(self._entries))
            if (after is None or entry.sequence > after)
            and (before is None or entry.sequence < before)
            and (route is None or entry.route == route)
            and (action is None or entry.action == action)
            and (actor is None or entry.actor.name == actor)
            and (search is None or _says(entry, search.casefold()))
        )
        return _page(asked, limit)

    async def stream_entries(self) -> AsyncIterator[Sequence[Entry]]:
        """See `Store`."""
        self._check_open()
        entries = tuple(self._entries)
        for start in range(0, len(entries), _BLOCK):
            yield entries[start : start + _BLOCK]

    async def head(self) -> Head | None:
        """See `Store`."""
        self._check_open()
        return self._newest.head

    async def origin(self) -> Head | None:
        """See `Store`."""
        self._check_open()
        return self._origin

    async def run(self, id_: str) -> Run | None:
        """See `Store`."""
        self._check_open()
        return self._runs.get(id_)

    async def runs(
        self, *, route: str | None = None, unfinished: bool = False, limit: int = 100
    ) -> list[Run]:
        """See `Store`."""
        self._check_open()
        asked = (
            run
            for run in self._newest_runs()
            if (route is None or run.route == route) and (not unfinished or run.finished_s is None)
        )
        return _page(asked, limit)

    def _check_open(self) -> None:
        if not self._is_open:
            raise StoreUnavailableError("the memory store is not open")

    def _append(self, entries: Sequence[Entry]) -> None:
        self._entries += entries
        if (excess := len(self._entries) - self._max_entries) > 0:
            self._origin = head_of(self._entries[excess - 1])
            del self._entries[:excess]

    def _remember_request(self, key: RequestKey, newest: Newest) -> None:
        oldest_s = newest.time_s - REQUESTS_KEPT_S
        for old in [known for known, (_, _, s) in self._requests.items() if s < oldest_s]:
            del self._requests[old]
        if (key.actor, key.key) in self._requests:
            raise KnownRequestError("this idempotency key is known already: look up its answer")
        answered_by = newest.record.snapshot.generation
        self._requests[key.actor, key.key] = (key, answered_by, newest.time_s)
        _keep_newest(self._requests, MAX_REQUESTS)

    def _write_runs(self, planned: Plan) -> None:
        for run, document in planned.runs:
            self._runs[run.id] = msgspec.structs.replace(
                run, document=decode_document(document, run.id)
            )
        for route in {run.route for run, _ in planned.runs}:
            finished = [
                run.id
                for run in self._newest_runs()
                if run.route == route and run.finished_s is not None
            ]
            for id_ in finished[MAX_FINISHED_RUNS:]:
                del self._runs[id_]

    def _newest_runs(self) -> list[Run]:
        last_first = list(self._runs.values())[::-1]
        return sorted(last_first, key=lambda run: -run.started_s)


def _keep_newest(known: dict[K, V], most: int) -> None:
    """A dict keeps the order in which its keys came."""
    for old in list(islice(known, max(0, len(known) - most))):
        del known[old]


def _says(entry: Entry, folded: str) -> bool:
    return folded in searchable(entry.reason, entry.actor.name, entry.action, entry.route)


def _page(asked: Iterator[V], limit: int) -> list[V]:
    return list(islice(asked, max(0, min(limit, MAX_PAGE))))
