"""Versions that have lost their traffic, and the end of what still runs on them.

A change of weights ends nothing.  Where the configuration bounds the drain, what was begun before
the change ends at its deadline with an error event, as at the end of the worker; what has come
to the version since (by a header route) stays.  A version that gets traffic again has no deadline
any more.

Nothing here costs a request anything: an exchange knows its version, and all of them are looked
through once, when a deadline has come.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from router.clock import NEVER
from router.dataplane.table import LiveVersion, Table

if TYPE_CHECKING:
    from router.dataplane.exchange import Exchange

log: Final = logging.getLogger(__name__)


_Key = tuple[str, str]
"""(route, version)."""


@dataclass(frozen=True, slots=True)
class _Drain:
    """What was begun up to `since` ends at `due`; both in the worker's monotonic time."""

    since: float
    due: float


class Drains:
    """The drains of one worker; `due` is when the next one is over.

    Bounded by the versions of the table: one that has left it is forgotten at its deadline.
    """

    def __init__(self) -> None:
        self.due = NEVER
        self._running: dict[_Key, _Drain] = {}

    def follow(self, old: Table, new: Table, *, now: float, wall: float) -> None:
        """Take over what the new table says of drains; `wall` is the same moment as `now`."""
        for name, route in new.routes.items():
            before = old.routes.get(name)
            if before is None or before is route:
                continue
            for version in route.versions.values():
                self._follow(before.versions.get(version.spec.name), version, now, wall)
        self._set_due()

    def _follow(
        self, before: LiveVersion | None, version: LiveVersion, now: float, wall: float
    ) -> None:
        key, until_s = (version.route, version.spec.name), version.spec.drain_until_s
        running = self._running.pop(key, None)
        if until_s is None:
            return
        # None before: it had traffic, or its drain was not bounded.  Anything else without a
        # running drain is over, and what runs now has come since.
        begins = before is not None and before.spec.drain_until_s is None
        if running is not None or begins:
            since = running.since if running is not None else now
            self._running[key] = _Drain(since, now + until_s - wall)

    def end_due(self, active: "Collection[Exchange]", now: float) -> None:
        """End what still runs where the time is over."""
        over = {key: drain for key, drain in self._running.items() if drain.due <= now}
        for key in over:
            del self._running[key]
        self._set_due()
        ended = dict.fromkeys(over, 0)
        for exchange in tuple(active):
            place = _place_of(exchange)
            if place in over and exchange.started_at <= over[place].since:
                ended[place] += 1
                exchange.on_drained(
                    f"version {place[1]} was replaced, and its time to finish is over"
                )
        for (route, version), number in ended.items():
            log.info("%s/%s: its time to drain is over, %d requests ended", route, version, number)

    def _set_due(self) -> None:
        self.due = min((drain.due for drain in self._running.values()), default=NEVER)


def _place_of(exchange: "Exchange") -> _Key | None:
    version = exchange.version
    return (version.route, version.spec.name) if version is not None else None
