"""Lets a bounded number of a route's requests in, and a bounded number wait for a place.

First come, first served.  One that waits longer than the route's deadline is refused, and so is
one that finds the queue full: at once, so that its client can go elsewhere.
"""

from collections import deque
from typing import Protocol

from router.snapshot import Limits


class Waiter(Protocol):
    """A request that waits."""

    def on_admitted(self) -> None:
        """There is a place now; it is taken already."""
        ...


class Admission:
    """The places of one route; it outlives the generations, so no place is lost or doubled."""

    __slots__ = ("_queue", "admitted", "in_flight", "limits", "max_in_flight")

    def __init__(self, limits: Limits) -> None:
        self.set_limits(limits)
        self.in_flight = 0
        self.admitted = 0
        self._queue: deque[Waiter] = deque()

    def set_limits(self, limits: Limits) -> None:
        """Obey these from now on; nobody who is in is thrown out."""
        self.limits = limits
        self.max_in_flight = limits.max_in_flight

    @property
    def queued(self) -> int:
        """Requests waiting now."""
        return len(self._queue)

    def enter(self) -> bool:
        """Take a place if there is one."""
        if self.in_flight < self.max_in_flight and not self._queue:
            self.in_flight += 1
            self.admitted += 1
            return True
        return False

    def wait(self, waiter: Waiter) -> bool:
        """Queue for a place; False when the queue is full."""
        if len(self._queue) >= self.limits.max_queue:
            return False
        self._queue.append(waiter)
        return True

    def give_up(self, waiter: Waiter) -> None:
        """Wait no more."""
        self._queue.remove(waiter)

    def leave(self) -> None:
        """Give a place back; the next in the queue gets it."""
        self.in_flight -= 1
        while self._queue and self.in_flight < self.max_in_flight:
            self.in_flight += 1
            self.admitted += 1
            self._queue.popleft().on_admitted()
