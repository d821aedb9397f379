"""The snapshot brought to life: what a worker decides on.

`Table` belongs to one generation; a request keeps the table it was decided on for life.  What
lives longer than a generation (connections, health, requests in flight, counters, the rotation)
is carried from table to table by `Installer`, so a weight that moves costs no connection and no
count.  `install` ends in one assignment by its caller: a request sees the old table or the new
one, never a mixture.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from router.clock import Clock
from router.dataplane.admission import Admission, Bounds
from router.dataplane.upstream.endpoint import (
    EndpointState,
    Origin,
    OriginKey,
    ProbeKey,
    choose_usable,
    origin_key,
)
from router.dataplane.upstream.idle import CEILING_S
from router.dataplane.upstream.prober import Prober
from router.dataplane.upstream.resolver import Resolver
from router.dataplane.upstream.warming import Warming
from router.routing.balance import Balancer, make_balancer
from router.routing.body import BodyReader
from router.routing.breaker import Breaker
from router.routing.budget import RetryBudget
from router.routing.match import Fields, RouteIndex, Test, header_test
from router.routing.slow_start import make_slow_start
from router.routing.split import Rotation, Split, choose_by_key
from router.routing.sticky import StickyKey
from router.snapshot import (
    Balance,
    BreakerLimits,
    Endpoint,
    Health,
    Limits,
    Priority,
    Role,
    Route,
    Snapshot,
    Version,
)
from router.telemetry.recorder import RoleCounts, VersionRecorder, WorkerRecorder

if TYPE_CHECKING:
    from router.dataplane.mirror import Mirror, Mirrors

Draw = Callable[[], float]


class OnHealth(Protocol):
    """Who is told what has changed of endpoints."""

    def __call__(self, *endpoints: EndpointState, gone: Sequence[EndpointState] = ()) -> None:
        """All of these have changed, and those that are `gone` are about to be retired."""
        ...


ONLY_CLASS: Final = "all"
"""The class of every request of a route without priorities, in metrics."""


class LiveVersion:
    """One version of one route, with its endpoints."""

    __slots__ = (
        "_bound",
        "_recorders",
        "_warming",
        "balance",
        "balancer",
        "breaker",
        "circuit",
        "counts",
        "endpoints",
        "fallback_allowed",
        "fields",
        "outlier",
        "panic",
        "recorder",
        "resolvers",
        "route",
        "slow_start_s",
        "spec",
    )

    def __init__(
        self, route: Route, spec: Version, recorders: WorkerRecorder, warming: Warming
    ) -> None:
        self.route: Final = route.name
        self.spec: Final = spec
        self.balance: Final[Balance] = route.balance
        self.fields: Final = b"x-model-version: %b\r\nx-router-route: %b\r\n" % (
            spec.name.encode(),
            route.name.encode(),
        )
        self.fallback_allowed: Final = route.retry.canary_fallback and spec.role is not Role.STABLE
        self.outlier: Final = route.outlier
        self.slow_start_s: Final = route.slow_start_s
        self.panic = False
        self.breaker: Breaker | None = None
        self.circuit: Admission | None = None
        self.endpoints: list[EndpointState] = []
        self.balancer: Balancer[EndpointState] = make_balancer(route.balance, ())
        self.resolvers: list[Resolver] = []
        self._recorders = recorders
        self._warming: Final = warming
        self._bound = False
        self.recorder: VersionRecorder
        self.counts: RoleCounts

    def __repr__(self) -> str:
        return f"<Version {self.route}/{self.spec.name}: {len(self.endpoints)} endpoints>"

    def bind(self) -> None:
        """Have `recorder` and `counts` from now on: 10 000 idle routes cost nothing."""
        if not self._bound:
            self._bound = True
            self.recorder = self._recorders.version(self.route, self.spec.name)
            self.counts = self.recorder.role(self.spec.role.value)

    def count_ejection(self, endpoint: EndpointState) -> None:
        """One of its endpoints is left alone for a while."""
        self._recorders.count_ejection(self.route, self.spec.name, endpoint.spec.url)

    def adopt(self, endpoints: Iterable[EndpointState]) -> None:
        """Take these endpoints over."""
        for endpoint in endpoints:
            endpoint.version = self
            self.endpoints.append(endpoint)
        self.rebalance()

    def warm(self, endpoints: Iterable[EndpointState]) -> None:
        """Begin these with a small part of their share, if the route wants it."""
        if self.slow_start_s:
            for endpoint in endpoints:
                self._warming.begin(endpoint, self.slow_start_s)

    def follow(self, endpoint: EndpointState, *, recovered: bool) -> None:
        """The health of one of its endpoints has changed."""
        if recovered:
            self.warm((endpoint,))
        elif not endpoint.healthy:
            self._warming.end(endpoint)
        self.rebalance()

    def rebalance(self) -> None:
        """Which endpoints are usable has changed, or one of them is warm."""
        least = self.outlier.panic_percent if self.outlier is not None else 0.0
        usable, self.panic = choose_usable(self.endpoints, least)
        if len(self._warming) and any(endpoint.ramp is not None for endpoint in usable):
            self.balancer = make_slow_start(self.balance, usable)
        else:
            self.balancer = make_balancer(self.balance, usable)

    @property
    def tripped(self) -> str:
        """Why its breaker took it out of the split, or nothing."""
        return self.breaker.tripped if self.breaker is not None else ""

    def inherit_breaker(self, limits: BreakerLimits | None, before: "LiveVersion | None") -> None:
        """Go on with the breaker of the generation before.

        A generation that gives a version nothing forgets its failures, and so does the next
        attempt: whoever gives it traffic again knows of them.  The stable version has no breaker:
        there is nowhere else to go.
        """
        if limits is None or self.spec.role is Role.STABLE or not self.spec.weight_bp:
            return
        if before is not None and self._is_on_trial_with(before, limits):
            self.breaker = before.breaker
        else:
            self.breaker = Breaker(limits)

    def inherit_circuit(self, limits: Limits, before: "LiveVersion | None") -> None:
        """Go on with the places of the generation before, within the bounds of this one.

        Without bounds there is nothing to count; bounds that are new count what begins from now on.
        """
        circuit = self.spec.circuit
        if circuit is None:
            return
        bounds = Bounds(
            circuit.max_in_flight, circuit.max_pending, limits.queue_timeout_s, _classes(limits)
        )
        if before is not None and before.circuit is not None:
            self.circuit = before.circuit
            self.circuit.set_bounds(bounds)
        else:
            self.circuit = Admission(bounds)

    def _is_on_trial_with(self, before: "LiveVersion", limits: BreakerLimits) -> bool:
        same = before.breaker is not None and before.breaker.limits == limits
        return same and before.spec.trial == self.spec.trial


class LiveRoute:
    """One route, compiled."""

    __slots__ = (
        "admission",
        "body_fields",
        "budget",
        "circuits",
        "first_byte_s",
        "header_routes",
        "idle_s",
        "max_body_bytes",
        "max_replay_bytes",
        "mirror",
        "priority",
        "ranks",
        "renames",
        "rotation",
        "spec",
        "split",
        "stable",
        "steering",
        "sticky",
        "versions",
    )

    def __init__(
        self, spec: Route, versions: dict[str, LiveVersion], old: "LiveRoute | None", now: float
    ) -> None:
        self.spec: Final = spec
        self.versions: Final = versions
        tripped = {name for name, version in versions.items() if version.tripped}
        self.sticky: Final = StickyKey(spec.sticky) if spec.sticky else None
        self.body_fields: Final = self.sticky.body_fields if self.sticky else ()
        self.renames: Final = any(version.model is not None for version in spec.versions)
        self.header_routes: Final[tuple[tuple[tuple[Test, ...], str], ...]] = tuple(
            (tuple(map(header_test, route.conditions)), route.version)
            for route in spec.header_routes
        )
        self.steering: tuple[bytes, ...] = tuple(
            condition.name.encode()
            for route in spec.header_routes
            for condition in route.conditions
        )
        priority = spec.limits.priority
        self.priority: Final = priority.header.encode() if priority is not None else None
        self.ranks: Final[dict[bytes | None, int]] = _ranks(priority)
        if priority is not None and not priority.forward:
            self.steering += (priority.header.encode(),)
        self.circuits: Final = tuple(
            version for version in versions.values() if version.circuit is not None
        )
        self.stable: Final = spec.stable.name
        self.split: Final = Split(spec.name.encode(), tuple(_shares(spec, tripped)))
        if old is not None and old.split == self.split:
            self.rotation: Rotation[str] = old.rotation
        else:
            self.rotation = Rotation(self.split)
        bounds = _bounds(spec.limits)
        self.admission: Admission = old.admission if old is not None else Admission(bounds)
        self.admission.set_bounds(bounds)
        self.max_body_bytes: Final = spec.limits.max_body_bytes
        self.max_replay_bytes: Final = spec.limits.max_replay_bytes
        self.first_byte_s: Final = spec.timeouts.first_byte_s
        self.idle_s: Final = spec.timeouts.idle_s
        self.mirror: Mirror | None = None
        if old is not None and old.spec.retry == spec.retry:
            self.budget: RetryBudget = old.budget
        else:
            self.budget = RetryBudget(spec.retry.budget_percent, now, self.admission.admitted)

    def version_by_header(self, fields: Fields) -> LiveVersion | None:
        """The version that the request's headers ask for, where the configuration allows it."""
        for tests, version in self.header_routes:
            if all(test(fields) for test in tests):
                return self.versions[version]
        return None

    def version_by_key(self, key: bytes) -> LiveVersion:
        """The version in whose share a sticky key falls."""
        return self.versions[choose_by_key(self.split, key)]

    def rank_of(self, value: bytes | None) -> int:
        """The rank of a request whose priority header has this value; 0 is the highest class."""
        ranks = self.ranks
        return ranks[value] if value in ranks else ranks[None]

    def class_of(self, rank: int) -> str:
        """The name of a rank's class; without classes all requests are of one."""
        priority = self.spec.limits.priority
        if priority is None:
            return ONLY_CLASS
        return priority.classes[min(rank, len(priority.classes) - 1)]


