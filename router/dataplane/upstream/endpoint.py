"""Endpoints as they live: load, latency, and whether they may be used now.

An `Origin` is one server address with its pool; endpoints of many routes share it, so 10 000
routes to one server make one pool and one probe.  An `EndpointState` is an origin in the eyes of
one version of one route.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from router.dataplane.upstream.idle import IdleTime
from router.dataplane.upstream.pool import Pool
from router.routing.balance import peak_ewma
from router.routing.breaker import Breaker
from router.routing.slow_start import Ramp
from router.snapshot import BreakerLimits, Endpoint, Health, Tls, endpoint_label

if TYPE_CHECKING:
    from router.dataplane.table import LiveVersion

OriginKey = tuple[str, int, bool, Tls]

ProbeKey = tuple["Origin", bytes, bytes, Health]

_EJECT_AFTER: Final = 3
_EJECT_S: Final = 1.0
_EJECT_MAX_S: Final = 30.0
_NEWS: Final = 0.1
"""A learned time that has moved by less of itself is told to nobody."""


def origin_key(endpoint: Endpoint) -> OriginKey:
    """What makes two endpoints share connections."""
    return (endpoint.host, endpoint.port, endpoint.https, endpoint.tls)


def is_address(host: str) -> bool:
    """Whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Origin:
    """One server address: its pool, and what connecting to it has told."""

    __slots__ = (
        "_ejections",
        "_failures",
        "_timer",
        "_told_idle_s",
        "authority",
        "ejected",
        "endpoints",
        "key",
        "name",
        "pool",
    )

    def __init__(self, endpoint: Endpoint, now: Callable[[], float], idle_s: float) -> None:
        self.key: Final = origin_key(endpoint)
        self.authority: Final = endpoint.authority.encode()
        self.pool: Final = Pool(endpoint, now, IdleTime(idle_s))
        self.name: Final = self.pool.name
        self.endpoints: Final[set[EndpointState]] = set()
        self._told_idle_s = idle_s
        self.ejected = False
        self._failures = 0
        self._ejections = 0
        self._timer: asyncio.TimerHandle | None = None

    def has_learned(self) -> bool:
        """Whether the time for which idle connections are kept has moved much since last asked."""
        now_s, told_s = self.pool.idle_time.limit_s, self._told_idle_s
        if told_s * (1 - _NEWS) < now_s < told_s * (1 + _NEWS):
            return False
        self._told_idle_s = now_s
        return True

    @property
    def host(self) -> str:
        """The host that is connected to: behind a DNS name one of its addresses."""
        return self.key[0]

    @property
    def ejected_for_s(self) -> float:
        """How much longer it is left alone, unless a connection is made before; 0: it is not."""
        if self._timer is None:
            return 0.0
        return max(0.0, self._timer.when() - asyncio.get_running_loop().time())

    def connect_succeeded(self) -> None:
        """A connection was made."""
        self._failures = 0
        self._ejections = 0
        if self.ejected:
            self._readmit()

    def connect_failed(self, reason: str) -> None:
        """A connection could not be made; several in a row eject the origin for a while."""
        self._failures += 1
        if self._failures >= _EJECT_AFTER and not self.ejected:
            self.ejected = True
            delay_s = min(_EJECT_MAX_S, _EJECT_S * 2**self._ejections)
            self._ejections += 1
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._readmit)
            self._tell(f"connecting failed {self._failures} times: {reason}")

    def _readmit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.ejected = False
        self._tell("")

    def _tell(self, reason: str) -> None:
        for endpoint in self.endpoints:
            endpoint.eject(reason)

    def close(self) -> None:
        """Nobody uses this origin any more."""
        if self._timer is not None:
            self._timer.cancel()
        self.pool.close()


@lru_cache(maxsize=4096)
def _place(authority: bytes, base_path: bytes) -> tuple[bytes, bytes]:
    """What of an endpoint is written into a forwarded head; one object for equal places."""
    return authority, base_path


