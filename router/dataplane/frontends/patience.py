"""uvicorn's own protocol, bounded in how long it waits for a client.

uvicorn waits for the rest of a request's head for ever, and takes any number of bytes of it, so
that a client that dribbles or floods holds a connection for nothing.  Here it has `head_timeout_s`
and `max_head_bytes` for it, as at the native door.  For what is left of a body whose answer has
ended it has as long, and then the connection closes without a word: that answer was the last.

uvicorn waits for such a client for ever, while an answer is sent and while it closes; behind the
asgi door that would be a connection that nobody can end.  Here `server.writeTimeout` ends it, as in
the native door: from the moment when too much waits for the client, or when the connection is to
close with something unsent.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.auto import AutoHTTPProtocol

from router.clock import NEVER
from router.dataplane import replies
from router.errors import CLIENT_GONE_STATUS, ErrorCode

if TYPE_CHECKING:
    from router.dataplane.server import DataPlane

LOOK_S: Final = 1.0
"""uvicorn tells nobody that it closes, so each connection is looked at this often."""


def patient_protocol(plane: "DataPlane") -> type[asyncio.Protocol]:
    """The protocol class for this data plane: what uvicorn makes for each connection."""

    class Bound(_PatientProtocol):
        _plane = plane

    return Bound


class _PatientProtocol(AutoHTTPProtocol):  # type: ignore[valid-type, misc]  # httptools or h11, as installed
    """See the module."""

    _plane: "DataPlane"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.deadline = NEVER
        self._due = NEVER
        self._head_due = NEVER
        self._head_begun = False
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self._plane.connections.add(self)
        now = self._plane.now()
        self._head_due = now + self._plane.settings.head_timeout_s
        self.deadline = now + LOOK_S

    def data_received(self, data: bytes) -> None:
        """See asyncio; the parser makes a scope when a head begins, a cycle when it is whole."""
        super().data_received(data)
        cycle = self.cycle
        if cycle is None or self.scope is not cycle.scope:
            answering = cycle is not None and not cycle.response_complete
            self._wait_for_head(len(data), answering=answering)
            return
        self._head_begun = False
        if not cycle.response_complete:
            self._head_due = NEVER
        elif self._head_due == NEVER:  # more of a body that is not wanted any more
            self._head_due = self._plane.now() + self._plane.settings.head_timeout_s

    def _wait_for_head(self, size: int, *, answering: bool) -> None:
        """A part of a head has come; that of the next request may, while one is answered."""
        if self._head_begun:
            self._head_bytes += size
        else:
            self._head_begun = True
            self._head_bytes = 0  # its first read may hold the end of the body before it
        if self._head_bytes > self._plane.rules.max_head_bytes:
            if answering:
                self.flow.pause_reading()  # until uvicorn has ended that answer
            elif not self.transport.is_closing():
                self._refuse(ErrorCode.HEAD_TOO_LARGE, "head_too_large", "head too large")
        elif not answering:
            due = self._plane.now() + self._plane.settings.head_timeout_s
            self._head_due = min(self._head_due, due)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self._plane.connections.discard(self)
        self._plane.peers.forget(self.client, self.scheme)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio."""
        self._due = self._plane.now() + self._plane.settings.write_timeout_s
        super().pause_writing()

    def resume_writing(self) -> None:
        """See asyncio."""
        if not self.transport.is_closing():
            self._due = NEVER
        super().resume_writing()

    def on_deadline(self) -> None:
        """Look whether the client is waited for, and whether for too long (`Connection`)."""
        now = self._plane.now()
        if self._due <= now:
            self._plane.count_refusal(str(CLIENT_GONE_STATUS), "write_timeout")
            self.deadline = NEVER
            self.transport.abort()
            return
        if self._head_due <= now and not self.transport.is_closing():
            self._end_wait()
        if self.transport.is_closing():
            self._due = min(self._due, now + self._plane.settings.write_timeout_s)
        self.deadline = min(self._due, now + LOOK_S)

    def _end_wait(self) -> None:
        """No head in time: 408 if it has begun, as the native door says it."""
        self._head_due = NEVER
        if self._head_begun:
            self._refuse(ErrorCode.REQUEST_TIMEOUT, "head_timeout", "no request in time")
        else:
            self.transport.close()

    def _refuse(self, code: ErrorCode, reason: str, message: str) -> None:
        """Answer a head that will not be whole, and close."""
        self._plane.count_refusal(str(code.status), reason)
        body = replies.error_body(code, message)
        self.transport.write(
            b"HTTP/1.1 %d %b\r\n%bcontent-length: %d\r\nconnection: close\r\n\r\n%b"
            % (
                code.status,
                replies.reason_phrase(code.status),
                replies.error_fields(code),
                len(body),
                body,
            )
        )
        self.transport.close()
