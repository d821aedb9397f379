"""Hears what a client is answered, and passes it on: a client in the eyes of its exchange.

Only copied requests have one, so the others pay nothing for it.
"""

from collections.abc import Callable
from typing import Final

from router.dataplane.client import Client
from router.dataplane.mirror.capture import Capture
from router.http1.response import ResponseHead


class Tap:
    """See `client.Client`."""

    __slots__ = (
        "_capture",
        "_client",
        "_now",
        "ask_for_body",
        "break_off",
        "forwarded",
        "pause_reading",
        "peer",
        "reply",
        "resume_reading",
    )

    def __init__(self, client: Client, capture: Capture, now: Callable[[], float]) -> None:
        self._client: Final = client
        self._capture: Final = capture
        self._now: Final = now
        self.forwarded = client.forwarded
        self.peer = client.peer
        self.ask_for_body = client.ask_for_body
        self.break_off = client.break_off
        self.pause_reading = client.pause_reading
        self.reply = client.reply
        self.resume_reading = client.resume_reading

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
        self._client.start(head, length, extra, body, framed, ended)
        self._capture.begin(head, body, self._now())

    def body(self, body: bytes, framed: bytes | None, ended: bool) -> None:
        """See `client.Client`."""
        self._client.body(body, framed, ended)
        if body:
            self._capture.feed(body, self._now())
