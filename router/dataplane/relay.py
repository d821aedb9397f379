"""Relays an answer that comes in several reads: bytes pass through, reports are observed.

A relay takes the exchange's place at the upstream connection once the answer's head is there.  It
ends by telling the exchange: whole (`complete`), or ended too early.
"""

from typing import TYPE_CHECKING, Final

from router.dataplane import replies
from router.dataplane.record import AnswerObserver, book_usage
from router.errors import ErrorCode, FailureReason
from router.http1.events import StreamObserver, error_event
from router.http1.response import ResponseHead
from router.telemetry.recorder import VersionRecorder

if TYPE_CHECKING:
    from router.dataplane.client import Client
    from router.dataplane.exchange import Exchange


class Relay:
    """What both kinds share: the exchange they belong to, and when the next bytes are due."""

    __slots__ = ("_client", "_exchange", "_idle_s", "_now", "_recorder", "heard_at")

    def __init__(
        self,
        exchange: "Exchange",
        client: "Client",
        recorder: VersionRecorder,
        idle_s: float,
        heard_at: float,
    ) -> None:
        self._exchange: Final = exchange
        self._client: Final = client
        self._recorder: Final = recorder
        self._idle_s: Final = idle_s
        self._now: Final = exchange.now
        self.heard_at = heard_at

    @property
    def due(self) -> float:
        """When the model server will have been silent for too long."""
        return self.heard_at + self._idle_s

    def last_words(self, code: ErrorCode, message: str) -> bytes:
        """What a client can still be told when the answer breaks off."""
        return b""

    def on_response(
        self, head: ResponseHead, length: int | None, body: bytes, framed: bytes | None, ended: bool
    ) -> None:
        """See `connection.UpstreamUser`; an answer has one head, and it has been."""
        raise AssertionError("unreachable: a connection tells of a head once")

    def on_upstream_lost(self, broken: str | None) -> None:
        """See `connection.UpstreamUser`."""
        self._exchange.on_upstream_lost(broken)

    def on_upstream_full(self) -> None:
        """See `connection.UpstreamUser`."""
        self._exchange.on_upstream_full()

    def on_upstream_drained(self) -> None:
        """See `connection.UpstreamUser`."""
        self._exchange.on_upstream_drained()


class AnswerRelay(Relay):
    """Any answer that is no event stream."""

    __slots__ = ("_observer",)

    def observe(self, observer: AnswerObserver | None) -> "AnswerRelay":
        """Keep what the answer reports, for its end."""
        self._observer = observer
        return self

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `connection.UpstreamUser`."""
        now = self.heard_at = self._now()
        self._exchange.bytes_out += len(body)
        if self._observer is not None:
            self._observer.feed(body)
        self._client.body(body, framed, ended)
        if ended:
            if self._observer is not None:
                self._observer.book(self._recorder)
            self._exchange.complete(now)


class StreamRelay(Relay):
    """Server-sent events: first token, gaps, usage, and whether the stream ended as it should."""

    __slots__ = ("_observe_gap", "_observer")

    def start(
        self,
        head: ResponseHead,
        length: int | None,
        extra: bytes,
        body: bytes,
        framed: bytes | None,
        ended: bool,
    ) -> None:
        """Relay the head, with what came of the body."""
        self._observer = StreamObserver()
        self._observe_gap = self._recorder.inter_chunk.observe
        if body:
            self._observe(body, self.heard_at)
        early = ended and self._observer.truncated
        self._client.start(head, length, extra, body, framed, ended and not early)
        if ended:
            self._end(self.heard_at, early)

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `connection.UpstreamUser`."""
        now = self._now()
        observer = self._observer
        if not ended and observer.content:  # one more token
            self._observe_gap(now - self.heard_at)
            self.heard_at = now
            self._exchange.bytes_out += len(body)
            observer.feed(body)
            self._client.body(body, framed, False)
            return
        if body:
            self._observe_gap(now - self.heard_at)
            self.heard_at = now
            self._observe(body, now)
        early = ended and observer.truncated
        self._client.body(body, framed, ended and not early)
        if ended:
            self._end(now, early)

    def _observe(self, body: bytes, now: float) -> None:
        exchange, observer = self._exchange, self._observer
        exchange.bytes_out += len(body)
        had_content = observer.content
        observer.feed(body)
        if observer.content and not had_content:
            self._recorder.first_token.observe(now - exchange.started_at)

    def _end(self, now: float, early: bool) -> None:
        if early:
            self._exchange.break_off(
                FailureReason.TRUNCATED, ErrorCode.UPSTREAM_TRUNCATED, "the stream ended too early"
            )
            return
        book_usage(self._recorder, self._observer)
        self._exchange.complete(now, FailureReason.STREAM_ERROR if self._observer.failed else None)

    def last_words(self, code: ErrorCode, message: str) -> bytes:
        """A JSON error event; in the middle of an event, its line must end first."""
        event = error_event(replies.error_body(code, message))
        return event if self._observer.at_event_start else b"\n\n" + event
