"""What the router's processes hold, over time and at rest, and what of it has grown.

`hold` and `Watch` read; the rest is pure.

Promises (tests/unit/loadtests/test_chaos_judge.py):
  * a run too short to tell is not judged, and says so;
  * growth is told apart from the swing of a load, by medians.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import psutil

EVERY_S: Final = 1.0
WARM_UP_S: Final = 60.0
WINDOW_S: Final = 20.0
"""Medians are of so much time; a load swings within it."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One process at one moment."""

    pid: int
    resident: int
    """Bytes."""
    descriptors: int


@dataclass(frozen=True, slots=True)
class Growth:
    """One process's medians after the first minute and at the end of the load."""

    name: str
    resident_first: float
    resident_last: float
    descriptors_first: float
    descriptors_last: float

    @property
    def percent(self) -> float:
        """How much its memory has grown; negative where it shrank."""
        return 100.0 * (self.resident_last / self.resident_first - 1.0)


Row = tuple[float, dict[str, Holding]]
"""Seconds since the load began, and every process's holding by its name."""


def hold(processes: Mapping[str, int]) -> dict[str, Holding]:
    """What the router's processes hold now; engines and the load are nobody's promise."""
    found = {}
    for name, pid in processes.items():
        if name.startswith("engine"):
            continue
        try:
            process = psutil.Process(pid)
            found[name] = Holding(pid, process.memory_info().rss, process.num_fds())
        except psutil.Error:
            continue  # it has ended: `ended` tells
    return found


@dataclass(slots=True)
class Watch:
    """Looks every second."""

    processes: Callable[[], Mapping[str, int]]
    rows: list[Row] = field(default_factory=list)

    async def run(self) -> None:
        """Until it is cancelled."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(EVERY_S)
            self.rows.append((time.monotonic() - began, hold(self.processes())))


def growth(rows: Sequence[Row], warm_up_s: float = WARM_UP_S) -> list[Growth]:
    """Every process's growth; nothing where the run was too short for two windows."""
    if not rows or rows[-1][0] < warm_up_s + 2 * WINDOW_S:
        return []
    first = [held for at, held in rows if warm_up_s <= at < warm_up_s + WINDOW_S]
    last = [held for at, held in rows if at >= rows[-1][0] - WINDOW_S]
    names = sorted(set.intersection(*(set(held) for held in [*first, *last])))
    return [_growth(name, first, last) for name in names]


def _growth(
    name: str, first: Sequence[dict[str, Holding]], last: Sequence[dict[str, Holding]]
) -> Growth:
    return Growth(
        name,
        statistics.median(held[name].resident for held in first),
        statistics.median(held[name].resident for held in last),
        statistics.median(held[name].descriptors for held in first),
        statistics.median(held[name].descriptors for held in last),
    )


def ended(rows: Sequence[Row]) -> list[str]:
    """Processes that ended during the load, whether they were started again or not."""
    seen: dict[str, set[int]] = {}
    for _, held in rows:
        for name, holding in held.items():
            seen.setdefault(name, set()).add(holding.pid)
    return sorted(
        name for name, pids in seen.items() if len(pids) > 1 or (rows and name not in rows[-1][1])
    )
