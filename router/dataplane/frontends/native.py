"""The native door: one client connection, HTTP/1.1 straight from the transport.

Given to uvicorn as its `http=` protocol class.  No task and no event per request: reads become
calls of the exchange, and its calls become writes.  Requests of one connection are answered one
after the other; what is pipelined waits, bounded.

Half-closed clients: a FIN behind a complete request counts as gone, because a client of a model
that closes its side nearly always has given up, and a generation costs GPU seconds.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final, cast

from router.clock import NEVER
from router.dataplane import replies
from router.dataplane.exchange import Exchange
from router.dataplane.frontends.bodypace import BodyPace
from router.dataplane.frontends.caller import read_caller
from router.dataplane.frontends.refusals import count_reply
from router.errors import CLIENT_GONE_STATUS, ErrorCode
from router.http1.chunked import END, ChunkedDecoder, frame_chunk
from router.http1.grammar import ProtocolError, has_bare_line_end
from router.http1.reader import HeadReader
from router.http1.request import RequestHead
from router.http1.response import ResponseHead

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

HIGH_WATER: Final = 64 * 1024
MAX_LINGER: Final = 1024 * 1024
LINGER_S: Final = 2.0
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"
_CLOSE: Final = b"connection: close\r\n"
_KEEP_ALIVE: Final = b"connection: keep-alive\r\n"

_log = logging.getLogger("router.native")


class NativeProtocol(asyncio.Protocol):
    """See the module.

    Per connection: transport, address, scheme, certificate, reader.  Per request: from `_exchange`
    on; `peer` and `forwarded` where its head says how it came here.
    """

    __slots__ = (
        "_address",
        "_ask",
        "_buffer",
        "_certificate",
        "_chunked_answer",
        "_closing",
        "_decoder",
        "_exchange",
        "_full",
        "_head",
        "_lingered",
        "_max_head",
        "_pace",
        "_paused",
        "_plain",
        "_plane",
        "_reader",
        "_remaining",
        "_scheme",
        "_searched",
        "_sized",
        "_state",
        "_tells_way",
        "_transport",
        "deadline",
        "forwarded",
        "peer",
    )

    def __init__(self, plane: "DataPlane", connections: set[Any]) -> None:
        self._plane = plane
        self._state = connections
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self._reader: HeadReader[RequestHead] = plane.head_reader()
        self._max_head = plane.rules.max_head_bytes
        self._tells_way = plane.rules.trusted_proxies > 0
        self._address = ""
        self._scheme = "http"
        self._certificate = b""
        self._buffer = b""
        self._searched = 0  # before it, `_buffer` has neither an end of a head nor a bare line end
        self._paused = False
        self._full = False  # the transport holds more than `HIGH_WATER` for the client
        self._closing = False
        self._lingered = -1
        self.deadline = NEVER
        self.forwarded = b""
        self.peer = ""
        self._exchange: Exchange | None = None
        self._head: RequestHead | None = None
        self._decoder: ChunkedDecoder | None = None
        self._pace: BodyPace | None = None
        self._remaining = 0
        self._ask = False
        self._chunked_answer = False
        self._sized = False
        self._plain = False  # HTTP/1.1 and kept alive: no Connection field is needed

    def __repr__(self) -> str:
        return f"<NativeProtocol {self.peer} {self._exchange or 'idle'}>"

    # -- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        peer = transport.get_extra_info("peername")
        self.peer = self._address = str(peer[0]) if peer else ""
        if transport.get_extra_info("sslcontext"):
            self._scheme = "https"
            self._certificate = self._plane.certificate_line(transport)
        told = self._plane.forwarded_fields(self._address, self._scheme)
        self.forwarded = told + self._certificate
        self._state.add(self)
        self._plane.connections.add(self)
        self.deadline = self._plane.now() + self._plane.settings.head_timeout_s

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._state.discard(self)
        self._plane.connections.discard(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()

    def eof_received(self) -> None:
        """See asyncio; the transport closes itself then, when it has written what it holds."""
        self.deadline = self._plane.now() + self._plane.settings.write_timeout_s
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.client_gone()

    def pause_writing(self) -> None:
        """See asyncio."""
        self._full = True
        self.deadline = self._plane.now() + self._plane.settings.write_timeout_s
        if self._exchange is not None:
            self._exchange.on_client_full()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._full = False
        if self._transport.is_closing():
            return  # what is left has its time already
        if self._exchange is not None:
            pace = self._pace
            self.deadline = pace.due if pace is not None and self._body_missing else NEVER
            self._exchange.on_client_drained()
        elif self._lingered < 0:
            self.deadline = self._plane.idle_due
            self.resume_reading()
            if self._buffer:
                asyncio.get_running_loop().call_soon(self._next_request)
        else:
            self.deadline = self._plane.now() + LINGER_S

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        if self._exchange is not None:
            if self._remaining or self._decoder is not None:
                self._take_body(data)
            else:
                self._hold_back(data)
        elif self._lingered >= 0:
            self._linger(len(data))
        elif self._full:
            self._hold_back(data)
        else:
            self._take_head(data)

    # -- the request -------------------------------------------------------------------------

    def _take_head(self, data: bytes) -> None:
        start = 0
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
            start, self._searched = self._searched, 0
        end = data.find(b"\r\n\r\n", start) + 4
        try:
            if end < 4 or end > self._max_head or data[:1] == b"\r":
                self._wait_for_head(data, start, end)
                return
            head, length = self._reader.read(data[:end])
        except ProtocolError as error:
            self._refuse(error)
            return
        plane = self._plane
        self.deadline = NEVER
        self._head = head
        if head.plain and not plane.draining:
            self._plain = True
        else:
            self._plain = False
            self._closing = plane.draining or not head.keep_alive
        if self._tells_way or head.via is not None:
            # From now on for each request of this connection: the next one may say nothing.
            self._tells_way = True
            self.peer, told = read_caller(plane, head, self._address, self._scheme)
            self.forwarded = told + self._certificate
        exchange = self._exchange = Exchange(plane, self, head, length, plane.now())
        if length is not None and len(data) == end + length:
            exchange.begin(data[end:], True)
        else:
            self._begin_body(exchange, head, length or 0, data[end:])

    def _wait_for_head(self, data: bytes, start: int, end: int) -> None:
        """Keep what there is of a head that is not whole, within its limits and its time.

        It is looked through from `start` on: a head may come byte by byte.
        """
        if data.startswith(b"\r\n") and not data.startswith(b"\r\n\r\n"):
            if len(data) > 2:
                self._take_head(data[2:])  # RFC 9112 §2.2: one empty line before it is ignored
            else:
                self._buffer = data
            return
        if len(data) > self._max_head or end > self._max_head:
            raise ProtocolError("head_too_large", "head too large", ErrorCode.HEAD_TOO_LARGE)
        if has_bare_line_end(data, start) or data[:2] == b"\r\n":
            raise ProtocolError("bare_line_end", "a line does not end in CRLF")
        if data:
            # The time for a head runs from its first byte, not from the end of the last request.
            head_due = self._plane.now() + self._plane.settings.head_timeout_s
            self.deadline = min(self.deadline, head_due)
        self._buffer = data
        self._searched = max(0, len(data) - 3)  # an end of four bytes may have begun

    def _begin_body(self, exchange: Exchange, head: RequestHead, length: int, data: bytes) -> None:
        """A request whose body is not just what came with its head."""
        self._ask = head.expects_continue
        if head.chunked:
            self._decoder = ChunkedDecoder(self._plane.rules)
            self._begin_pace(exchange)
            exchange.begin(b"", False)
            if data:
                self._rest_of_body(data)
        elif len(data) >= length:
            self._buffer = data[length:]
            exchange.begin(data[:length], True)
        else:
            self._remaining = length - len(data)
            self._begin_pace(exchange)
            exchange.begin(data, False)

    def _begin_pace(self, exchange: Exchange) -> None:
        least = self._plane.rules.min_body_bytes_per_s
        if least:
            self._pace = BodyPace(exchange.started_at, least)
            self.deadline = self._pace.due

    def _rest_of_body(self, data: bytes) -> None:
        """The exchange may have ended already, and its successor must not get this."""
        if self._exchange is not None:
            self._take_body(data)
        elif self._lingered >= 0:
            self._linger(len(data))

    def _take_body(self, data: bytes) -> None:
        exchange = self._exchange
        assert exchange is not None
        self._ask = False
        if self._pace is not None:
            self._pace.received += len(data)
        if self._decoder is None:
            surplus = len(data) - self._remaining
            if surplus > 0:
                self._buffer = data[self._remaining :]
                data = data[: self._remaining]
            self._remaining -= len(data)
            exchange.feed(data, self._remaining == 0)
            return
        decoder = self._decoder
        try:
            payload = decoder.feed(data)
        except ProtocolError as error:
            self._refuse_rest(exchange, error)
            return
        if decoder.done:
            self._decoder = None
            self._buffer = decoder.rest
        if payload or decoder.done:
            exchange.feed(payload, decoder.done)

    def _refuse_rest(self, exchange: Exchange, error: ProtocolError) -> None:
        """What follows in this body cannot be had: the exchange ends."""
        begun = exchange.status != 0
        self._exchange = None
        if begun:
            exchange.client_gone()
            self._plane.count_refusal(str(error.code.status), error.reason)
            self._transport.abort()  # an answer is under way: nothing may follow it
        else:
            exchange.client_gone(error.code.status)
            self._refuse(error)

    def _hold_back(self, data: bytes) -> None:
        """A pipelined request waits until the answer before it is ended, and mostly taken."""
        self._buffer += data
        if len(self._buffer) > HIGH_WATER:
            self.pause_reading()

    def _refuse(self, error: ProtocolError) -> None:
        """Answer a message that is not HTTP, and close: nothing behind it can be read safely."""
        self._plane.count_refusal(str(error.code.status), error.reason)
        self._closing = True
        body = replies.error_body(error.code, str(error))
        fields = replies.error_fields(error.code)
        self._write_reply(error.code.status, fields, body, head_only=False)
        self._exchange = None
        self._begin_linger()

    def on_deadline(self) -> None:
        """The time for a head, a body's part, an answer, the next request or lingering is over."""
        self.deadline = NEVER
        if self._full or self._transport.is_closing():
            self._give_up()
            return
        if self._exchange is not None:
            self._judge_pace(self._exchange)
            return
        if self._buffer and self._lingered < 0:
            self._refuse(
                ProtocolError("head_timeout", "no request in time", ErrorCode.REQUEST_TIMEOUT)
            )
        else:
            self._transport.abort() if self._lingered >= 0 else self._close()

    def _give_up(self) -> None:
        """The client has left what was written for it lying: closing would wait for it for ever."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.client_gone()
        self._plane.count_refusal(str(CLIENT_GONE_STATUS), "write_timeout")
        self._transport.abort()

    def _close(self) -> None:
        """Close when everything is written, which is waited for as for any answer."""
        self.deadline = self._plane.now() + self._plane.settings.write_timeout_s
        self._transport.close()

    def _judge_pace(self, exchange: Exchange) -> None:
        """End a request whose body dribbles in, unless something on our side holds it up."""
        pace = self._pace
        if pace is None or not self._body_missing:
            return
        if self._paused or self._ask or exchange.status:
            pace.excuse()
        if pace.too_slow(self._plane.now()):
            self._refuse_rest(
                exchange,
                ProtocolError(
                    "body_too_slow", "the body comes too slowly", ErrorCode.REQUEST_TIMEOUT
                ),
            )
        else:
            self.deadline = pace.due

    # -- the answer: what an exchange calls (see client.Client) ------------------------------

    def ask_for_body(self) -> None:
        """See `client.Client`."""
        if self._ask:
            self._ask = False
            self._transport.write(_CONTINUE)

    def start(
        self,
        head: ResponseHead,
        length: int | None,
        extra: bytes,
        body: bytes,
        framed: bytes | None,
        ended: bool,
    ) -> None:
        """See `client.Client`."""
        if self._plane.draining or (ended and self._body_missing):
            self._closing = True
            self._plain = False
        if length is not None and self._plain:
            self._chunked_answer = False
            self._sized = True
            self._transport.write(
                b"%bcontent-length: %d\r\n%b\r\n%b" % (head.start, length, extra, body)
            )
            if ended:
                self._end_request()
            return
        request = self._head
        assert request is not None
        self._chunked_answer = False
        self._sized = length is not None
        if length is not None:
            framing = b"content-length: %d\r\n" % length
        elif not head.has_body(request.method):
            framing = b""
        elif request.minor == 1:
            framing = _CHUNKED
            self._chunked_answer = True
            if body:
                body = framed or frame_chunk(body)
            if ended:
                body += END
        else:
            framing = b""
            self._closing = True  # HTTP/1.0 has no chunks: the end of the connection ends the body
        if self._closing:
            framing += _CLOSE
        elif request.minor == 0:
            framing += _KEEP_ALIVE
        self._transport.write(b"%b%b%b\r\n%b" % (head.start, framing, extra, body))
        if ended:
            self._end_request()

    def body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `client.Client`."""
        if framed is not None and self._chunked_answer and not ended:
            self._transport.write(framed)
            return
        if self._chunked_answer:
            data = (framed or frame_chunk(body)) if body else b""
            if ended:
                data += END
        else:
            data = body
        if data:
            self._transport.write(data)
        if ended:
            self._end_request()

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """See `client.Client`."""
        request = self._head
        assert request is not None
        if self._plane.draining or self._body_missing:
            self._closing = True
        count_reply(self._plane, status)
        self._write_reply(status, fields, body, head_only=request.method == b"HEAD")
        self._end_request()

    def _write_reply(self, status: int, fields: bytes, body: bytes, *, head_only: bool) -> None:
        self._transport.write(
            b"HTTP/1.1 %d %b\r\n%bcontent-length: %d\r\n%b\r\n%b"
            % (
                status,
                replies.reason_phrase(status),
                fields,
                len(body),
                _CLOSE if self._closing else b"",
                b"" if head_only else body,
            )
        )

    def break_off(self, last_words: bytes) -> None:
        """See `client.Client`: no last chunk, a short Content-Length, so the client can tell."""
        self._exchange = None
        if self._chunked_answer and last_words:
            self._transport.write(frame_chunk(last_words))
        elif self._sized or not last_words:
            self._transport.abort()  # there is no room for words, and a clean end would be a lie
            return
        else:
            self._transport.write(last_words)
        self._close()

    def pause_reading(self) -> None:
        """See `client.Client`."""
        if not self._paused and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See `client.Client`."""
        if self._paused and not self._transport.is_closing():
            self._paused = False
            if self._pace is not None:
                self._pace.excuse()
            self._transport.resume_reading()

    # -- between requests --------------------------------------------------------------------

    @property
    def _body_missing(self) -> bool:
        return bool(self._remaining) or self._decoder is not None

    def _end_request(self) -> None:
        """The answer has been written: make ready for the next request, or close."""
        self._exchange = None
        self._head = None  # an idle connection holds no large one
        self._pace = None
        missing = self._remaining or self._decoder is not None
        if missing:
            # Nothing behind an answered request can be told from the rest of its body.
            self._closing = True
            self._remaining = 0
            self._decoder = None
        if self._paused and not self._full:
            self.resume_reading()
        if self._closing:
            if missing:
                self._begin_linger()
            else:
                self._close()
            return
        if self._full:
            return  # the time to take this answer runs; what was held back waits for it
        self.deadline = self._plane.idle_due  # within a tick
        if self._buffer:
            # Not from here: the exchange that just ended is still on the stack.
            asyncio.get_running_loop().call_soon(self._next_request)

    def _next_request(self) -> None:
        if self._full or self._transport.is_closing():
            return
        if self._exchange is None and self._buffer:
            self._take_head(b"")

    def _begin_linger(self) -> None:
        """Read on for a moment: closing with unread bytes resets, and may destroy the answer.

        The moment begins when all is written; until then the time to take an answer runs.
        """
        self._lingered = 0
        self._buffer = b""
        if not self._full:
            self.deadline = self._plane.now() + LINGER_S
        # From now on a single byte is too much, and `resume_writing` tells when there is none.
        self._transport.set_write_buffer_limits(high=1)
        self.resume_reading()  # who sends all before it reads anything must get its answer as well
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _linger(self, size: int) -> None:
        self._lingered += size
        if self._lingered <= MAX_LINGER:
            return
        if self._full:
            self.pause_reading()
        else:
            self._transport.abort()

    # -- what uvicorn calls ------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self._exchange is None

    @property
    def transport(self) -> asyncio.Transport:
        """The connection, by the name that uvicorn's own protocols have for it."""
        return self._transport

    def shutdown(self) -> None:
        """The server drains: idle connections close now, the others after their answer."""
        if self._exchange is None:
            self._close()
        else:
            self._closing = True
