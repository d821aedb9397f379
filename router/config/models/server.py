"""What holds for the whole process: sockets, workers, logs, and who may use the admin port."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from router.config.address import Address
from router.config.fields import (
    Digest,
    Duration,
    ListenAddress,
    LocalFile,
    Name,
    PositiveDuration,
    Section,
    Size,
    Text,
    only_one,
)
from router.config.units import format_size
from router.http1.rules import RULES, ClientRules
from router.tls import ClientCertificates

MAX_WORKERS: Final = 1024


class Door(StrEnum):
    """How requests come in."""

    NATIVE = "native"
    ASGI = "asgi"


class LogMode(StrEnum):
    """Which successful requests get a line; failed ones always do."""

    OFF = "off"
    SAMPLED = "sampled"
    ALL = "all"


class Role(StrEnum):
    """What a token may do; each role may do what the one before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


def _read_workers(value: object) -> int | None:
    if value is None or value == "auto":
        return None
    text = str(value)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_WORKERS):
        raise ValueError(f'must be "auto" or 1 to {MAX_WORKERS}, not "{text}"')
    return int(text)


def _read_access_log(value: Any) -> Any:
    return {"mode": value} if isinstance(value, str) else value


Workers = Annotated[
    int | None,
    PlainValidator(_read_workers),
    PlainSerializer(lambda count: count or "auto", when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": MAX_WORKERS}]}
    ),
]


def _within(least: int, most: int) -> Callable[[int], int]:
    def check(size: int) -> int:
        if not least <= size <= most:
            raise ValueError(f"must be {format_size(least)} to {format_size(most)}")
        return size

    return check


class ClientLimits(Section):
    """How large the parts of a client's request may be; what is larger is refused."""

    max_head_bytes: Annotated[Size, AfterValidator(_within(1024, 1024 * 1024))] = (
        RULES.max_head_bytes
    )
    """Request line and fields together; 431 beyond."""
    max_fields: int = Field(default=RULES.max_fields, ge=1, le=1000)
    """Header fields; 431 beyond."""
    max_target_bytes: Annotated[Size, AfterValidator(_within(256, 16 * 1024))] = (
        RULES.max_target_bytes
    )
    """Path and query; 414 beyond."""
    max_chunk_line_bytes: Annotated[Size, AfterValidator(_within(32, 16 * 1024))] = (
        RULES.max_chunk_line_bytes
    )
    """A chunk's size with its extensions, which are dropped; 400 beyond."""
    max_trailer_bytes: Annotated[Size, AfterValidator(_within(0, 64 * 1024))] = (
        RULES.max_trailer_bytes
    )
    """Fields behind a chunked body, which are dropped; 431 beyond."""


class AccessLog(Section):
    """One JSON line for a request; failed requests always get theirs."""

    mode: LogMode = LogMode.OFF
    """Which successful requests are written: off, sampled or all."""
    sample_ratio: float = Field(default=0.01, gt=0, le=1)
    """Share of successful requests that `sampled` writes, 0 to 1."""
    file: LocalFile | None = None
    """Where the lines go; standard output without it."""


class Shedding(Section):
    """New requests are refused while a worker's event loop cannot keep up."""

    loop_delay_s: PositiveDuration = Field(default=0.5, alias="loopDelay")
    """How late the loop may run its timers, smoothed."""


def _read_shedding(value: object) -> object:
    # YAML reads a bare `off` as false.
    return None if value is False or value == "off" else value


