"""A route: what it matches, its versions, and its traffic policy."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from router.config.fields import (
    Digest,
    Document,
    Duration,
    Endpoint,
    HeaderName,
    LocalFile,
    Method,
    Name,
    OneOrMore,
    OnlyTrue,
    PositiveDuration,
    Regex,
    Section,
    Share,
    Size,
    Text,
    UrlPath,
    only_one,
)
from router.config.models.match import HeaderTest, MatchRule
from router.config.models.shadow import Shadow
from router.config.models.strategy import Strategy
from router.snapshot import Balance

Status = Annotated[int, Field(ge=100, le=599)]


class Lineage(Section):
    """Where a version comes from; kept with the state and copied into the audit trail."""

    registry: Text | None = None
    """URI of the model in its registry, like `models:/llama/7`."""
    run: Text | None = None
    """The training run."""
    code_commit: Text | None = None
    """The commit of the code that made it."""
    data_sha256: Digest | None = Field(default=None, alias="dataSha256")
    """Digest of the data that it was trained with."""
    evaluation: Document = Field(default_factory=dict)
    """Results of its evaluation: any names and values."""
    labels: Mapping[str, str] = Field(default_factory=dict)
    """Anything else worth knowing, as text."""


class Tls(Section):
    """How the https endpoints of a version are verified."""

    verify: bool = True
    """Whether the server's certificate must be valid."""
    ca_file: LocalFile | None = None
    """Authorities to trust instead of the system's."""
    server_name: Text | None = None
    """The name to ask for and to verify, where it is not the endpoint's host."""
    certificate_file: LocalFile | None = None
    """Our own certificate, for servers that want one."""
    key_file: LocalFile | None = None
    """The key of our own certificate."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificateFile and keyFile belong together")
        return self


class Circuit(Section):
    """Bounds of one version in each worker, inside those of its route; like a circuit breaker's."""

    max_in_flight: int = Field(ge=1)
    """Requests at the same time."""
    max_pending: int = Field(default=0, ge=0)
    """Requests that wait for a place, for the route's `queueTimeout` at most."""


class Version(Section):
    """One deployable version of the model."""

    endpoints: tuple[Endpoint, ...] = Field(min_length=1)
    """Base URLs of its model servers: http, https, or dns (http to every resolved address)."""
    model: Text | None = None
    """The model's name on its own servers, where clients use another."""
    lineage: Lineage | None = None
    """Where it comes from."""
    limits: Circuit | None = None
    """Bounds of its own in each worker; without them only the route's hold."""
    tls: Tls = Tls()
    """How its https endpoints are verified."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        texts = [endpoint.text for endpoint in self.endpoints]
        if twice := next((text for text in texts if texts.count(text) > 1), None):
            raise ValueError(f'lists endpoint "{twice}" twice')
        return self


class StickySource(Section):
    """One place to look for the key that keeps a user on one version."""

    header: HeaderName | None = None
    """A request header's value."""
    cookie: Annotated[str, AfterValidator(lambda name: _check_cookie(name))] | None = None
    """A cookie's value."""
    body: Text | None = None
    """A top-level field of a JSON body, like `user`."""
    api_key: OnlyTrue | None = None
    """The client's API key."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, "header", "cookie", "body", "api_key")
        return self


def _check_cookie(name: str) -> str:
    if not name or set(name) & set('()<>@,;:\\"/[]?={} \t') or not name.isascii():
        raise ValueError(f'not a cookie name: "{name}"')
    return name


class Sticky(Section):
    """What keeps a conversation on one version."""

    by: tuple[StickySource, ...] = Field(min_length=1)
    """Where to look for a key; the first one found counts."""


class HeaderRoute(HeaderTest):
    """Requests that carry a header go to one version, whatever the weights."""

    header: HeaderName
    """The header's name."""
    version: Name
    """Where such requests go."""


