"""Writes the chronicle: every ten seconds a sample of every version, without stalling the loop.

A sample of 25 versions takes a few milliseconds (docs/console.md has the figures); between two such
parts everybody else has a turn, and the parts are spread over most of the ten seconds.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Final

from router.clock import Clock
from router.controller.fleet import Fleet
from router.snapshot import Snapshot
from router.telemetry import families
from router.telemetry.chronicle import FINE, Chronicle
from router.telemetry.recorder import Series
from router.telemetry.windows import VersionKey, Window

log: Final = logging.getLogger(__name__)

PART: Final = 25
"""Versions that are sampled before others have their turn."""

LATE_S: Final = 0.05
"""How long after a span's beginning its sample is taken: timers count milliseconds and ring up to
one too early, and two samples in one span would leave the next one without any."""

SPREAD: Final = 0.8
"""Share of the time between two samples over which the parts of one are spread."""


class Chronicler:
    """Keeps the chronicle of a fleet; `table` gives the newest routing table."""

    def __init__(self, fleet: Fleet, clock: Clock, table: Callable[[], Snapshot]) -> None:
        self._fleet: Final = fleet
        self._clock: Final = clock
        self._table: Final = table
        self.chronicle: Final = Chronicle()

    async def run(self) -> None:
        """Sample, again and again, until it is cancelled."""
        spread_s = 0.0  # at once at first: a point needs two samples
        while True:
            try:
                await self.sample(spread_s)
            except Exception:
                log.exception("the console's history: a fault; it goes on")
            spread_s = SPREAD * FINE.step_s
            await asyncio.sleep(until_next(self._clock.wall()))

    async def sample(self, spread_s: float = 0.0) -> None:
        """Take one sample of every version that there is room for, spread over `spread_s`."""
        weights = {
            (route.name, version.name): version.weight_bp / 100
            for route in self._table().routes
            for version in route.versions
        }
        parts = list(_parts(self.chronicle.follow(weights)))
        for part in parts:
            counters = self._fleet.look(set(part))
            self.chronicle.add(self._clock.wall(), counters, {key: weights[key] for key in part})
            await asyncio.sleep(spread_s / len(parts))

    async def recent(self, versions: Collection[VersionKey]) -> dict[VersionKey, Window]:
        """What these did in the last minute; see `Chronicle.recent`."""
        found: dict[VersionKey, Window] = {}
        for part in _parts(versions):
            counters = self._fleet.look(set(part))
            found |= self.chronicle.recent(self._clock.wall(), counters, part)
            await asyncio.sleep(0)
        return found

    def series(self) -> Iterator[Series]:
        """How many versions have no history."""
        yield Series(families.CHRONICLE_LEFT_OUT.name, (), self.chronicle.left_out)


def until_next(now: float) -> float:
    """Seconds until the next sample is due; `now` since 1970."""
    return FINE.step_s - (now - LATE_S) % FINE.step_s


def _parts(versions: Collection[VersionKey]) -> Iterator[list[VersionKey]]:
    rest = iter(versions)
    while part := list(islice(rest, PART)):
        yield part
