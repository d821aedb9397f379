"""Did every version get its share?  Judged answer by answer, while weights change.

Every answer names the generation that it was decided on, and every change names the generation
from which its weights are in force.  So each answer had a known chance to come from a version; the
sum of chances is what is expected, and the sum of chance * (1 - chance) its variance.

That bound is the one of independent draws.  The router's rotation is much closer to its weights,
so a run that leaves the bound has a fault, and one that keeps to it has no proof of the rotation.

Pure.

Guarantees (tests/unit/loadtests/test_loadtest_shares.py):
  * answers in proportion to the weights are always within the bound, whatever the weights;
  * one answer by a version without weight is found among any number of others.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from loadtests.scenarios.tally import Weights


@dataclass(frozen=True, slots=True)
class Share:
    """What one version got of the answers whose weights are known."""

    route: str
    version: str
    answers: int
    """Of all versions."""
    expected: float
    found: int
    variance: float
    unweighted: int
    """Answers by it in generations where it had no weight."""

    @property
    def sigmas(self) -> float:
        """How far off it is, in standard deviations; infinite where there was no room at all."""
        off = abs(self.found - self.expected)
        if off < 0.5:
            return 0.0
        return off / math.sqrt(self.variance) if self.variance else math.inf


@dataclass(frozen=True, slots=True)
class Shares:
    """All versions, and how many answers could not be judged."""

    versions: tuple[Share, ...]
    unknown: int
    """Answers of generations before the first whose weights are known."""


def shares(answers: Iterable[tuple[str, int, str, int]], weights: Iterable[Weights]) -> Shares:
    """Compare who answered with who should have."""
    known = _Known(weights)
    unknown = 0
    counted: dict[str, Counter[tuple[int, str]]] = defaultdict(Counter)
    for route, generation, version, count in answers:
        if known.at(route, generation) is None:
            unknown += count
        else:
            counted[route][generation, version] += count
    found = (
        _share(route, version, rows, known)
        for route, rows in sorted(counted.items())
        for version in known.versions(route) | {version for _, version in rows}
    )
    return Shares(tuple(sorted(found, key=lambda each: (each.route, each.version))), unknown)


class _Known:
    """Weights by route, the oldest generation first."""

    def __init__(self, weights: Iterable[Weights]) -> None:
        self._weights: dict[str, list[Weights]] = defaultdict(list)
        for each in sorted(weights, key=lambda weights: weights.generation):
            self._weights[each.route].append(each)

    def at(self, route: str, generation: int) -> Mapping[str, float] | None:
        """The weights in force; None before the first that are known."""
        known = self._weights.get(route, [])
        place = bisect_right(known, generation, key=lambda weights: weights.generation)
        return known[place - 1].shares if place else None

    def versions(self, route: str) -> set[str]:
        return {version for each in self._weights[route] for version in each.shares}


def _share(route: str, version: str, rows: Counter[tuple[int, str]], known: _Known) -> Share:
    in_generation: Counter[int] = Counter()
    for (generation, _), count in rows.items():
        in_generation[generation] += count
    expected = variance = 0.0
    found = unweighted = 0
    for generation, count in in_generation.items():
        chance = (known.at(route, generation) or {}).get(version, 0.0) / 100
        own = rows[generation, version]
        expected += count * chance
        variance += count * chance * (1 - chance)
        found += own
        unweighted += 0 if chance else own
    return Share(route, version, rows.total(), expected, found, variance, unweighted)
