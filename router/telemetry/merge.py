"""Add up what the workers count, so that one scrape shows the whole host.

A worker sends absolute values of its own life; control keeps the last ones of every incarnation
(a process of a worker slot).  When a slot's successor appears, its dead predecessor's counts are
folded into a base.

Guarantees (each is a test in tests/unit/telemetry/test_merge.py):
  * a merged counter or histogram never falls while control lives, whatever workers do;
  * a worker that loses its link and comes back is not counted twice;
  * gauges are those of the workers that are connected now;
  * nothing of a version that left the snapshot remains.

Pure bookkeeping for one event loop: no clock, no I/O, no locks.  `view()` copies at C speed, and
the sums are made from the copy, in any thread.
"""

from collections.abc import Iterable, Set
from operator import add
from typing import Final, NamedTuple

from router.telemetry.families import BY_NAME, Family, Kind
from router.telemetry.recorder import Labels, Series


class Incarnation(NamedTuple):
    """One process in a worker slot."""

    worker: str
    pid: int


class Distribution(NamedTuple):
    """A histogram's counts per bucket (not cumulative, the last is +Inf) and its sum."""

    buckets: tuple[int, ...]
    sum: float


Value = float | Distribution
Rows = dict[Labels, Value]
Book = dict[str, Rows]
"""Last known values by family and labels: of one incarnation, or of all dead ones (the base)."""


Version = tuple[str, str]
"""Route and version."""

Index = dict[str, dict[Version, dict[Labels, None]]]
"""Labels that any row of a family by route, version and more has or had, by version."""


class View:
    """The books of one moment; sums are made when they are asked for.

    `only`: families by route and version have no other rows than theirs, which `index` finds.
    """

    def __init__(
        self,
        base: Book,
        connected: list[Book],
        away: list[Book],
        only: Set[Version] | None = None,
        index: Index | None = None,
    ) -> None:
        self._connected: Final = connected
        self._ever: Final = [base, *away, *connected]
        self._only: Final = only
        self._index: Final = index or {}

    def merged(self, family: Family) -> Rows:
        """The family's values by label values, all workers together."""
        merged: Rows = {}
        for book in self._connected if family.kind is Kind.GAUGE else self._ever:
            rows = self._chosen(family, book.get(family.name, {}))
            if not merged:
                merged = dict(rows)
                continue
            for labels, value in rows.items():
                _add(merged, labels, value)
        return merged

    def _chosen(self, family: Family, rows: Rows) -> Rows:
        if self._only is None or family.labels[:2] != ("route", "version"):
            return rows
        if len(family.labels) == 2:
            return {key: rows[key] for key in rows.keys() & self._only}
        # Not all rows are looked at: of 10 000 routes' 60 000 a few are wanted.
        known = self._index.get(family.name, {})
        asked = (labels for version in self._only for labels in known.get(version, ()))
        return {labels: rows[labels] for labels in asked if labels in rows}


