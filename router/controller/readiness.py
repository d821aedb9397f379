"""May this router be sent traffic, and if not, why.  Pure."""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from router.link.messages import EndpointHealth
from router.snapshot import Snapshot

MAX_REASONS: Final = 20
"""What a person reads; with 10 000 routes down the count of the rest is enough."""


@dataclass(slots=True)
class WorkerView:
    """One live worker: the generation it serves, and endpoints as it sees them."""

    pid: int
    generation: int = 0
    endpoints: dict[tuple[str, str], dict[str, EndpointHealth]] = field(default_factory=dict)

    def can_reach(self, route: str, version: str) -> bool:
        """Whether at least one endpoint of the version is healthy."""
        return any(one.healthy for one in self.endpoints.get((route, version), {}).values())


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer of `/readyz`; ready is the absence of reasons."""

    generation: int
    reasons: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether traffic is welcome."""
        return not self.reasons


def assess(
    snapshot: Snapshot, workers: Mapping[str, WorkerView], draining: Set[str] = frozenset()
) -> Readiness:
    """Ready: each live worker serves the newest generation and reaches every version in use."""
    reasons = _reasons(snapshot, workers, draining)
    shown = tuple(islice(reasons, MAX_REASONS))
    if more := sum(1 for _ in reasons):
        shown += (f"and {more} more",)
    return Readiness(snapshot.generation, shown)


def _reasons(
    snapshot: Snapshot, workers: Mapping[str, WorkerView], draining: Set[str]
) -> Iterator[str]:
    if not workers:
        yield "draining" if draining else "no worker is connected"
    for name, worker in sorted(workers.items()):
        if worker.generation < snapshot.generation:
            serves = f"generation {worker.generation}" if worker.generation else "nothing yet"
            yield f"worker {name} serves {serves}, not generation {snapshot.generation}"
    for route in snapshot.routes:
        for version in route.versions:
            if version.weight_bp == 0:
                continue
            blind = [n for n, w in workers.items() if not w.can_reach(route.name, version.name)]
            if blind:
                where = "" if len(blind) == len(workers) else f" in worker {', '.join(blind)}"
                yield f"route {route.name}: version {version.name} has no healthy endpoint{where}"
