"""The one writer of a file of pairs: everything here runs on its one thread.

It remembers what each route has, so that a batch reads nothing but what it prunes.  After any
failure it forgets that, and its connection with it: what is true then is only what is on the disk.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from copy import copy
from pathlib import Path
from typing import Any, Final

from router.store.base import StoreCorruptError, StoreUnavailableError
from router.store.connection import answers, transaction
from router.store.file import OwnedFile
from router.store.pairs.base import KeptPair, Retention
from router.store.pairs.document import encode_pairs, encode_tallies
from router.store.pairs.prune import Total, prune_slice, shrink
from router.store.pairs.schema import PAIRS

Totals = dict[str, Total]


class PairWriter:
    """Owns the file from `open` to `close`."""

    def __init__(self, path: Path) -> None:
        self._path: Final = path
        self._file: Final = OwnedFile(path, PAIRS)
        self._totals: Totals | None = None

    def open(self) -> None:
        """See `PairStore.open`."""
        self._file.open()
        try:
            with answers(self._path):
                self._recall()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; twice is once."""
        self._forget()
        self._file.close()

    def keep(
        self,
        pairs: Sequence[KeptPair],
        tallies: Mapping[str, Any],
        retention: Mapping[str, Retention],
        now_s: float,
    ) -> tuple[int, bool]:
        """Write a batch and prune a slice; how many pairs, and whether more may be due."""
        encoded = encode_pairs([pair for pair in pairs if pair.route in retention])
        told = encode_tallies({r: tally for r, tally in tallies.items() if r in retention})
        with self._changed() as totals:
            _write_tallies(self._file.connect(), told, retention)
            _write_pairs(self._file.connect(), encoded, totals)
            pruned, more = prune_slice(self._file.connect(), totals, retention, now_s)
        return pruned + len(pairs) - len(encoded), more

    def prune(self, retention: Mapping[str, Retention], now_s: float) -> tuple[int, bool]:
        """Prune another slice."""
        with self._changed() as totals:
            return prune_slice(self._file.connect(), totals, retention, now_s)

    def shrink(self) -> bool:
        """Make the file smaller by a slice, when much of it is free; whether more is."""
        with self._told_plainly():
            return shrink(self._file.connect())

    @contextmanager
    def _changed(self) -> Iterator[Totals]:
        """What is done within is one transaction, the totals with it."""
        with self._told_plainly(), transaction(self._file.connect()):
            before = self._recall()
            totals = {route: copy(total) for route, total in before.items()}
            yield totals
            _write_totals(self._file.connect(), before, totals)
        self._totals = {route: total for route, total in totals.items() if total.pairs}

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            with answers(self._path):
                yield
        except StoreCorruptError as error:
            self._forget()
            raise StoreUnavailableError(str(error)) from error
        except BaseException:
            self._forget()
            raise

    def _recall(self) -> Totals:
        if self._totals is None:
            query = "SELECT route, pairs, bytes FROM totals"
            with closing(self._file.connect().execute(query)) as cursor:
                self._totals = {route: Total(pairs, size) for route, pairs, size in cursor}
        return self._totals

    def _forget(self) -> None:
        self._totals = None
        self._file.disconnect()


def _write_tallies(
    connection: sqlite3.Connection, tallies: Mapping[str, bytes], retention: Mapping[str, Retention]
) -> None:
    with closing(connection.execute("SELECT route FROM tallies")) as cursor:
        gone = [(route,) for (route,) in cursor if route not in retention]
    connection.executemany("DELETE FROM tallies WHERE route = ?", gone)
    connection.executemany("REPLACE INTO tallies VALUES (?, ?)", tallies.items())


def _write_pairs(connection: sqlite3.Connection, pairs: list[KeptPair], totals: Totals) -> None:
    for pair in pairs:
        total = totals.setdefault(pair.route, Total())
        total.pairs += 1
        total.bytes += len(pair.document)
    connection.executemany(
        "INSERT INTO pairs (route, stable, shadow, verdict, time_s, bytes, document)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                pair.route,
                pair.stable,
                pair.shadow,
                pair.verdict,
                pair.time_s,
                len(pair.document),
                pair.document,
            )
            for pair in pairs
        ],
    )


def _write_totals(connection: sqlite3.Connection, before: Totals, after: Totals) -> None:
    changed = {route: total for route, total in after.items() if total != before.get(route)}
    connection.executemany(
        "REPLACE INTO totals VALUES (?, ?, ?)",
        [(route, total.pairs, total.bytes) for route, total in changed.items() if total.pairs],
    )
    connection.executemany(
        "DELETE FROM totals WHERE route = ?",
        [(route,) for route, total in changed.items() if not total.pairs],
    )