class EndpointState:
    """One endpoint of one version: what a balancer needs, and its health.

    A DNS name makes one for each of its addresses: `spec` is the name, `origin` the address.
    `label` tells them apart; metrics have `spec.url`, which is from the configuration.

    `probed` is what the prober says: None before its first word.  An endpoint is used unless a
    probe failed; one that is only ejected is used again when nothing else is left, because a
    refused connection costs little and tells when the server is back.
    """

    __slots__ = (
        "_failing",
        "_latency_at",
        "_on_change",
        "address",
        "authority",
        "base_path",
        "ejected",
        "ejections",
        "failures",
        "in_flight",
        "label",
        "latency_s",
        "origin",
        "outlying",
        "place",
        "probe_key",
        "probed",
        "ramp",
        "readmit_at",
        "readmitted_at",
        "reason",
        "served",
        "spec",
        "times_ejected",
        "version",
    )

    def __init__(self, endpoint: Endpoint, origin: Origin) -> None:
        self.spec: Final = endpoint
        self.address: Final = origin.host if endpoint.dns else ""
        self.label: Final = endpoint_label(endpoint.url, self.address)
        self.origin: Final = origin
        # A name may select a virtual host, so it is what the server expects; an address selects
        # nothing, and the client's own Host is passed on.
        self.authority: Final = b"" if is_address(endpoint.host) else endpoint.authority.encode()
        self.base_path: Final = endpoint.base_path.encode()
        self.place: Final = _place(self.authority, self.base_path)
        self.in_flight = 0
        self.latency_s = 0.0
        self._latency_at = 0.0
        self.probed: bool | None = None
        self.ejected = False
        self.outlying = False
        self.ejections = 0
        self.times_ejected = 0
        self.readmit_at = 0.0
        self.readmitted_at = 0.0
        self.ramp: Ramp | None = None
        self.served = 0
        self.failures = 0
        self._failing: Breaker | None = None
        self.reason = ""
        self.probe_key: ProbeKey | None = None
        self.version: LiveVersion | None = None
        self._on_change: Callable[[EndpointState], None] | None = None
        origin.endpoints.add(self)

    def __repr__(self) -> str:
        health = "healthy" if self.healthy else f"unhealthy: {self.reason}"
        return f"<Endpoint {self.label} {health}, {self.in_flight} in flight>"

    @property
    def healthy(self) -> bool:
        """Whether it answers, as far as is known."""
        return self.probed is not False and not self.ejected and not self.outlying

    def began(self) -> None:
        """A request is given to it.

        Also one that follows a table of before: the balancer of the present one has to know.
        """
        self.in_flight += 1
        version = self.version
        if version is not None and version.balancer.tracks:
            version.balancer.began(self)

    def ended(self) -> None:
        """A request has ended at it."""
        self.in_flight -= 1
        version = self.version
        if version is not None and version.balancer.tracks:
            version.balancer.ended(self)

    def observe_latency(self, sample_s: float, now: float) -> None:
        """Take the time to an answer's first byte."""
        self.latency_s = peak_ewma(self.latency_s, sample_s, now - self._latency_at)
        self._latency_at = now

    def watch(self, on_change: Callable[["EndpointState"], None]) -> None:
        """Call back when `healthy` changes."""
        self._on_change = on_change

    def eject(self, reason: str) -> None:
        """The origin cannot be connected to; an empty reason lifts it."""
        if reason:
            self._count_ejection()
        self._change(lambda: setattr(self, "ejected", bool(reason)), reason)

    def failed(self, limits: BreakerLimits, now: float) -> str:
        """A request has failed here; why that was one too many, or nothing."""
        self.failures += 1
        if self._failing is None or self._failing.limits != limits:
            self._failing = Breaker(limits)
        if self.outlying or not self._failing.failed(self.served, self.failures, now):
            return ""
        return self._failing.tripped

    def left_alone_for_s(self, now: float) -> float:
        """How much longer it is out of use for what requests met there; 0: it is not."""
        outlying_s = max(0.0, self.readmit_at - now) if self.outlying else 0.0
        return max(outlying_s, self.origin.ejected_for_s if self.ejected else 0.0)

    def forget_failures(self) -> None:
        """Begin to count anew."""
        self._failing = None

    def leave_out(self, reason: str, until: float) -> None:
        """It fails too many requests (see `outliers`)."""
        self.ejections += 1
        self.readmit_at = until
        self._count_ejection()
        self._change(lambda: setattr(self, "outlying", True), reason)

    def _count_ejection(self) -> None:
        self.times_ejected += 1
        if self.version is not None:
            self.version.count_ejection(self)

    def take_back(self, now: float) -> None:
        """Try it again; the time that it was left alone for is forgotten once it has done well."""
        self.forget_failures()
        self.readmitted_at = now
        self._change(lambda: setattr(self, "outlying", False), "")

    def probe_told(self, healthy: bool, reason: str) -> None:
        """What the prober found."""
        self._change(lambda: setattr(self, "probed", healthy), reason)

    def forget_probe(self) -> None:
        """Nobody probes it any more."""
        self._change(lambda: setattr(self, "probed", None), self.reason)

    def _change(self, change: Callable[[], None], reason: str) -> None:
        known, before = self.probed, self.healthy
        change()
        self.reason = "" if self.healthy else reason
        if self.healthy != before or self.probed != known:
            if self.version is not None:
                self.version.follow(self, recovered=self.healthy and not before)
            if self._on_change is not None:
                self._on_change(self)

    def retire(self) -> None:
        """The version has it no longer; its requests finish."""
        self.version = None
        self._on_change = None
        self.origin.endpoints.discard(self)


class Usable(NamedTuple):
    """Who may be given requests; in `panic` some of them have been left alone."""

    endpoints: Sequence[EndpointState]
    panic: bool


def choose_usable(endpoints: Sequence[EndpointState], panic_percent: float) -> Usable:
    """Those that may be given requests: the healthy ones, if they are enough.

    Where fewer than `panic_percent` of all are, the others that fail requests are used as well:
    then the fault is hardly theirs, and the few would have to carry everything.  But never one
    that is known to be away as long as there is another: one that fails its probes never, one
    that refuses connections only if nothing else is left (it costs little, and tells when the
    server is back).
    """
    answering = [endpoint for endpoint in endpoints if endpoint.probed is not False]
    reachable = [endpoint for endpoint in answering if not endpoint.ejected]
    healthy = [endpoint for endpoint in reachable if not endpoint.outlying]
    if healthy and len(healthy) * 100 >= panic_percent * len(endpoints):
        return Usable(healthy, panic=False)
    chosen = reachable or answering
    return Usable(chosen, panic=len(chosen) > len(healthy))