def _classes(limits: Limits) -> int:
    return 1 if limits.priority is None else len(limits.priority.classes)


def _bounds(limits: Limits) -> Bounds:
    return Bounds(limits.max_in_flight, limits.max_queue, limits.queue_timeout_s, _classes(limits))


def _ranks(priority: Priority | None) -> dict[bytes | None, int]:
    """The rank of each value of the header; None: of any other value, or of no header."""
    if priority is None:
        return {None: 0}
    ranks: dict[bytes | None, int] = {None: priority.classes.index(priority.default)}
    return ranks | {name.encode(): rank for rank, name in enumerate(priority.classes)}


def _shares(spec: Route, tripped: Set[str]) -> Iterator[tuple[str, int]]:
    """Weights as they are, but a tripped version's share is the stable version's."""
    lost = sum(version.weight_bp for version in spec.versions if version.name in tripped)
    stable = spec.stable.name
    for version in spec.versions:
        if version.name in tripped:
            yield version.name, 0
        else:
            yield version.name, version.weight_bp + (lost if version.name == stable else 0)


class Table:
    """Everything of one generation."""

    __slots__ = (
        "body_reader",
        "circuits",
        "generation_field",
        "index",
        "least_body_limit",
        "max_body_bytes",
        "max_inspect_bytes",
        "routes",
        "snapshot",
    )

    def __init__(
        self, snapshot: Snapshot, routes: dict[str, LiveRoute], old: "Table | None" = None
    ) -> None:
        self.snapshot: Final = snapshot
        self.routes: Final = routes
        self.generation_field: Final = b"x-router-generation: %d\r\n" % snapshot.generation
        if old is not None and _same_rules(old.snapshot, snapshot):
            # Only weights or endpoints moved: the index of 10 000 routes stays as it is.
            self.index: RouteIndex = old.index
        else:
            self.index = RouteIndex(snapshot.routes)
        names = dict.fromkeys(name for route in routes.values() for name in route.body_fields)
        if old is not None and old.body_reader.names == tuple(names):
            # Each reader is a class of its own, which only the cycle collector takes away.
            self.body_reader: BodyReader = old.body_reader
        else:
            self.body_reader = BodyReader(names)
        self.circuits: Final = tuple(
            version for route in routes.values() if route.circuits for version in route.circuits
        )
        limits = [route.limits for route in snapshot.routes]
        self.max_body_bytes: Final = max((limit.max_body_bytes for limit in limits), default=0)
        self.least_body_limit: Final = min(
            (each.max_body_bytes for each in limits), default=sys.maxsize
        )
        self.max_inspect_bytes: Final = max(
            (limit.max_inspect_bytes for limit in limits), default=0
        )

    @property
    def generation(self) -> int:
        """Its number."""
        return self.snapshot.generation


