"""The asgi door: the same exchange behind any ASGI server.

What the server has parsed is put together again into the head that the exchange reads, so both
doors accept, decide and forward alike; what a server lets through that the head's grammar does
not, is refused here.

An answer that comes at once costs no task: whether the client has gone is only asked
(`receive`) when it has waited for `WATCH_AFTER_S`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from router.clock import NEVER
from router.dataplane import replies
from router.dataplane.exchange import Exchange
from router.dataplane.frontends.bodypace import BodyPace
from router.dataplane.frontends.caller import read_caller
from router.dataplane.frontends.refusals import count_reply
from router.errors import CLIENT_GONE_STATUS, ErrorCode
from router.http1.grammar import ProtocolError, field_pairs
from router.http1.reader import MAX_REMEMBERED, HeadReader
from router.http1.request import RequestHead
from router.http1.response import ResponseHead

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HIGH_WATER: Final = 64 * 1024
WATCH_AFTER_S: Final = 0.03
_MAX_PEERS: Final = 4096
_REQUEST_ID: Final = b"x-request-id: "


class Peer:
    """One client connection, as far as an ASGI server shows it: what can be kept between requests.

    An ASGI scope has no connection; the client's address and port stand for it.
    """

    __slots__ = ("_last", "_max_head", "_reader", "address", "forwarded", "scheme")

    def __init__(self, plane: "DataPlane", address: str, scheme: str) -> None:
        self.address: Final = address
        self.scheme: Final = scheme
        self.forwarded: Final = plane.forwarded_fields(address, scheme)
        self._reader: Final[HeadReader[RequestHead]] = plane.head_reader()
        self._max_head: Final = plane.rules.max_head_bytes
        self._last: tuple[Scope, RequestHead, int | None] | None = None

    def read(self, scope: Scope) -> tuple[RequestHead, int | None]:
        """The head of this request, and its Content-Length; a repeated head is known again.

        Raises:
            ProtocolError: the native door would not take it.
        """
        last = self._last
        if last is not None:
            before = last[0]
            if (
                scope["headers"] == before["headers"]
                and scope["raw_path"] == before["raw_path"]
                and scope["query_string"] == before["query_string"]
                and scope["method"] == before["method"]
                and scope["http_version"] == before["http_version"]
            ):
                return last[1], last[2]
        raw = _raw_head(scope, self._max_head)
        head, length = self._reader.read(raw)
        if len(raw) > MAX_REMEMBERED:
            return head, length
        kept = ("headers", "raw_path", "query_string", "method", "http_version")
        self._last = {name: scope[name] for name in kept}, head, length
        return head, length


class Peers:
    """The connections seen of late, bounded."""

    def __init__(self) -> None:
        self._known: dict[object, Peer] = {}

    def of(self, plane: "DataPlane", scope: Scope) -> Peer:
        """The peer of this scope."""
        client, scheme = scope.get("client"), scope.get("scheme", "http")
        key = (client[0], client[1], scheme) if client else scheme
        peer = self._known.get(key)
        if peer is None:
            if len(self._known) >= _MAX_PEERS:
                self._known.clear()
            address = str(client[0]) if client else ""
            peer = self._known[key] = Peer(plane, address, scheme)
        return peer

    def forget(self, client: tuple[str, int] | None, scheme: str | None) -> None:
        """This connection has closed (a server that cannot tell is why there is a bound)."""
        if client is not None:
            self._known.pop((client[0], client[1], scheme), None)


@lru_cache(maxsize=1024)
def _constant_pairs(lines: bytes) -> list[tuple[bytes, bytes]]:
    """The fields that tell version, route and generation: alike for many requests."""
    return field_pairs(lines)


class Watchers:
    """Starts to listen for the leaving of clients that have waited for a while.

    Two sets, looked at every `WATCH_AFTER_S`: who stands in the older one has waited that long at
    least and twice as long at most.  A timer for each request would cost ten times as much.
    """

    def __init__(self) -> None:
        self._young: dict[AsgiClient, Receive] = {}
        self._old: dict[AsgiClient, Receive] = {}
        self._running = False

    def add(self, client: "AsgiClient", receive: Receive) -> None:
        """This client has sent its request, and waits."""
        self._young[client] = receive
        if not self._running:
            self._running = True
            asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._look)

    def discard(self, client: "AsgiClient") -> None:
        """This client has its answer, or is listened for already."""
        self._young.pop(client, None)
        self._old.pop(client, None)

    def _look(self) -> None:
        for client, receive in self._old.items():
            if client.exchange is not None:
                client.start_reading(client.exchange, receive)
        self._old, self._young = self._young, {}
        self._running = bool(self._old)
        if self._running:
            asyncio.get_running_loop().call_later(WATCH_AFTER_S, self._look)


class BrokenOffError(Exception):
    """Raised into the ASGI server, which then closes the connection without ending the answer."""


class AsgiClient:
    """One request of an ASGI server: collects what the exchange writes, for `send`."""

    __slots__ = (
        "_broken_off",
        "_ended",
        "_full",
        "_out",
        "_out_bytes",
        "_pace",
        "_plane",
        "_readable",
        "_reading",
        "_receiver",
        "_sized",
        "_waiter",
        "deadline",
        "exchange",
        "forwarded",
        "incomplete",
        "peer",
    )

    def __init__(self, plane: "DataPlane", peer: Peer) -> None:
        self._plane = plane
        self._receiver: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self.incomplete = False  # the request's body has not been received whole
        self.forwarded = peer.forwarded
        self.peer = peer.address
        self.exchange: Exchange | None = None
        self.deadline = NEVER
        self._pace: BodyPace | None = None
        self._out: deque[Message] = deque()
        self._out_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._readable: asyncio.Event | None = None
        self._full = False
        self._sized = False
        self._ended = False
        self._broken_off = False

    # -- what an exchange calls (see client.Client) ------------------------------------------

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
        """See `client.Client`."""
        at = extra.rindex(_REQUEST_ID)
        headers = [
            *head.kept_pairs(),
            *_constant_pairs(extra[:at]),
            (b"x-request-id", extra[at + len(_REQUEST_ID) : -2]),
        ]
        if length is not None and not head.bodiless:  # servers count what a 304 only announces
            headers.append((b"content-length", b"%d" % length))
            self._sized = True
        if self._plane.draining or (ended and self.incomplete):
            # What comes of the body after its answer cannot be told from a request.
            headers.append((b"connection", b"close"))
        self._out.append({"type": "http.response.start", "status": head.status, "headers": headers})
        self.body(body, framed, ended)

    def body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `client.Client`."""
        self._ended = ended
        self._put({"type": "http.response.body", "body": body, "more_body": not ended})
        if not ended:
            self._out_bytes += len(body)
            if self._out_bytes > HIGH_WATER and not self._full and self.exchange is not None:
                self._full = True
                self.exchange.on_client_full()

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """See `client.Client`."""
        count_reply(self._plane, status)
        self._answer(status, fields, body)

    def _answer(self, status: int, fields: bytes, body: bytes) -> None:
        if self.incomplete or self._plane.draining:
            fields += b"connection: close\r\n"
        headers = field_pairs(fields + b"content-length: %d\r\n" % len(body))
        self._out.append({"type": "http.response.start", "status": status, "headers": headers})
        self.body(body, None, True)

    def break_off(self, last_words: bytes) -> None:
        """See `client.Client`."""
        if last_words and not self._sized:
            self._put({"type": "http.response.body", "body": last_words, "more_body": True})
        self._broken_off = True
        self._wake()

    def pause_reading(self) -> None:
        """See `client.Client`."""
        self._readable = self._readable or asyncio.Event()
        self._readable.clear()

    def resume_reading(self) -> None:
        """See `client.Client`."""
        if self._readable is not None:
            self._readable.set()
            if self._pace is not None:
                self._pace.excuse()

    def _put(self, message: Message) -> None:
        self._out.append(message)
        self._wake()

    def _wake(self) -> None:
        if self._receiver is not None:
            self._receiver.cancel()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # -- the two directions ------------------------------------------------------------------

    async def receive_first(self, exchange: Exchange, receive: Receive) -> Message:
        """Receive what most often is the whole body, without a task, but not for ever.

        If the exchange's time is over first, it has written its answer: that ends the wait.
        """
        plane = self._plane
        exchange.deadline = plane.now() + plane.settings.body_timeout_s
        task = self._receiver = asyncio.current_task()
        assert task is not None
        try:
            return await receive()
        except asyncio.CancelledError:
            if not self._out:
                raise  # the server's own
            task.uncancel()
            return {"type": "http.request", "more_body": True}
        finally:
            self._receiver = None

    async def read_body(self, exchange: Exchange, receive: Receive) -> None:
        """Feed the request's body, as far as the exchange wants it."""
        complete = False
        while not complete and not self._ended:
            if self._readable is not None:
                await self._readable.wait()
            message = await receive()
            if message["type"] == "http.disconnect":
                self._gone(exchange)
                return
            complete = not message.get("more_body", False)
            self.incomplete = not complete
            body = message.get("body", b"")
            if self._pace is not None:
                self._pace.received += len(body)
            exchange.feed(body, complete)

    def start_reading(self, exchange: Exchange, receive: Receive) -> None:
        """From now on, hear at once of the rest of the body and of the client's leaving."""
        if self._reading is None:
            self._reading = asyncio.get_running_loop().create_task(self._read(exchange, receive))

    async def _read(self, exchange: Exchange, receive: Receive) -> None:
        if self.incomplete:
            await self.read_body(exchange, receive)
        while not exchange.done and (await receive())["type"] != "http.disconnect":
            pass
        if not exchange.done:
            self._gone(exchange)

    def begin_pace(self, exchange: Exchange) -> None:
        """From now on the body must come fast enough."""
        least = self._plane.rules.min_body_bytes_per_s
        if least:
            self._pace = BodyPace(exchange.started_at, least)
            self.deadline = self._pace.due
            self._plane.bodies.add(self)

    def on_deadline(self) -> None:
        """A window of the body is over: end a request that dribbles in (see the native door)."""
        pace, exchange = self._pace, self.exchange
        if pace is None or exchange is None or exchange.done or not self.incomplete:
            self._plane.bodies.discard(self)
            return
        paused = self._readable is not None and not self._readable.is_set()
        if paused or exchange.status:
            pace.excuse()
        if pace.too_slow(self._plane.now()):
            self._plane.bodies.discard(self)
            exchange.client_gone(ErrorCode.REQUEST_TIMEOUT.status)
            self.refuse(
                ProtocolError(
                    "body_too_slow", "the body comes too slowly", ErrorCode.REQUEST_TIMEOUT
                )
            )
        else:
            self.deadline = pace.due

    def refuse(self, error: ProtocolError) -> None:
        """Answer a message that breaks a rule; whatever follows cannot be told from a body."""
        self._plane.count_refusal(str(error.code.status), error.reason)
        self.incomplete = True
        body = replies.error_body(error.code, str(error))
        self._answer(error.code.status, replies.error_fields(error.code), body)

    def close(self) -> None:
        """The request is over."""
        self._plane.bodies.discard(self)
        if self._reading is not None:
            self._reading.cancel()

    def _gone(self, exchange: Exchange) -> None:
        exchange.client_gone()
        self._broken_off = True
        self._wake()

    async def write(self, send: Send) -> None:
        """Send what the exchange has written, until it has ended.

        Raises:
            BrokenOffError: the answer must not look whole.
        """
        out = self._out
        while True:
            while out:
                message = out.popleft()
                await send(message)
                if message.get("more_body"):
                    self._out_bytes -= len(message["body"])
            if self._full and self.exchange is not None:
                self._full = False
                self.exchange.on_client_drained()
            if self._broken_off:
                raise BrokenOffError
            if self._ended and not out:
                return
            if not out:
                self._waiter = asyncio.get_running_loop().create_future()
                await self._waiter


