"""Make what control compares of a settled copy."""

from typing import TYPE_CHECKING, Final

from router.dataplane.mirror.capture import Capture
from router.dataplane.mirror.leg import Leg
from router.dataplane.mirror.request import read_fields
from router.link.messages import Captured, Pair

if TYPE_CHECKING:
    from router.dataplane.mirror.copy import Copy

MAX_PAIR_BYTES: Final = 1024 * 1024
"""Bodies of one pair on the link: encoding as much takes the worker's loop 0.3 ms."""


def make_pair(copy: "Copy", route: str, time_s: float) -> Pair | None:
    """The pair, without the request's body where it would be too long; None: too long even so."""
    answers = [copy.primary.capture, copy.shadow.capture]
    twin = copy.twin
    if twin is not None and not twin.is_dropped:
        answers.append(twin.capture)
    size = sum(capture.size for capture in answers)
    if size > MAX_PAIR_BYTES or not all(capture.whole for capture in answers):
        return None
    keeps_request = size + len(copy.body) <= MAX_PAIR_BYTES
    return Pair(
        route=route,
        request_id=copy.request_id.decode("latin-1"),
        time_s=time_s,
        generation=copy.generation,
        method=copy.head.method.decode("latin-1"),
        target=copy.head.target.decode("latin-1"),
        fields=copy.summary.fields,
        request=copy.body if keeps_request else None,
        primary=_primary(copy),
        shadow=_of_leg(copy.shadow),
        twin=_of_leg(twin) if twin is not None and not twin.is_dropped else None,
    )


def _primary(copy: "Copy") -> Captured:
    primary = copy.primary
    return _captured(
        primary.capture,
        version=primary.version,
        outcome=primary.outcome,
        reason=primary.reason,
        sent_at=primary.sent_at,
        ended_at=primary.ended_at,
    )


def _of_leg(leg: Leg) -> Captured:
    # A whole answer with status 500 is an answer: what it says can be compared.
    whole = leg.capture.head is not None and leg.reason.isdigit()
    return _captured(
        leg.capture,
        version=leg.version.spec.name,
        outcome="answered" if whole else leg.outcome,
        reason=leg.reason,
        sent_at=leg.sent_at,
        ended_at=leg.ended_at,
    )


def _captured(
    capture: Capture, *, version: str, outcome: str, reason: str, sent_at: float, ended_at: float
) -> Captured:
    head = capture.head
    return Captured(
        version=version,
        outcome=outcome,
        reason=reason,
        status=head.status if head is not None else 0,
        fields=read_fields(head.fields) if head is not None else [],
        body=b"".join(capture.pieces),
        first_byte_s=_since(sent_at, capture.began_at),
        first_token_s=_since(sent_at, capture.token_at),
        duration_s=_since(sent_at, ended_at) or 0.0,
    )


def _since(start: float, moment: float) -> float | None:
    return max(0.0, moment - start) if start and moment else None
