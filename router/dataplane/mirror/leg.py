"""One request of a copy: to the shadow's servers, or to the stable version's once more.

It has one outcome, told once: `answered`, `error`, `timeout`, or `dropped_…` where the request
was never sent or its answer never read to the end by our own choice.
"""

from typing import TYPE_CHECKING, Final

from router.dataplane.mirror.capture import Capture
from router.dataplane.table import LiveVersion
from router.dataplane.upstream.connection import Connection
from router.dataplane.upstream.endpoint import EndpointState
from router.dataplane.upstream.pool import PendingConnection
from router.http1.response import ResponseHead
from router.telemetry.recorder import ShadowRecorder

if TYPE_CHECKING:
    from router.dataplane.mirror.copy import Copy

ANSWERED: Final = "answered"
ERROR: Final = "error"
TIMEOUT: Final = "timeout"
_COPY_UP_TO: Final = 32 * 1024


class Leg:
    """See the module.  `outcome` is empty until it has ended."""

    __slots__ = (
        "_connection",
        "_copy",
        "_endpoint",
        "_pending",
        "_stale_retried",
        "capture",
        "ended_at",
        "is_twin",
        "outcome",
        "reason",
        "recorder",
        "sent_at",
        "version",
    )

    def __init__(
        self,
        copy: "Copy",
        version: LiveVersion,
        capture: Capture,
        recorder: ShadowRecorder,
        *,
        twin: bool,
    ) -> None:
        self._copy = copy
        self.recorder: Final = recorder
        self.version: Final = version
        self.is_twin: Final = twin
        self.capture: Final = capture
        self._endpoint: EndpointState | None = None
        self._pending: PendingConnection | None = None
        self._connection: Connection | None = None
        self._stale_retried = False
        self.sent_at = 0.0
        self.ended_at = 0.0
        self.outcome = ""
        self.reason = ""

    def __repr__(self) -> str:
        return f"<Leg to {self.version.spec.name}: {self.outcome or 'running'}>"

    @property
    def is_dropped(self) -> bool:
        """Whether it was given up by ourselves."""
        return self.outcome.startswith("dropped_")

    # -- the way there -----------------------------------------------------------------------

    def start(self) -> None:
        """Choose an endpoint and send the request, at once or when there is a connection."""
        mirror, balancer = self._copy.mirror, self.version.balancer
        endpoint = balancer.choose(mirror.plane.draw, ())
        if endpoint is None or mirror.is_away(endpoint.origin):
            self.end("dropped_unhealthy")
            return
        self._endpoint = endpoint
        self.recorder.in_flight += 1
        self.recorder.changed = True
        endpoint.began()
        pool = mirror.pool(endpoint.origin)
        connection = pool.take()
        # What may not be sent twice is not sent into a connection that is being closed.
        while connection is not None and not self._copy.repeatable and connection.has_news():
            connection.discard()
            connection = pool.take()
        if connection is not None:
            self._send(connection, endpoint)
        else:
            self._pending = pool.connect(self, mirror.connect_s)

    def on_connected(self, connection: Connection) -> None:
        """See `pool.ConnectUser`."""
        self._pending = None
        assert self._endpoint is not None
        self._copy.mirror.note_connect(self._endpoint.origin, made=True)
        self._send(connection, self._endpoint)

    def on_connect_failed(self, reason: str, *, timeout: bool) -> None:
        """See `pool.ConnectUser`.

        The origin is not told: what a copy meets must not move a live request.
        """
        self._pending = None
        assert self._endpoint is not None
        self._copy.mirror.note_connect(self._endpoint.origin, made=False)
        self.end(TIMEOUT if timeout else ERROR, "connect")

    def _send(self, connection: Connection, endpoint: EndpointState) -> None:
        copy = self._copy
        start, body = copy.request_for(self, endpoint)
        if body is None:
            connection.discard()
            self.end(ERROR, "model")
            return
        data = b"%b%b\r\n" % (start, copy.request_id)
        if body or copy.head.has_body or copy.head.content_length is not None:
            data = b"%bcontent-length: %d\r\n\r\n" % (data, len(body))
        else:
            data += b"\r\n"
        self._connection = connection
        self.sent_at = copy.mirror.plane.now()
        if len(body) > _COPY_UP_TO:
            connection.send(self, copy.head.method, data, False)
            connection.send_body(body, complete=True)
        else:
            connection.send(self, copy.head.method, data + body, True)

    # -- the way back ------------------------------------------------------------------------

    def on_response(
        self, head: ResponseHead, length: int | None, body: bytes, framed: bytes | None, ended: bool
    ) -> None:
        """See `connection.UpstreamUser`."""
        self.capture.begin(head, body, self._copy.mirror.plane.now())
        self._go_on(ended)

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `connection.UpstreamUser`."""
        self.capture.feed(body, self._copy.mirror.plane.now())
        self._go_on(ended)

    def _go_on(self, ended: bool) -> None:
        if ended:
            head = self.capture.head
            assert head is not None
            self._connection = None  # it has gone back to its pool
            self.end(ERROR if head.status >= 500 else ANSWERED, str(head.status))
        elif self.capture.is_too_long:
            self.end("dropped_response_size")

    def on_upstream_lost(self, broken: str | None) -> None:
        """See `connection.UpstreamUser`."""
        connection, endpoint, copy = self._connection, self._endpoint, self._copy
        self._connection = None
        assert connection is not None
        assert endpoint is not None
        stale = connection.served > 0 and not connection.received
        if broken is None and stale and copy.repeatable and not self._stale_retried:
            # RFC 9112 §9.3.1: an idle connection that dies under a request is normal.
            self._stale_retried = True
            mirror = copy.mirror
            self._pending = mirror.pool(endpoint.origin).connect(self, mirror.connect_s)
        else:
            self.end(ERROR, "reset" if broken is None else "protocol")

    def on_upstream_full(self) -> None:
        """See `connection.UpstreamUser`; what is to be sent is bounded already."""

    def on_upstream_drained(self) -> None:
        """See `connection.UpstreamUser`."""

    def end(self, outcome: str, reason: str = "") -> None:
        """Let go of everything and tell the copy; only the first end counts."""
        if self.outcome:
            return
        self.outcome, self.reason = outcome, reason
        self.ended_at = self._copy.mirror.plane.now()
        self.recorder.count(outcome)
        if self._endpoint is not None:
            self.recorder.in_flight -= 1
            self._endpoint.ended()
        if self._connection is not None:
            self._connection.discard()
            self._connection = None
        if self._pending is not None:
            self._pending.abandon()
            self._pending = None
        copy = self._copy
        del self._copy  # or each copy would wait for the cyclic collector
        copy.on_leg_ended(self)
