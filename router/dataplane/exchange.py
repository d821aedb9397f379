"""The whole way of one request: from its head to the last byte of its answer.

    begin → collect → route → admit → attempt → forward → relay → finish

An exchange stands between a door (the client's side) and an upstream connection; both call it
from the event loop, and it never awaits.  Bodies pass through in both directions as they come; a
bounded copy of the request is kept until the answer begins, so that it can be sent again.

Guarantees (tests/conformance/, over both doors):
  * the client gets exactly one answer, and nothing is sent again after its first byte;
  * whatever ends an exchange, its place, its endpoint's count and its upstream connection are
    released exactly once (`_release`, `_finish`);
  * a client that goes away closes the upstream exchange, in every phase.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol

from router.dataplane import decide, replies
from router.dataplane.decide import NO_FIELDS, Refusal
from router.dataplane.record import book_answer, book_usage
from router.dataplane.table import LiveRoute, LiveVersion
from router.dataplane.upstream.connection import HIGH_WATER, Connection
from router.dataplane.upstream.endpoint import EndpointState
from router.dataplane.upstream.pool import PendingConnection
from router.errors import CLIENT_GONE_STATUS, ErrorCode, FailureReason
from router.http1.chunked import END, frame_chunk
from router.http1.events import StreamObserver, error_event, usage_of
from router.http1.request import RequestHead, compose_request
from router.http1.response import ResponseHead
from router.routing.match import Nodes, model_in_path, needs_model
from router.routing.replay import may_repeat
from router.telemetry.recorder import count

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

NEVER: Final = float("inf")
MAX_OBSERVED_ANSWER: Final = 64 * 1024


class Client(Protocol):
    """The client's side of one exchange: what a door offers."""

    forwarded: bytes
    """Field lines that tell the model server who called (Via, X-Forwarded-*)."""
    peer: str

    def ask_for_body(self) -> None:
        """Send 100 Continue if the client waits for it."""
        ...

    def start(
        self,
        head: ResponseHead,
        length: int | None,
        extra: bytes,
        body: bytes,
        framed: bytes | None,
        ended: bool,
    ) -> None:
        """Relay an answer's head, with what came of its body; `extra` are field lines."""
        ...

    def body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """Relay more of the body, or its end."""
        ...

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """Send an answer of the router's own, whole."""
        ...

    def break_off(self, last_words: bytes) -> None:
        """End a begun answer so that the client sees it is not whole."""
        ...

    def pause_reading(self) -> None:
        """Take no more of the request's body for now."""
        ...

    def resume_reading(self) -> None:
        """Go on."""
        ...


