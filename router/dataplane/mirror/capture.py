"""One answer as it is kept for comparison, within bounds."""

from collections.abc import Callable
from typing import Final

from router.http1.events import StreamObserver
from router.http1.response import ResponseHead

Take = Callable[[int], bool]
"""Asks for room for so many bytes more; False: there is none."""


class Capture:
    """`take` None: nothing is kept, only measured.

    Times are the worker's clock; 0: it did not come so far.

    `whole` turns False when the answer was too long, or there was no room to keep it; what was
    kept is let go then.
    """

    __slots__ = (
        "_limit",
        "_observer",
        "_take",
        "began_at",
        "head",
        "pieces",
        "size",
        "token_at",
        "whole",
    )

    def __init__(self, limit: int, take: Take | None) -> None:
        self._limit: Final = limit
        self._take = take
        self._observer: StreamObserver | None = None
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.size = 0
        self.whole = True
        self.began_at = 0.0
        self.token_at = 0.0

    @property
    def is_too_long(self) -> bool:
        """Whether it is longer than the bound of one answer."""
        return self.size > self._limit

    def close(self) -> None:
        """Let go of what was kept, and of whoever gave the room for it."""
        self.pieces = []
        self._take = None

    def begin(self, head: ResponseHead, body: bytes, now: float) -> None:
        """Take the answer's head, with what came of its body."""
        self.head = head
        self.began_at = now
        if head.is_event_stream and self._take is not None:
            self._observer = StreamObserver()
        if body:
            self.feed(body, now)

    def feed(self, body: bytes, now: float) -> None:
        """Take more of the body."""
        self.size += len(body)
        take = self._take
        if self.size > self._limit:
            self.whole = False
            self.pieces = []
        elif take is not None and self.whole:
            if take(len(body)):
                self.pieces.append(body)
            else:
                self.whole = False
                self.pieces = []
        observer = self._observer
        if observer is not None:
            observer.feed(body)
            if observer.content:
                self.token_at = now
                self._observer = None
