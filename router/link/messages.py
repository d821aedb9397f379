"""Everything that the two planes say to each other.

Each message is one msgpack map with its type in `t`; `framing` puts a length before it.  Control
and its workers are always of one release (one command starts both), so there is no version
negotiation: `Hello.release` differs only by mistake, and is refused.
"""

import msgspec

from router.snapshot import Snapshot, SnapshotChange
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
    """One endpoint as one worker sees it; `reason` says why it is not healthy."""

    route: str
    version: str
    endpoint: str
    healthy: bool
    reason: str = ""


class Trip(msgspec.Struct, frozen=True, array_like=True):
    """A version that a worker has taken out of the split by itself, and why."""

    route: str
    version: str
    reason: str


class Health(_Message, frozen=True, tag="health"):
    """Endpoints whose health changed, and breakers that tripped; if `complete`, all there are."""

    endpoints: list[EndpointHealth] = []
    trips: list[Trip] = []
    complete: bool = False


class Draining(_Message, frozen=True, tag="draining"):
    """This worker has begun to drain; it no longer counts as live."""


Up = Hello | Ack | Resync | Telemetry | Health | Draining
