"""One route's shadow in one worker: what is sampled, and how much of it at a time.

It outlives the generations, as an admission does: copies that run when a weight moves are
neither lost nor doubled.

Guarantees (tests/conformance/test_wire_mirror*.py):
  * a worker holds at most `max_concurrency + max_queue` copies of a route, and at most
    `MAX_HELD_BYTES` of them; what comes beyond is dropped and counted;
  * sampled = answered + error + timeout + dropped, for the shadow and for its twins;
  * nothing here raises into, waits for, or sends anything on the primary's way.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Set
from typing import TYPE_CHECKING, Final

from router.dataplane.decide import Plan
from router.dataplane.mirror.copy import Copy
from router.dataplane.mirror.pair import make_pair
from router.dataplane.mirror.request import Carried, CopiedHead
from router.dataplane.table import LiveRoute, LiveVersion
from router.dataplane.upstream.endpoint import Origin, OriginKey
from router.dataplane.upstream.pool import Pool
from router.http1.request import RequestHead
from router.routing.body import BodyFields
from router.routing.mirror import Sampler
from router.snapshot import FULL, Role, Route, SampleBy, Shadow
from router.telemetry.recorder import ShadowRecorder

if TYPE_CHECKING:
    from router.dataplane.exchange import Exchange
    from router.dataplane.server import DataPlane

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Bodies that the copies of one route hold in one worker, requests and answers together."""

_START_AFTER_S: Final = 0.002
_STARTS_AT_ONCE: Final = 8
"""Copies sent in one turn of the loop: about 0.2 ms, then live requests have theirs."""
_HOUR_S: Final = 3600.0

_AWAY_AFTER: Final = 3
_AWAY_S: Final = 1.0
"""A server that refuses three times in a row is left alone so long: each try costs 0.3 ms."""


class _Refusals:
    """Connections in a row that one server has refused to copies."""

    __slots__ = ("away_until", "number")

    def __init__(self) -> None:
        self.number = 0
        self.away_until = 0.0


