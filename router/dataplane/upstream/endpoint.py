"""Endpoints as they live: load, latency, and whether they may be used now.

An `Origin` is one server address with its pool; endpoints of many routes share it, so 10 000
routes to one server make one pool and one probe.  An `EndpointState` is an origin in the eyes of
one version of one route.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from router.dataplane.upstream.pool import Pool
from router.routing.balance import peak_ewma
from router.routing.breaker import Breaker
from router.snapshot import BreakerLimits, Endpoint, Health, Tls

if TYPE_CHECKING:
    from router.dataplane.table import LiveVersion

OriginKey = tuple[str, int, bool, Tls]

ProbeKey = tuple["Origin", bytes, bytes, Health]

_EJECT_AFTER: Final = 3
_EJECT_S: Final = 1.0
_EJECT_MAX_S: Final = 30.0


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
        "authority",
        "ejected",
        "endpoints",
        "key",
        "name",
        "pool",
    )

    def __init__(self, endpoint: Endpoint) -> None:
        self.key: Final = origin_key(endpoint)
        self.authority: Final = endpoint.authority.encode()
        self.pool: Final = Pool(endpoint)
        self.name: Final = self.pool.name
        self.endpoints: Final[set[EndpointState]] = set()
        self.ejected = False
        self._failures = 0
        self._ejections = 0
        self._timer: asyncio.TimerHandle | None = None

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

    `probed` is what the prober says: None before its first word.  An endpoint is used unless a
    probe failed; one that is only ejected is used again when nothing else is left, because a
    refused connection costs little and tells when the server is back.
    """

    __slots__ = (
        "_failing",
        "_latency_at",
        "_on_change",
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
        "readmitted_at",
        "reason",
        "served",
        "spec",
        "version",
    )

    def __init__(self, endpoint: Endpoint, origin: Origin) -> None:
        self.spec: Final = endpoint
        self.label: Final = endpoint.url
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
        self.readmitted_at = 0.0
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

    def ended(self) -> None:
        """A request has ended at it; the exchange that gave it to it has counted it."""
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
        self._change(lambda: setattr(self, "ejected", bool(reason)), reason)
        if reason and self.version is not None:
            self.version.count_ejection(self)

    def failed(self, limits: BreakerLimits, now: float) -> str:
        """A request has failed here; why that was one too many, or nothing."""
        self.failures += 1
        if self._failing is None or self._failing.limits != limits:
            self._failing = Breaker(limits)
        if self.outlying or not self._failing.failed(self.served, self.failures, now):
            return ""
        return self._failing.tripped

    def forget_failures(self) -> None:
        """Begin to count anew."""
        self._failing = None

    def leave_out(self, reason: str) -> None:
        """It fails too many requests (see `outliers`)."""
        self.ejections += 1
        self._change(lambda: setattr(self, "outlying", True), reason)

    def take_back(self, now: float) -> None:
        """Try it again; the time that it was left alone for is forgotten once it has done well."""
        self.forget_failures()
        self.readmitted_at = now
        self._change(lambda: setattr(self, "outlying", False), "")

    def probe_told(self, healthy: bool, reason: str) -> None:
        """What the prober found."""
        self._change(lambda: setattr(self, "probed", healthy), reason)

    def _change(self, change: Callable[[], None], reason: str) -> None:
        known, before = self.probed, self.healthy
        change()
        self.reason = "" if self.healthy else reason
        if self.healthy != before or self.probed != known:
            if self.version is not None:
                self.version.rebalance()
            if self._on_change is not None:
                self._on_change(self)

    def retire(self) -> None:
        """The version has it no longer; its requests finish."""
        self.version = None
        self._on_change = None
        self.origin.endpoints.discard(self)


def usable(endpoints: Iterable[EndpointState]) -> list[EndpointState]:
    """Those that may be given requests: the healthy ones, else the merely ejected ones."""
    answering = [endpoint for endpoint in endpoints if endpoint.probed is not False]
    unsuspected = [each for each in answering if not (each.ejected or each.outlying)]
    return unsuspected or answering
