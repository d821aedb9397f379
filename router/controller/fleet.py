"""The workers as control sees them, from what the link says.

Workers that are connected and not draining are live: they alone count for readiness, for the
share of workers that hold an endpoint healthy, and for gauges.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from typing import Any, Final, NamedTuple, Protocol

from router.controller.endpoints import endpoint_series
from router.controller.readiness import Readiness, WorkerView, assess
from router.link.messages import EndpointHealth, Gone, Health, Pair
from router.snapshot import Snapshot
from router.telemetry import families
from router.telemetry.merge import Incarnation, Merger, View
from router.telemetry.recorder import Series

log: Final = logging.getLogger(__name__)


class Tell(Protocol):
    """Where news go (see `router.controller.events.Events.tell`)."""

    def __call__(self, kind: str, route: str | None = None, **content: Any) -> None:
        """Tell everybody; returns at once."""
        ...


def _tell_nobody(kind: str, route: str | None = None, **content: Any) -> None:
    pass


class Slot(NamedTuple):
    """One worker slot; `generation` and `in_flight` (requests) are None where nobody is live."""

    name: str
    live: bool
    generation: int | None = None
    in_flight: int | None = None


class Fleet:
    """Listens to the link (see `router.link.server.Listener`); `expected` are worker slots."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self._expected: Final = frozenset(expected)
        self.when_ahead: Callable[[int], None] = lambda _generation: None
        self.when_tripped: Callable[[], None] = lambda: None
        self.when_applied: Callable[[], None] = lambda: None
        self.when_counts_jump: Callable[[], None] = lambda: None
        self.when_paired: Callable[[Pair], None] = lambda _pair: None
        self.tell: Tell = _tell_nobody
        self._merger: Final = Merger()
        self._live: dict[str, WorkerView] = {}
        self._draining: set[Incarnation] = set()
        self._seen: dict[str, int] = {}
        self._heard: set[Incarnation] = set()
        self._restarts = 0

    @property
    def workers(self) -> dict[str, WorkerView]:
        """Live workers by name."""
        return self._live

    def roster(self) -> list[Slot]:
        """Every worker that there is or should be, by name."""
        return [self._slot(name) for name in sorted({*self._expected, *self._live})]

    def _slot(self, name: str) -> Slot:
        worker = self._live.get(name)
        if worker is None:
            return Slot(name, live=False)
        serving = self._merger.total(Incarnation(name, worker.pid), families.IN_FLIGHT)
        return Slot(name, live=True, generation=worker.generation, in_flight=int(serving))

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """May this router be sent traffic, and if not, why."""
        return assess(snapshot, self._live, expected=self._expected, draining=bool(self._draining))

    def endpoints(self, route: str, version: str) -> dict[str, list[EndpointHealth]]:
        """What each live worker says of each endpoint of a version, by label."""
        said: dict[str, list[EndpointHealth]] = {}
        for worker in self._live.values():
            for endpoint, health in worker.endpoints.get((route, version), {}).items():
                said.setdefault(endpoint, []).append(health)
        return said

    def trips(self) -> dict[tuple[str, str], str]:
        """Versions that some worker has taken out of the split by itself, and why."""
        found: dict[tuple[str, str], str] = {}
        for name, worker in self._live.items():
            for version, reason in worker.trips.items():
                found.setdefault(version, f"{reason} in worker {name}")
        return found

    def panics(self) -> set[tuple[str, str]]:
        """Versions of which some worker uses endpoints that it had left alone."""
        return {version for worker in self._live.values() for version in worker.panics}

    def keep(self, snapshot: Snapshot) -> None:
        """Forget the numbers of versions that are not in this snapshot."""
        live = {
            (route.name, version.name) for route in snapshot.routes for version in route.versions
        }
        self._merger.keep(live)
        for worker in self._live.values():
            for gone in worker.endpoints.keys() - live:
                del worker.endpoints[gone]
            worker.panics &= live

    def view(self) -> View:
        """What all workers counted."""
        return self._merger.view()

    def in_flight(self, route: str, version: str) -> int:
        """Requests that a version is answering now, as of its workers' last reports."""
        rows = self.look({(route, version)}).merged(families.IN_FLIGHT)
        value = rows.get((route, version), 0)
        return int(value) if isinstance(value, int | float) else 0

    def look(self, versions: Set[tuple[str, str]]) -> View:
        """What they counted of some versions, to be read before anything else happens."""
        return self._merger.look(versions)

    def series(self) -> Iterator[Series]:
        """What control itself knows of its workers."""
        yield Series(families.WORKER_RESTARTS.name, (), self._restarts)
        for name, worker in self._live.items():
            yield Series(families.GENERATION.name, (name,), worker.generation)
        yield from endpoint_series(self._live.values())
        panics = Counter(version for worker in self._live.values() for version in worker.panics)
        for version, workers in panics.items():
            yield Series(families.VERSION_PANIC.name, version, workers / len(self._live))
        tripped = Counter(version for worker in self._live.values() for version in worker.trips)
        for version, workers in tripped.items():
            yield Series(families.BREAKER_OPEN.name, version, workers / len(self._live))

    # -- router.link.server.Listener -----------------------------------------------------------

    def on_ahead(self, generation: int) -> None:
        """See `Listener`."""
        self.when_ahead(generation)

    def on_joined(self, who: Incarnation) -> None:
        """See `Listener`."""
        log.info("worker %s (pid %d) connected", *who)
        self._restarts += self._seen.get(who.worker, who.pid) != who.pid
        self._seen[who.worker] = who.pid
        self._live[who.worker] = WorkerView(who.pid)
        self._heard = {each for each in self._heard if each.worker != who.worker or each == who}
        self._merger.joined(who)
        self.tell("worker", worker=who.worker, pid=who.pid, state="connected")

    def on_left(self, who: Incarnation) -> None:
        """See `Listener`."""
        log.info("worker %s (pid %d) disconnected", *who)
        self._forget(who)
        self._draining.discard(who)
        self._merger.left(who)
        self.tell("worker", worker=who.worker, pid=who.pid, state="disconnected")

    def on_draining(self, who: Incarnation) -> None:
        """See `Listener`."""
        log.info("worker %s (pid %d) drains", *who)
        self._forget(who)
        self._draining.add(who)
        self.tell("worker", worker=who.worker, pid=who.pid, state="draining")

    def on_applied(self, who: Incarnation, generation: int) -> None:
        """See `Listener`."""
        if (worker := self._view(who)) is not None:
            worker.generation = generation
            self.when_applied()

    def on_telemetry(self, who: Incarnation, series: list[Series]) -> None:
        """See `Listener`."""
        if who not in self._heard:
            self._heard.add(who)
            if any(row.family == families.REQUESTS.name and row.value for row in series):
                self.when_counts_jump()  # it served before it was connected to us
        self._merger.update(who, series)

    def on_pair(self, pair: Pair) -> None:
        """See `Listener`."""
        self.when_paired(pair)

    def on_health(self, who: Incarnation, health: Health) -> None:
        """See `Listener`."""
        if (worker := self._view(who)) is None:
            return
        if health.complete:
            worker.endpoints.clear()
            worker.trips.clear()
            worker.panics.clear()
        for one in health.endpoints:
            known = worker.endpoints.setdefault((one.route, one.version), {})
            before = known.get(one.label)
            known[one.label] = one
            if not health.complete and _is_news(before, one):
                state = "healthy" if one.healthy else f"unhealthy: {one.reason}"
                log.info("%s: %s/%s %s is %s", who.worker, one.route, one.version, one.label, state)
                self.tell(
                    "health",
                    one.route,
                    worker=who.worker,
                    version=one.version,
                    endpoint=one.label,
                    healthy=one.healthy,
                    reason=one.reason,
                )
        for gone in health.gone:
            self._let_go(who, worker, gone)
        for panic in health.panics:
            version = (panic.route, panic.version)
            if panic.active == (version in worker.panics):
                continue
            (worker.panics.add if panic.active else worker.panics.discard)(version)
            if not health.complete:
                log.warning(
                    "%s: %s/%s %s to endpoints that were left alone",
                    who.worker,
                    *version,
                    "has so few healthy ones that requests go" if panic.active else "sends no more",
                )
        for trip in health.trips:
            worker.trips[trip.route, trip.version] = trip.reason
            if not health.complete:
                log.warning(
                    "%s: %s/%s is out of the split: %s",
                    who.worker,
                    trip.route,
                    trip.version,
                    trip.reason,
                )
                self.tell(
                    "breaker",
                    trip.route,
                    worker=who.worker,
                    version=trip.version,
                    reason=trip.reason,
                )
        if health.trips:
            self.when_tripped()

    def _let_go(self, who: Incarnation, worker: WorkerView, gone: Gone) -> None:
        known = worker.endpoints.get((gone.route, gone.version), {})
        if known.pop(gone.label, None) is None:
            return
        log.info("%s: %s/%s %s is gone", who.worker, gone.route, gone.version, gone.label)
        self.tell("gone", gone.route, worker=who.worker, version=gone.version, endpoint=gone.label)

    def _view(self, who: Incarnation) -> WorkerView | None:
        """None while it drains: what it serves and sees does not count any more."""
        worker = self._live.get(who.worker)
        return worker if worker is not None and worker.pid == who.pid else None

    def _forget(self, who: Incarnation) -> None:
        if self._view(who) is not None:
            del self._live[who.worker]


def _is_news(before: EndpointHealth | None, now: EndpointHealth) -> bool:
    """Whether its health has changed, and not only what is known besides."""
    return before is None or (before.healthy, before.reason) != (now.healthy, now.reason)
