"""One HTTP/1.1 connection to a model server.

It sends a request at a time and tells its user what comes back; the user is an exchange or a
probe.  A connection is used again only if its last exchange left it beyond doubt: the request
was sent whole, the answer was whole, and not one byte came besides (a surplus byte would be read
as the next answer: the classic response-splitting hole of pooled clients).

Per connection: transport, pool, reader.  Per request: everything from `user` on.
"""

import asyncio
import select
from typing import TYPE_CHECKING, Final, Protocol, cast

from router.http1.chunked import ChunkedDecoder
from router.http1.grammar import MAX_HEAD, ProtocolError, has_bare_line_end
from router.http1.reader import HeadReader
from router.http1.response import ResponseHead, parse_response

if TYPE_CHECKING:
    from router.dataplane.upstream.pool import Pool

HIGH_WATER = 64 * 1024
MAX_INTERIM: Final = 1024 * 1024
"""Bytes of 1xx answers to one request: many thousands of them, and yet no flood."""
_UNTIL_CLOSE = -1


class UpstreamUser(Protocol):
    """Who sent the request; every call comes from the event loop, none after `ended` or lost."""

    def on_response(
        self, head: ResponseHead, length: int | None, body: bytes, framed: bytes | None, ended: bool
    ) -> None:
        """The answer's head, with what came of its body.

        `length` is the body's Content-Length if it has one.  `framed` are the very bytes of whole
        chunks, when `body` came as such.
        """
        ...

    def on_response_body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """More of the body, or its end."""
        ...

    def on_upstream_lost(self, broken: str | None) -> None:
        """No (further) answer will come: `broken` names a broken protocol rule, None a reset."""
        ...

    def on_upstream_full(self) -> None:
        """The model server reads slower than the client sends: send no more for now."""
        ...

    def on_upstream_drained(self) -> None:
        """It has caught up."""
        ...


