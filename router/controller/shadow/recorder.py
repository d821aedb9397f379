"""The batch of what is to be recorded, and the one who writes it: once a second at most.

Comparing never waits for it.  While the store does not answer the batch grows to its bound, and
what comes then is lost and counted.  What is lost is evidence to look at; no decision hangs on it,
and the tallies are written whole with the next batch.

Guarantees (each is a test in tests/unit/controller/test_shadow_recorder.py):
  * a store that hangs or fails costs a bounded memory, and `close` waits a bounded time for it;
  * what an unavailable store may not have written is written again;
  * a batch that the store refuses is given up, so that the next ones are written.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple

from router.clock import Clock
from router.controller.shadow.counts import ALL_ROUTES, LOST, PRUNED, WRITTEN, Counts
from router.store.base import StoreCorruptError, StoreError, StoreUnavailableError
from router.store.pairs import KeptPair, PairStore, Retention

log: Final = logging.getLogger(__name__)

MAX_PAIRS: Final = 2_000
MAX_BYTES: Final = 32 * 1024 * 1024
"""Bytes of the documents that wait, as JSON."""

REST_S: Final = 1.0
AFTER_FAILURE_S: Final = 5.0
PRUNE_S: Final = 600.0
"""How often pairs that have become too old are removed where no new ones come."""

PATIENCE_S: Final = 2.0
"""How long control's start and its end wait for the store."""


class _Waiting(NamedTuple):
    pair: KeptPair
    size: int


class Recorder:
    """Owns the pair store; `tallies` makes the documents of the routes named."""

    def __init__(
        self,
        store: PairStore,
        tallies: Callable[[Iterable[str]], Mapping[str, Any]],
        counts: Counts,
        clock: Clock,
        *,
        max_pairs: int = MAX_PAIRS,
        max_bytes: int = MAX_BYTES,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.store: Final = store
        self.on_open: Callable[[Mapping[str, Any]], None] = lambda _tallies: None
        self._tallies: Final = tallies
        self._counts: Final = counts
        self._clock: Final = clock
        self._max_pairs: Final = max_pairs
        self._max_bytes: Final = max_bytes
        self._patience_s: Final = patience_s
        self._retention: Mapping[str, Retention] = {}
        self._waiting: list[_Waiting] = []
        self._changed: set[str] = set()
        self._held_pairs = 0
        self._held_bytes = 0
        self._is_open = False
        self._is_restored = False
        self._is_due = False
        self._written_at = clock.monotonic()
        self._trouble = ""
        self._tried: Final = asyncio.Event()
        self._stopping: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # -- what is to be recorded ----------------------------------------------------------------

    def put(self, pair: KeptPair, size: int) -> None:
        """Have a pair written; `size` is that of its document, in bytes."""
        too_many = self._held_pairs >= self._max_pairs
        if too_many or self._held_bytes + size > self._max_bytes:
            self._counts.record(pair.route, LOST)
            return
        self._waiting.append(_Waiting(pair, size))
        self._held_pairs += 1
        self._held_bytes += size

    def touch(self, route: str) -> None:
        """A route's tally has changed."""
        self._changed.add(route)

    def retain(self, retention: Mapping[str, Retention]) -> None:
        """Keep so much of these routes, and nothing of any other."""
        self._is_due = self._is_due or retention != self._retention
        self._retention = retention
        self._changed &= retention.keys()
        self._release([each for each in self._waiting if each.pair.route not in retention])
        self._waiting = [each for each in self._waiting if each.pair.route in retention]

    # -- from start to end ---------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, go on from its tallies, and write from now on.

        A store that cannot be opened, or takes long, is tried again and again: pairs are evidence,
        and a router without them has to serve all the same.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_s):
                await self._tried.wait()

    async def close(self) -> None:
        """Write what waits and let go of the store, within a bounded time."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=self._patience_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._held_pairs:
            log.warning("%d pairs of answers were not recorded", self._held_pairs)
        with suppress(TimeoutError, StoreError):
            async with asyncio.timeout(self._patience_s):
                await self.store.close()

    async def _run(self) -> None:
        await self._attempt(self._open)
        self._tried.set()
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(AFTER_FAILURE_S if self._trouble else REST_S):
                    await self._stopping.wait()
            await self.write()

    # -- writing -------------------------------------------------------------------------------

    async def write(self) -> None:
        """Write what waits, if anything does; never raises."""
        is_old = self._clock.monotonic() - self._written_at >= PRUNE_S
        if self._waiting or self._changed or self._is_due or is_old:
            await self._attempt(self._write)

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except StoreError as error:
            self._note(str(error))
        except Exception as error:  # its text may quote a pair
            self._note(f"a defect ({type(error).__name__})")
        else:
            self._note("")

    def _note(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:  # else it is known, and there are many attempts
            log.error("pairs of answers are not recorded: %s", trouble)
        elif self._trouble and not trouble:
            log.info("pairs of answers are recorded again")
        self._trouble = trouble

    async def _open(self) -> None:
        if not self._is_open:
            await self.store.open()
            self._is_open = True
        if not self._is_restored:
            self.on_open(await self._read_tallies())
            self._is_restored = True

    async def _read_tallies(self) -> Mapping[str, Any]:
        try:
            return await self.store.tallies()
        except StoreCorruptError as error:
            log.error("shadows are compared anew: %s", error)
            return {}

    async def _write(self) -> None:
        await self._open()
        waiting, self._waiting = self._waiting, []
        changed, self._changed = self._changed, set()
        try:
            pruned = await self._keep(waiting, changed)
        except BaseException as error:
            self._changed |= changed & self._retention.keys()
            if isinstance(error, StoreUnavailableError):
                self._waiting = [*waiting, *self._waiting]
            else:
                self._release(waiting, LOST)
            raise
        self._release(waiting, WRITTEN)
        self._counts.record(ALL_ROUTES, PRUNED, pruned)

    async def _keep(self, waiting: list[_Waiting], changed: set[str]) -> int:
        pairs = [each.pair for each in waiting]
        retention, self._is_due = self._retention, False
        try:
            now = self._clock.wall()
            pruned = await self.store.keep(pairs, self._tallies(changed), retention, now)
        except BaseException:
            self._is_due = True
            raise
        self._written_at = self._clock.monotonic()
        return pruned

    def _release(self, waiting: list[_Waiting], result: str | None = None) -> None:
        """These pairs wait no more."""
        self._held_pairs -= len(waiting)
        self._held_bytes -= sum(each.size for each in waiting)
        if result is not None:
            for route, number in Counter(each.pair.route for each in waiting).items():
                self._counts.record(route, result, number)
