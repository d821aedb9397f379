"""One copied request, from its sampling to the pair that is handed to control.

    collecting → queued → running → settled

It is settled once every leg has ended and the client's own answer too; then the mirror forgets
it.  Whatever happens, each leg is counted with exactly one outcome.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final

from router.dataplane.client import Client
from router.dataplane.mirror.capture import Capture
from router.dataplane.mirror.leg import TIMEOUT, Leg
from router.dataplane.mirror.request import CopiedHead
from router.dataplane.mirror.tap import Tap
from router.dataplane.table import LiveRoute, LiveVersion
from router.dataplane.upstream.endpoint import EndpointState
from router.http1.request import RequestHead
from router.telemetry.recorder import ShadowRecorder

if TYPE_CHECKING:
    from router.dataplane.mirror.mirror import Mirror


class State(Enum):
    """How far a copy has come."""

    COLLECTING = "collecting"
    QUEUED = "queued"
    RUNNING = "running"
    SETTLED = "settled"


class Primary:
    """What became of the client's own request; times are the worker's clock."""

    __slots__ = ("capture", "ended_at", "outcome", "reason", "sent_at", "status", "version")

    def __init__(self, capture: Capture) -> None:
        self.capture: Final = capture
        self.version = ""
        self.outcome = ""
        self.reason = ""
        self.status = 0
        self.sent_at = 0.0
        self.ended_at = 0.0


class Copy:
    """See the module."""

    __slots__ = (
        "_forwarded",
        "_pieces",
        "_received",
        "_route",
        "body",
        "deadline",
        "generation",
        "head",
        "held",
        "is_paired",
        "mirror",
        "primary",
        "repeatable",
        "request_id",
        "shadow",
        "state",
        "summary",
        "twin",
    )

    def __init__(
        self,
        mirror: "Mirror",
        route: LiveRoute,
        summary: CopiedHead,
        head: RequestHead,
        request_id: bytes,
        forwarded: bytes,
        generation: int,
        deadline: float,
        *,
        repeatable: bool,
        paired: bool,
    ) -> None:
        self.repeatable: Final = repeatable
        self.is_paired: Final = paired
        self.mirror: Final = mirror
        self.head: Final = head
        self.summary: Final = summary
        self.request_id: Final = request_id
        self.generation: Final = generation
        self.deadline: Final = deadline
        self._route: Final = route
        self._forwarded: Final = forwarded
        self._pieces: list[bytes] = []
        self._received = 0
        self.body = b""
        self.held = 0
        self.state = State.COLLECTING
        self.shadow: Leg
        self.twin: Leg | None = None
        self.primary: Final = Primary(self._capture())

    def __repr__(self) -> str:
        return f"<Copy {self.request_id.decode('latin-1')} {self.state.value}>"

    def ask(self, version: LiveVersion, recorder: ShadowRecorder, *, twin: bool = False) -> None:
        """Say whom to send it to: the shadow, and perhaps a twin as well."""
        leg = Leg(self, version, self._capture(), recorder, twin=twin)
        if twin:
            self.twin = leg
        else:
            self.shadow = leg

    def _capture(self) -> Capture:
        limit = self.mirror.spec.max_response_bytes
        return Capture(limit, self._take if self.is_paired else None)

    def _take(self, size: int) -> bool:
        if not self.mirror.take(size):
            return False
        self.held += size
        return True

    # -- the request -------------------------------------------------------------------------

    def feed(self, body: bytes, complete: bool) -> None:
        """Take what came of the request's body."""
        if self.state is not State.COLLECTING:
            return
        self._received += len(body)
        if self._received > self.mirror.spec.max_body_bytes:
            self.drop("dropped_size")
        elif body and not self._take(len(body)):
            self.drop("dropped_queue")
        else:
            self._pieces.append(body)
            if complete:
                self._collected()

    def _collected(self) -> None:
        self.body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        if not self.summary.sampler.may_copy(self.head.path, self.body):
            self.drop("dropped_stateful")
            return
        self.state = State.QUEUED
        self.mirror.enqueue(self)

    def start(self) -> None:
        """There is a place: send it."""
        self.state = State.RUNNING
        self.shadow.start()
        if self.twin is not None and not self.twin.outcome:
            self.twin.start()

    def request_for(self, leg: Leg, endpoint: EndpointState) -> tuple[bytes, bytes | None]:
        """A leg's head, without its request id and framing, and its body (None: it has none)."""
        carried = None if leg.is_twin else self.mirror.carried
        start = self.summary.start(self._route, leg.version, endpoint, self._forwarded, carried)
        return start, self.summary.body(leg.version, self.body)

    # -- the answers -------------------------------------------------------------------------

    def tap(self, client: Client) -> Client:
        """The client, as its exchange sees it from now on."""
        if not self.is_paired:
            return client
        return Tap(client, self.primary.capture, self.mirror.plane.now)

    def on_primary_ended(
        self, version: str, status: int, outcome: str, reason: str, sent_at: float, now: float
    ) -> None:
        """The client's request is over; `outcome` is answered, error, timeout or cancelled."""
        primary = self.primary
        primary.version, primary.status, primary.sent_at = version, status, sent_at
        primary.outcome, primary.reason, primary.ended_at = outcome, reason, now
        if self.state is State.COLLECTING:
            self.drop("dropped_cancelled")  # nobody sends the rest of the request any more
        elif outcome == "cancelled" and not self.mirror.spec.keep:
            self.drop("dropped_cancelled")
        self._settle_if_done()

    def on_leg_ended(self, leg: Leg) -> None:
        """A leg has its outcome."""
        if leg is self.shadow:
            if self.state is State.RUNNING:
                self.mirror.leave()
            if self.twin is not None and leg.is_dropped:
                self.twin.end(leg.outcome)  # a twin alone tells nothing
        self._settle_if_done()

    def expire(self) -> None:
        """Its time is over."""
        self._end_legs(TIMEOUT)

    def drop(self, outcome: str) -> None:
        """Give it up."""
        self._end_legs(outcome)

    @property
    def runs(self) -> bool:
        """Whether a leg has not ended."""
        return not self.shadow.outcome or (self.twin is not None and not self.twin.outcome)

    def _end_legs(self, outcome: str) -> None:
        self.shadow.end(outcome)
        if self.twin is not None:
            self.twin.end(outcome)

    def _settle_if_done(self) -> None:
        if self.state is State.SETTLED or self.runs or not self.primary.outcome:
            return
        self.state = State.SETTLED
        self.mirror.settle(self)
        self.body = b""
        for leg in (self.shadow, self.twin):
            if leg is not None:
                leg.capture.close()
        self.primary.capture.close()
