"""Who is missing from a table, and why: who may be absent is named, and the run goes on.

Guarantees (tests/unit/bench/test_bench_peers_absences.py):
  * the first failure at a place of somebody who may be absent is kept, with its reason;
  * a failure of anybody else ends the run, as it did.
"""

import contextlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

import psutil

from loadtests.bench.process import BenchError

_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Absence:
    """One proxy that is missing in one place."""

    proxy: str
    where: str  # "start", or the name of a cell
    reason: str


class Absences:
    """Keeps the failures of those who may be absent."""

    def __init__(self, may_be_absent: Collection[str] = ()) -> None:
        self._may_be_absent = may_be_absent
        self._found: dict[tuple[str, str], Absence] = {}

    @property
    def found(self) -> list[Absence]:
        """Who is missing so far."""
        return list(self._found.values())

    @contextlib.contextmanager
    def noted(self, proxy: str, where: str) -> Iterator[None]:
        """Leave the block at its first failure; keep why, or let it end the run."""
        try:
            yield
        except (BenchError, OSError, psutil.Error) as error:
            if proxy not in self._may_be_absent:
                raise
            self._found.setdefault((proxy, where), Absence(proxy, where, _reason(error)))


def _reason(error: Exception) -> str:
    """Return the first and the last line: what happened, and what a log said at its end."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [lines[0], *lines[1:][-1:]] if lines else [type(error).__name__]
    return " … ".join(told)[:_REASON]
