"""Reports of tallies, made beside the loop as far as possible.

A report of a long tally takes some 80 ms of CPU.  Who asks gets one that is at most `MAX_AGE_S`
old; one that was asked for is made anew in another thread while pairs come, so that only the
first question waits.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Final

import msgspec

from router.clock import Clock
from router.controller.shadow.tallies import Kept
from router.evaluation.report import Report, report
from router.evaluation.tally import Tally

log: Final = logging.getLogger(__name__)

MAX_AGE_S: Final = 10.0
REFRESH_S: Final = 5.0
WANTED_S: Final = 600.0
"""A report that nobody has asked for so long is not made anew."""


class _Made:
    """The newest report of a tally."""

    __slots__ = ("asked_at", "kept", "made_at", "report")

    def __init__(self, kept: Kept, made: Report, now: float) -> None:
        self.kept: Final = kept
        self.report = made
        self.made_at = self.asked_at = now

    def tells(self, kept: Kept, now: float) -> bool:
        """Whether it is of this tally, and new enough."""
        is_new = now - self.made_at < MAX_AGE_S or not self.is_behind
        return self.kept is kept and is_new

    @property
    def is_behind(self) -> bool:
        return self.report.pairs != self.kept.tally.pairs


class Reports:
    """The newest report of every route that was asked for; `present` finds a route's tally."""

    def __init__(self, present: Callable[[str], Kept | None], clock: Clock) -> None:
        self._present: Final = present
        self._clock: Final = clock
        self._made: Final[dict[str, _Made]] = {}

    def get(self, route: str) -> Report | None:
        """A route's report; None: it has no tally that tells of the present."""
        kept = self._present(route)
        if kept is None:
            self._made.pop(route, None)
            return None
        now = self._clock.monotonic()
        made = self._made.get(route)
        if made is None or not made.tells(kept, now):
            made = self._made[route] = _Made(kept, report(kept.tally), now)
        made.asked_at = now
        return made.report

    def keep(self, routes: Collection[str]) -> None:
        """Forget all other routes."""
        for gone in self._made.keys() - set(routes):
            del self._made[gone]

    async def run(self) -> None:
        """Make anew what is behind, again and again, until it is cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self.refresh()
            except Exception as error:
                log.error("reports of shadows: a defect (%s)", type(error).__name__)

    async def refresh(self) -> None:
        """Make anew, in another thread, what is behind and wanted."""
        for route, made in list(self._made.items()):
            now = self._clock.monotonic()
            if now - made.asked_at >= WANTED_S:
                del self._made[route]
            elif made.is_behind:
                # From a copy: the loop goes on counting.
                made.report = await asyncio.to_thread(report, _copy(made.kept.tally))
                made.made_at = now


def _copy(tally: Tally) -> Tally:
    return msgspec.convert(msgspec.to_builtins(tally), Tally)
