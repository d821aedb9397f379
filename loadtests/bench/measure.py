"""CPU and memory of other processes, and the two cores they run on.

Promise: a reading covers the process tree as it was at the reading; a child that was
born inside a window counts whole, one that died inside it counts until it was last seen.
"""

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core the proxy has for itself, and which one everything else shares."""

    proxy: int
    load: int

    @property
    def shared(self) -> bool:
        """Whether the machine has only one core: figures then say little."""
        return self.proxy == self.load


def choose_cores() -> Cores:
    """Take the first and the last core that this process may use."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(proxy=usable[0], load=usable[-1])


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Pin this thread, so that a process started inside inherits the pin."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a window of time cost, in seconds of CPU."""

    wall_s: float
    tree_s: float  # the proxy's whole process tree, user + system
    worker_s: float  # only the process that moves the bytes
    foreign_s: float  # what other processes took of the proxy's core
    stolen_s: float  # what the host of this virtual machine took of it


class Meter:
    """Reads CPU times at both ends of a window."""

    def __init__(self, pids: Callable[[], list[int]], worker: int | None, core: int) -> None:
        self._pids = pids
        self._worker = worker
        self._core = core
        self._wall = 0.0
        self._core_busy = self._core_stolen = 0.0
        self._cpu: dict[int, float] = {}

    def start(self) -> None:
        """Open the window."""
        self._wall = time.monotonic()
        self._core_busy, self._core_stolen = core_seconds(self._core)
        self._cpu = self._read()

    def stop(self) -> Usage:
        """Close the window."""
        spent = {pid: cpu - self._cpu.get(pid, 0.0) for pid, cpu in self._read().items()}
        tree_s = sum(spent.values())
        busy, stolen = core_seconds(self._core)
        return Usage(
            wall_s=time.monotonic() - self._wall,
            tree_s=tree_s,
            worker_s=spent.get(self._worker, 0.0) if self._worker is not None else 0.0,
            foreign_s=max(0.0, busy - self._core_busy - tree_s),
            stolen_s=stolen - self._core_stolen,
        )

    def _read(self) -> dict[int, float]:
        readings = {pid: cpu_seconds(pid) for pid in self._pids()}
        return {pid: cpu for pid, cpu in readings.items() if cpu is not None}


def cpu_seconds(pid: int) -> float | None:
    """Return user + system time of a process, all threads; None when it is gone.

    The kernel's CPU clock of the process (clock_getcpuclockid(3); the id is ~pid << 3 |
    CPUCLOCK_SCHED) instead of /proc/PID/stat: the same sum, in ns and not in 10 ms ticks,
    which would be 10 % of what a proxy spends on half a second of streams.
    """
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return None


def core_seconds(core: int) -> tuple[float, float]:
    """Return how long a core has worked since boot for anyone, and was taken by the host."""
    times = psutil.cpu_times(percpu=True)[core]
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return float(busy), float(times.steal)


def process_tree(root: int) -> list[int]:
    """Return a process and all its descendants."""
    try:
        children = psutil.Process(root).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [root, *(child.pid for child in children)]


def peak_bytes(pid: int) -> int:
    """Return the highest RSS that a process has had; 0 when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak[1]) * 1024 if peak else 0


def resident_bytes(pid: int) -> int:
    """Return the RSS of one process."""
    return int(psutil.Process(pid).memory_info().rss)
