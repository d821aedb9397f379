"""One HTTP request and its answer, on the ASGI messages.

Promises:
  * a client that goes away raises `ClientGone`, in the body's upload as in the answer;
  * nothing of a streamed body is held back or kept;
  * `reset` and `hang_up` act on the TCP connection itself, where the server gives it
    (server.py puts the transport into the scope); elsewhere they raise ConnectionError out
    of the application, which is as near as plain ASGI comes.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs

import orjson
from starlette.types import Receive, Scope, Send

from router.mock_engine.journal import Entry

TRANSPORT: Final = "mock_engine.transport"
JSON: Final = b"application/json"
EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"

Headers = list[tuple[bytes, bytes]]


class ClientGone(Exception):  # noqa: N818  # an event, no mistake of anyone
    """The client closed the connection before the answer was complete."""


class BrokenOff(Exception):  # noqa: N818  # what the fault is there for
    """The engine itself broke the answer off, as a fault demands."""


class Refused(Exception):  # noqa: N818  # an answer, and how it is given
    """A request that gets an error answer; the route's protocol decides how it is written."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code
        self.headers = headers or []


class Exchange:
    """The request that is being answered."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, entry: Entry, signature: Headers
    ) -> None:
        self.entry = entry
        self.captured: dict[str, str] = {}
        self._scope = scope
        self._receive = receive
        self._send = send
        self._signature = signature
        self._client_gone = False
        self._breaking_off = False

    # The request

    def header(self, name: bytes) -> bytes | None:
        """The first header of this (lower-case) name."""
        for key, value in self.entry.headers:
            if key == name:
                return value
        return None

    def parameter(self, name: str) -> str | None:
        """The first query parameter of this name."""
        values = parse_qs(self.entry.query).get(name)
        return values[0] if values else None

    async def body_chunks(self) -> AsyncIterator[bytes]:
        """The request body as it comes; when it is through, its size and digest are noted."""
        digest = sha256()
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._client_gone = True
                raise ClientGone
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            digest.update(chunk)
            self.entry.body_bytes += len(chunk)
            if chunk:
                yield chunk
        self.entry.body_sha256 = digest.hexdigest()

    async def read_body(self, limit: int) -> bytes:
        """The whole request body.

        Raises:
            Refused: it is longer than the limit.
        """
        chunks = []
        async for chunk in self.body_chunks():
            if self.entry.body_bytes > limit:
                raise Refused(413, f"the body is longer than {limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    async def read_json(self, limit: int) -> dict[str, Any]:
        """The request body as a JSON object.

        Raises:
            Refused: it is too long or it is not one.
        """
        return parse_object(await self.read_body(limit))

    # The client

    @contextmanager
    def ending_with_client(self) -> Iterator[None]:
        """Cancel the block when the client goes away; `ClientGone` comes out of it.

        Begins where the request body ends: both read the same ASGI messages.
        """
        task = asyncio.current_task()
        assert task is not None
        watcher = asyncio.create_task(self._watch(task))
        try:
            yield
        except asyncio.CancelledError:
            if not self._client_gone:
                raise
            task.uncancel()
            raise ClientGone from None
        finally:
            watcher.cancel()

    async def wait_client_gone(self) -> None:
        """Wait until the client closes the connection."""
        while not self._client_gone:
            message = await self._receive()
            self._client_gone = message["type"] == "http.disconnect"

    async def stay_silent(self) -> NoReturn:
        """Give no answer until the client goes away, which it must."""
        await self.wait_client_gone()
        raise ClientGone

    async def _watch(self, task: asyncio.Task[Any]) -> None:
        await self.wait_client_gone()
        if not self._breaking_off:
            task.cancel()

    # The answer

    async def start(self, status: int, content_type: bytes, headers: Headers | None = None) -> None:
        """Send the head of the answer."""
        self.entry.status = status
        head = [*self._signature, (b"content-type", content_type), *(headers or ())]
        await self._send({"type": "http.response.start", "status": status, "headers": head})

    async def write(self, chunk: bytes, *, more: bool = True) -> None:
        """Send a piece of the body; waits while the client does not read."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def finish(self) -> None:
        """End the body."""
        await self.write(b"", more=False)

    async def reply(
        self, status: int, body: bytes, content_type: bytes = JSON, headers: Headers | None = None
    ) -> None:
        """Send a whole answer."""
        await self.start(status, content_type, [_length(body), *(headers or ())])
        await self.write(body, more=False)

    async def reply_json(self, payload: object, status: int = 200) -> None:
        """Send a whole answer in JSON."""
        await self.reply(status, orjson.dumps(payload))

    async def begin(self, body: bytes, content_type: bytes, headers: Headers | None) -> None:
        """Send the head and the first half of an answer that will not be completed."""
        await self.start(200, content_type, [_length(body), *(headers or ())])
        await self.write(body[: len(body) // 2])

    # Its violent ends

    async def reset(self) -> NoReturn:
        """Reset the TCP connection, behind what was written."""
        transport = self._transport()
        # What was written comes before the reset. The transport tells nobody that its
        # buffer is empty: its low-water callback belongs to the server's flow control.
        while transport.get_write_buffer_size():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.001)
        # RFC 9293 §3.10.4 ABORT: a close with SO_LINGER 0 sends RST in place of FIN.
        linger = struct.pack("ii", 1, 0)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await self._break_off(transport.abort)

    async def hang_up(self) -> NoReturn:
        """Close the connection in the middle of the body; what was written still arrives."""
        await self._break_off(self._transport().close)

    async def _break_off(self, close: Callable[[], None]) -> NoReturn:
        self._breaking_off = True
        close()
        # The server hears of the closed connection one turn of the loop later. An
        # application that returned sooner would look like one that forgot to answer.
        await self.wait_client_gone()
        raise BrokenOff

    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport | None = self._scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            raise ConnectionError("the connection breaks off here")
        return transport


def parse_object(body: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        Refused: it is not one.
    """
    try:
        payload = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"the body is not valid JSON: {error}") from None
    if not isinstance(payload, dict):
        raise Refused(400, "the body is not a JSON object")
    return payload


def _length(body: bytes) -> tuple[bytes, bytes]:
    return b"content-length", str(len(body)).encode()
