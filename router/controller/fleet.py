"""The workers as control sees them, from what the link says.

Workers that are connected and not draining are live: they alone count for readiness, for the
share of workers that hold an endpoint healthy, and for gauges.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from router.controller.readiness import Readiness, WorkerView, assess
from router.link.messages import EndpointHealth, Health
from router.snapshot import Snapshot
from router.telemetry import families
from router.telemetry.merge import Incarnation, Merger, View
from router.telemetry.recorder import Series

log: Final = logging.getLogger(__name__)


class Fleet:
    """Listens to the link (see `router.link.server.Listener`); `expected` are worker slots."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        self._expected: Final = frozenset(expected)
        self.when_ahead: Callable[[int], None] = lambda _generation: None
        self._merger: Final = Merger()
        self._live: dict[str, WorkerView] = {}
        self._draining: set[Incarnation] = set()
        self._seen: dict[str, int] = {}
        self._restarts = 0

    @property
    def workers(self) -> dict[str, WorkerView]:
        """Live workers by name."""
        return self._live

    def readiness(self, snapshot: Snapshot) -> Readiness:
        """May this router be sent traffic, and if not, why."""
        return assess(snapshot, self._live, expected=self._expected, draining=bool(self._draining))

    def endpoints(self, route: str, version: str) -> dict[str, list[EndpointHealth]]:
        """What each live worker says of each endpoint of a version."""
        said: dict[str, list[EndpointHealth]] = {}
        for worker in self._live.values():
            for endpoint, health in worker.endpoints.get((route, version), {}).items():
                said.setdefault(endpoint, []).append(health)
        return said

    def keep(self, snapshot: Snapshot) -> None:
        """Forget the numbers of versions that are not in this snapshot."""
        live = {
            (route.name, version.name) for route in snapshot.routes for version in route.versions
        }
        self._merger.keep(live)
        for worker in self._live.values():
            for gone in worker.endpoints.keys() - live:
                del worker.endpoints[gone]

    def view(self) -> View:
        """What all workers counted."""
        return self._merger.view()

    def series(self) -> Iterator[Series]:
        """What control itself knows of its workers."""
        yield Series(families.WORKER_RESTARTS.name, (), self._restarts)
        held: dict[tuple[str, str, str], int] = {}
        for name, worker in self._live.items():
            yield Series(families.GENERATION.name, (name,), worker.generation)
            for version, endpoints in worker.endpoints.items():
                for endpoint, health in endpoints.items():
                    key = (*version, endpoint)
                    held[key] = held.get(key, 0) + health.healthy
        for key, workers in held.items():
            yield Series(families.ENDPOINT_HEALTHY.name, key, workers / len(self._live))

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
        self._merger.joined(who)

    def on_left(self, who: Incarnation) -> None:
        """See `Listener`."""
        log.info("worker %s (pid %d) disconnected", *who)
        self._forget(who)
        self._draining.discard(who)
        self._merger.left(who)

    def on_draining(self, who: Incarnation) -> None:
        """See `Listener`."""
        log.info("worker %s (pid %d) drains", *who)
        self._forget(who)
        self._draining.add(who)

    def on_applied(self, who: Incarnation, generation: int) -> None:
        """See `Listener`."""
        if (worker := self._view(who)) is not None:
            worker.generation = generation

    def on_telemetry(self, who: Incarnation, series: list[Series]) -> None:
        """See `Listener`."""
        self._merger.update(who, series)

    def on_health(self, who: Incarnation, health: Health) -> None:
        """See `Listener`."""
        if (worker := self._view(who)) is None:
            return
        if health.complete:
            worker.endpoints.clear()
        for one in health.endpoints:
            worker.endpoints.setdefault((one.route, one.version), {})[one.endpoint] = one
            if not health.complete:
                state = "healthy" if one.healthy else f"unhealthy: {one.reason}"
                log.info(
                    "%s: %s/%s %s is %s", who.worker, one.route, one.version, one.endpoint, state
                )

    def _view(self, who: Incarnation) -> WorkerView | None:
        """None while it drains: what it serves and sees does not count any more."""
        worker = self._live.get(who.worker)
        return worker if worker is not None and worker.pid == who.pid else None

    def _forget(self, who: Incarnation) -> None:
        if self._view(who) is not None:
            del self._live[who.worker]
