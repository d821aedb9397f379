"""What a model server said to one request."""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    """How a request to a version ended."""

    ANSWERED = "answered"
    ERROR = "error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One version's answer; `status` 0 and an empty body where none began.

    Times in seconds since the request was sent to the model server; None: it did not come so far.
    """

    outcome: Outcome
    reason: str = ""
    status: int = 0
    content_type: str = ""
    body: bytes = b""
    first_byte_s: float | None = None
    first_token_s: float | None = None
    duration_s: float = 0.0
