"""Everything that control knows of shadows: where pairs come in and others ask."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Final

from router.clock import Clock
from router.config import Config
from router.controller.changes import UnknownRouteError
from router.controller.shadow.comparer import Comparer, Look
from router.controller.shadow.counts import Counts
from router.controller.shadow.intake import Intake
from router.controller.shadow.recorder import Recorder
from router.controller.shadow.reports import Reports
from router.controller.shadow.settings import retention_of
from router.controller.shadow.subject import still_tells
from router.controller.shadow.tallies import Kept, Tallies
from router.evaluation.report import Report
from router.link.messages import Pair
from router.store.pairs import KeptPair, PairStore
from router.telemetry.recorder import Series

CLOSE_S: Final = 2.0
"""How long the end waits for the pairs that are being compared."""


class Shadows:
    """Compares, counts and records what shadows answer, from `start` to `close`."""

    def __init__(
        self,
        look: Look,
        store: PairStore,
        clock: Clock,
        *,
        draw: Callable[[], float] = random.random,
        intake: Intake | None = None,
    ) -> None:
        self._look: Final = look
        self._store: Final = store
        self._counts: Final = Counts()
        self._tallies: Final = Tallies()
        self._recorder: Final = Recorder(store, self._tallies.documents, self._counts, clock)
        self._recorder.on_open = self._tallies.restore
        self._comparer: Final = Comparer(
            look, self._tallies, self._recorder, self._counts, clock, draw=draw, intake=intake
        )
        self._reports: Final = Reports(self._present, clock)
        self._tasks: list[asyncio.Task[None]] = []

    # -- from start to end ---------------------------------------------------------------------

    def configure(self, config: Config) -> None:
        """Compare and keep as this configuration says; routes that are not in it are forgotten."""
        routes = {route.name for route in config.routes}
        live = {(route.name, version) for route in config.routes for version in route.versions}
        self._counts.keep(live)
        self._tallies.keep(routes)
        self._comparer.keep(routes)
        self._reports.keep(routes)
        self._recorder.retain({route.name: retention_of(route) for route in config.routes})

    async def start(self) -> None:
        """Go on from what is recorded; a store that fails is no hindrance."""
        await self._recorder.start()
        create = asyncio.get_running_loop().create_task
        self._tasks = [create(self._comparer.run()), create(self._reports.run())]

    async def close(self) -> None:
        """Stop comparing, and write what there is; pairs that still wait are lost."""
        self._comparer.stop()
        if self._tasks:
            await asyncio.wait(self._tasks[:1], timeout=CLOSE_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._recorder.close()

    # -- the way of a pair ---------------------------------------------------------------------

    def take(self, pair: Pair) -> None:
        """Have a pair compared; returns at once."""
        self._comparer.take(pair)

    async def compare_some(self) -> None:
        """Compare some of the pairs that wait, now."""
        await self._comparer.compare_some()

    async def write(self) -> None:
        """Write what is to be recorded, now."""
        await self._recorder.write()

    async def refresh(self) -> None:
        """Make reports anew that are behind, now."""
        await self._reports.refresh()

    # -- what others ask -----------------------------------------------------------------------

    def report(self, route: str) -> Report | None:
        """What is known of a route's shadow; None: nothing, or only of an earlier attempt.

        While pairs come it is at most `reports.MAX_AGE_S` old.
        """
        return self._reports.get(route)

    async def pairs(
        self,
        route: str,
        *,
        verdict: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> list[KeptPair]:
        """Recorded pairs; see `PairStore.pairs`."""
        return await self._store.pairs(route, verdict=verdict, before=before, limit=limit)

    async def pair(self, route: str, id_: int) -> KeptPair | None:
        """One recorded pair; see `PairStore.pair`."""
        return await self._store.pair(route, id_)

    def stream(
        self, route: str, *, verdict: str | None = None
    ) -> AsyncIterator[Sequence[KeptPair]]:
        """All recorded pairs of a route; see `PairStore.stream`."""
        return self._store.stream(route, verdict=verdict)

    def series(self) -> Iterator[Series]:
        """What is counted here."""
        return self._counts.series()

    def _present(self, route: str) -> Kept | None:
        """A route's tally, if it tells of the present."""
        kept = self._tallies.get(route)
        if kept is None:
            return None
        try:
            configured, state = self._look(route)
        except UnknownRouteError:
            return None
        return kept if still_tells(kept.subject, configured, state) else None
