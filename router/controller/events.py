"""News of everything that changes, for consoles and tools: one numbered stream.

A subscriber that does not keep up is cut off, never waited for: it comes back with the number of
the last event that it has seen, and is told if that is too long ago.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from router.errors import RouterError
from router.telemetry import families
from router.telemetry.recorder import Series

KEPT: Final = 1_000
"""Events that a subscriber can catch up with."""

MAX_SUBSCRIBERS: Final = 64
MAX_BEHIND: Final = 256


class TooManySubscribersError(RouterError):
    """Every place is taken."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something has changed; `number` rises by one with each, `kind` is a word like `weights`."""

    number: int
    kind: str
    time_s: float
    route: str | None = None
    content: dict[str, Any] = field(default_factory=dict)


class Subscription:
    """One reader's events, in order; ends when the reader has fallen behind."""

    def __init__(self, missed: Iterator[Event], *, complete: bool) -> None:
        self.complete: Final = complete
        self._events: Final = deque(missed)
        self._wake: Final = asyncio.Event()
        self._cut = False

    async def next(self) -> Event | None:
        """The next event; None when this reader was cut off."""
        while not self._events:
            if self._cut:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._events.popleft()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self.next()) is not None:
            yield event

    def end(self) -> None:
        """No more events."""
        self._cut = True
        self._wake.set()

    def put(self, event: Event) -> bool:
        """Whether there was room."""
        if len(self._events) >= KEPT + MAX_BEHIND:
            self._cut = True
        else:
            self._events.append(event)
        self._wake.set()
        return not self._cut


class Events:
    """Where everything is told, and read."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall: Final = wall
        self._kept: Final[deque[Event]] = deque(maxlen=KEPT)
        self._subscribers: Final[set[Subscription]] = set()
        self._number = 0
        self._cut = 0

    @property
    def number(self) -> int:
        """The newest event's number."""
        return self._number

    def tell(self, kind: str, route: str | None = None, **content: Any) -> None:
        """Tell everybody; returns at once."""
        self._number += 1
        event = Event(self._number, kind, self._wall(), route, content)
        self._kept.append(event)
        for subscriber in [each for each in self._subscribers if not each.put(event)]:
            self._subscribers.discard(subscriber)
            self._cut += 1

    @contextmanager
    def subscribe(self, after: int | None = None) -> Iterator[Subscription]:
        """Read what comes, and what came after event `after`.

        `complete` says whether nothing after it is lost.

        Raises:
            TooManySubscribersError: try again later.
        """
        if len(self._subscribers) >= MAX_SUBSCRIBERS:
            raise TooManySubscribersError(f"{MAX_SUBSCRIBERS} readers follow the events already")
        oldest = self._kept[0].number if self._kept else self._number + 1
        complete = after is None or oldest - 1 <= after <= self._number
        missed = (event for event in self._kept if after is not None and event.number > after)
        subscription = Subscription(missed if complete else iter(()), complete=complete)
        self._subscribers.add(subscription)
        try:
            yield subscription
        finally:
            self._subscribers.discard(subscription)

    def close(self) -> None:
        """End every reader's stream; they come back to our successor."""
        for subscriber in list(self._subscribers):
            subscriber.end()

    def series(self) -> Iterator[Series]:
        """How many read, and how many were too slow."""
        yield Series(families.EVENT_SUBSCRIBERS.name, (), len(self._subscribers))
        yield Series(families.EVENT_SUBSCRIBERS_CUT.name, (), self._cut)