EMPTY: Final = Table(Snapshot(generation=0), {})


def _same_rules(old: Snapshot, new: Snapshot) -> bool:
    if len(old.routes) != len(new.routes):
        return False
    return all(
        one is other or (one.name == other.name and one.rules == other.rules)
        for one, other in zip(old.routes, new.routes, strict=True)
    )


class Installer:
    """Makes tables out of snapshots, and keeps what outlives them."""

    def __init__(
        self,
        recorders: WorkerRecorder,
        clock: Clock,
        draw: Draw,
        on_health: OnHealth,
        mirrors: "Mirrors",
        idle_s: float = CEILING_S,
    ) -> None:
        self._mirrors = mirrors
        self._idle_s = idle_s
        self._warming: Final = Warming(clock.monotonic)
        self._recorders = recorders
        self._clock = clock
        self._draw = draw
        self._on_health = on_health
        self._probers: dict[ProbeKey, Prober] = {}
        self.origins: Final[dict[OriginKey, Origin]] = {}

    def install(self, snapshot: Snapshot, old: Table) -> Table:
        """Make the table of this snapshot; `old` is the one served now."""
        routes: dict[str, LiveRoute] = {}
        replaced: list[LiveRoute] = []
        for spec in snapshot.routes:
            before = old.routes.get(spec.name)
            if before is not None and (before.spec is spec or before.spec == spec):
                routes[spec.name] = before
                continue
            routes[spec.name] = self._make_route(spec, before)
            if before is not None:
                replaced.append(before)
        replaced += [route for name, route in old.routes.items() if name not in routes]
        for route in replaced:
            self._retire(route)
        if replaced or routes.keys() != old.routes.keys():
            self._mirrors.keep(routes.keys())
            live = {(route.spec.name, name) for route in routes.values() for name in route.versions}
            self._recorders.forget(live)
        return Table(snapshot, routes, old)

    def trip(self, table: Table, name: str) -> Table:
        """Make the table in which a route's tripped versions have no share; same generation."""
        before = table.routes[name]
        routes = {**table.routes, name: self._make_route(before.spec, before)}
        self._retire(before)
        return Table(table.snapshot, routes, table)

    def tick(self, now: float) -> None:
        """Let the shares of warming endpoints grow."""
        self._warming.tick(now)

    def sweep(self) -> None:
        """Close upstream connections that are idle too long, and tell what was learned of that."""
        for origin in self.origins.values():
            origin.pool.sweep()
            if origin.has_learned():
                self._on_health(*origin.endpoints)
        self._mirrors.sweep()

    def close(self) -> None:
        """End probes, look-ups and idle connections."""
        for prober in self._probers.values():
            prober.close()
        self._mirrors.close()
        for origin in self.origins.values():
            origin.close()

    def _make_route(self, spec: Route, old: LiveRoute | None) -> LiveRoute:
        versions = {
            version.name: self._make_version(
                spec, version, old.versions.get(version.name) if old is not None else None
            )
            for version in spec.versions
        }
        route = LiveRoute(spec, versions, old, self._clock.monotonic())
        self._mirrors.install(route)
        return route

    def _make_version(self, spec: Route, version: Version, old: LiveVersion | None) -> LiveVersion:
        live = LiveVersion(spec, version, self._recorders, self._warming)
        live.inherit_breaker(spec.breaker, old)
        live.inherit_circuit(spec.limits, old)
        live.adopt(self._take_over(live, old))
        new = self._add_missing(live)
        if old is not None and old.endpoints:
            live.warm(new)
        live.adopt(new)
        for member in live.endpoints:
            self._watch(member, spec.health)
        for endpoint in version.endpoints:
            if endpoint.dns:
                live.resolvers.append(self._resolve(live, endpoint, spec.health))
        return live

    def _take_over(self, live: LiveVersion, before: LiveVersion | None) -> list[EndpointState]:
        """Endpoints that the version had already; addresses of a DNS name stay until looked up."""
        wanted = set(live.spec.endpoints)
        return [e for e in before.endpoints if e.spec in wanted] if before is not None else []

    def _add_missing(self, live: LiveVersion) -> list[EndpointState]:
        present = {endpoint.spec for endpoint in live.endpoints}
        return [
            EndpointState(endpoint, self._origin(endpoint))
            for endpoint in live.spec.endpoints
            if not endpoint.dns and endpoint not in present
        ]

    def _origin(self, endpoint: Endpoint) -> Origin:
        key = origin_key(endpoint)
        origin = self.origins.get(key)
        if origin is None:
            origin = self.origins[key] = Origin(endpoint, self._clock.monotonic, self._idle_s)
        return origin

    def _resolve(self, live: LiveVersion, endpoint: Endpoint, health: Health | None) -> Resolver:
        def on_addresses(addresses: tuple[str, ...]) -> None:
            wanted = [self._origin(replace(endpoint, host=address)) for address in addresses]
            mine = [member for member in live.endpoints if member.spec == endpoint]
            gone = [member for member in mine if member.origin not in wanted]
            for member in gone:
                live.endpoints.remove(member)
            present = {member.origin for member in mine}
            new = [EndpointState(endpoint, origin) for origin in wanted if origin not in present]
            if live.endpoints:
                live.warm(new)
            live.adopt(new)
            for member in new:
                self._watch(member, health)
            if new or gone:
                # Both at once: control must not see a version without any in between.
                self._on_health(*new, gone=gone)
            for member in gone:
                self._retire_endpoint(member)

        return Resolver(endpoint.host, endpoint.port, on_addresses)

    def _watch(self, endpoint: EndpointState, health: Health | None) -> None:
        """Have the endpoint probed as its route wants it."""
        endpoint.watch(self._on_health)
        if health is None:
            self._unwatch(endpoint)
            endpoint.forget_probe()
            return
        authority = endpoint.authority or endpoint.origin.authority
        key = (endpoint.origin, endpoint.base_path, authority, health)
        prober = self._probers.get(key)
        if prober is not None and endpoint in prober.endpoints:
            return
        self._unwatch(endpoint)
        if prober is None:
            prober = Prober(endpoint.origin, endpoint.base_path, authority, health, self._draw)
            self._probers[key] = prober
        endpoint.probe_key = key
        prober.add(endpoint)

    def _unwatch(self, endpoint: EndpointState) -> None:
        key, endpoint.probe_key = endpoint.probe_key, None
        if key is None:
            return
        prober = self._probers[key]
        prober.endpoints.discard(endpoint)
        if not prober.endpoints:
            prober.close()
            del self._probers[key]

    def _retire(self, route: LiveRoute) -> None:
        for version in route.versions.values():
            for resolver in version.resolvers:
                resolver.close()
            for endpoint in version.endpoints:
                if endpoint.version is version:  # else: a newer generation took it over
                    self._retire_endpoint(endpoint)

    def _retire_endpoint(self, endpoint: EndpointState) -> None:
        endpoint.retire()
        self._unwatch(endpoint)
        if not endpoint.origin.endpoints:
            endpoint.origin.close()
            self.origins.pop(endpoint.origin.key, None)