class ListenerTls(Section):
    """TLS on the traffic port; the files are looked at for changes while the router runs."""

    certificate_file: LocalFile
    """The certificate, and behind it its chain, in PEM."""
    key_file: LocalFile
    """Its private key in PEM, without a password."""
    client_ca_file: LocalFile | None = None
    """Authorities whose certificates clients may show."""
    client_certificates: ClientCertificates = ClientCertificates.OFF
    """Whether clients are asked for one: off, optional or required."""
    forward_client_certificate: bool = False
    """Tell model servers of a verified one, in X-Forwarded-Client-Cert."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS that is spoken."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        asks = self.client_certificates is not ClientCertificates.OFF
        if asks and self.client_ca_file is None:
            raise ValueError("clientCertificates needs clientCaFile: who may sign them?")
        if not asks and self.client_ca_file is not None:
            raise ValueError(
                "clientCaFile verifies nobody while clientCertificates is off: "
                "write optional or required"
            )
        if not asks and self.forward_client_certificate:
            raise ValueError("forwardClientCertificate needs clientCertificates")
        return self


class Server(Section):
    """Sockets, worker processes and their deadlines."""

    listen: ListenAddress = Address("0.0.0.0", 8080)  # noqa: S104  # a proxy is there to be reached
    """Where clients connect."""
    admin: ListenAddress = Address("127.0.0.1", 8081)
    """Where people, probes and Prometheus connect; only loopback is allowed without tokens."""
    workers: Workers = None
    """Data plane processes; `auto` is one for each usable CPU."""
    drain_s: Duration = Field(default=600.0, alias="drainSeconds")
    """How long open streams may go on after SIGTERM."""
    drain_delay_s: Duration = Field(default=0.0, alias="drainDelaySeconds")
    """How long the router still accepts requests after it has stopped being ready."""
    door: Door = Door.NATIVE
    """How requests come in: our own protocol class, or any ASGI server's."""
    tls: ListenerTls | None = None
    """TLS on the traffic port; plain HTTP without it."""
    access_log: Annotated[
        AccessLog, BeforeValidator(_read_access_log, json_schema_input_type=LogMode | AccessLog)
    ] = AccessLog()
    """One line a request: off, sampled, all, or a mapping."""
    head_timeout_s: PositiveDuration = Field(default=10.0, alias="headTimeout")
    """How long a client may take to send a request's head."""
    keep_alive_timeout_s: PositiveDuration = Field(default=75.0, alias="keepAliveTimeout")
    """How long an idle client connection stays open."""
    body_timeout_s: PositiveDuration = Field(default=60.0, alias="bodyTimeout")
    """How long a client may send nothing of a body that it owes."""
    write_timeout_s: PositiveDuration = Field(default=60.0, alias="writeTimeout")
    """How long a client may leave an answer lying that waits for it."""
    upstream_idle_timeout_s: PositiveDuration = Field(default=4.0, alias="upstreamIdleTimeout")
    """How long an idle connection to a model server is kept at most; less is learned of each."""
    min_body_bytes_per_s: int = Field(
        default=RULES.min_body_bytes_per_s, ge=0, le=1_000_000, alias="minBodyBytesPerSecond"
    )
    """Bodies that come more slowly are refused with 408; 0 takes any."""
    shedding: Annotated[
        Shedding | None,
        BeforeValidator(_read_shedding, json_schema_input_type=Literal["off"] | Shedding),
    ] = Shedding()
    """When new requests are refused for the sake of those that were begun; or off."""
    limits: ClientLimits = ClientLimits()
    """How large the parts of a request may be."""
    trusted_proxies: int = Field(default=RULES.trusted_proxies, ge=0, le=16)
    """Proxies in front of the router, whose entries of X-Forwarded-For are believed."""

    @property
    def shed_delay_s(self) -> float:
        """The same for a worker; 0: never."""
        return self.shedding.loop_delay_s if self.shedding is not None else 0.0

    @model_validator(mode="after")
    def _check_door(self) -> Self:
        told = self.tls is not None and self.tls.forward_client_certificate
        if told and self.door is not Door.NATIVE:
            # ASGI has no place for a certificate, and a client's port is no proof of who it is.
            raise ValueError("tls.forwardClientCertificate needs door: native")
        return self

    @property
    def client_rules(self) -> ClientRules:
        """What a worker must know of all this."""
        return ClientRules(
            **self.limits.model_dump(),
            min_body_bytes_per_s=self.min_body_bytes_per_s,
            trusted_proxies=self.trusted_proxies,
        )


class Token(Section):
    """Somebody who may use the admin port; only the digest of the secret stands here."""

    hints: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("token", "secret", "password", "value", "plain"),
        "a token never stands here in plain text: write `sha256:` with the output of "
        """`printf %s "$TOKEN" | sha256sum`""",
    )

    name: Name
    """Who it is, in the audit trail."""
    role: Role
    """What the token may do: viewer, operator or admin."""
    sha256: Digest | None = Field(default=None, repr=False)
    """SHA-256 of the token, in hexadecimal."""
    sha256_env: Text | None = Field(default=None, alias="sha256Env")
    """Environment variable that holds the digest."""
    sha256_file: LocalFile | None = Field(default=None, alias="sha256File")
    """File that holds the digest."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, "sha256", "sha256_env", "sha256_file")
        return self


class Auth(Section):
    """Who may use the admin port."""

    tokens: tuple[Token, ...] = ()
    """Without any, the admin port only listens on loopback."""