class Timeouts(Section):
    """Deadlines of each phase; a stream as a whole has none."""

    connect_s: PositiveDuration = Field(default=2.0, alias="connect")
    """To open a connection to a model server."""
    first_byte_s: PositiveDuration = Field(default=120.0, alias="firstByte")
    """From the end of the request to the first byte of the answer."""
    idle_s: PositiveDuration = Field(default=60.0, alias="idle")
    """Between two chunks of an answer."""


_RETRYABLE: Final = ("connect", "reset", "timeout")


def _read_retry_cause(value: object) -> str | int:
    text = str(value)
    if text in _RETRYABLE:
        return text
    if text.isascii() and text.isdigit() and 500 <= int(text) <= 599:
        return int(text)
    raise ValueError(f'must be connect, reset, timeout or a status from 500 to 599, not "{text}"')


RetryCause = Annotated[
    str | int,
    PlainValidator(_read_retry_cause),
    WithJsonSchema(
        {"anyOf": [{"enum": [*_RETRYABLE]}, {"type": "integer", "minimum": 500, "maximum": 599}]}
    ),
]


class Retry(Section):
    """When an attempt that failed before the first byte of its answer is made again."""

    attempts: int = Field(default=2, ge=1, le=10)
    """Attempts in all, the first one included."""
    on: tuple[RetryCause, ...] = ("connect", "reset")
    """What counts as failed: connect, reset (or an answer that is no HTTP), timeout, statuses.

    timeout is `timeouts.firstByte`.  It is not in the default: a slow model server is mostly a busy
    one, and works on what it was asked before.  Statuses are from 500 to 599.
    """
    budget_percent: float = Field(default=20.0, ge=0, le=100)
    """Retries as a share of the route's requests; three a second are always allowed."""
    canary_fallback: bool = True
    """Whether a canary's failed request is sent to stable."""
    methods: tuple[Method, ...] | None = None
    """Methods that may be sent again once a model server may have seen the request.

    Without it: idempotent methods, the well-known inference calls, and whatever carries an
    Idempotency-Key.  An empty list: nothing.
    """

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses among the causes."""
        return tuple(sorted({cause for cause in self.on if isinstance(cause, int)}))


class Health(Section):
    """Active probes of every endpoint of the route."""

    path: UrlPath = "/health"
    """What is asked with GET."""
    interval_s: PositiveDuration = Field(default=5.0, alias="interval")
    """Time between two probes."""
    timeout_s: PositiveDuration = Field(default=2.0, alias="timeout")
    """How long a probe may take."""
    unhealthy_after: int = Field(default=3, ge=1, le=1000)
    """Failed probes in a row that take an endpoint out."""
    healthy_after: int = Field(default=2, ge=1, le=1000)
    """Good probes in a row that bring it back."""
    expected_status: Annotated[tuple[Status, ...], OneOrMore] = Field(default=(200,), min_length=1)
    """One status or several that are healthy."""
    expected_body: Regex | None = None
    """A regular expression that the first 64 KiB of the answer must hold."""


MAX_CLASSES: Final = 8
"""Classes of priority are values of a metric's label, and people have to know them apart."""


