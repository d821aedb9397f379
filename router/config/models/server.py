"""What holds for the whole process: sockets, workers, logs, and who may use the admin port."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
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
    Text,
    only_one,
)

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


class AccessLog(Section):
    """One JSON line for a request; failed requests always get theirs."""

    mode: LogMode = LogMode.OFF
    """Which successful requests are written: off, sampled or all."""
    sample_ratio: float = Field(default=0.01, gt=0, le=1)
    """Share of successful requests that `sampled` writes, 0 to 1."""
    file: LocalFile | None = None
    """Where the lines go; standard output without it."""


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
    access_log: Annotated[
        AccessLog, BeforeValidator(_read_access_log, json_schema_input_type=LogMode | AccessLog)
    ] = AccessLog()
    """One line a request: off, sampled, all, or a mapping."""
    head_timeout_s: PositiveDuration = Field(default=10.0, alias="headTimeout")
    """How long a client may take to send a request's head."""
    keep_alive_timeout_s: PositiveDuration = Field(default=75.0, alias="keepAliveTimeout")
    """How long an idle client connection stays open."""


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
