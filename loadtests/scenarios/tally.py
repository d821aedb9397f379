"""What the users saw and Locust's statistics cannot hold.

Every process has one tally; what it has told is added up by the first process.  Pure.

Guarantees (tests/unit/loadtests/test_loadtest_tally.py):
  * nothing is told twice and nothing is lost on the way;
  * whatever comes, a tally keeps no more than `MAX_ROWS` rows, and counts what did not fit.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import msgspec

MAX_ROWS: Final = 100_000
"""Some 8 hours of a change every second; a row is a route, a generation and a version."""

MAX_COMPLAINTS: Final = 20

Row = tuple[str, int, str]


class Weights(msgspec.Struct, frozen=True):
    """Shares of a route in percent, in force from this generation on."""

    route: str
    generation: int
    shares: dict[str, float]


class Told(msgspec.Struct, frozen=True):
    """What one process tells, or all of them together."""

    begun: int = 0
    """Requests and streams that were sent."""
    ended: int = 0
    """Those that came to an end, good or bad."""
    server_errors: int = 0
    """Answers with a status of 500 or more."""
    moved: int = 0
    """Conversations that met another version within one generation."""
    changes: int = 0
    failed_changes: int = 0
    unfitting: int = 0
    """Answers and weights for which there was no row left."""
    answers: list[tuple[str, int, str, int]] = []
    """Route, generation, version, and how many answers; of requests without a sticky key."""
    keyed: list[tuple[str, int, str, int]] = []
    """The same of conversations."""
    weights: list[Weights] = []
    complaints: list[str] = []
    """What went wrong with changes and conversations, the first few."""


_COUNTS: Final = (
    "begun", "ended", "server_errors", "moved", "changes", "failed_changes", "unfitting",
)  # fmt: skip


class Tally:
    """Counts until it is asked."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._counts: Counter[str] = Counter()
        self._answers: Counter[Row] = Counter()
        self._keyed: Counter[Row] = Counter()
        self._weights: list[Weights] = []
        self._complaints: list[str] = []

    def on_begun(self) -> None:
        """A request was sent."""
        self._counts["begun"] += 1

    def on_ended(self, status: int) -> None:
        """It came to an end; 0 where there was no status."""
        self._counts["ended"] += 1
        self._counts["server_errors"] += status >= 500

    def on_answer(self, row: Row, *, keyed: bool) -> None:
        """A version answered."""
        self._count(self._keyed if keyed else self._answers, row, 1)

    def on_moved(self, what: str) -> None:
        """A conversation met another version although no weight had changed."""
        self._counts["moved"] += 1
        self._complain(what)

    def on_changed(self, weights: Weights) -> None:
        """Weights are in force."""
        self._counts["changes"] += 1
        self.on_weights(weights)

    def on_weights(self, weights: Weights) -> None:
        """These weights were seen to be in force."""
        if len(self._weights) < MAX_ROWS:
            self._weights.append(weights)
        else:
            self._counts["unfitting"] += 1

    def on_change_failed(self, what: str) -> None:
        """Weights could not be changed."""
        self._counts["failed_changes"] += 1
        self._complain(what)

    def take(self) -> Told:
        """All since the last time."""
        told = self.told()
        self._clear()
        return told

    def told(self) -> Told:
        """All so far."""
        return Told(
            **{name: self._counts[name] for name in _COUNTS},
            answers=[(*row, count) for row, count in self._answers.items()],
            keyed=[(*row, count) for row, count in self._keyed.items()],
            weights=list(self._weights),
            complaints=list(self._complaints),
        )

    def add(self, told: Told) -> None:
        """Add what another process has told."""
        for name in _COUNTS:
            self._counts[name] += getattr(told, name)
        for route, generation, version, count in told.answers:
            self._count(self._answers, (route, generation, version), count)
        for route, generation, version, count in told.keyed:
            self._count(self._keyed, (route, generation, version), count)
        for weights in told.weights:
            self.on_weights(weights)
        for complaint in told.complaints:
            self._complain(complaint)

    def _count(self, rows: Counter[Row], row: Row, count: int) -> None:
        if row in rows or len(rows) < MAX_ROWS:
            rows[row] += count
        else:
            self._counts["unfitting"] += count

    def _complain(self, what: str) -> None:
        if len(self._complaints) < MAX_COMPLAINTS:
            self._complaints.append(what[:300])
