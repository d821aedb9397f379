"""The compiled routing table: frozen values, the only thing both planes know of each other.

Control compiles it from configuration and state, the link carries it (msgpack), the data plane
installs it.  A value here cannot be wrong once it exists: what the data plane needs to be true
is checked in `__post_init__`, which the decoder runs as well.

Units: times in seconds (`_s`), shares in basis points (`_bp`), sizes in bytes.
Header names are lower case throughout.
"""

from enum import StrEnum
from itertools import pairwise
from typing import Final

import msgspec

from router.errors import ConfigError
from router.pattern import PatternError, bytes_pattern

FULL: Final = 10_000
"""A whole route's traffic in basis points."""


class Role(StrEnum):
    """What a version is in its route at this moment."""

    STABLE = "stable"
    CANARY = "canary"
    PREVIEW = "preview"
    SHADOW = "shadow"


class Balance(StrEnum):
    """How a version's endpoint is chosen."""

    LEAST_REQUEST = "leastRequest"
    P2C = "p2c"
    ROUND_ROBIN = "roundRobin"


class HeaderMatch(StrEnum):
    """How a header's value is compared."""

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"
    PRESENT = "present"


class StickyKind(StrEnum):
    """Where a sticky key may be found."""

    HEADER = "header"
    COOKIE = "cookie"
    BODY = "body"
    API_KEY = "apiKey"


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything here: immutable, compared by value, cheap to send."""


class SampleBy(StrEnum):
    """What is chosen when not every request is copied to a shadow."""

    REQUEST = "request"
    STICKY_KEY = "stickyKey"


class CredentialMode(StrEnum):
    """Which credentials a copied request carries."""

    KEEP = "keep"
    STRIP = "strip"
    REPLACE = "replace"


class HeaderCondition(_Value, frozen=True):
    """One header that must be there with such a value; `present` ignores `value`."""

    name: str
    match: HeaderMatch = HeaderMatch.EXACT
    value: str = ""

    def __post_init__(self) -> None:
        if self.match is HeaderMatch.REGEX:
            try:
                bytes_pattern(self.value)
            except PatternError as error:
                raise ConfigError(f"header {self.name}: no pattern: {error}") from None


class Rule(_Value, frozen=True):
    """One match rule of a route; every part that is given must hold.

    `path` compares the whole path, `path_prefix` whole segments (`/v1` matches `/v1` and
    `/v1/x`, not `/v1x`).  `model` is the body's top-level `model`, or the `{model}` of a KServe
    path.
    """

    path: str | None = None
    path_prefix: str | None = None
    model: str | None = None
    methods: tuple[str, ...] = ()
    headers: tuple[HeaderCondition, ...] = ()

    def __post_init__(self) -> None:
        if self.path is not None and self.path_prefix is not None:
            raise ConfigError("a rule has a path or a path prefix, not both")


class Tls(_Value, frozen=True):
    """How an https endpoint is verified; a pool never mixes two different ones."""

    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


class Endpoint(_Value, frozen=True):
    """One model server.

    `url` is as configured: its identity in metrics.  `base_path` has no slash at its end.  With
    `dns`, every address that the name resolves to is an endpoint of its own (`endpoint_label`).
    """

    url: str
    host: str
    port: int
    https: bool = False
    base_path: str = ""
    dns: bool = False
    tls: Tls = Tls()

    @property
    def authority(self) -> str:
        """The Host field that this endpoint expects (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.https else 80) else f"{host}:{self.port}"


def endpoint_label(url: str, address: str) -> str:
    """What tells an endpoint from the others; `address` is empty where the URL alone does.

    For people, logs and health, never for metrics: addresses come from DNS, not from the
    configuration.  No two are alike: a URL has no blank.
    """
    return f"{url} ({address})" if address else url


class Circuit(_Value, frozen=True):
    """Bounds of one version in one worker, inside those of its route."""

    max_in_flight: int
    max_pending: int


class Version(_Value, frozen=True):
    """One version of the model behind a route; `model` is its name on its own servers.

    `trial` counts the attempts to make it stable: what a breaker has seen in one attempt says
    nothing about the next.  `drain_until_s`: what was begun while it had traffic ends then
    (seconds since 1970 UTC); None: when it is done.
    """

    name: str
    role: Role
    weight_bp: int
    endpoints: tuple[Endpoint, ...]
    model: str | None = None
    trial: int = 0
    drain_until_s: float | None = None
    circuit: Circuit | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.weight_bp <= FULL:
            raise ConfigError(f"weight {self.weight_bp} of {self.name} is not in 0..{FULL}")
        if self.weight_bp and self.drain_until_s is not None:
            raise ConfigError(f"version {self.name} has traffic and cannot drain")
        if not self.endpoints:
            raise ConfigError(f"version {self.name} has no endpoint")


