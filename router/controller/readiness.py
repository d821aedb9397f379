"""May this router be sent traffic, and if not, why.  Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from router.link.messages import EndpointHealth
from router.snapshot import Snapshot

MAX_REASONS: Final = 20
"""What a person reads; with 10 000 routes down the count of the rest is enough."""


@dataclass(slots=True)
class WorkerView:
    """One live worker: the generation it serves, and what it sees of endpoints and versions.

    `trips` are the versions that it took out of the split by itself, and why.
    """

    pid: int
    generation: int = 0
    endpoints: dict[tuple[str, str], dict[str, EndpointHealth]] = field(default_factory=dict)
    trips: dict[tuple[str, str], str] = field(default_factory=dict)

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
    snapshot: Snapshot,
    workers: Mapping[str, WorkerView],
    *,
    expected: Iterable[str] = (),
    draining: bool = False,
) -> Readiness:
    """Ready: every worker serves the newest generation and reaches every version in use.

    A worker that is expected and not connected counts: connections that the kernel gave to its
    socket wait for it, or it lives without a link and serves an older generation.
    """
    if draining and not workers:
        return Readiness(snapshot.generation, ("draining",))
    reasons = _reasons(snapshot, workers, expected)
    shown = tuple(islice(reasons, MAX_REASONS))
    if more := sum(1 for _ in reasons):
        shown += (f"and {more} more",)
    return Readiness(snapshot.generation, shown)


def _reasons(
    snapshot: Snapshot, workers: Mapping[str, WorkerView], expected: Iterable[str]
) -> Iterator[str]:
    if not workers:
        yield "no worker is connected"
        return
    for name in sorted({*expected} - workers.keys()):
        yield f"worker {name} is not connected"
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
