"""Bring routes within their retention, one bounded slice at a time."""

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from router.store.connection import read_value
from router.store.pairs.base import NOTHING, Retention

SLICE_PAIRS: Final = 1_000
SLICE_BYTES: Final = 16 * 1024 * 1024
"""What one transaction prunes at most, and the pair that reaches it."""

SLICE_PAGES: Final = 1_024
"""Pages that are given back to the disk at once: 4 MB."""

SLACK_PAGES: Final = 1_024
"""So many free pages are kept for the next batches, or a quarter of the file."""

Victim = tuple[int, int]
"""A pair's id and bytes."""


@dataclass(slots=True)
class Total:
    """How many pairs a route has, and how large they are together."""

    pairs: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Budget:
    """What a slice may still prune."""

    pairs: int
    bytes: int

    @property
    def is_spent(self) -> bool:
        return self.pairs <= 0 or self.bytes <= 0


def prune_slice(
    connection: Connection,
    totals: Mapping[str, Total],
    retention: Mapping[str, Retention],
    now_s: float,
) -> tuple[int, bool]:
    """Prune a slice and count it off `totals`; how many pairs, and whether more may be due."""
    budget = _Budget(SLICE_PAIRS, SLICE_BYTES)
    for route, total in totals.items():
        kept = retention.get(route, NOTHING)
        if total.pairs:
            _delete(connection, total, _old(connection, route, now_s - kept.max_age_s, budget))
            _delete(connection, total, _surplus(connection, route, total, kept, budget))
        if budget.is_spent:
            return SLICE_PAIRS - budget.pairs, True
    return SLICE_PAIRS - budget.pairs, False


def shrink(connection: Connection) -> bool:
    """Give some of many free pages back to the disk; whether there are more."""
    free = read_value(connection, "PRAGMA freelist_count")
    pages = read_value(connection, "PRAGMA page_count")
    surplus = free - max(SLACK_PAGES, pages // 4)
    if surplus > 0:
        # As a script: it frees a page a step, and `execute` takes one step of what has no columns.
        connection.executescript(f"PRAGMA incremental_vacuum({min(surplus, SLICE_PAGES)})").close()
    return surplus > SLICE_PAGES


def _old(connection: Connection, route: str, oldest_s: float, budget: _Budget) -> list[Victim]:
    """Whatever its id: a clock that was put back leaves times out of order."""
    query = "SELECT id, bytes FROM pairs WHERE route = ? AND time_s < ?"
    victims: list[Victim] = []
    with closing(connection.execute(query, (route, oldest_s))) as cursor:
        while not budget.is_spent and (victim := cursor.fetchone()):
            _spend(budget, victims, victim)
    return victims


def _surplus(
    connection: Connection, route: str, total: Total, kept: Retention, budget: _Budget
) -> list[Victim]:
    """The oldest, as far as the rest is few and small enough."""
    if total.pairs <= kept.max_pairs and total.bytes <= kept.max_bytes:
        return []
    victims: list[Victim] = []
    pairs, size = total.pairs, total.bytes
    query = "SELECT id, bytes FROM pairs WHERE route = ? ORDER BY id"
    with closing(connection.execute(query, (route,))) as cursor:
        while (pairs > kept.max_pairs or size > kept.max_bytes) and not budget.is_spent:
            if (victim := cursor.fetchone()) is None:
                break
            _spend(budget, victims, victim)
            pairs, size = pairs - 1, size - victim[1]
    return victims


def _spend(budget: _Budget, victims: list[Victim], victim: Victim) -> None:
    victims.append(victim)
    budget.pairs -= 1
    budget.bytes -= victim[1]


def _delete(connection: Connection, total: Total, victims: list[Victim]) -> None:
    connection.executemany("DELETE FROM pairs WHERE id = ?", [(id_,) for id_, _ in victims])
    total.pairs -= len(victims)
    total.bytes -= sum(size for _, size in victims)