class StickySource(_Value, frozen=True):
    """One place to look for a key; `name` is a header, a cookie or a top-level body field."""

    kind: StickyKind
    name: str = ""


class HeaderRoute(_Value, frozen=True):
    """Requests that carry these headers go to one version, whatever the weights."""

    conditions: tuple[HeaderCondition, ...]
    version: str


class Timeouts(_Value, frozen=True):
    """Deadlines of each phase; a stream has none in all."""

    connect_s: float = 2.0
    first_byte_s: float = 120.0
    idle_s: float = 60.0


class Retry(_Value, frozen=True):
    """When an attempt that failed before the first response byte is made again.

    `attempts` counts the first one.  `on_reset` is whatever ends a connection without an answer,
    one that is no HTTP among it; `on_timeout` is `Timeouts.first_byte_s`.  `statuses` are upstream
    answers that count as failed.  `budget_percent` bounds retries to a share of the route's
    requests (at least 3 a second).  `canary_fallback` sends a canary's failed request to stable.
    `methods` are the ones that may be sent again once a model server may have seen them; None: see
    `routing.replay`.
    """

    attempts: int = 2
    on_connect: bool = True
    on_reset: bool = True
    on_timeout: bool = False
    statuses: tuple[int, ...] = ()
    budget_percent: float = 20.0
    canary_fallback: bool = True
    methods: tuple[str, ...] | None = None


class Health(_Value, frozen=True):
    """Active probes of each endpoint; `body` is a pattern that the answer must hold."""

    path: str = "/health"
    interval_s: float = 5.0
    timeout_s: float = 2.0
    unhealthy_after: int = 3
    healthy_after: int = 2
    statuses: tuple[int, ...] = (200,)
    body: str | None = None


class Priority(_Value, frozen=True):
    """Which requests wait less: classes from the highest to the lowest, named by a header.

    A request without the header, or with another value, is of the class `default`.  With
    `forward` the model server is told the header as well.
    """

    header: str
    classes: tuple[str, ...]
    default: str
    forward: bool = False

    def __post_init__(self) -> None:
        if self.default not in self.classes or len(set(self.classes)) != len(self.classes):
            raise ConfigError(f"priority {self.default} is not one of {self.classes}, each once")


class Limits(_Value, frozen=True):
    """Bounds of one route in one worker.

    `max_replay_bytes`: longer request bodies stream through and are never sent again.
    `max_inspect_bytes`: `model` and a sticky body field must stand within these first bytes.
    """

    max_in_flight: int = 1024
    max_queue: int = 1024
    queue_timeout_s: float = 5.0
    max_body_bytes: int = 64 * 1024 * 1024
    max_replay_bytes: int = 1024 * 1024
    max_inspect_bytes: int = 1024 * 1024
    priority: Priority | None = None


class Credentials(_Value, frozen=True):
    """What a copied request carries in `header`; a secret itself never stands in a snapshot.

    With REPLACE the worker reads the value from an environment variable or a file of its own.
    """

    mode: CredentialMode = CredentialMode.KEEP
    header: str = "authorization"
    env: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        if (self.mode is CredentialMode.REPLACE) != (self.env is not None or self.file is not None):
            raise ConfigError("credentials are replaced by what an env or a file holds")


class Shadow(_Value, frozen=True):
    """A version that gets copies of the stable version's requests; no client sees its answers.

    `percent_bp` of the requests that one of `rules` matches (none: all) are copied; by sticky
    key, a conversation is copied whole or not at all.  `noise_bp` of the compared ones the stable
    version answers a second time.  `max_concurrency`, `max_queue` and `max_per_hour` bound one
    worker, and so does `max_pairs_per_s`: the copies whose answers are compared.  `timeout_s`
    bounds a copy in all, waiting included.  `stateful`: also copy calls that store something or
    run tools.  `keep`: the copy outlives a client that goes away.
    """

    version: str
    percent_bp: int = FULL
    sample_by: SampleBy = SampleBy.REQUEST
    rules: tuple[Rule, ...] = ()
    stateful: bool = False
    max_concurrency: int = 32
    max_queue: int = 256
    max_body_bytes: int = 8 * 1024 * 1024
    max_response_bytes: int = 8 * 1024 * 1024
    max_per_hour: int | None = None
    max_pairs_per_s: float = 100.0
    timeout_s: float = 120.0
    keep: bool = False
    credentials: Credentials = Credentials()
    noise_bp: int = 0

    def __post_init__(self) -> None:
        for share in (self.percent_bp, self.noise_bp):
            if not 0 <= share <= FULL:
                raise ConfigError(f"a shadow's share of {share} is not in 0..{FULL} basis points")


