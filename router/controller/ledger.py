"""The one way in which anything becomes true: commit to the store, then publish to the workers.

One change at a time, under `changing`.  Only what is committed is published, so what workers
serve is always what a restarted control finds.

Guarantees (tests/unit/controller/test_plane_changes.py):
  * generations only rise, also above those of workers that another control has fed;
  * after a commit whose fate the store could not tell, what is recorded is read again before
    anything else happens.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Protocol

import msgspec

from router.audit.chain import AuditError
from router.audit.entry import Draft
from router.controller.events import Events
from router.link.server import Applied
from router.rollouts.state import RouteState
from router.snapshot import Snapshot, difference
from router.store.base import Commit, Record, RequestKey, Run, Store, StoreError

log: Final = logging.getLogger(__name__)


class Publisher(Protocol):
    """The way to the workers."""

    def publish(self, snapshot: Snapshot) -> None:
        """Make this the table that every worker shall serve; returns at once."""

    async def wait_applied(self, generation: int, deadline_s: float) -> Applied:
        """Wait until every worker serves `generation` or a newer one, or time is up."""
        ...


class Ledger:
    """The newest record, and the way to the next one; `open` before anything else."""

    def __init__(self, store: Store, events: Events) -> None:
        self.store: Final = store
        self.changing: Final = asyncio.Lock()
        self.failures = 0
        self._events: Final = events
        self._publisher: Publisher | None = None
        self._record = Record()
        self._known = False
        self._recalled = 0
        self._remembers = False
        self._is_open = False
        self._touched: dict[str, int] = {}

    @property
    def snapshot(self) -> Snapshot:
        """The newest table."""
        return self._record.snapshot

    @property
    def revision(self) -> int:
        """How many commits there were."""
        return self._record.revision

    @property
    def states(self) -> Mapping[str, RouteState]:
        """How far every route has come."""
        return self._record.states

    def touched(self, route: str) -> int:
        """The generation in which a route changed last, or one that is not older."""
        return self._touched.get(route, self._recalled)

    async def open(self, publisher: Publisher) -> None:
        """Find what is recorded.

        Raises:
            StoreError: it cannot be read.
        """
        self._publisher = publisher
        await self.store.open()
        await self.know()
        self._remembers = self._record.revision > 0
        self._recalled = self.snapshot.generation
        self._is_open = True

    async def know(self) -> None:
        """Read the record again if the last commit may or may not have been written."""
        if self._known:
            return
        record = await self.store.read()
        self._known = True
        before, self._record = self.snapshot, record
        if self._is_open and record.snapshot.generation != before.generation:
            self._note_touched(before, record.snapshot)
            self.publish()

    async def commit(
        self,
        *,
        snapshot: Snapshot | None = None,
        states: Mapping[str, RouteState] | None = None,
        removed: Collection[str] = (),
        entries: Sequence[Draft] = (),
        runs: Sequence[Run] = (),
        key: RequestKey | None = None,
    ) -> None:
        """Write it, and publish `snapshot` if there is a new one.

        Raises:
            StoreError: it may or may not have been written; `know` finds out.
        """
        old, states = self._record, states or {}
        if snapshot is not None:
            number = snapshot.generation
            entries = [msgspec.structs.replace(entry, generation=number) for entry in entries]
        commit = Commit(
            revision=old.revision,
            snapshot=snapshot,
            states=states,
            removed=tuple(removed),
            entries=entries,
            runs=runs,
            key=key,
        )
        await self._write(commit)
        kept = {name: s for name, s in old.states.items() if name not in set(removed)}
        self._record = Record(
            revision=old.revision + 1,
            snapshot=snapshot or old.snapshot,
            states={**kept, **states},
        )
        if snapshot is not None:
            self._note_touched(old.snapshot, snapshot)
            self.publish()

    async def renumber(self, above: int) -> None:
        """Publish the same table as a generation above one that a worker serves.

        Unless we remember that generation: then it is the same table.
        """
        if self._remembers and above <= self.snapshot.generation:
            return
        async with self.changing:
            await self.know()
            if self.snapshot.generation <= above:
                log.info("a worker serves generation %d: numbering on above it", above)
                await self.commit(
                    snapshot=msgspec.structs.replace(self.snapshot, generation=above + 1)
                )

    def publish(self) -> None:
        """Make the newest table the one that every worker shall serve."""
        self._publisher_of_open().publish(self.snapshot)
        self._events.tell("generation", generation=self.snapshot.generation)

    async def wait_applied(self, deadline_s: float, generation: int | None = None) -> Applied:
        """Wait until every worker serves a generation (the newest), or time is up."""
        wanted = self.snapshot.generation if generation is None else generation
        return await self._publisher_of_open().wait_applied(wanted, deadline_s)

    async def close(self) -> None:
        """Let go of the store, once the change under way is written."""
        async with self.changing:
            await self.store.close()

    async def _write(self, commit: Commit) -> None:
        self._known = False  # until it has returned nobody knows what is written
        try:
            await self.store.commit(commit)
        except AuditError:
            self._known = True  # refused before anything was written
            raise
        except StoreError as error:
            self.failures += 1
            log.error("store: %s", error)
            raise
        self._known = True

    def _note_touched(self, old: Snapshot, new: Snapshot) -> None:
        change = difference(old, new)
        for route in change.changed:
            self._touched[route.name] = new.generation
        for name in change.removed:
            self._touched.pop(name, None)

    def _publisher_of_open(self) -> Publisher:
        assert self._publisher is not None, "open() comes first"
        return self._publisher
