"""What the admin API answers, as far as people are shown it.

Fields that a later release adds are ignored; those that an answer may lack have defaults.  Units:
weights in percent, times in seconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from router.cli.failures import ForeignError

Document = TypeVar("Document", bound=msgspec.Struct)


def read(document: Any, kind: type[Document]) -> Document:
    """An answer as what it should be.

    Raises:
        ForeignError: it is something else.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ForeignError(
            f"the answer is not one that this release knows ({error}); is the router's release "
            "another one? (--output json shows answers as they are)"
        ) from None


class SlowStart(msgspec.Struct, frozen=True):
    """What an endpoint that came back gets of a full share, in percent, until it has all."""

    percent: float
    until: float


class Endpoint(msgspec.Struct, frozen=True, rename="camel"):
    """One model server as the workers see it.

    `ejected_until`: so long a worker leaves it alone.  `idle_seconds`: how long its idle
    connections are kept, where it closes them early itself.
    """

    url: str
    healthy: bool
    healthy_workers: int = 0
    workers: int = 0
    reasons: tuple[str, ...] = ()
    ejections: int = 0
    ejected_until: float | None = None
    slow_start: SlowStart | None = None
    idle_seconds: float | None = None


class Circuit(msgspec.Struct, frozen=True, rename="camel"):
    """A version's own bounds, in each worker, and how full they are in all together."""

    max_in_flight: int
    max_pending: int
    in_flight: int = 0
    pending: int = 0
    refused: dict[str, int] = {}


class Admission(msgspec.Struct, frozen=True, rename="camel"):
    """A route's bounds, in each worker, and how full they are in all together."""

    max_in_flight: int
    max_queue: int
    workers: int = 0
    in_flight: int = 0
    queued: int = 0
    refused: dict[str, int] = {}
    shed: dict[str, int] = {}
    shed_share: float = 0.0


class Version(msgspec.Struct, frozen=True):
    """A version of a route; `wanted` is the controller's weight where a person's replaces it.

    `tripped`: why a worker has taken it out of the split by itself.  `panic`: a worker uses
    endpoints that it had left alone, as too few are healthy.  `in_flight`: requests that it
    is answering; those that were begun while it had traffic end at `drain_until`.  `warm_until`: so
    long it is kept ready for the traffic.
    """

    name: str
    role: str
    weight: float
    wanted: float | None = None
    model: str | None = None
    lineage: dict[str, Any] | None = None
    tripped: str | None = None
    panic: bool = False
    circuit: Circuit | None = None
    in_flight: int = msgspec.field(default=0, name="inFlight")
    drain_until: float | None = msgspec.field(default=None, name="drainUntil")
    warm_until: float | None = msgspec.field(default=None, name="warmUntil")
    endpoints: tuple[Endpoint, ...] = ()


class Override(msgspec.Struct, frozen=True):
    """Weights that a person has set."""

    weights: dict[str, float]
    holder: str
    reason: str
    since: float
    expires: float | None = None


class Shadow(msgspec.Struct, frozen=True):
    """The version that gets copies of requests; `by` is person, rollout or configuration."""

    version: str
    percent: float
    by: str = ""


class Route(msgspec.Struct, frozen=True):
    """A route and how far it has come; without `shadow` nothing is copied."""

    name: str
    stable: str
    versions: tuple[Version, ...]
    generation: int | None = None
    override: Override | None = None
    past: tuple[str, ...] = ()
    rejected: str | None = None
    shadow: Shadow | None = None
    admission: Admission | None = None


class Routes(msgspec.Struct, frozen=True):
    """Every route."""

    generation: int
    routes: tuple[Route, ...]


class Applied(msgspec.Struct, frozen=True):
    """Who serves a generation, and who is not known to."""

    workers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


class Share(msgspec.Struct, frozen=True):
    """What a change would do to one version's weight."""

    version: str
    before: float | None = None
    after: float | None = None


class Standing(msgspec.Struct, frozen=True):
    """How far a rollout is in a dry run; `step` counts those that have passed."""

    phase: str
    target: str
    reason: str | None = None
    step: int = 0


class State(msgspec.Struct, frozen=True):
    """A route in a dry run, as far as its weights do not tell it."""

    rollout: Standing | None = None
    shadow: Shadow | None = None


class Outcome(msgspec.Struct, frozen=True, rename="camel"):
    """What a change did, or would do; `name` and `versions` are the route as it is now.

    `repeated`: its idempotency key was known, and nothing was done again.  A dry run has
    `changes`, and the route `before` and `after` it.
    """

    generation: int
    name: str | None = None
    versions: tuple[Version, ...] = ()
    shadow: Shadow | None = None
    applied: Applied | None = None
    repeated: bool = False
    dry_run: bool = False
    changes: tuple[Share, ...] = ()
    before: State = State()
    after: State = State()


class Actor(msgspec.Struct, frozen=True):
    """Who acted."""

    name: str
    role: str = ""
    address: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One entry of the audit trail."""

    sequence: int
    time: float
    actor: Actor
    action: str
    route: str | None = None
    reason: str = ""
    before: Any = None
    after: Any = None
    generation: int | None = None
    evidence: Any = None


class Entries(msgspec.Struct, frozen=True):
    """A page of the trail; `next` is where the next one begins."""

    entries: tuple[Entry, ...]
    next: int | str | None = None


class Moved(msgspec.Struct, frozen=True):
    """What a generation changed about one route; None: the route was not there."""

    route: str
    before: dict[str, float] | None = None
    after: dict[str, float] | None = None


class Generation(msgspec.Struct, frozen=True, rename="camel"):
    """One generation: what it changed, who did it, and why."""

    number: int
    time: float
    routes: tuple[Moved, ...] = ()
    routes_changed: int = 0
    entries: tuple[Entry, ...] = ()


class Head(msgspec.Struct, frozen=True):
    """The newest audit entry."""

    sequence: int
    hash: str


class Bad(msgspec.Struct, frozen=True):
    """The first place where the trail is not what was written."""

    sequence: int
    problem: str


class Verdict(msgspec.Struct, frozen=True, rename="camel"):
    """What a verification has found."""

    ok: bool
    entries: int
    head: Head | None = None
    first_bad: Bad | None = None


class Explanation(msgspec.Struct, frozen=True, rename="camel"):
    """Where a request goes, and why."""

    why: tuple[str, ...]
    route: str | None = None
    version: str | None = None
    shares: dict[str, float] | None = None
    endpoints: tuple[str, ...] = ()
    upstream_model: str | None = None


class FieldError(msgspec.Struct, frozen=True):
    """One field of a request that cannot be used."""

    field: str
    message: str


class Failing(msgspec.Struct, frozen=True):
    """A model server that keeps its version from getting all traffic."""

    url: str
    reason: str = ""


class Problem(msgspec.Struct, frozen=True):
    """Why a call was refused (RFC 9457)."""

    type: str = "about:blank"
    status: int = 0
    title: str = ""
    detail: str = ""
    errors: tuple[FieldError, ...] = ()
    current: Any = None
    endpoints: tuple[Failing, ...] = ()
