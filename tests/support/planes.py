"""A control plane without processes: what it publishes is taken, and acknowledged on request."""

from __future__ import annotations

from router.controller.fleet import Fleet
from router.link.messages import EndpointHealth, Health
from router.link.server import Applied
from router.snapshot import Snapshot
from router.telemetry.merge import Incarnation


class WorkersInMemory:
    """Workers that install whatever is published, as long as they `follow`."""

    def __init__(self, fleet: Fleet, *names: str) -> None:
        self.fleet = fleet
        self.published: list[Snapshot] = []
        self.following = True
        self.healthy = True
        self.addresses: dict[str, tuple[str, ...]] = {}
        """What `dns://` endpoints resolve to; one that is not here has told nothing."""
        self.dead: set[str] = set()
        """Addresses that refuse."""
        self._workers = [Incarnation(name, pid) for pid, name in enumerate(names, 1)]
        for who in self._workers:
            fleet.on_joined(who)

    def publish(self, snapshot: Snapshot) -> None:
        self.published.append(snapshot)
        if self.following:
            for who in self._workers:
                self.fleet.on_applied(who, snapshot.generation)
                self.report_health(who.worker, healthy=self.healthy)

    async def wait_applied(self, generation: int, deadline_s: float) -> Applied:
        names = tuple(who.worker for who in self._workers)
        return Applied(names) if self.following else Applied((), names)

    def report_health(self, worker: str, *, healthy: bool, reason: str = "") -> None:
        who = next(each for each in self._workers if each.worker == worker)
        endpoints = [
            EndpointHealth(
                route.name,
                version.name,
                endpoint.url,
                healthy and address not in self.dead,
                "refused" if address in self.dead else reason,
                address=address,
            )
            for route in self.published[-1].routes
            for version in route.versions
            for endpoint in version.endpoints
            for address in (self.addresses.get(endpoint.url, ()) if endpoint.dns else ("",))
        ]
        self.fleet.on_health(who, Health(endpoints=endpoints, complete=True))

    def leave(self, worker: str) -> None:
        who = next(each for each in self._workers if each.worker == worker)
        self._workers.remove(who)
        self.fleet.on_left(who)

    def drain(self, worker: str) -> None:
        who = next(each for each in self._workers if each.worker == worker)
        self.fleet.on_draining(who)
