"""One slice's figures, and what many slices of one proxy say together.

Guarantees (tests/unit/bench/test_sample.py):
  * a ratio compares slices of the same round only, so slow seconds cancel out;
  * medians are quoted with the lowest and the highest slice.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loadtests.bench.measure import Usage


@dataclass(frozen=True, slots=True)
class Sample:
    """One slice of one cell against one target."""

    units: float  # requests, or streamed chunks
    seconds: float
    errors: float
    latency_us: Mapping[str, float]
    usage: Usage

    @property
    def cpu_us(self) -> float:
        """CPU-µs of the whole process tree for one request or chunk."""
        return self.usage.tree_s / max(1, self.units) * 1e6

    @property
    def worker_cpu_us(self) -> float:
        """CPU-µs of the worker alone."""
        return self.usage.worker_s / max(1, self.units) * 1e6

    @property
    def busy(self) -> float:
        """How much of its core the proxy used: near 1, it was the bottleneck."""
        return self.usage.tree_s / self.usage.wall_s

    @property
    def noise(self) -> float:
        """How much of the proxy's core went to other processes and to the machine's host."""
        return noise(self.usage)


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up some values."""
        return cls(statistics.median(values), min(values), max(values))


def noise(usage: Usage) -> float:
    """Return the share of the proxy's core that it could not have; 0 where none runs."""
    return (usage.foreign_s + usage.stolen_s) / usage.wall_s if usage.tree_s else 0.0


def paired_ratio(samples: Sequence[Sample], baseline: Sequence[Sample]) -> Spread | None:
    """Compare CPU per unit round by round; None where the baseline has no CPU to compare."""
    pairs = zip(samples, baseline, strict=True)
    ratios = [mine.cpu_us / other.cpu_us for mine, other in pairs if other.cpu_us > 0]
    return Spread.of(ratios) if ratios else None


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted values lie; NaN for none."""
    if not ordered:
        return float("nan")
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