class Connection(asyncio.Protocol):
    """See the module."""

    __slots__ = (
        "_buffer",
        "_decoder",
        "_head_seen",
        "_interim",
        "_interim_of",
        "_method",
        "_paused",
        "_pool",
        "_reader",
        "_remaining",
        "_request_sent",
        "_reusable",
        "_searched",
        "idle_since",
        "received",
        "served",
        "transport",
        "user",
    )

    def __init__(self, pool: "Pool") -> None:
        self._pool = pool
        self.transport: asyncio.Transport | None = None
        self._reader: HeadReader[ResponseHead] = HeadReader(parse_response)
        self.served = 0
        self.idle_since = 0.0
        self._paused = False
        self.user: UpstreamUser | None = None
        self._method = b""
        self._buffer = b""
        self._searched = 0  # before it, `_buffer` has neither an end of a head nor a bare line end
        self._interim = 0
        self._interim_of = 0  # `served` when those came: to begin a request costs nothing so
        self._decoder: ChunkedDecoder | None = None
        self._remaining = 0
        self._head_seen = False
        self._request_sent = False
        self._reusable = False
        self.received = False

    def __repr__(self) -> str:
        state = "closed" if self.transport is None else "busy" if self.user else "idle"
        return f"<Connection to {self._pool.name}: {state}, {self.served} served>"

    # -- the user's side ---------------------------------------------------------------------

    def send(self, user: UpstreamUser, method: bytes, data: bytes, complete: bool) -> None:
        """Begin a request: its head and what is there of its body, already framed."""
        self.user = user
        self._method = method
        self._head_seen = False
        self._request_sent = complete
        self.received = False
        if self.transport is None:  # it was lost between its making and its use
            asyncio.get_running_loop().call_soon(self.connection_lost, None)
        else:
            self.transport.write(data)

    def send_body(self, data: bytes, *, complete: bool) -> None:
        """Go on with the request's body, already framed."""
        self._request_sent = complete
        if data and self.transport is not None:
            self.transport.write(data)

    def pause(self) -> None:
        """Read no more for now."""
        if self.transport is not None and not self._paused:
            self._paused = True
            self.transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self.transport is not None and self._paused:
            self._paused = False
            self.transport.resume_reading()

    def has_news(self) -> bool:
        """Whether the socket has something to read, which the event loop has not told yet.

        On an idle connection that is nearly always the server's FIN.
        """
        if self.transport is None:
            return True
        poller = select.poll()
        poller.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poller.poll(0))

    def discard(self) -> None:
        """Close at once; the user, if there is one, is not told."""
        self.user = None
        if self.transport is not None:
            self.transport.abort()

    # -- asyncio.Protocol --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        user = self.user
        if user is None:
            # An idle connection has nothing to say; what it says would poison the next exchange.
            self._close()
            return
        try:
            decoder = self._decoder
            if decoder is not None:
                payload = decoder.feed(data)
                if decoder.done:
                    self._end_chunks(decoder, payload)
                elif payload:
                    user.on_response_body(payload, data if decoder.whole else None, False)
            elif self._head_seen:
                self._take_body(data)
            else:
                self._take_head(data)
        except ProtocolError as error:
            self._lose(error.reason)

    def eof_received(self) -> None:
        """See asyncio: the transport closes itself, `connection_lost` follows."""

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.transport = None
        self._pool.forget(self)
        if exc is not None:
            self._pool.lost(exc)
        user = self.user
        if user is None:
            return
        self.user = None
        if exc is None and self._head_seen and self._remaining == _UNTIL_CLOSE:
            user.on_response_body(b"", None, True)
        else:
            user.on_upstream_lost(None)

    def pause_writing(self) -> None:
        """See asyncio."""
        if self.user is not None:
            self.user.on_upstream_full()

    def resume_writing(self) -> None:
        """See asyncio."""
        if self.user is not None:
            self.user.on_upstream_drained()

    # -- reading -----------------------------------------------------------------------------

    def _take_head(self, data: bytes) -> None:
        self.received = True
        begin = start = 0
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
            start = self._searched
        while True:
            end = data.find(b"\r\n\r\n", start) + 4
            if end < 4 or end - begin > MAX_HEAD:
                self._wait_for_head(data[begin:], start - begin)
                return
            head, length = self._reader.read(data[begin:end])
            if head.status >= 200:
                break
            self._pass_over(head, end - begin)
            begin = start = end
        self._reusable = head.keep_alive
        if len(data) - end == length and not head.bodiless and self._method != b"HEAD":
            # The whole answer in one read: what most are.
            self._end().on_response(head, length, data[end:], None, True)
        else:
            self._head_seen = True
            self._start_body(head, length, data[end:])

    def _pass_over(self, interim: ResponseHead, size: int) -> None:
        """RFC 9110 §15.2: any number of interim answers may come first, as long as it is sane."""
        if interim.status == 101:
            raise ProtocolError("response_head", "101 without an upgrade")
        if self._interim_of != self.served:
            self._interim_of = self.served
            self._interim = 0
        self._interim += size
        if self._interim > MAX_INTERIM:
            raise ProtocolError("response_head", "a flood of interim answers")

    def _wait_for_head(self, data: bytes, start: int) -> None:
        """Keep what there is of a head; it is looked through from `start` on."""
        if not data:
            return
        strange = data[:5] != b"HTTP/"[: len(data[:5])]
        if len(data) > MAX_HEAD or strange or has_bare_line_end(data, start):
            raise ProtocolError("response_head", "no response head")
        self._buffer = data
        self._searched = max(0, len(data) - 3)  # an end of four bytes may have begun

    def _start_body(self, head: ResponseHead, length: int | None, body: bytes) -> None:
        framed: bytes | None = None
        self._decoder = None
        if not head.has_body(self._method):
            ended = True
            if head.status == 204:
                length = None  # RFC 9110 §8.6: such an answer has no Content-Length
            if body:
                self._reusable = False
                body = b""
        elif head.chunked:
            self._decoder = ChunkedDecoder()
            ended = False
            if body:
                body, framed, ended = self._decode(body)
        elif length is not None:
            self._remaining = length
            body, ended = self._count(body)
        else:
            self._remaining = _UNTIL_CLOSE
            self._reusable = False
            ended = False
        user = self._end() if ended else self.user
        if user is not None:
            user.on_response(head, length, body, framed, ended)

    def _take_body(self, data: bytes) -> None:
        ended = False
        if self._remaining != _UNTIL_CLOSE:
            data, ended = self._count(data)
        user = self._end() if ended else self.user
        if user is not None and (data or ended):
            user.on_response_body(data, None, ended)

    def _end_chunks(self, decoder: ChunkedDecoder, payload: bytes) -> None:
        if decoder.rest:
            self._reusable = False
        self._end().on_response_body(payload, None, True)

    def _decode(self, data: bytes) -> tuple[bytes, bytes | None, bool]:
        decoder = self._decoder
        assert decoder is not None
        payload = decoder.feed(data)
        if decoder.done and decoder.rest:
            self._reusable = False
        return payload, data if decoder.whole else None, decoder.done

    def _count(self, data: bytes) -> tuple[bytes, bool]:
        surplus = len(data) - self._remaining
        if surplus < 0:
            self._remaining = -surplus
            return data, False
        if surplus:
            self._reusable = False
            data = data[: self._remaining]
        self._remaining = 0
        return data, True

    def _end(self) -> UpstreamUser:
        """Let the connection go before its user hears of the end: it may want one at once."""
        user = self.user
        assert user is not None
        self.user = None
        self._decoder = None
        self.served += 1
        transport = self.transport
        if (
            self._reusable
            and self._request_sent
            and transport is not None
            and not transport.get_write_buffer_size()  # else it was answered before it was sent all
        ):
            if self._paused:
                self.resume()
            self._pool.give_back(self)
        else:
            self._close()
        return user

    def _close(self) -> None:
        self._pool.forget(self)
        if self.transport is not None:
            self.transport.abort()

    def _lose(self, broken: str) -> None:
        user = self.user
        self.user = None
        self._close()
        if user is not None:
            user.on_upstream_lost(broken)
