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

    `endpoints` are by (route, version), then by label: each address of a name is one of its own.
    `trips` are the versions that it took out of the split by itself, and why; `panics` those whose
    requests it gives to endpoints that it had left alone.
    """

    pid: int
    generation: int = 0
    endpoints: dict[tuple[str, str], dict[str, EndpointHealth]] = field(default_factory=dict)
    trips: dict[tuple[str, str], str] = field(default_factory=dict)
    panics: set[tuple[str, str]] = field(default_factory=set)

    def can_reach(self, route: str, version: str) -> bool:
        """Whether at least one endpoint of the version is healthy."""
        return any(one.healthy for one in self.endpoints.get((route, version), {}).values())


@dataclass(frozen=True, slots=True)
class Readiness:
    """The answer of `/readyz`; ready is the absence of reasons.

    `warnings` are what is wrong with model servers while others still answer.
    """

    generation: int
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

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
    """Ready: every worker serves the newest generation, and some version can be reached.

    A worker that is expected and not connected counts: connections that the kernel gave to its
    socket wait for it, or it lives without a link and serves an older generation.

    One version without a healthy endpoint is a warning only: every router sees the same model
    servers, so if it made them unready, one dead model would take all routes of all of them out
    of their load balancer.
    """
    if draining and not workers:
        return Readiness(snapshot.generation, ("draining",))
    reasons = _few(_about_workers(snapshot, workers, expected))
    unreachable = _few(_unreachable(snapshot, workers))
    if workers and unreachable and not _any_reachable(snapshot, workers):
        return Readiness(snapshot.generation, reasons + unreachable)
    return Readiness(snapshot.generation, reasons, unreachable)


def _few(lines: Iterator[str]) -> tuple[str, ...]:
    shown = tuple(islice(lines, MAX_REASONS))
    if more := sum(1 for _ in lines):
        shown += (f"and {more} more",)
    return shown


def _about_workers(
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


def _unreachable(snapshot: Snapshot, workers: Mapping[str, WorkerView]) -> Iterator[str]:
    if not workers:
        return
    for route, version in _in_use(snapshot):
        blind = [name for name, worker in workers.items() if not worker.can_reach(route, version)]
        if blind:
            where = "" if len(blind) == len(workers) else f" in worker {', '.join(blind)}"
            yield f"route {route}: version {version} has no healthy endpoint{where}"


def _any_reachable(snapshot: Snapshot, workers: Mapping[str, WorkerView]) -> bool:
    return any(
        worker.can_reach(route, version)
        for route, version in _in_use(snapshot)
        for worker in workers.values()
    )


def _in_use(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for route in snapshot.routes:
        for version in route.versions:
            if version.weight_bp:
                yield route.name, version.name