class Merger:
    """Control's ledger of everything that its workers counted."""

    def __init__(self) -> None:
        self._base: Book = {}
        self._books: dict[Incarnation, Book] = {}
        self._connected: set[Incarnation] = set()
        self._index: Final[Index] = {}
        self._live: Set[tuple[str, str]] | None = None
        self._live_routes: Set[str] = frozenset()

    def joined(self, who: Incarnation) -> None:
        """A worker is connected: predecessors in its slot that are not are dead."""
        self._connected.add(who)
        self._books.setdefault(who, {})
        for other in [other for other in self._books if other.worker == who.worker]:
            if other not in self._connected:
                self._fold(other)

    def left(self, who: Incarnation) -> None:
        """A worker's link ended; only a successor proves that the process itself is dead."""
        self._connected.discard(who)
        if any(other.worker == who.worker for other in self._connected):
            self._fold(who)

    def update(self, who: Incarnation, series: Iterable[Series]) -> None:
        """Take in a worker's absolute values."""
        book = self._books.setdefault(who, {})
        for row in series:
            family = BY_NAME.get(row.family)
            if family is None or not self._is_live(family, row.labels):
                continue
            value: Value = row.value
            if row.buckets is not None:
                value = Distribution(tuple(row.buckets), row.value)
            self._take(book.setdefault(row.family, {}), family, row.labels, value)

    def keep(self, live: Set[tuple[str, str]]) -> None:
        """Drop the series of (route, version) pairs that are not live any more."""
        something_left = self._live is None or not self._live <= live
        self._live, self._live_routes = live, {route for route, _ in live}
        if something_left:
            for book in (self._base, *self._books.values()):
                for name, rows in book.items():
                    self._drop_gone(BY_NAME[name], rows)
            for known in self._index.values():
                for version in known.keys() - live:
                    del known[version]

    def view(self) -> View:
        """The numbers of this moment; safe to read in another thread."""
        connected: list[Book] = []
        away: list[Book] = []
        for who, book in self._books.items():
            (connected if who in self._connected else away).append(_copy(book))
        return View(_copy(self._base), connected, away)

    def look(self, versions: Set[Version]) -> View:
        """The numbers of some versions, to be read before anything else happens.

        It copies nothing: of 10 000 routes a few are under way, and are looked at each second.
        """
        connected = [book for who, book in self._books.items() if who in self._connected]
        away = [book for who, book in self._books.items() if who not in self._connected]
        return View(self._base, connected, away, versions, self._index)

    def total(self, who: Incarnation, family: Family) -> float:
        """A family's rows of one process, added up."""
        rows = self._books.get(who, {}).get(family.name, {})
        return sum(_count(value) for value in rows.values())

    def _take(self, rows: Rows, family: Family, labels: Labels, value: Value) -> None:
        before = rows.get(labels)
        if before is None:
            if not _count(value):
                return  # what never counted costs no memory; exposition adds the zeros
            self._note(family, labels)
        elif family.kind is not Kind.GAUGE and _count(value) < _count(before):
            # A worker forgets a removed version and counts from 0 when it returns.
            _add(self._base.setdefault(family.name, {}), labels, before)
        rows[labels] = value

    def _note(self, family: Family, labels: Labels) -> None:
        if family.labels[:2] == ("route", "version") and len(labels) > 2:
            known = self._index.setdefault(family.name, {})
            known.setdefault((labels[0], labels[1]), {})[labels] = None

    def _fold(self, who: Incarnation) -> None:
        for name, rows in self._books.pop(who, {}).items():
            if BY_NAME[name].kind is Kind.GAUGE:
                continue
            base = self._base.setdefault(name, {})
            for labels, value in rows.items():
                _add(base, labels, value)

    def _drop_gone(self, family: Family, rows: Rows) -> None:
        for labels in [labels for labels in rows if not self._is_live(family, labels)]:
            del rows[labels]

    def _is_live(self, family: Family, labels: Labels) -> bool:
        if self._live is None:
            return True
        match family.labels:
            case ("route", "version", *_):
                return labels[:2] in self._live
            case ("route", *_):
                return labels[0] in self._live_routes
            case _:
                return True


def _copy(book: Book) -> Book:
    return {name: rows.copy() for name, rows in book.items()}


def _count(value: Value) -> float:
    return sum(value.buckets) if isinstance(value, Distribution) else value


def _add(rows: Rows, labels: Labels, value: Value) -> None:
    before = rows.get(labels)
    if isinstance(before, Distribution) and isinstance(value, Distribution):
        # Both have the family's buckets.  `map` takes half the time of a comprehension.
        buckets = tuple(map(add, before.buckets, value.buckets))
        rows[labels] = Distribution(buckets, before.sum + value.sum)
    elif isinstance(before, float | int) and isinstance(value, float | int):
        rows[labels] = before + value
    else:
        rows[labels] = value
