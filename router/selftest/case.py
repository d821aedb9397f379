"""What a case is: plain values, so that one table serves a command and a test."""

from enum import StrEnum
from typing import Final

import msgspec

TARGET: Final = b"/case"
SMUGGLED: Final = b"/smuggled"
PLAIN_BODY: Final = b"as usual"
"""What the model server answers where a case says nothing else."""


class Group(StrEnum):
    """What a case is about."""

    BASELINE = "baseline"
    REQUEST_LINE = "request line"
    TARGET = "target"
    SYNTAX = "syntax"
    HOST = "host"
    FRAMING = "framing"
    CHUNKS = "chunks"
    HOP = "hop by hop"
    IDENTITY = "identity"
    EXPECT = "expect"
    LIMITS = "limits"
    PACE = "pace"
    RESPONSE = "response"


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a case is made of."""


# -- what the client does ------------------------------------------------------------------------


class Send(_Value, frozen=True):
    """Send these bytes."""

    raw: bytes


class Wait(_Value, frozen=True):
    """Let so much time go by."""

    seconds: float


class AwaitAnswer(_Value, frozen=True):
    """Wait for an answer, interim or not."""


class AwaitUpstream(_Value, frozen=True):
    """Wait until the model server has the head of a request."""


class HalfClose(_Value, frozen=True):
    """Say nothing more (FIN), but read on."""


class Leave(_Value, frozen=True):
    """Close with a reset."""


Step = Send | Wait | AwaitAnswer | AwaitUpstream | HalfClose | Leave


# -- what the model server does ------------------------------------------------------------------


class End(StrEnum):
    """What it does behind its answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


class Say(_Value, frozen=True):
    """Its answer, as it stands here; `early`: before the request's body."""

    raw: bytes
    end: End = End.KEEP
    early: bool = False


# -- what must come of it ------------------------------------------------------------------------


class Refused(_Value, frozen=True):
    """The client gets one of these statuses and its connection is closed.

    The model server has no whole request, and not even a head unless `begun`.
    """

    statuses: tuple[int, ...] = (400,)
    begun: bool = False


class Forwarded(_Value, frozen=True):
    """The model server gets the request in this one reading, and the client its answer.

    `fields` are all values of a field, `absent` must not be there.  `closes`: the client's
    connection ends behind the answer.  `then` are the statuses of answers to what stands behind
    it; `or_refused`: these statuses are right as well.
    """

    method: bytes = b"GET"
    target: bytes = TARGET
    body: bytes = b""
    count: int = 1
    fields: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    absent: tuple[bytes, ...] = ()
    closes: bool = False
    interim: tuple[int, ...] = ()
    then: tuple[int, ...] = ()
    or_refused: tuple[int, ...] = ()


class Relayed(_Value, frozen=True):
    """The client gets this answer, whole, and nothing besides."""

    status: int = 200
    body: bytes = b""
    fields: tuple[tuple[bytes, tuple[bytes, ...]], ...] = ()
    absent: tuple[bytes, ...] = ()
    attempts: int = 1


class Failed(_Value, frozen=True):
    """The client gets an error of the router's; nothing of the model server's bytes."""

    statuses: tuple[int, ...] = (502,)
    attempts: int = 1


class Truncated(_Value, frozen=True):
    """The client can see that the answer is not whole."""


class Abandoned(_Value, frozen=True):
    """The model server never has a whole request, and its connection is closed."""


Expectation = Refused | Forwarded | Relayed | Failed | Truncated | Abandoned


class Case(_Value, frozen=True):
    """One case; `rule` is the clause it stands on.  A strict one must pass everywhere."""

    name: str
    group: Group
    rule: str
    steps: tuple[Step, ...]
    expect: Expectation
    answer: Say | None = None
    method: bytes = b"GET"
    """How the request's answer must be read: one of HEAD has no body."""
    strict: bool = True

    @property
    def raw(self) -> bytes:
        """All that the client sends."""
        return b"".join(step.raw for step in self.steps if isinstance(step, Send))