class Mirror:
    """See the module."""

    def __init__(self, plane: "DataPlane", route: Route, shadow: Shadow) -> None:
        self.plane: Final = plane
        self.route: Final = route.name
        self.spec = shadow
        self.sampler = Sampler(route.name, shadow)
        self.carried = Carried(shadow.credentials)
        self.connect_s = route.timeouts.connect_s
        self._copies: set[Copy] = set()
        self._offered: list[Exchange] = []
        self._queue: deque[Copy] = deque()
        self._pools: dict[OriginKey, Pool] = {}
        self._refusals: dict[OriginKey, _Refusals] = {}
        self._running = 0
        self._held = 0
        self._starting = False
        self._closed = False
        self._hour_began = plane.now()
        self._this_hour = 0
        self._pairs = max(shadow.max_pairs_per_s, 1.0)
        self._paired_at = self._hour_began
        self._versions: tuple[LiveVersion, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Mirror of {self.route} to {self.spec.version}: {self._running} running, "
            f"{len(self._queue)} queued>"
        )

    def configure(self, route: Route, shadow: Shadow) -> None:
        """Obey this from now on; copies that are under way go on."""
        if shadow != self.spec:
            self.spec = shadow
            self.sampler = Sampler(route.name, shadow)
            self.carried = Carried(shadow.credentials)
        self.connect_s = route.timeouts.connect_s

    def use(self, route: LiveRoute) -> None:
        """Send to these versions from now on."""
        names = (self.spec.version, route.stable)
        self._versions = tuple(route.versions[name] for name in names)

    def close(self) -> None:
        """The route has no shadow any more: what is under way ends."""
        self._closed = True
        for copy in tuple(self._copies):
            copy.drop("dropped_removed")
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    # -- sample ------------------------------------------------------------------------------

    def offer(self, exchange: "Exchange") -> None:
        """Consider copying this request in the loop's next turn, together with others.

        What runs right behind a system call runs through cold code: a batch costs less, and the
        primary's way none of it.
        """
        self._offered.append(exchange)
        if len(self._offered) == 1:
            asyncio.get_running_loop().call_soon(self._consider)

    def _consider(self) -> None:
        offered, self._offered = self._offered, []
        for exchange in offered:
            exchange.copy_to(self)

    def sample(
        self,
        plan: Plan,
        head: RequestHead,
        fields: BodyFields,
        route: LiveRoute,
        version: LiveVersion,
        body: bytes,
        length: int | None,
        request_id: bytes,
        forwarded: bytes,
        *,
        repeatable: bool,
    ) -> Copy | None:
        """Copy this request, or not; called once its primary is on its way.

        `body` is what is there of the body, `length` its declared length.  Only requests of the
        stable version are copied: with its answers the shadow's are compared.
        """
        if version.spec.role is not Role.STABLE or self._closed or self.plane.draining:
            return None
        summary = plan.copied
        if type(summary) is not CopiedHead or summary.sampler is not self.sampler:
            summary = plan.copied = CopiedHead(self.sampler, plan, head)
        if not summary.fits(fields, body) or not self._chooses(route, head, fields):
            return None
        spec = self.spec
        shadow = route.versions.get(spec.version)
        if shadow is None:  # the request was decided on an older table
            return None
        recorder = self._recorder(shadow)
        recorder.sampled += 1
        recorder.changed = True
        now = self.plane.now()
        refusal = self._refusal(length if length is not None else len(body), now)
        if refusal is not None:
            recorder.count(refusal)
            return None
        self._this_hour += 1
        copy = Copy(
            self,
            route,
            summary,
            head,
            request_id,
            forwarded,
            plan.table.generation,
            now + spec.timeout_s,
            repeatable=repeatable,
            paired=self._may_pair(now),
        )
        copy.ask(shadow, recorder)
        if copy.is_paired and self._wants_twin():
            twins = self._recorder(version)
            twins.sampled += 1
            copy.ask(version, twins, twin=True)
        self._copies.add(copy)
        return copy

    def _may_pair(self, now: float) -> bool:
        """Whether this copy's answers are compared: a token bucket that holds one second."""
        rate = self.spec.max_pairs_per_s
        self._pairs = min(max(rate, 1.0), self._pairs + (now - self._paired_at) * rate)
        self._paired_at = now
        if self._pairs < 1:
            self.plane.count_pair_dropped(self.route, "rate")
            return False
        self._pairs -= 1
        return True

    def _chooses(self, route: LiveRoute, head: RequestHead, fields: BodyFields) -> bool:
        key = None
        if self.spec.sample_by is SampleBy.STICKY_KEY and route.sticky is not None:
            key = route.sticky.find(head, fields)
        return self.sampler.chooses(key, self.plane.draw)

    def _wants_twin(self) -> bool:
        noise = self.spec.noise_bp
        return noise > 0 and self.plane.draw() * FULL < noise

    def _refusal(self, length: int, now: float) -> str | None:
        spec = self.spec
        if self.carried.broken:
            return "dropped_credentials"
        if length > spec.max_body_bytes:
            return "dropped_size"
        if spec.max_per_hour is not None and not self._is_within_hour(spec.max_per_hour, now):
            return "dropped_rate"
        if len(self._copies) >= spec.max_concurrency + spec.max_queue:
            return "dropped_queue" if spec.max_queue else "dropped_concurrency"
        return "dropped_queue" if self._held >= MAX_HELD_BYTES else None

    def _is_within_hour(self, most: int, now: float) -> bool:
        if now >= self._hour_began + _HOUR_S:
            self._hour_began, self._this_hour = now, 0
        return self._this_hour < most

    # -- the queue ---------------------------------------------------------------------------

    def enqueue(self, copy: Copy) -> None:
        """A copy is whole: send it when there is a place, and not at once.

        A primary that is answered at once should find the loop free for its answer.
        """
        self._queue.append(copy)
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_later(_START_AFTER_S, self._start_some)

    def _start_some(self) -> None:
        self._starting = False
        started = 0
        while self._queue and self._running < self.spec.max_concurrency:
            if started == _STARTS_AT_ONCE:
                self._start_more()
                return
            copy = self._queue.popleft()
            if copy.runs:
                self._running += 1
                started += 1
                copy.start()

    def _start_more(self) -> None:
        if not self._starting:
            self._starting = True
            asyncio.get_running_loop().call_soon(self._start_some)

    def leave(self) -> None:
        """A copy has given its place back."""
        self._running -= 1
        if self._queue:
            self._start_more()

    def take(self, size: int) -> bool:
        """Let copies hold so many bytes more, if there is room."""
        if self._held + size > MAX_HELD_BYTES:
            return False
        self._held += size
        return True

    def pool(self, origin: Origin) -> Pool:
        """Connections to a server that only copies use."""
        pool = self._pools.get(origin.key)
        if pool is None:
            pool = self._pools[origin.key] = origin.pool.sibling()
        return pool

    def is_away(self, origin: Origin) -> bool:
        """Whether a server has refused copies just now."""
        refusals = self._refusals.get(origin.key)
        return refusals is not None and self.plane.now() < refusals.away_until

    def note_connect(self, origin: Origin, *, made: bool) -> None:
        """A copy has got a connection, or not; live requests have their own opinion."""
        if made:
            self._refusals.pop(origin.key, None)
            return
        refusals = self._refusals.setdefault(origin.key, _Refusals())
        refusals.number += 1
        if refusals.number >= _AWAY_AFTER:
            refusals.away_until = self.plane.now() + _AWAY_S

    # -- what becomes of copies --------------------------------------------------------------

    def _recorder(self, version: LiveVersion) -> ShadowRecorder:
        return self.plane.recorder.shadow(self.route, version.spec.name)

    def settle(self, copy: Copy) -> None:
        """A copy is over: hand its pair to control, if there is one."""
        self._copies.discard(copy)
        self._held -= copy.held
        if not copy.is_paired or copy.shadow.is_dropped or copy.primary.outcome == "cancelled":
            return
        pair = make_pair(copy, self.route, self.plane.clock.wall())
        if pair is None:
            self.plane.count_pair_dropped(self.route, "size")
        elif not self.plane.on_pair(pair):
            self.plane.count_pair_dropped(self.route, "link")

    @property
    def pools(self) -> Collection[Pool]:
        """Its connections."""
        return self._pools.values()

    @property
    def queued(self) -> int:
        """Copies that wait for a place."""
        return len(self._queue)

    def expire(self, now: float) -> None:
        """End what has run out of time."""
        for copy in [each for each in self._copies if each.deadline <= now and each.runs]:
            copy.expire()

    def sweep(self) -> None:
        """Close idle connections, and pools whose server is no longer there."""
        known = {e.origin.key for version in self._versions for e in version.endpoints}
        for key in [key for key in self._pools if key not in known]:
            self._pools.pop(key).close()
        self._refusals = {key: each for key, each in self._refusals.items() if key in known}
        for pool in self._pools.values():
            pool.sweep()