class Priority(Section):
    """Which requests wait less, and are refused last."""

    header: HeaderName = "x-request-priority"
    """The request header that names the class."""
    classes: tuple[Name, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    """From the highest to the lowest."""
    default: Name
    """The class of requests without the header, or with another value."""
    forward: bool = False
    """Whether the model server is sent the header, too."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.classes) < 2:
            raise ValueError("one class is as good as none: name at least 2, or leave priority out")
        if twice := next((name for name in self.classes if self.classes.count(name) > 1), None):
            raise ValueError(f'lists class "{twice}" twice')
        if self.default not in self.classes:
            known = ", ".join(self.classes)
            raise ValueError(f'default "{self.default}" is not one of the classes: {known}')
        return self


class Limits(Section):
    """Bounds of the route in each worker."""

    max_in_flight: int = Field(default=1024, ge=1)
    """Requests at the same time."""
    max_queue: int = Field(default=1024, ge=0)
    """Requests that wait for a place."""
    queue_timeout_s: Duration = Field(default=5.0, alias="queueTimeout")
    """How long they wait."""
    max_body_bytes: Size = 64 * 1024 * 1024
    """Longer request bodies are refused with 413."""
    max_replay_bytes: Size = 1024 * 1024
    """Longer request bodies stream through and are never sent a second time."""
    max_inspect_bytes: Size = 1024 * 1024
    """`model` and a sticky body field must stand within these first bytes."""
    priority: Priority | None = None
    """Classes of requests; without them all wait in one line."""


class Breaker(Section):
    """When a worker takes a failing version out of the split by itself; never the stable one."""

    consecutive: int = Field(default=5, ge=0, le=10_000)
    """Failures in a row; 0: however many."""
    error_percent: float = Field(default=50.0, ge=0, le=100)
    """Failures as a share of the requests in the window; 0: whatever share."""
    min_requests: int = Field(default=20, ge=1)
    """Below so many requests in the window a share means nothing."""
    window_s: PositiveDuration = Field(default=10.0, alias="window")
    """What the share is taken of."""


class Outlier(Breaker):
    """When an endpoint that fails requests is left alone for a while, whatever its probes say."""

    ejection_s: PositiveDuration = Field(default=5.0, alias="ejection")
    """How long the first time; twice as long each next time in a row."""
    max_ejection_s: PositiveDuration = Field(default=300.0, alias="maxEjection")
    """At most so long."""
    max_ejected_percent: float = Field(default=50.0, ge=0, le=100)
    """Share of a version's endpoints that may be left alone at a time."""
    panic_percent: float = Field(default=50.0, ge=0, le=100)
    """If fewer of a version's endpoints are healthy, those left alone are used all the same."""


def _read_off(value: object) -> object:
    # YAML reads a bare `off` as false.
    return None if value is False or value == "off" else value


class Route(Section):
    """A public entry that clients call."""

    name: Name
    """Its name in metrics, headers and the admin API."""
    match: tuple[MatchRule, ...] = Field(min_length=1)
    """Which requests it takes: those that any of these rules matches."""
    versions: Mapping[Name, Version] = Field(min_length=1)
    """The model's versions, oldest first."""
    release: Name | None = None
    """The version that should become stable; a new one starts a rollout."""
    initial_weights: Mapping[Name, Share] | None = None
    """Percent by version with which the route starts when nothing is stored about it yet.

    Bootstrap only: later weights live in the store, never in this file.
    """
    strategy: Strategy | None = None
    """How traffic moves when `release` changes."""
    sticky: Sticky | None = None
    """What keeps a conversation on one version."""
    header_routes: tuple[HeaderRoute, ...] = ()
    """Headers that choose a version; the first that matches counts."""
    shadow: Shadow | None = None
    """A version that gets copies of requests and whose answers no client sees."""
    balance: Balance = Balance.LEAST_REQUEST
    """How an endpoint is chosen: leastRequest, p2c or roundRobin."""
    slow_start_s: Duration = Field(default=0.0, alias="slowStart")
    """How long the share of an endpoint grows that came back or joined; 0s: all at once."""
    timeouts: Timeouts = Timeouts()
    """Deadlines of each phase."""
    retry: Retry = Retry()
    """When a failed attempt is made again."""
    health: Health | None = None
    """Active probes; without them an endpoint is judged by its requests alone."""
    limits: Limits = Limits()
    """Bounds of the route in each worker."""
    outlier: Annotated[
        Outlier | None,
        BeforeValidator(_read_off, json_schema_input_type=Literal["off"] | Outlier),
    ] = Outlier()
    """When a failing endpoint is left alone for a while; off: only refused connections do that."""
    breaker: Annotated[
        Breaker | None,
        BeforeValidator(_read_off, json_schema_input_type=Literal["off"] | Breaker),
    ] = Breaker()
    """When a failing version loses its traffic at once, without the controller; or off."""
