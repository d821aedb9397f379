"""What the router counts, read from its `/metrics` as any monitoring would read it.

Pure but for `fetch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from router.telemetry import families

Buckets = dict[float, float]
"""Observations up to each bound."""

_DURATION: Final = f"{families.DURATION.name}_bucket"
_FIRST_TOKEN: Final = f"{families.FIRST_TOKEN.name}_bucket"


@dataclass(slots=True)
class Counts:
    """One version's numbers."""

    weight: float = 0.0
    role: str = ""
    requests: float = 0.0
    errors: float = 0.0
    fallbacks: float = 0.0
    """Failures that no client saw: stable answered instead."""
    completion_tokens: float = 0.0
    duration: Buckets = field(default_factory=dict)
    first_token: Buckets = field(default_factory=dict)

    @property
    def error_ratio(self) -> float | None:
        """Failures as a share of the requests; None without a request."""
        return self.errors / self.requests if self.requests else None

    def since(self, earlier: Counts) -> Counts:
        """What came after an earlier reading; weight and role are those of now."""
        return Counts(
            self.weight,
            self.role,
            self.requests - earlier.requests,
            self.errors - earlier.errors,
            self.fallbacks - earlier.fallbacks,
            self.completion_tokens - earlier.completion_tokens,
            _less(self.duration, earlier.duration),
            _less(self.first_token, earlier.first_token),
        )


def _less(later: Buckets, earlier: Buckets) -> Buckets:
    return {bound: count - earlier.get(bound, 0.0) for bound, count in later.items()}


@dataclass(frozen=True, slots=True)
class Reading:
    """The numbers of every version of one route, by name."""

    versions: dict[str, Counts] = field(default_factory=dict)

    @property
    def requests(self) -> float:
        """Those of clients: one that two versions worked on is one."""
        return sum(counts.requests - counts.fallbacks for counts in self.versions.values())

    def of(self, version: str) -> Counts:
        """A version's numbers; zeros where it has none yet."""
        return self.versions.get(version, Counts())

    def since(self, earlier: Reading) -> Reading:
        """What came after an earlier reading."""
        return Reading(
            {name: counts.since(earlier.of(name)) for name, counts in self.versions.items()}
        )


async def fetch(client: httpx.AsyncClient, route: str) -> Reading | None:
    """The router's numbers now; None while its control process is away."""
    try:
        answer = await client.get("/metrics")
    except httpx.TransportError:
        return None
    return parse(answer.text, route) if answer.is_success else None


def parse(text: str, route: str) -> Reading:
    """The numbers of one route in Prometheus's text format; versions in their names' order."""
    versions: dict[str, Counts] = {}
    for sample in _samples(text):
        if sample.labels.get("route") == route and "version" in sample.labels:
            _add(versions.setdefault(sample.labels["version"], Counts()), sample)
    return Reading(dict(sorted(versions.items())))


def _samples(text: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(text):
        yield from family.samples


def _add(counts: Counts, sample: Sample) -> None:
    labels = sample.labels
    match sample.name:
        case families.WEIGHT.name:
            counts.weight, counts.role = sample.value, labels["role"]
        case families.REQUESTS.name:
            counts.requests += sample.value
        case families.ERRORS.name:
            counts.errors += sample.value
        case families.FALLBACKS.name:
            counts.fallbacks += sample.value
        case families.TOKENS.name if labels["type"] == "completion":
            counts.completion_tokens += sample.value
        case name if name == _DURATION:
            counts.duration[float(labels["le"])] = sample.value
        case name if name == _FIRST_TOKEN:
            counts.first_token[float(labels["le"])] = sample.value


def quantile(buckets: Buckets, part: float) -> float | None:
    """Estimate as Prometheus's `histogram_quantile` does; None without an observation.

    It is as exact as the buckets are narrow; beyond the last bound, that bound is the answer.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = part * buckets[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds[:-1]:
        if buckets[bound] >= rank:
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 1.0)
        lower, below = bound, buckets[bound]
    return lower