class Mirrors:
    """Every mirror of one worker."""

    def __init__(self, plane: "DataPlane") -> None:
        self._plane: Final = plane
        self._mirrors: Final[dict[str, Mirror]] = {}

    def install(self, route: LiveRoute) -> None:
        """Give a route of a new table its mirror, if it has a shadow."""
        spec = route.spec
        mirror = self._mirrors.get(spec.name)
        if spec.shadow is None:
            if mirror is not None:
                self._mirrors.pop(spec.name).close()
            return
        if mirror is None:
            mirror = self._mirrors[spec.name] = Mirror(self._plane, spec, spec.shadow)
        else:
            mirror.configure(spec, spec.shadow)
        mirror.use(route)
        route.mirror = mirror

    def keep(self, routes: Set[str]) -> None:
        """End the mirrors of routes that are gone."""
        for name in self._mirrors.keys() - routes:
            self._mirrors.pop(name).close()

    def tick(self, now: float) -> None:
        """End copies that have run out of time."""
        for mirror in self._mirrors.values():
            mirror.expire(now)

    def sweep(self) -> None:
        """Close idle connections."""
        for mirror in self._mirrors.values():
            mirror.sweep()

    def close(self) -> None:
        """End everything."""
        self.keep(frozenset())

    def __iter__(self) -> Iterator[Mirror]:
        return iter(self._mirrors.values())
