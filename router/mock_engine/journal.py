"""What an engine remembers: its last requests, what became of each, and the counts.

Bounded: the ring holds `size` requests and forgets the oldest; counts are per route, not
per path that a client may make up. Calls that steer the simulator are not written down.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    """What became of a request."""

    RUNNING = "running"
    OK = "ok"
    REFUSED = "refused"
    """A 4xx answer."""
    ERROR = "error"
    """A 5xx answer."""
    BROKEN = "broken"
    """A fault ended it early: reset, truncated, or an error event in the stream."""
    CANCELLED = "cancelled"
    """The client went away first."""


@dataclass(slots=True, eq=False)
class Entry:
    """One request. It is written at its start and filled in as it goes."""

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    started_at: float
    model: str | None = None
    stream: bool = False
    body_bytes: int = 0
    body_sha256: str | None = None
    status: int | None = None
    fault: str | None = None
    outcome: Outcome = Outcome.RUNNING

    def to_json(self) -> dict[str, Any]:
        """The entry as `GET /_mock/requests` shows it; headers keep order and duplicates."""
        shown = {name: getattr(self, name) for name in self.__slots__}
        shown["headers"] = [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in self.headers
        ]
        shown["cancelled"] = self.outcome is Outcome.CANCELLED
        return shown


class Journal:
    """The ring of entries and the counts."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)
        self._active = 0
        self._by_path: Counter[str] = Counter()
        self._by_outcome: Counter[Outcome] = Counter()

    def opened(self, entry: Entry, route: str, *, kept: bool) -> None:
        """A request has come; `kept` ones stay in the ring, all are counted."""
        self._active += 1
        self._by_path[route] += 1
        if kept:
            self._entries.append(entry)

    def closed(self, entry: Entry, outcome: Outcome) -> None:
        """A request has ended, in one way."""
        self._active -= 1
        self._by_outcome[outcome] += 1
        entry.outcome = outcome

    def entries(self, *, path: str | None = None, limit: int | None = None) -> list[Entry]:
        """The remembered requests, oldest first; of one path, or only the newest few."""
        found = [entry for entry in self._entries if path in (None, entry.path)]
        return found if limit is None else found[max(0, len(found) - limit) :]

    def forget(self) -> None:
        """Empty the ring; the counts stay."""
        self._entries.clear()

    def statistics(self) -> dict[str, Any]:
        """The counts since the start."""
        return {
            "total": self._by_path.total(),
            "active": self._active,
            "cancelled": self._by_outcome[Outcome.CANCELLED],
            "by_path": dict(self._by_path),
            "by_outcome": {str(outcome): count for outcome, count in self._by_outcome.items()},
        }
