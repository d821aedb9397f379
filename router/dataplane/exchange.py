"""The whole way of one request: from its head to the last byte of its answer.

    begin → collect → route → wait → admitted → attempt → forward → relay → finish

The first half, until it has a place, is `router.dataplane.arrival`; here it goes on.
An exchange stands between a door (the client's side) and an upstream connection; both call it
from the event loop, and it never awaits.  Bodies pass through in both directions as they come; a
bounded copy of the request is kept until the answer begins, so that it can be sent again.

Guarantees (tests/conformance/, over both doors):
  * the client gets exactly one answer, and nothing is sent again after its first byte;
  * whatever ends an exchange, its places, its endpoint's count and its upstream connection are
    released exactly once (`_release`, `_finish`);
  * a client that goes away closes the upstream exchange, in every phase.

This is the hot path: per request every call and every field costs, in an interpreter whose code
the system calls between have pushed out of the caches.  `make bench` before and after a change.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from router.clock import NEVER
from router.dataplane import replies
from router.dataplane.arrival import Arrival
from router.dataplane.client import Client
from router.dataplane.decide import (
    Plan,
    Refusal,
    plan_of,
    upstream_body,
)
from router.dataplane.record import AnswerObserver, book_answer, book_report
from router.dataplane.relay import AnswerRelay, StreamRelay
from router.dataplane.table import LiveRoute, LiveVersion
from router.dataplane.upstream.connection import HIGH_WATER, Connection
from router.dataplane.upstream.endpoint import EndpointState
from router.dataplane.upstream.pool import PendingConnection
from router.dataplane.waiting import NoPlace
from router.errors import CLIENT_GONE_STATUS, ErrorCode, FailureReason
from router.http1.chunked import END, frame_chunk
from router.http1.request import CHUNKED_FIELD, RequestHead
from router.http1.response import ResponseHead
from router.routing.body import NO_FIELDS
from router.telemetry.recorder import count

if TYPE_CHECKING:
    from router.dataplane.mirror.copy import Copy
    from router.dataplane.mirror.mirror import Mirror
    from router.dataplane.server import DataPlane

_WHOLE_ANSWERS: Final = (None, FailureReason.UPSTREAM_5XX, FailureReason.STREAM_ERROR)
"""What can be said against an answer that came to its end all the same."""
COPY_UP_TO: Final = 32 * 1024
"""Up to so many bytes, joining a head with its body costs less than a second write."""


class Exchange(Arrival):
    """See the module.  Fields are grouped by the phase that sets them."""

    __slots__ = (
        "_attempts",
        "_client_full",
        "_connection",
        "_endpoint",
        "_failure",
        "_first_byte_at",
        "_held",
        "_kept_whole",
        "_mirrored",
        "_pending",
        "_relay",
        "_request_id",
        "_sent_at",
        "_stale_retried",
        "_tried",
        "_upstream_full",
        "bytes_out",
        "started_at",
        "status",
    )

    def __init__(
        self,
        plane: "DataPlane",
        client: Client,
        head: RequestHead,
        content_length: int | None,
        now: float,
    ) -> None:
        self._plane = plane
        self._client = client
        self._head = head
        self._content_length = content_length
        self.started_at = now
        plan = head.plan
        if type(plan) is not Plan or plan.table is not plane.table:
            plan = plan_of(plane.table, head)
        self._plan = plan
        self._request_id: bytes = head.request_id or plane.next_request_id()
        # collect
        self._pieces = []
        self._received = 0
        self._body_complete = False
        self._kept_whole = True
        self._looked_ahead = False
        # route
        self._fields = NO_FIELDS
        self._destination = None
        self._admission = None
        self._circuit = None
        self._version = None
        self._wait = None
        # attempt
        self._endpoint: EndpointState | None = None
        self._held = False  # the endpoint counts this exchange
        self._pending: PendingConnection | None = None
        self._connection: Connection | None = None
        self._tried: tuple[EndpointState, ...] = ()
        self._attempts = 0
        self._stale_retried = False
        self._sent_at = 0.0  # 0: no model server can have seen the request
        self._mirrored: Copy | None = None
        # relay
        self._first_byte_at = 0.0  # 0: no answer has begun
        self._relay: StreamRelay | AnswerRelay | None = None
        self._client_full = False
        self._upstream_full = False
        self._failure: FailureReason | None = None
        self.bytes_out = 0
        self.status = 0
        self.deadline = NEVER
        self.done = False
        plane.active.add(self)

    @property
    def version(self) -> LiveVersion | None:
        """The version that has it now."""
        return self._version

    @property
    def now(self) -> Callable[[], float]:
        """The worker's clock."""
        return self._plane.now

    def __repr__(self) -> str:
        where = self._destination.route.spec.name if self._destination else "unrouted"
        return f"<Exchange {self._request_id.decode()} {where} status={self.status}>"

    # -- attempt: endpoint, connection, forward ----------------------------------------------

    def _attempt(self, route: LiveRoute, version: LiveVersion, fresh: bool = False) -> None:
        balancer = version.balancer
        endpoint = balancer.choose(self._plane.draw, self._tried)
        if endpoint is None and self._tried:
            endpoint = balancer.choose(self._plane.draw, ())
        if endpoint is None:
            self._fail(
                FailureReason.CONNECT,
                ErrorCode.NO_HEALTHY_ENDPOINT,
                f"no healthy endpoint of version {version.spec.name}",
                retry=False,
            )
            return
        self._attempts += 1
        self._endpoint = endpoint
        self._held = True
        endpoint.began()
        destination = self._destination
        repeatable = destination is not None and destination.repeatable
        connection = None if fresh else endpoint.origin.pool.take()
        if connection is not None and (repeatable or not self._is_risky(connection)):
            self._forward(connection, endpoint)
        else:
            if self._body_complete:
                self.deadline = NEVER  # that of an attempt before; the pool has its own
            self._pending = endpoint.origin.pool.connect(self, route.spec.timeouts.connect_s)

    def _is_risky(self, connection: Connection) -> bool:
        """Whether an idle connection may be dying under a request that cannot be sent twice.

        For one that can be, trying is cheaper than looking.
        """
        if not connection.has_news():
            return False
        connection.discard()
        return True

    def on_connected(self, connection: Connection) -> None:
        """See `pool.ConnectUser`."""
        self._pending = None
        endpoint = self._endpoint
        assert endpoint is not None
        endpoint.origin.connect_succeeded()
        self._forward(connection, endpoint)

    def on_connect_failed(self, reason: str, *, timeout: bool) -> None:
        """See `pool.ConnectUser`."""
        self._pending = None
        endpoint = self._endpoint
        assert endpoint is not None
        endpoint.origin.connect_failed(reason)
        self._release()
        self._fail(
            FailureReason.TIMEOUT if timeout else FailureReason.CONNECT,
            ErrorCode.CONNECT_TIMEOUT if timeout else ErrorCode.UPSTREAM_CONNECT,
            "the model server cannot be reached",
            retry=self._held_route.spec.retry.on_connect,
        )

    def _forward(self, connection: Connection, endpoint: EndpointState) -> None:
        """Send the request: its head, and what is there of its body."""
        head, version, destination = self._head, self._version, self._destination
        assert version is not None
        assert destination is not None
        route = destination.route
        complete, length, pieces = self._body_complete, self._content_length, self._pieces
        body = pieces[0] if len(pieces) == 1 else self._join_pieces()
        if version.spec.model is not None:
            try:
                renamed = upstream_body(self._plan, version, body, complete=complete)
            except Refusal as refusal:
                connection.discard()
                self._refuse(refusal.code, str(refusal), refusal.param)
                return
            if length is not None:
                length += len(renamed) - len(body)
            body = renamed
        plan = self._plan
        if plan.last_place is endpoint.place and plan.last_version is version:
            start = plan.last_start
        else:
            start = plan.start(head, route, version, endpoint, self._client.forwarded)
        large = b""
        if length is None:
            data = self._start_unsized(start, body)
        else:
            if len(body) > COPY_UP_TO:
                large, body = body, b""
            data = b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (start, self._request_id, length, body)
        self._connection = connection
        self._upstream_full = False  # an attempt before this one may have left it so
        connection.send(self, head.method, data, complete)
        if large:
            connection.send_body(large, complete=complete)
        mirror = route.mirror
        if mirror is not None and self._mirrored is None and self._attempts == 1:
            if complete and self._received <= route.max_replay_bytes:
                mirror.offer(self)
            else:
                self.copy_to(mirror)
        if self._received > route.max_replay_bytes:
            self._drop_copy()
        plane = self._plane
        now = self._sent_at = plane.now()
        if complete:
            self.deadline = now + route.first_byte_s
        else:
            self.deadline = now + plane.settings.body_timeout_s
            self._client.ask_for_body()
            if not self._upstream_full:
                self._client.resume_reading()
        plane.observe_request_overhead(now - self.started_at)

    def copy_to(self, mirror: "Mirror") -> None:
        """Have the request copied, if it is chosen; the client's own has been sent.

        An answer that has begun already cannot be heard whole any more: then there is no copy.
        """
        if self.done or self._first_byte_at or self._mirrored is not None:
            return
        route, version, client = self._held_route, self._held_version, self._client
        body = self._pieces[0] if self._pieces else b""
        copy = mirror.sample(
            self._plan,
            self._head,
            self._fields,
            route,
            version,
            body,
            self._content_length,
            self._request_id,
            client.forwarded,
            repeatable=self._destination is not None and self._destination.repeatable,
        )
        if copy is not None:
            self._mirrored = copy
            self._client = copy.tap(client)
            copy.feed(body, self._body_complete)

    def feed(self, body: bytes, complete: bool) -> None:
        """Take more of the request's body, or its end."""
        if self.done:
            return
        self._received += len(body)
        self._body_complete = complete
        if self._mirrored is not None:
            self._mirrored.feed(body, complete)
        if complete and (self._received > HIGH_WATER or self._upstream_full):
            # Nothing is left to hold up, and a client that is not read cannot be seen to leave.
            self._client.resume_reading()
        destination = self._destination
        limits = destination.route.spec.limits if destination is not None else None
        if limits is not None and self._received > limits.max_body_bytes:
            self._refuse_body(limits.max_body_bytes)
        elif self._connection is not None:
            self._forward_more(body)
        else:
            if body:
                self._pieces.append(body)
            if self._version is None and not self._waits:
                self._collect()
            elif self._received > HIGH_WATER and not complete:
                self._client.pause_reading()

    def _start_unsized(self, start: bytes, body: bytes) -> bytes:
        """The forwarded head of a request without Content-Length, and what is there of a body."""
        if not self._head.chunked:
            return b"%b%b\r\n\r\n" % (start, self._request_id)
        if self._body_complete:
            return b"%b%b\r\ncontent-length: %d\r\n\r\n%b" % (
                start,
                self._request_id,
                len(body),
                body,
            )
        chunk = frame_chunk(body) if body else b""
        return b"%b%b\r\n%b\r\n%b" % (start, self._request_id, CHUNKED_FIELD, chunk)

    def _drop_copy(self) -> None:
        self._pieces = []
        self._kept_whole = False

    def _forward_more(self, body: bytes) -> None:
        """Pass on what came of the request's body while the attempt runs."""
        connection, limits = self._connection, self._held_route.spec.limits
        assert connection is not None
        data = body
        if self._head.chunked:
            data = frame_chunk(body) if body else b""
            if self._body_complete:
                data += END
        if self._kept_whole and body:
            self._pieces.append(body)
            if self._received > limits.max_replay_bytes:
                self._drop_copy()
        connection.send_body(data, complete=self._body_complete)
        if not self._first_byte_at:
            # While the client owes us the body, it is the client's time that runs.
            now = self._plane.now()
            if self._body_complete:
                self.deadline = now + self._held_route.spec.timeouts.first_byte_s
            else:
                self.deadline = now + self._plane.settings.body_timeout_s

    def on_upstream_full(self) -> None:
        """See `connection.UpstreamUser`."""
        self._upstream_full = True
        if not self._body_complete:
            self._client.pause_reading()

    def on_upstream_drained(self) -> None:
        """See `connection.UpstreamUser`."""
        self._upstream_full = False
        self._client.resume_reading()

    # -- relay: the answer -------------------------------------------------------------------

    def on_response(
        self, head: ResponseHead, length: int | None, body: bytes, framed: bytes | None, ended: bool
    ) -> None:
        """See `connection.UpstreamUser`."""
        version = self._version
        assert version is not None
        now = self._plane.now()
        if version.balancer.weighs_latency and self._endpoint is not None:
            self._endpoint.observe_latency(now - self._sent_at, now)
        status = head.status
        if status >= 500 and self._try_again_on_status(status):
            return
        self.status = status
        self._first_byte_at = now
        self._pieces = []
        self._kept_whole = False
        recorder = version.recorder
        recorder.first_byte.observe(now - self.started_at)
        extra = self._extra_fields(version)
        if head.is_event_stream:
            stream = StreamRelay(self, self._client, recorder, self._held_route.idle_s, now)
            self._hand_over(stream)
            stream.start(head, length, extra, body, framed, ended)
            return
        self.bytes_out = len(body)
        reports = head.is_json and status == 200
        if not ended:
            relay = AnswerRelay(self, self._client, recorder, self._held_route.idle_s, now)
            self._hand_over(relay.observe(AnswerObserver(body) if reports else None))
        self._client.start(head, length, extra, body, framed, ended)
        if ended:
            if reports:
                book_report(recorder, body)
            self.complete(now)

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `connection.UpstreamUser`; from the head on, a relay hears of the body."""
        raise AssertionError("unreachable: a relay has taken over")

    def _hand_over(self, relay: StreamRelay | AnswerRelay) -> None:
        """Let the relay hear what else comes of the answer."""
        self._relay = relay
        self.deadline = relay.due
        connection = self._connection
        if connection is not None and connection.user is self:
            connection.user = relay

    def _extra_fields(self, version: LiveVersion | None) -> bytes:
        return b"%b%bx-request-id: %b\r\n" % (
            version.fields if version is not None else b"",
            self._plan.table.generation_field,
            self._request_id,
        )

    def complete(self, answered_at: float, failure: FailureReason | None = None) -> None:
        """The answer has been relayed whole; `failure` is what it said itself."""
        if failure is not None:
            self._failure = failure
        elif self.status >= 500:
            self._failure = FailureReason.UPSTREAM_5XX
        self._release()
        plane = self._plane
        now = plane.now()
        plane.observe_response_overhead(now - answered_at)
        if self._failure is not None:
            self._note_endpoint()
        self._finish(now)

    def on_client_full(self) -> None:
        """The client reads slower than the model server writes."""
        self._client_full = True
        connection = self._connection
        if connection is None:
            return
        # An answer's last bytes may be what fills the client: its connection is in the pool again
        # then, and whoever gets it next would wait on a paused one.
        if connection.user is not None and connection.user in (self, self._relay):
            connection.pause()
        self._wait_anew()

    def on_client_drained(self) -> None:
        """The client has caught up."""
        self._client_full = False
        if self._connection is not None:
            self._connection.resume()
            self._wait_anew()

    def _wait_anew(self) -> None:
        """Whoever is waited for now, client or model server, has its whole time."""
        if self._relay is not None:
            self._relay.heard_at = self._plane.now()
            self.deadline = self._relay.due

    # -- what goes wrong ---------------------------------------------------------------------

    def on_upstream_lost(self, broken: str | None) -> None:
        """See `connection.UpstreamUser`."""
        connection = self._connection
        assert connection is not None
        stale = connection.served > 0 and not connection.received
        if stale and self._endpoint is not None:
            self._endpoint.origin.pool.learn_stale(connection, self._sent_at)
        self._release()
        if self._first_byte_at:
            self.break_off(
                FailureReason.TRUNCATED if broken is None else FailureReason.RESET,
                ErrorCode.UPSTREAM_TRUNCATED if broken is None else ErrorCode.UPSTREAM_PROTOCOL,
                "the model server broke off its answer",
            )
        elif broken is not None:
            self._plane.count_refusal("502", broken)
            self._fail(
                FailureReason.RESET,
                ErrorCode.UPSTREAM_PROTOCOL,
                "the model server's answer is not valid HTTP",
                retry=self._held_route.spec.retry.on_reset,
            )
        elif stale and not self._stale_retried and self._may_replay():
            # RFC 9112 §9.3.1: an idle connection that dies under a request is normal.
            self._stale_retried = True
            self._attempts -= 1
            self._attempt(self._held_route, self._held_version, fresh=True)
        else:
            self._fail(
                FailureReason.RESET,
                ErrorCode.UPSTREAM_RESET,
                "the model server closed the connection without an answer",
                retry=self._held_route.spec.retry.on_reset,
            )

    def on_deadline(self) -> None:
        """The phase's time is over; called by the worker's tick."""
        if self._relay is not None and self._relay.due > self._plane.now():
            self.deadline = self._relay.due  # not set anew for each chunk
            return
        self.deadline = NEVER
        wait = self._wait
        if wait is not None and wait.line is not None:
            wait.line.give_up(self)
            self._refuse_place(wait, NoPlace.DEADLINE)
        elif self._client_full:
            self.client_gone()  # it takes nothing any more
            self._client.break_off(b"")
        elif not self._body_complete and not self._upstream_full:
            self._refuse(ErrorCode.REQUEST_TIMEOUT, "the request's body did not come in time")
        elif self._first_byte_at:
            self.break_off(
                FailureReason.TIMEOUT, ErrorCode.UPSTREAM_TIMEOUT, "the model server fell silent"
            )
        else:
            self._release()
            self._fail(
                FailureReason.TIMEOUT,
                ErrorCode.UPSTREAM_TIMEOUT,
                "the model server did not answer in time",
                retry=self._held_route.spec.retry.on_timeout,
            )

    def on_drained(self, message: str) -> None:
        """The worker or the version ends: so must this exchange."""
        if self.done:
            return
        self._refuse(ErrorCode.DRAINING, message)

    def client_gone(self, status: int = CLIENT_GONE_STATUS) -> None:
        """The client has closed, or its door has answered with `status`; whatever runs ends now."""
        if self.done:
            return
        self._release()
        self.status = status
        self._finish(self._plane.now())

    @property
    def _held_version(self) -> LiveVersion:
        version = self._version
        assert version is not None
        return version

    def _may_replay(self) -> bool:
        """Whether the request can be sent again: it is kept whole, and repeating it is safe."""
        destination = self._destination
        return (
            self._kept_whole
            and destination is not None
            and (destination.repeatable or not self._sent_at)
        )

    def _can_retry(self) -> bool:
        route = self._held_route
        return (
            self._attempts < route.spec.retry.attempts
            and self._may_replay()
            and route.budget.withdraw(self._plane.now(), route.admission.admitted)
        )

    def _can_fall_back(self) -> bool:
        version, destination = self._version, self._destination
        return (
            version is not None
            and destination is not None
            and version.fallback_allowed
            and not destination.named
            and version.spec.name != destination.route.stable
            and self._may_replay()
        )

    def _try_again_on_status(self, status: int) -> bool:
        """Whether a 5xx is answered by another attempt instead of being relayed."""
        if self._can_fall_back():
            self._release()
            self._note_endpoint()
            self._fall_back(FailureReason.UPSTREAM_5XX, status)
            return True
        if status in self._held_route.spec.retry.statuses and self._can_retry():
            self._release()
            self._note_endpoint()
            self._retry(str(status))
            return True
        return False

    def _retry(self, reason: str) -> None:
        version, endpoint = self._held_version, self._endpoint
        assert endpoint is not None
        count(version.recorder.retries, reason)
        self._tried = (*self._tried, endpoint)
        self._attempt(self._held_route, version)

    def _fall_back(self, failure: FailureReason, status: int) -> None:
        """Replay a failed canary's request on stable; the failure stays the canary's."""
        canary, route = self._held_version, self._held_route
        book_answer(canary, status, failure)
        self._plane.note_failure(canary)
        count(canary.recorder.fallbacks, failure.value)
        canary.recorder.in_flight -= 1
        self._version = self._wait = None
        self._tried = ()
        self._attempts = 0
        circuit, self._circuit = self._circuit, None
        if circuit is not None:
            circuit.leave()
        self._admitted(route, route.versions[route.stable], replay=True)

    def _fail(self, failure: FailureReason, code: ErrorCode, message: str, *, retry: bool) -> None:
        """An attempt has failed before the answer began: try again, or answer with the error."""
        if code is not ErrorCode.NO_HEALTHY_ENDPOINT:
            self._note_endpoint()
        if self._can_fall_back():
            self._fall_back(failure, code.status)
        elif retry and self._can_retry():
            self._retry(failure.value)
        else:
            self._failure = failure
            self._refuse(code, message)

    def _note_endpoint(self) -> None:
        """The endpoint of this attempt has failed it; its end is counted already."""
        endpoint = self._endpoint
        if endpoint is not None:
            self._plane.outliers.failed(endpoint, self._plane.now())

    def _refuse(
        self,
        code: ErrorCode,
        message: str,
        param: str | None = None,
        *,
        retry_after_s: int = replies.SOONEST_RETRY_S,
    ) -> None:
        """Answer with an error; or, if an answer has begun, end it visibly."""
        self._release()
        if self._first_byte_at:
            self.break_off(self._failure, code, message)
            return
        if self._version is None:
            self._plane.count_unrouted(code.code)
        body = replies.error_body(code, message, param)
        destination = self._destination
        safe = not self._sent_at or (destination is not None and destination.repeatable)
        fields = replies.error_fields(code, safe=safe, retry_after_s=retry_after_s)
        self._reply(code.status, fields, body)

    def _reply(self, status: int, fields: bytes, body: bytes) -> None:
        self.status = status
        self.bytes_out = len(body)
        self._client.reply(status, fields + self._extra_fields(self._version), body)
        self._finish(self._plane.now())

    def break_off(self, failure: FailureReason | None, code: ErrorCode, message: str) -> None:
        """End an answer that has begun: a stream with an error event, anything else abruptly."""
        self._release()
        if failure is not None:
            self._note_endpoint()
        self._failure = failure
        words = self._relay.last_words(code, message) if self._relay is not None else b""
        self._client.break_off(words)
        self._finish(self._plane.now())

    # -- release and finish: each exactly once -----------------------------------------------

    def _release(self) -> None:
        """Give back what the current attempt holds; harmless when it holds nothing."""
        if not self._held:
            return
        self._held = False
        endpoint, connection = self._endpoint, self._connection
        assert endpoint is not None
        endpoint.served += 1
        endpoint.ended()
        if connection is not None:
            self._connection = None
            if connection.user is not None and connection.user in (self, self._relay):
                connection.discard()
        elif self._pending is not None:
            self._pending.abandon()
            self._pending = None

    def _finish(self, now: float) -> None:
        """Count the exchange, give its place back; nothing happens to it after this."""
        if self.done:
            return
        self.done = True
        self._relay = None  # it knows us: a cycle for each request, until the collector comes
        plane, version, status = self._plane, self._version, self.status
        plane.active.discard(self)
        if version is not None:
            recorder = version.recorder
            recorder.in_flight -= 1
            recorder.changed = True
            version.counts.requests[status] += 1
            if self._failure is not None:
                version.counts.errors[self._failure] += 1
                plane.note_failure(version)
            if status != CLIENT_GONE_STATUS:
                recorder.duration.observe(now - self.started_at)
            if self._circuit is not None:
                self._circuit.leave()
        elif self._wait is not None:
            self._stop_waiting(self._wait)
        if self._admission is not None:
            self._admission.leave()
        if self._mirrored is not None:
            self._tell_mirror(self._mirrored, now)
        if self._failure is not None or status >= 500 or not plane.log.silent:
            self._log(now)

    def _tell_mirror(self, copy: "Copy", now: float) -> None:
        self._mirrored = None
        failure, version = self._failure, self._version
        if self.status == CLIENT_GONE_STATUS or (not self._first_byte_at and self.status < 500):
            outcome = "cancelled"
        elif failure is FailureReason.TIMEOUT:
            outcome = "timeout"
        elif failure in _WHOLE_ANSWERS and self._first_byte_at:
            outcome = "answered"
        else:
            outcome = "error"
        copy.on_primary_ended(
            version.spec.name if version is not None else "",
            self.status,
            outcome,
            failure.value if failure is not None else "",
            self._sent_at,
            now,
        )

    def _log(self, now: float) -> None:
        log = self._plane.log
        if log.wants(failed=self._failure is not None or self.status >= 500):
            log.write(self._describe(now))

    def _describe(self, now: float) -> dict[str, object]:
        """One line of the access log; times in seconds since the request was accepted."""
        version = self._version.spec if self._version else None
        first_byte = self._first_byte_at - self.started_at if self._first_byte_at else None
        return {
            "time": self._plane.clock.wall(),
            "request_id": self._request_id.decode("latin-1"),
            "client": self._client.peer,
            "method": self._head.method.decode("latin-1"),
            "path": self._head.path.decode("latin-1"),
            "route": self._held_route.spec.name if self._destination else None,
            "version": version.name if version else None,
            "role": version.role.value if version else None,
            "generation": self._plan.table.generation,
            "endpoint": self._endpoint.label if self._endpoint else None,
            "status": self.status,
            "bytes_in": self._received,
            "bytes_out": self.bytes_out,
            "first_byte_s": round(first_byte, 6) if first_byte is not None else None,
            "duration_s": round(now - self.started_at, 6),
            "attempts": self._attempts,
            "reason": self._failure.value if self._failure else None,
        }
