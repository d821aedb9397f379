"""One entry of the audit trail, before and after it has its place in the chain.

Values only; `chain` gives an entry its place.  Times are seconds since 1970 UTC.
"""

from typing import Any, Final

import msgspec

CONTROLLER: Final = "controller"


class Actor(msgspec.Struct, frozen=True):
    """Who acts: a token's name and role, and the address that the call came from.

    The router itself acts as `controller` with role `system` and no address.
    """

    name: str
    role: str
    address: str = ""


SYSTEM: Final = Actor(CONTROLLER, "system")


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What happened, as whoever did it tells it.

    `action` is a word of a closed list in `router.controller.changes`, like `weights.set`.
    `before` and `after` are JSON values (the route's state as people read it), never secrets.
    `generation` is the one that the action made, or None if the routing table stayed the same.
    `evidence` are the measured values that led to a decision of the controller.
    """

    time_s: float
    actor: Actor
    action: str
    route: str | None = None
    reason: str = ""
    before: Any = None
    after: Any = None
    generation: int | None = None
    evidence: Any = None


class Entry(Draft, frozen=True, kw_only=True):
    """A draft with its place in the chain: `sequence` counts from 1 without a gap.

    `previous` is the hash of the entry before it (64 zeros for the first), `hash` its own; both
    are hexadecimal SHA-256.
    """

    sequence: int
    previous: str
    hash: str


class Head(msgspec.Struct, frozen=True):
    """The newest audit entry: its number and hash, recorded apart from the entries.

    As text `sequence:hash`; somebody who keeps that text elsewhere has an anchor.
    """

    sequence: int
    hash: str

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"
