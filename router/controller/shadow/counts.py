"""What is counted of pairs, for the metrics."""

from collections.abc import Iterator, Set
from typing import Final

from router.comparison import Verdict
from router.telemetry import families
from router.telemetry.recorder import Histogram, Series

QUEUE, LATE = "queue", "late"
WRITTEN, PRUNED, LOST = "written", "pruned", "lost"

ALL_ROUTES: Final = "*"
"""The store tells how much it has pruned, and not of which route."""


class Counts:
    """Numbers by route and version; those of what left the configuration are dropped."""

    def __init__(self) -> None:
        self._live: Set[tuple[str, str]] = frozenset()
        self._routes: Set[str] = frozenset({ALL_ROUTES})
        self._dropped: dict[tuple[str, str], int] = {}
        self._recorded: dict[tuple[str, str], int] = {}
        self._compared: dict[tuple[str, str], dict[Verdict, int]] = {}
        self._latency: dict[tuple[str, str], Histogram] = {}

    def drop(self, route: str, reason: str) -> None:
        """A pair was not compared."""
        if route in self._routes:
            self._dropped[route, reason] = self._dropped.get((route, reason), 0) + 1

    def record(self, route: str, result: str, number: int = 1) -> None:
        """What became of pairs that were to be recorded."""
        if route in self._routes:
            self._recorded[route, result] = self._recorded.get((route, result), 0) + number

    def compare(self, route: str, version: str, verdict: Verdict) -> None:
        """A pair was compared; a rate over a verdict that never came is 0, not "no data"."""
        if (route, version) in self._live:
            counts = self._compared.setdefault((route, version), dict.fromkeys(Verdict, 0))
            counts[verdict] += 1

    def observe(self, route: str, version: str, latency_s: float) -> None:
        """How much longer than the primary a version took."""
        if (route, version) not in self._live:
            return
        histogram = self._latency.get((route, version))
        if histogram is None:
            histogram = Histogram(families.SHADOW_LATENCY.buckets)
            self._latency[route, version] = histogram
        histogram.observe(latency_s)

    def fold(self) -> None:
        """Count what is pending in the histograms."""
        for histogram in self._latency.values():
            histogram.fold()

    def keep(self, live: Set[tuple[str, str]]) -> None:
        """Forget everything but these versions (route and name) and their routes."""
        self._live, self._routes = live, {ALL_ROUTES, *(route for route, _ in live)}
        self._dropped = {key: n for key, n in self._dropped.items() if key[0] in self._routes}
        self._recorded = {key: n for key, n in self._recorded.items() if key[0] in self._routes}
        self._compared = {key: n for key, n in self._compared.items() if key in live}
        self._latency = {key: n for key, n in self._latency.items() if key in live}

    def series(self) -> Iterator[Series]:
        """All of it, in the wire form."""
        for key, number in self._dropped.items():
            yield Series(families.SHADOW_PAIRS_DROPPED.name, key, number)
        for key, number in self._recorded.items():
            yield Series(families.SHADOW_RECORDED.name, key, number)
        for version, verdicts in self._compared.items():
            for verdict, number in verdicts.items():
                labels = (*version, verdict.value)
                yield Series(families.SHADOW_COMPARISONS.name, labels, number)
        for version, histogram in self._latency.items():
            yield histogram.series(families.SHADOW_LATENCY, version)
