"""Memory and CPU of each process during a run, and whether memory stayed flat.

`sampling` reads; everything else is pure.

Guarantees (tests/unit/loadtests/test_loadtest_memory.py):
  * memory within the bound all the time is flat, memory that leaves it once is not;
  * what is too short to be judged is not judged, and says so.
"""

from __future__ import annotations

import csv
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

LOAD: Final = "locust"
"""Begins the name of every process of the load."""

EVERY_S: Final = 1.0
GONE_S: Final = 3.0
WINDOW: Final = 10
"""Samples of which the median counts: one read in the middle of a collection says little."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment."""

    elapsed_s: float
    name: str
    pid: int
    resident: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Flatness:
    """How far a process's memory went from where it was after the warm-up."""

    name: str
    base: float
    """Bytes; the median of the first samples after the warm-up."""
    least: float
    most: float

    @property
    def percent(self) -> float:
        """The farthest distance, up or down."""
        return 100 * max(self.most - self.base, self.base - self.least) / self.base


@dataclass(slots=True)
class Samples:
    """All of a run."""

    rows: list[Sample] = field(default_factory=list)

    def of_router(self) -> Samples:
        """Without the load itself: what its processes need is nobody's promise."""
        return Samples([row for row in self.rows if not row.name.startswith(LOAD)])

    def by_name(self) -> dict[str, list[Sample]]:
        """The samples of each process, in time's order."""
        found: dict[str, list[Sample]] = defaultdict(list)
        for row in self.rows:
            found[row.name].append(row)
        return dict(sorted(found.items()))

    def write(self, file: Path) -> None:
        """Write a line for each sample."""
        with file.open("w", newline="") as output:
            writer = csv.writer(output)
            writer.writerow(["elapsed_s", "process", "pid", "resident_bytes", "cpu_s"])
            writer.writerows(
                [f"{row.elapsed_s:.1f}", row.name, row.pid, row.resident, f"{row.cpu_s:.2f}"]
                for row in self.rows
            )


def flatness(samples: Sequence[Sample], warm_up_s: float) -> Flatness | None:
    """Judge one process; None where too little is left after the warm-up."""
    sizes = [sample.resident for sample in samples if sample.elapsed_s >= warm_up_s]
    medians = list(_medians(sizes))
    if len(medians) < 2:
        return None
    return Flatness(samples[0].name, medians[0], min(medians), max(medians))


def cpu_share(samples: Sequence[Sample]) -> float | None:
    """The part of one core that a process used; None where it was seen only once."""
    first, last = samples[0], samples[-1]
    took = last.elapsed_s - first.elapsed_s
    return (last.cpu_s - first.cpu_s) / took if took > 0 and first.pid == last.pid else None


def ended(samples: Samples) -> list[str]:
    """The processes that ended during the run, whether they were started again or not."""
    last_s = max((row.elapsed_s for row in samples.rows), default=0.0)
    return [
        name
        for name, rows in samples.by_name().items()
        if len({row.pid for row in rows}) > 1 or last_s - rows[-1].elapsed_s > GONE_S
    ]


def _medians(sizes: Sequence[int]) -> Iterator[float]:
    for begin in range(0, len(sizes) - WINDOW + 1, WINDOW):
        yield statistics.median(sizes[begin : begin + WINDOW])


@contextmanager
def sampling(processes: Callable[[], Mapping[str, int]]) -> Iterator[Samples]:
    """Sample these processes every second for the time of the block."""
    samples, stop = Samples(), threading.Event()
    began = time.monotonic()

    def sample() -> None:
        while not stop.wait(EVERY_S):
            samples.rows.extend(_samples(processes(), time.monotonic() - began))

    thread = threading.Thread(target=sample, name="memory", daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()


def _samples(processes: Mapping[str, int], elapsed_s: float) -> Iterable[Sample]:
    for name, pid in processes.items():
        try:
            process = psutil.Process(pid)
            times = process.cpu_times()
            resident = process.memory_info().rss
        except psutil.Error:
            continue  # it ended just now: the next one has another id
        yield Sample(elapsed_s, name, pid, resident, times.user + times.system)
