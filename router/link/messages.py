"""Everything that the two planes say to each other.

Each message is one msgpack map with its type in `t`; `framing` puts a length before it.  Control
and its workers are always of one release (one command starts both), so there is no version
negotiation: `Hello.release` differs only by mistake, and is refused.
"""

import msgspec

from router.snapshot import Snapshot, SnapshotChange, endpoint_label
from router.telemetry.recorder import Series


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="t", omit_defaults=True):
    """Base of all messages."""


# -- down: control to worker -------------------------------------------------------------------


class Install(_Message, frozen=True, tag="install"):
    """Serve this whole table; sent when a worker connects or cannot follow a change."""

    snapshot: Snapshot


class Change(_Message, frozen=True, tag="change"):
    """Serve the table that this change makes of the one you serve."""

    change: SnapshotChange


class Drain(_Message, frozen=True, tag="drain"):
    """Finish what runs, take nothing new, exit."""


Down = Install | Change | Drain


# -- up: worker to control ---------------------------------------------------------------------


class Hello(_Message, frozen=True, tag="hello"):
    """A worker's first message; `generation` is what it serves already (0: nothing)."""

    worker: str
    pid: int
    release: str
    generation: int = 0


class Ack(_Message, frozen=True, tag="ack"):
    """Every request decided from now on uses this generation."""

    generation: int


class Resync(_Message, frozen=True, tag="resync"):
    """A change did not fit what this worker serves: send the whole table."""

    generation: int


class Telemetry(_Message, frozen=True, tag="telemetry"):
    """Absolute values of the series that changed since the last one."""

    series: list[Series]


class EndpointHealth(msgspec.Struct, frozen=True, array_like=True):
    """One endpoint as one worker sees it; `reason` says why it is not healthy.

    `endpoint` is its URL as configured, `address` which of a `dns://` endpoint's it is, else empty.
    `ejections`: times that it was left alone, `ejected_until_s` until when it is.  Between
    `warm_from_s` and `warm_until_s` its share grows (`slowStart`).  `idle_s`: how long its idle
    connections are kept, where that was learned.  Times in seconds since 1970 UTC; 0: none.
    """

    route: str
    version: str
    endpoint: str
    healthy: bool
    reason: str = ""
    ejections: int = 0
    ejected_until_s: float = 0.0
    warm_from_s: float = 0.0
    warm_until_s: float = 0.0
    idle_s: float = 0.0
    address: str = ""

    @property
    def label(self) -> str:
        """Its name among the endpoints of its version."""
        return endpoint_label(self.endpoint, self.address)


class Gone(msgspec.Struct, frozen=True, array_like=True):
    """An address that a `dns://` endpoint does not resolve to any more."""

    route: str
    version: str
    endpoint: str
    address: str

    @property
    def label(self) -> str:
        """What it was known by (see `EndpointHealth`)."""
        return endpoint_label(self.endpoint, self.address)


class Trip(msgspec.Struct, frozen=True, array_like=True):
    """A version that a worker has taken out of the split by itself, and why."""

    route: str
    version: str
    reason: str


class Panic(msgspec.Struct, frozen=True, array_like=True):
    """Whether a worker gives a version's requests to endpoints that it had left alone."""

    route: str
    version: str
    active: bool


class Health(_Message, frozen=True, tag="health"):
    """Endpoints whose health changed, and breakers that tripped; if `complete`, all there are.

    `panics` are the versions of these endpoints; if `complete`, those in panic.  `gone` are not
    there any more; never if `complete`.
    """

    endpoints: list[EndpointHealth] = []
    trips: list[Trip] = []
    panics: list[Panic] = []
    gone: list[Gone] = []
    complete: bool = False


Fields = list[tuple[str, str]]
"""Header fields as they came, names in lower case."""


class Captured(msgspec.Struct, frozen=True, array_like=True):
    """What one version answered to a request that was copied.

    `outcome` is answered, error, timeout or cancelled; `reason` says more of the others.  `status`
    0: no answer began.  `fields` are the answer's header fields; `body` is the whole body, as it
    was framed for HTTP/1.0.  Times in seconds from the moment the request was sent to the model
    server; None: it did not come so far.
    """

    version: str
    outcome: str
    reason: str = ""
    status: int = 0
    fields: Fields = []
    body: bytes = b""
    first_byte_s: float | None = None
    first_token_s: float | None = None
    duration_s: float = 0.0


class Pair(_Message, frozen=True, tag="pair"):
    """One copied request, what its client got, and what the shadow (and a twin) answered.

    `primary` is the stable version's answer, `twin` the same version's answer to the same
    request asked a second time.  `request` is the body as the client sent it, None where it was
    left out because the pair would have been too long.  `time_s`: since 1970 UTC.
    """

    route: str
    request_id: str
    time_s: float
    generation: int
    method: str
    target: str
    fields: Fields
    request: bytes | None
    primary: Captured
    shadow: Captured
    twin: Captured | None = None


class Draining(_Message, frozen=True, tag="draining"):
    """This worker has begun to drain; it no longer counts as live."""


Up = Hello | Ack | Resync | Telemetry | Health | Pair | Draining
