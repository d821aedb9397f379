"""The asgi door: the same exchange behind any ASGI server.

What the server has parsed is put together again into the head that the exchange reads, so both
doors accept, decide and forward alike; what a server lets through that the head's grammar does
not, is refused here.  Costs two tasks and several events a request: use the native door where
you can.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from router.dataplane import replies
from router.dataplane.exchange import Exchange
from router.errors import ErrorCode
from router.http1.grammar import ProtocolError
from router.http1.request import RequestHead, parse_request
from router.http1.response import ResponseHead

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HIGH_WATER: Final = 64 * 1024


class BrokenOffError(Exception):
    """Raised into the ASGI server, which then closes the connection without ending the answer."""


class AsgiClient:
    """One request of an ASGI server: collects what the exchange writes, for `send`."""

    def __init__(self, forwarded: bytes, peer: str, *, http2: bool) -> None:
        self.forwarded = forwarded
        self.peer = peer
        self._http2 = http2
        self._out: deque[Message] = deque()
        self._out_bytes = 0
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self._full = False
        self._ended = False
        self._broken_off = False
        self.exchange: Exchange | None = None

    # -- what an exchange calls (see exchange.Client) ------------------------------------------

    def ask_for_body(self) -> None:
        """The server sends 100 Continue itself, when the body is received."""

    def start(
        self,
        head: ResponseHead,
        length: int | None,
        extra: bytes,
        body: bytes,
        framed: bytes | None,
        ended: bool,
    ) -> None:
        """See `exchange.Client`."""
        fields = head.start[head.start.index(b"\r\n") :] + extra
        if length is not None:
            fields += b"content-length: %d\r\n" % length
        self._start(head.status, fields)
        self.body(body, framed, ended)

    def _start(self, status: int, fields: bytes) -> None:
        headers = []
        for line in fields.split(b"\r\n"):
            if line:
                name, _, value = line.partition(b":")
                headers.append((name.lower(), value.strip(b" \t")))
        self._put({"type": "http.response.start", "status": status, "headers": headers})

    def body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `exchange.Client`."""
        if body or ended:
            self._ended = ended
            self._put({"type": "http.response.body", "body": body, "more_body": not ended})
            self._out_bytes += len(body)
            if self._out_bytes > HIGH_WATER and not self._full and self.exchange is not None:
                self._full = True
                self.exchange.on_client_full()

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """See `exchange.Client`."""
        self._start(status, fields + b"content-length: %d\r\n" % len(body))
        self.body(body, None, True)

    def break_off(self, last_words: bytes) -> None:
        """See `exchange.Client`."""
        if last_words:
            self._put({"type": "http.response.body", "body": last_words, "more_body": True})
        self._broken_off = True
        self._wake.set()

    def pause_reading(self) -> None:
        """See `exchange.Client`."""
        self._readable.clear()

    def resume_reading(self) -> None:
        """See `exchange.Client`."""
        self._readable.set()

    def _put(self, message: Message) -> None:
        self._out.append(message)
        self._wake.set()

    # -- the two directions ------------------------------------------------------------------

    async def read(self, exchange: Exchange, receive: Receive, *, body_expected: bool) -> None:
        """Feed the request's body, then wait for the client to go away."""
        complete = not body_expected
        while True:
            await self._readable.wait()
            message = await receive()
            if message["type"] == "http.disconnect":
                exchange.client_gone()
                self._broken_off = True
                self._wake.set()
                return
            if not complete:
                complete = not message.get("more_body", False)
                exchange.feed(message.get("body", b""), complete)

    async def write(self, send: Send) -> None:
        """Send what the exchange has written, until it has ended.

        Raises:
            BrokenOffError: the answer must not look whole.
        """
        while True:
            while self._out:
                message = self._out.popleft()
                self._out_bytes -= len(message.get("body", b""))
                await send(message)
            if self._full and self.exchange is not None:
                self._full = False
                self.exchange.on_client_drained()
            if self._broken_off:
                raise BrokenOffError
            if self._ended and not self._out:
                return
            self._wake.clear()
            await self._wake.wait()


def _read_head(scope: Scope) -> RequestHead:
    """Put the request's head together again.

    Raises:
        ProtocolError: the head is not one that the native door would take.
    """
    target = scope["raw_path"] or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    version = b"1.0" if scope["http_version"] == "1.0" else b"1.1"
    headers = scope["headers"]
    if not any(name == b"host" for name, _ in headers):
        headers = [(b"host", b""), *headers]
    fields = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return parse_request(
        b"%b %b HTTP/%b\r\n%b\r\n" % (scope["method"].encode(), target, version, fields)
    )


async def answer(plane: "DataPlane", scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one ASGI connection scope; other than `http` there are none here."""
    if scope["type"] != "http":
        raise NotImplementedError(f"no {scope['type']} on the traffic port")
    peer = str(scope["client"][0]) if scope.get("client") else ""
    forwarded = plane.forwarded_fields(peer, scope.get("scheme", "http"))
    client = AsgiClient(forwarded, peer, http2=scope["http_version"] not in ("1.0", "1.1"))
    try:
        head = _read_head(scope)
    except ProtocolError as error:
        plane.count_refusal(str(error.code.status), error.reason)
        _refuse(client, error.code, str(error))
        await client.write(send)
        return
    exchange = client.exchange = Exchange(plane, client, head, head.content_length, plane.now())
    expected = head.has_body
    exchange.begin(b"", not expected)
    reading = asyncio.get_running_loop().create_task(
        client.read(exchange, receive, body_expected=expected)
    )
    try:
        await client.write(send)
    except BrokenOffError:
        if exchange.status != 499:
            raise
    finally:
        reading.cancel()
        exchange.client_gone()


def _refuse(client: AsgiClient, code: ErrorCode, message: str) -> None:
    client.reply(code.status, replies.error_fields(code), replies.error_body(code, message))