class Exchange:
    """See the module.  Fields are grouped by the phase that sets them."""

    __slots__ = (
        "_answer",
        "_attempts",
        "_body_complete",
        "_client",
        "_client_full",
        "_connection",
        "_content_length",
        "_endpoint",
        "_failure",
        "_fields",
        "_first_byte_at",
        "_head",
        "_kept_whole",
        "_last_chunk_at",
        "_named",
        "_nodes",
        "_observer",
        "_pending",
        "_pieces",
        "_place",
        "_plane",
        "_queued",
        "_received",
        "_request_id",
        "_response",
        "_route",
        "_seen",
        "_sent_at",
        "_stale_retried",
        "_started_at",
        "_table",
        "_tried",
        "_upstream_full",
        "_version",
        "bytes_out",
        "deadline",
        "done",
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
        self._started_at = now
        self._table = plane.table
        self._request_id = head.request_id or plane.next_request_id()
        # collect
        self._pieces: list[bytes] = []
        self._received = 0
        self._body_complete = False
        self._kept_whole = True
        self._nodes: Nodes = ()
        # route
        self._route: LiveRoute | None = None
        self._fields: Mapping[str, object] | None = None
        self._version: LiveVersion | None = None
        self._place = False
        self._named = False
        self._queued = False
        # attempt
        self._endpoint: EndpointState | None = None
        self._pending: PendingConnection | None = None
        self._connection: Connection | None = None
        self._tried: tuple[EndpointState, ...] = ()
        self._attempts = 0
        self._stale_retried = False
        self._seen = False  # a model server may have seen the request
        self._sent_at = 0.0
        # relay
        self._response: ResponseHead | None = None
        self._observer: StreamObserver | None = None
        self._answer: list[bytes] | None = None
        self._first_byte_at = 0.0
        self._last_chunk_at = 0.0
        self._client_full = False
        self._upstream_full = False
        self._failure: FailureReason | None = None
        self.bytes_out = 0
        self.status = 0
        self.deadline = NEVER
        self.done = False

    def __repr__(self) -> str:
        where = f"{self._route.spec.name}" if self._route else "unrouted"
        return f"<Exchange {self._request_id.decode()} {where} status={self.status}>"

    # -- collect: as much of the body as routing needs ---------------------------------------

    def begin(self, body: bytes, *, complete: bool) -> None:
        """Take the request's head, and what came of its body with it."""
        self._plane.active.add(self)
        if body:
            self._pieces.append(body)
            self._received = len(body)
        self._body_complete = complete
        head = self._head
        if head.via is not None and self._plane.pseudonym in head.via:
            self._refuse(ErrorCode.LOOP_DETECTED, "this request has been here before")
            return
        self._nodes = self._table.index.nodes(head.path)
        if (self._content_length or 0) > self._table.max_body_bytes and self._nodes:
            self._refuse_body(self._table.max_body_bytes)
            return
        self._collect()

    def feed(self, body: bytes, *, complete: bool) -> None:
        """Take more of the request's body, or its end."""
        if self.done:
            return
        self._received += len(body)
        self._body_complete = complete
        if self._route is not None and self._received > self._route.spec.limits.max_body_bytes:
            self._refuse_body(self._route.spec.limits.max_body_bytes)
        elif self._connection is not None:
            self._forward_more(body)
        else:
            if body:
                self._pieces.append(body)
            if self._version is None:
                self._collect()
            elif self._received > HIGH_WATER:
                self._client.pause_reading()

    def _collect(self) -> None:
        if self._version is not None or self._queued:
            return
        try:
            if self._fields is None and self._must_wait():
                self._wait_for_body()
                return
            self._find_route()
        except Refusal as refusal:
            self._refuse(refusal.code, str(refusal), refusal.param)

    def _must_wait(self) -> bool:
        if self._body_complete or not self._head.has_body:
            return False
        if self._route is None:
            limit = self._table.max_inspect_bytes if needs_model(self._nodes) else 0
        else:
            limit = self._route.spec.limits.max_inspect_bytes
        return self._received < limit

    def _wait_for_body(self) -> None:
        self._client.ask_for_body()
        self.deadline = self._plane.now() + self._plane.settings.body_timeout_s

    def _body_so_far(self) -> bytes:
        pieces = self._pieces
        if len(pieces) > 1:
            self._pieces = pieces = [b"".join(pieces)]
        return pieces[0] if pieces else b""

    # -- route: match, version, admission ----------------------------------------------------

    def _find_route(self) -> None:
        head = self._head
        route = self._route
        if route is None:
            if not self._nodes:
                self._answer_locally()
                return
            if needs_model(self._nodes) and model_in_path(head.path) is None:
                self._read_fields()
            route = decide.find_route(self._table, self._nodes, head, self._fields or NO_FIELDS)
            self._route = route
            limit = route.spec.limits.max_body_bytes
            if max(self._content_length or 0, self._received) > limit:
                self._refuse_body(limit)
                return
            if self._fields is None and (route.body_fields or route.renames) and head.has_body:
                self._collect()  # once more: now the route wants to look into the body
                return
        elif self._fields is None:
            if route.body_fields:
                self._read_fields()
            else:
                self._fields = NO_FIELDS
        self._admit(route)

    def _read_fields(self) -> None:
        body = self._body_so_far()
        self._fields = (
            decide.read_fields(self._table, self._head, body, complete=self._body_complete)
            if body
            else NO_FIELDS
        )

    def _answer_locally(self) -> None:
        """`GET /v1/models` where no route claims it; else there is no route."""
        head = self._head
        models = self._table.index.models
        created = int(self._plane.clock.wall())
        if head.method in (b"GET", b"HEAD") and models:
            if head.path == b"/v1/models":
                self._reply_json(200, b"", replies.model_list(models, created))
                return
            if head.path.startswith(b"/v1/models/"):
                name = head.path[11:].decode("utf-8", "replace")
                if name in models:
                    self._reply_json(200, b"", replies.model_card(name, created))
                    return
                raise Refusal(ErrorCode.MODEL_NOT_FOUND, f"The model `{name}` does not exist here")
        raise decide.no_route(head)

    def _admit(self, route: LiveRoute) -> None:
        version, self._named = decide.choose_version(route, self._head, self._fields or NO_FIELDS)
        self._version = version
        admission = route.admission
        if admission.enter():
            self._admitted(route)
        elif admission.wait(self):
            self._queued = True
            self.deadline = self._plane.now() + admission.limits.queue_timeout_s
        else:
            self._plane.count_queue_refusal(route.spec.name, "full")
            self._refuse(ErrorCode.OVERLOADED, "too many requests wait for this route")

    def on_admitted(self) -> None:
        """A place has become free (see `admission.Waiter`)."""
        self._queued = False
        if self._route is not None:
            self._admitted(self._route)

    def _admitted(self, route: LiveRoute) -> None:
        assert self._version is not None
        self._place = True
        self._version.recorder.in_flight += 1
        route.budget.deposit()
        self._attempt()

    # -- attempt: endpoint, connection, forward ----------------------------------------------

    def _attempt(self) -> None:
        version = self._version
        assert version is not None
        endpoint = version.choose_endpoint(self._plane.draw, self._tried)
        if endpoint is None and self._tried:
            endpoint = version.choose_endpoint(self._plane.draw)
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
        endpoint.began()
        connection = endpoint.origin.pool.take()
        if connection is not None:
            self._forward(connection)
        else:
            assert self._route is not None
            self._pending = endpoint.origin.pool.connect(self, self._route.spec.timeouts.connect_s)

    def on_connected(self, connection: Connection) -> None:
        """See `pool.ConnectUser`."""
        self._pending = None
        if self._endpoint is not None:
            self._endpoint.origin.connect_succeeded()
        self._forward(connection)

    def on_connect_failed(self, reason: str, *, timeout: bool) -> None:
        """See `pool.ConnectUser`."""
        self._pending = None
        endpoint = self._endpoint
        assert endpoint is not None
        assert self._route is not None
        endpoint.origin.connect_failed(reason)
        self._release()
        self._fail(
            FailureReason.TIMEOUT if timeout else FailureReason.CONNECT,
            ErrorCode.CONNECT_TIMEOUT if timeout else ErrorCode.UPSTREAM_CONNECT,
            "the model server cannot be reached",
            retry=self._route.spec.retry.on_connect,
        )

    def _forward(self, connection: Connection) -> None:
        """Send the request: its head, and what is there of its body."""
        head, version, endpoint = self._head, self._version, self._endpoint
        assert version is not None
        assert endpoint is not None
        complete = self._body_complete
        body = self._body_so_far()
        length = self._content_length
        if version.spec.model is not None:
            try:
                renamed = decide.upstream_body(version, head, body, complete=complete)
            except Refusal as refusal:
                connection.discard()
                self._refuse(refusal.code, str(refusal), refusal.param)
                return
            if length is not None:
                length += len(renamed) - len(body)
            body = renamed
        chunked = head.chunked
        if chunked and complete:
            length, chunked = len(body), False
        route = self._route
        assert route is not None
        data = compose_request(
            head,
            target=decide.upstream_target(version, head, endpoint.base_path),
            authority=endpoint.authority or head.host or endpoint.origin.authority,
            kept=head.kept_without(route.steering) if route.steering else head.kept,
            content_length=length,
            extra=b"%bx-request-id: %b\r\n" % (self._client.forwarded, self._request_id),
        )
        if body:
            data += frame_chunk(body) if chunked else body
        self._connection = connection
        self._seen = True
        connection.send(self, head.method, data, complete=complete)
        self._keep_for_replay(route)
        now = self._plane.now()
        self._sent_at = now
        self._set_first_byte_deadline(now, route)
        if not complete:
            self._client.ask_for_body()
            self._client.resume_reading()
        if self._attempts == 1:
            self._plane.recorder.overhead_request.observe(now - self._started_at)

    def _keep_for_replay(self, route: LiveRoute) -> None:
        if self._received > route.spec.limits.max_replay_bytes:
            self._pieces = []
            self._kept_whole = False

    def _forward_more(self, body: bytes) -> None:
        """Pass on what came of the request's body while the attempt runs."""
        connection, route = self._connection, self._route
        assert connection is not None
        assert route is not None
        data = body
        if self._head.chunked:
            data = frame_chunk(body) if body else b""
            if self._body_complete:
                data += END
        if self._kept_whole and body:
            self._pieces.append(body)
            self._keep_for_replay(route)
        connection.send_body(data, complete=self._body_complete)
        if self._response is None:
            self._set_first_byte_deadline(self._plane.now(), route)

    def _set_first_byte_deadline(self, now: float, route: LiveRoute) -> None:
        """While the client owes us the body, it is the client's time that runs."""
        if self._body_complete:
            self.deadline = now + route.spec.timeouts.first_byte_s
        else:
            self.deadline = now + self._plane.settings.body_timeout_s

    def on_upstream_full(self) -> None:
        """See `connection.UpstreamUser`."""
        self._upstream_full = True
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
        now = self._plane.now()
        version, endpoint = self._version, self._endpoint
        assert version is not None
        assert endpoint is not None
        endpoint.observe_latency(now - self._sent_at, now)
        if head.status >= 500 and self._try_again_on_status(head.status):
            return
        if not ended and not self._body_complete:
            # The answer makes the request final: what is still to come of it is passed on, but
            # it can not be sent again.
            self._kept_whole = False
        self._pieces = []
        self._response = head
        self.status = head.status
        self._first_byte_at = self._last_chunk_at = now
        recorder = version.recorder
        recorder.first_byte.observe(now - self._started_at)
        content_type = head.content_type
        if content_type.startswith(b"text/event-stream"):
            self._observer = StreamObserver()
        elif content_type.startswith(b"application/json") and head.status == 200:
            self._answer = []
        if body:
            self._observe(body, now)
        if ended and self._observer is not None and self._observer.truncated:
            ended = False
            self._client.start(head, length, self._extra_fields(), body, framed, ended)
            self._end_stream_early()
            return
        self._client.start(head, length, self._extra_fields(), body, framed, ended)
        if ended:
            self._complete(now)
        else:
            self._set_idle_deadline(now)

    def _extra_fields(self) -> bytes:
        version = self._version
        return b"%b%bx-request-id: %b\r\n" % (
            version.fields if version is not None else b"",
            self._table.generation_field,
            self._request_id,
        )

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `connection.UpstreamUser`."""
        now = self._plane.now()
        if body:
            observer = self._observer
            if observer is not None:
                version = self._version
                assert version is not None
                version.recorder.inter_chunk.observe(now - self._last_chunk_at)
                self._last_chunk_at = now
            self._observe(body, now)
        if ended and self._observer is not None and self._observer.truncated:
            if body:
                self._client.body(body, framed, False)
            self._end_stream_early()
            return
        self._client.body(body, framed, ended)
        if ended:
            self._complete(now)
        else:
            self._set_idle_deadline(now)

    def _set_idle_deadline(self, now: float) -> None:
        route = self._route
        assert route is not None
        self.deadline = now + route.spec.timeouts.idle_s

    def _observe(self, body: bytes, now: float) -> None:
        self.bytes_out += len(body)
        observer = self._observer
        if observer is not None:
            had_content = observer.content
            observer.feed(body)
            if observer.content and not had_content:
                version = self._version
                assert version is not None
                version.recorder.first_token.observe(now - self._started_at)
        elif self._answer is not None:
            if self.bytes_out <= MAX_OBSERVED_ANSWER:
                self._answer.append(body)
            else:
                self._answer = None

    def _complete(self, now: float) -> None:
        """The answer has been relayed whole."""
        if self._observer is not None:
            if self._observer.failed:
                self._failure = FailureReason.STREAM_ERROR
        elif self.status >= 500:
            self._failure = FailureReason.UPSTREAM_5XX
        version = self._version
        assert version is not None
        usage = self._observer
        if usage is None and self._answer:
            found = usage_of(b"".join(self._answer))
            if found is not None:
                book_usage(version.recorder, found)
        elif usage is not None:
            book_usage(version.recorder, usage)
        self._release()
        ended_at = self._plane.now()
        self._plane.recorder.overhead_response.observe(ended_at - now)
        self._finish(ended_at)

    def _end_stream_early(self) -> None:
        self._break_off(
            FailureReason.TRUNCATED, ErrorCode.UPSTREAM_TRUNCATED, "the stream ended too early"
        )

    def on_client_full(self) -> None:
        """The client reads slower than the model server writes."""
        self._client_full = True
        if self._connection is not None:
            self._connection.pause()

    def on_client_drained(self) -> None:
        """The client has caught up."""
        self._client_full = False
        if self._connection is not None:
            self._connection.resume()
            if self._response is not None:
                self._set_idle_deadline(self._plane.now())

    # -- what goes wrong ---------------------------------------------------------------------

    def on_upstream_lost(self, broken: str | None) -> None:
        """See `connection.UpstreamUser`."""
        connection = self._connection
        assert connection is not None
        assert self._route is not None
        stale = connection.served > 0 and not connection.received
        self._release()
        if self._response is not None:
            self._break_off(
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
                retry=False,
            )
        elif stale and not self._stale_retried and self._may_replay():
            # RFC 9112 §9.3.1: an idle connection that dies under a request is normal.
            self._stale_retried = True
            self._attempts -= 1
            self._attempt()
        else:
            self._fail(
                FailureReason.RESET,
                ErrorCode.UPSTREAM_RESET,
                "the model server closed the connection without an answer",
                retry=self._route.spec.retry.on_reset,
            )

    def on_deadline(self, now: float) -> None:
        """The phase's time is over; called by the worker's tick."""
        self.deadline = NEVER
        if self._queued and self._route is not None:
            self._plane.count_queue_refusal(self._route.spec.name, "deadline")
            self._leave_queue()
            self._refuse(ErrorCode.OVERLOADED, "waited too long for a free place")
        elif self._client_full:
            self.client_gone()  # it takes nothing any more
            self._client.break_off(b"")
        elif not self._body_complete and not self._upstream_full:
            self._refuse(ErrorCode.REQUEST_TIMEOUT, "the request's body did not come in time")
        elif self._response is not None:
            self._release()
            self._break_off(
                FailureReason.TIMEOUT, ErrorCode.UPSTREAM_TIMEOUT, "the model server fell silent"
            )
        else:
            self._release()
            self._fail(
                FailureReason.TIMEOUT,
                ErrorCode.UPSTREAM_TIMEOUT,
                "the model server did not answer in time",
                retry=False,
            )

    def on_drained(self) -> None:
        """The worker ends: so must this exchange."""
        if self._queued:
            self._leave_queue()
        self._refuse(ErrorCode.DRAINING, "the router is shutting down")

    def client_gone(self) -> None:
        """The client has closed; whatever runs for it ends now."""
        if self.done:
            return
        if self._queued:
            self._leave_queue()
        self._release()
        self.status = CLIENT_GONE_STATUS
        self._finish(self._plane.now())

    def _may_replay(self) -> bool:
        route = self._route
        head = self._head
        return (
            route is not None
            and self._kept_whole
            and (
                not self._seen
                or may_repeat(
                    route.spec.retry.methods,
                    head.method,
                    head.path,
                    has_key=head.field(b"idempotency-key") is not None,
                )
            )
        )

    def _try_again_on_status(self, status: int) -> bool:
        """Whether a 5xx is answered by another attempt instead of being relayed."""
        route = self._route
        assert route is not None
        if self._can_fall_back() or (status in route.spec.retry.statuses and self._can_retry()):
            self._release()
            if self._can_fall_back():
                self._fall_back(FailureReason.UPSTREAM_5XX, status)
            else:
                self._retry(str(status))
            return True
        return False

    def _can_retry(self) -> bool:
        route = self._route
        assert route is not None
        return (
            self._attempts < route.spec.retry.attempts
            and self._may_replay()
            and route.budget.withdraw(self._plane.now())
        )

    def _can_fall_back(self) -> bool:
        version, route = self._version, self._route
        return (
            version is not None
            and route is not None
            and version.fallback_allowed
            and not self._named
            and version.spec.name != route.stable
            and self._may_replay()
        )

    def _retry(self, reason: str) -> None:
        assert self._version is not None
        count(self._version.recorder.retries, reason)
        self._attempt()

    def _fall_back(self, failure: FailureReason, status: int) -> None:
        """Replay a failed canary's request on stable; the failure stays the canary's."""
        canary, route = self._version, self._route
        assert canary is not None
        assert route is not None
        book_answer(canary, status, failure)
        count(canary.recorder.fallbacks, failure.value)
        canary.recorder.in_flight -= 1
        self._version = stable = route.versions[route.stable]
        stable.recorder.in_flight += 1
        self._tried = ()
        self._attempts = 0
        self._attempt()

    def _fail(self, failure: FailureReason, code: ErrorCode, message: str, *, retry: bool) -> None:
        """An attempt has failed before the answer began: try again, or answer with the error."""
        if self._can_fall_back():
            self._fall_back(failure, code.status)
        elif retry and self._can_retry():
            self._retry(failure.value)
        else:
            self._failure = failure
            self._refuse(code, message)

    def _refuse_body(self, limit: int) -> None:
        self._refuse(ErrorCode.BODY_TOO_LARGE, f"the body is larger than {limit} bytes")

    def _refuse(self, code: ErrorCode, message: str, param: str | None = None) -> None:
        """Answer with an error; or, if an answer has begun, end it visibly."""
        self._release()
        if self._response is not None:
            self._break_off(self._failure, code, message)
            return
        self.status = code.status
        if not self._place:
            self._plane.count_unrouted(code.code)
        self._reply_json(
            code.status, replies.error_fields(code), replies.error_body(code, message, param)
        )

    def _reply_json(self, status: int, fields: bytes, body: bytes) -> None:
        self.status = status
        self.bytes_out = len(body)
        fields = fields or b"content-type: application/json\r\n"
        self._client.reply(status, fields + self._extra_fields(), body)
        self._finish(self._plane.now())

    def _break_off(self, failure: FailureReason | None, code: ErrorCode, message: str) -> None:
        """End an answer that has begun: a stream with an error event, anything else abruptly."""
        self._release()
        self._failure = failure
        last_words = b""
        if self._observer is not None:
            event = error_event(replies.error_body(code, message))
            # In the middle of an event, its line must end before the next event can begin.
            last_words = event if self._observer.at_event_start else b"\n\n" + event
        self._client.break_off(last_words)
        self._finish(self._plane.now())

    # -- release and finish: each exactly once -----------------------------------------------

    def _leave_queue(self) -> None:
        self._queued = False
        if self._route is not None:
            self._route.admission.give_up(self)

    def _release(self) -> None:
        """Give back what the current attempt holds; harmless when it holds nothing."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        self._endpoint = None
        if not self._tried or endpoint not in self._tried:
            self._tried = (*self._tried, endpoint)
        endpoint.ended()
        if self._pending is not None:
            self._pending.abandon()
            self._pending = None
        connection, self._connection = self._connection, None
        if connection is not None and connection.user is self:
            connection.discard()

    def _finish(self, now: float) -> None:
        """Count the exchange, give its place back; nothing happens to it after this."""
        if self.done:
            return
        self.done = True
        self.deadline = NEVER
        plane = self._plane
        plane.active.discard(self)
        version, route = self._version, self._route
        if self._place and version is not None and route is not None:
            self._place = False
            recorder = version.recorder
            recorder.in_flight -= 1
            if self.status != CLIENT_GONE_STATUS:
                recorder.duration.observe(now - self._started_at)
            book_answer(version, self.status, self._failure)
            route.admission.leave()
        failed = self._failure is not None or self.status >= 500
        if failed or not plane.log.silent:
            self._log(now, failed)
        self._pieces = []

    def _log(self, now: float, failed: bool) -> None:
        if not self._plane.log.wants(failed=failed):
            return
        version, route, endpoint = self._version, self._route, self._tried[-1:]
        self._plane.log.write(
            {
                "time": self._plane.clock.wall(),
                "request_id": self._request_id.decode("latin-1"),
                "client": self._client.peer,
                "method": self._head.method.decode("latin-1"),
                "path": self._head.path.decode("latin-1"),
                "route": route.spec.name if route else None,
                "version": version.spec.name if version else None,
                "role": version.spec.role.value if version else None,
                "generation": self._table.generation,
                "endpoint": endpoint[0].label if endpoint else None,
                "status": self.status,
                "bytes_in": self._received,
                "bytes_out": self.bytes_out,
                "first_byte_s": round(self._sent_at - self._started_at, 6)
                if self._sent_at
                else None,
                "duration_s": round(now - self._started_at, 6),
                "attempts": self._attempts,
                "reason": self._failure.value if self._failure else None,
            }
        )