class BreakerLimits(_Value, frozen=True):
    """When a worker takes a failing version out of the split by itself; never the stable one.

    `consecutive` failures in a row, or `error_percent` of at least `min_requests` in the last
    `window_s`; a 0 turns that half off.
    """

    consecutive: int = 5
    error_percent: float = 50.0
    min_requests: int = 20
    window_s: float = 10.0


class Outlier(_Value, frozen=True):
    """When an endpoint that fails requests is left alone, whatever its probes say.

    `failures` is a breaker's rule, for one endpoint in one worker.  Out of use for `eject_s` the
    first time, twice as long each next time in a row, `max_eject_s` at most; and never more than
    `max_ejected_percent` of a version's endpoints.  Where fewer than `panic_percent` of them are
    healthy, the ones that were left alone are used all the same.
    """

    failures: BreakerLimits = BreakerLimits()
    eject_s: float = 5.0
    max_eject_s: float = 300.0
    max_ejected_percent: float = 50.0
    panic_percent: float = 50.0


class Route(_Value, frozen=True):
    """One public entry.

    `versions` stand newest first: the order in which sticky keys are shared out.  `order` is the
    route's place in the configuration: the last tie-break between equal rules.  `slow_start_s`: so
    long the share of an endpoint grows that came back or joined; 0: it has all of it at once.
    """

    name: str
    order: int
    rules: tuple[Rule, ...]
    versions: tuple[Version, ...]
    sticky: tuple[StickySource, ...] = ()
    header_routes: tuple[HeaderRoute, ...] = ()
    balance: Balance = Balance.LEAST_REQUEST
    timeouts: Timeouts = Timeouts()
    retry: Retry = Retry()
    health: Health | None = None
    limits: Limits = Limits()
    breaker: BreakerLimits | None = BreakerLimits()
    outlier: Outlier | None = Outlier()
    slow_start_s: float = 0.0
    shadow: Shadow | None = None

    def __post_init__(self) -> None:
        names = [version.name for version in self.versions]
        if len(set(names)) != len(names):
            raise ConfigError(f"route {self.name} names a version twice")
        if (total := sum(version.weight_bp for version in self.versions)) != FULL:
            raise ConfigError(f"weights of route {self.name} sum to {total}, not {FULL}")
        for header_route in self.header_routes:
            if header_route.version not in names:
                raise ConfigError(f"header route to unknown version {header_route.version}")
        if self.shadow is not None:
            self._check_shadow(self.shadow)

    def _check_shadow(self, shadow: Shadow) -> None:
        for version in self.versions:
            if version.name == shadow.version:
                if version.weight_bp:
                    raise ConfigError(f"shadow {shadow.version} of {self.name} has traffic")
                return
        raise ConfigError(f"route {self.name} has no version {shadow.version} to be its shadow")

    @property
    def stable(self) -> Version:
        """The version that a failed canary's requests fall back to."""
        for version in self.versions:
            if version.role is Role.STABLE:
                return version
        return max(self.versions, key=lambda version: version.weight_bp)


class Snapshot(_Value, frozen=True):
    """The whole table of one generation."""

    generation: int
    routes: tuple[Route, ...] = ()

    def __post_init__(self) -> None:
        names = [route.name for route in self.routes]
        if len(set(names)) != len(names):
            raise ConfigError("two routes have one name")
        if any(one.order >= next_.order for one, next_ in pairwise(self.routes)):
            raise ConfigError("routes do not stand in their order")


class SnapshotChange(_Value, frozen=True):
    """What differs between two generations: a weight that moves must not resend 10 000 routes."""

    generation: int
    base: int
    changed: tuple[Route, ...] = ()
    removed: tuple[str, ...] = ()


def difference(old: Snapshot, new: Snapshot) -> SnapshotChange:
    """Tell what turns `old` into `new`; `apply` is its inverse."""
    before = {route.name: route for route in old.routes}
    after = {route.name for route in new.routes}
    return SnapshotChange(
        generation=new.generation,
        base=old.generation,
        changed=tuple(route for route in new.routes if before.get(route.name) != route),
        removed=tuple(name for name in before if name not in after),
    )


def apply(snapshot: Snapshot, change: SnapshotChange) -> Snapshot:
    """Make the next generation.

    Raises:
        ConfigError: `change` was made against another generation.
    """
    if change.base != snapshot.generation:
        raise ConfigError(f"change for {change.base} does not fit {snapshot.generation}")
    routes = {route.name: route for route in snapshot.routes if route.name not in change.removed}
    routes |= {route.name: route for route in change.changed}
    ordered = sorted(routes.values(), key=lambda route: route.order)
    return Snapshot(generation=change.generation, routes=tuple(ordered))