def _raw_head(scope: Scope, max_head: int) -> bytes:
    """Put the request's head together again.

    Raises:
        ProtocolError: it is none that the native door would take.
    """
    target = scope["raw_path"] or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    headers = scope["headers"]
    if scope["http_version"] == "0.9":
        raise ProtocolError("request_line", "malformed request line")
    http1 = scope["http_version"] in ("1.0", "1.1")
    if not http1 and not any(name == b"host" for name, _ in headers):
        headers = [(b"host", b""), *headers]  # HTTP/2 servers may give :authority alone
    fields = b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers])
    version = b"1.0" if scope["http_version"] == "1.0" else b"1.1"
    head = b"%b %b HTTP/%b\r\n%b\r\n" % (scope["method"].encode(), target, version, fields)
    if len(head) > max_head:
        raise ProtocolError("head_too_large", "head too large", ErrorCode.HEAD_TOO_LARGE)
    return head


async def answer(plane: "DataPlane", scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one ASGI connection scope.

    Raises:
        NotImplementedError: the scope is no `http` (the ASGI specification wants an exception for
            what an application does not speak; websockets are not relayed).
        BrokenOffError: the answer broke off; the server must not end it cleanly.
    """
    if scope["type"] != "http":
        raise NotImplementedError(f"no {scope['type']} on the traffic port")
    peer = plane.peers.of(plane, scope)
    client = AsgiClient(plane, peer)
    try:
        head, length = peer.read(scope)
    except ProtocolError as error:
        client.refuse(error)
        await client.write(send)
        return
    if head.via is not None or plane.rules.trusted_proxies:
        client.peer, client.forwarded = read_caller(plane, head, peer.address, peer.scheme)
    exchange = client.exchange = Exchange(plane, client, head, length, plane.now())
    try:
        first: Message = {"type": "http.request"}
        client.incomplete = bool(length) or head.chunked
        if head.expects_continue or (length or 0) > min(HIGH_WATER, plane.table.least_body_limit):
            # It may be refused by its head alone; and receiving makes the server ask for the body.
            first["more_body"] = True
        elif client.incomplete:
            first = await client.receive_first(exchange, receive)
        if first["type"] == "http.disconnect":
            return
        complete = not first.get("more_body", False)
        client.incomplete = not complete
        if not exchange.done:
            exchange.begin(first.get("body", b""), complete)
        if client.incomplete:
            client.begin_pace(exchange)
            client.start_reading(exchange, receive)
        elif not exchange.done:
            plane.watchers.add(client, receive)
        await client.write(send)
    except BrokenOffError:
        if exchange.status != CLIENT_GONE_STATUS:
            raise
    finally:
        plane.watchers.discard(client)
        client.close()
        exchange.client_gone()
        client.exchange = None  # it knows us: no cycle may be left behind
