"""`/events`: every state change as a server-sent event (WHATWG HTML §9.2).

The first event is `hello`; whoever comes back with `Last-Event-ID` gets what came in between, or
`reset` first if that is not known any more: then everything is to be read again.  Ends when the
reader falls behind, when its token is withdrawn, and when the server shuts down.
"""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

import anyio
import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from router.admin.operation import Asked
from router.admin.reply import NOT_KEPT
from router.admin.requests import EventParameters
from router.controller.events import Event, Subscription
from router.controller.plane import ControlPlane

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE_S: Final = 15.0
_KEEP_ALIVE: Final = b": still here\n\n"
_PROCESS: Final = secrets.token_hex(4)
"""Part of every id: after a restart the same number means another event."""


async def follow_events(asked: Asked[EventParameters, None]) -> Response:
    """The stream, from the last event that the caller has read."""
    if asked.request.method == "HEAD":
        return Response(headers={**NOT_KEPT, "content-type": MEDIA_TYPE})
    last = asked.parameters.last_event_id
    after = None if last is None else _number(last)
    return EventStream(asked.plane, after, asked.request.state.is_welcome)


def _number(id_: str) -> int:
    """-1, which no event has, for an event of another process."""
    process, _, number = id_.rpartition("-")
    known = process == _PROCESS and number.isascii() and number.isdecimal()
    return int(number[:16]) if known else -1


class EventStream(Response):
    """An answer that lasts.  `after` is None for whoever reads for the first time."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        plane: ControlPlane,
        after: int | None,
        is_welcome: Callable[[], bool],
    ) -> None:
        super().__init__(headers={**NOT_KEPT, "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._plane: Final = plane
        self._after: Final = after
        self._is_welcome: Final = is_welcome

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0.

        Raises:
            TooManySubscribersError: nothing was sent.
        """
        events = self._plane.events
        with events.subscribe(self._after) as subscription:
            newest = events.number  # before others have their turn: what follows is to come
            head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(head)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
                await self._write(subscription, newest, send)
                tasks.cancel_scope.cancel()

    async def _write(self, subscription: Subscription, newest: int, send: Send) -> None:
        await _send(send, self._greeting(newest, complete=subscription.complete))
        while self._is_welcome():
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    event = await subscription.next()
            except TimeoutError:
                await _send(send, _KEEP_ALIVE)
                continue
            if event is None or not self._is_welcome():
                break
            await _send(send, self._frame(event.number, event.kind, _told(event)))
        await send({"type": "http.response.body", "body": b""})

    def _greeting(self, newest: int, *, complete: bool) -> bytes:
        now = {"generation": self._plane.snapshot.generation}
        # Whoever hangs up right after it comes back with its id: what was missed is still to come.
        seen = self._after if self._after is not None and complete else newest
        hello = self._frame(seen, "hello", now)
        return hello if complete else hello + self._frame(newest, "reset", now)

    def _frame(self, number: int, kind: str, content: dict[str, Any]) -> bytes:
        return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (
            _PROCESS.encode(),
            number,
            kind.encode(),
            orjson.dumps(content),
        )


def _told(event: Event) -> dict[str, Any]:
    return {"time": event.time_s, "route": event.route, **event.content}


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
