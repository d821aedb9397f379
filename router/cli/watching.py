"""A route's rollout, looked at again and again until what was waited for has come.

Guarantees (each is a test in tests/unit/cli/test_cli_watch.py):
  * once it has answered, a server that is away is waited for: control may be restarted;
  * each entry of the trail is told once and in order, whatever was missed meanwhile;
  * a rollout that began and ended between two looks has been seen.
"""

from __future__ import annotations

import time as clock
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from router.cli.documents import Entries, Entry, read
from router.cli.events import passes
from router.cli.failures import CommandError
from router.cli.rollout_documents import Rollout
from router.rollouts.phases import Phase

if TYPE_CHECKING:
    from router.cli.client import AdminClient
    from router.cli.wakeups import Wait

REFRESH_S: Final = 1.0
"""While a rollout is under way: measurements come without an event."""

REST_S: Final = 5.0
"""While none is; an event ends it earlier."""

HISTORY: Final = 8
"""Entries of the trail that the first look brings."""

MAX_ENTRIES: Final = 1_000
"""Entries that one look brings; the next one brings those after them."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look has seen.

    `entries` are those of the trail since the look before, the newest last.  `trouble`: the
    server has not answered, and the rest is what it said last.
    """

    document: Any
    rollout: Rollout
    now_s: float
    entries: tuple[Entry, ...] = ()
    trouble: str | None = None


def sights(client: AdminClient, route: str, wait: Wait) -> Iterator[Sight]:
    """Look now, and whenever something may have changed, for ever.

    Raises:
        CommandError: the first look failed, or a later one was refused for good.
    """
    lookout = _Lookout(client, route)
    sight = lookout.look()
    while True:
        yield sight
        busy = sight.rollout.in_flight or sight.trouble is not None
        wait(REFRESH_S if busy else REST_S)
        try:
            sight = lookout.look()
        except CommandError as error:
            if not passes(error):
                raise
            sight = replace(sight, now_s=clock.time(), entries=(), trouble=str(error))


class _Lookout:
    """Knows which entries of the trail were told."""

    def __init__(self, client: AdminClient, route: str) -> None:
        self._client: Final = client
        self._route: Final = route
        self._told: int | None = None

    def look(self) -> Sight:
        document = self._client.get("routes", self._route, "rollout")
        # Only now: an entry is written before what it explains can be seen.
        entries = self._new_entries()
        return Sight(document, read(document, Rollout), clock.time(), entries)

    def _new_entries(self) -> tuple[Entry, ...]:
        first = self._told is None
        page = {"limit": HISTORY} if first else {"after": self._told, "limit": MAX_ENTRIES}
        document = self._client.get("audit", query={"route": self._route, **page})
        entries = sorted(read(document, Entries).entries, key=lambda entry: entry.sequence)
        self._told = entries[-1].sequence if entries else self._told or 0
        return tuple(entries)


class Course:
    """Notes what a rollout does, and says when it is over."""

    def __init__(self) -> None:
        self._first: tuple[int | None, int | None] | None = None
        self._was_under_way = False

    def verdict(self, rollout: Rollout) -> bool | None:
        """Whether it ended well; None: it has not ended, or not begun."""
        attempt = (rollout.number, rollout.attempt)
        if self._first is None:
            self._first = attempt
        if rollout.in_flight or attempt != self._first:
            self._was_under_way = True
        if rollout.phase == Phase.DEGRADED:
            return False
        if rollout.phase == Phase.HEALTHY and self._was_under_way:
            return True
        return None
