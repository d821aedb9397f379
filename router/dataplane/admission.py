"""Lets a bounded number of requests in, and a bounded number wait for a place.

A route has one of these, and so has each version with limits of its own.  Who waits is served by
class, the highest first, and within a class first come, first served.  One that waits longer than
its deadline is refused, and so is one that finds the queue full: at once, so that its client can
go elsewhere.  Where the newcomer is of a higher class than somebody who waits, the newest of the
lowest class goes instead.

Guarantees (tests/properties/test_admission.py, over a model; tests/conformance/):
  * never more than `max_in_flight` have a place, never more than `max_queue` wait;
  * each waiter hears exactly one of `on_admitted` and `on_displaced`, or has given up before.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from router.routing.pace import Pace


class Waiter(Protocol):
    """A request that waits."""

    def on_admitted(self) -> None:
        """There is a place now; it is taken already."""
        ...

    def on_displaced(self) -> None:
        """A request of a higher class waits in its stead."""
        ...

    def on_table_changed(self) -> None:
        """It has been taken out of the queue, to be decided anew."""
        ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many may be in and how many wait, in how many classes, for how many seconds."""

    max_in_flight: int
    max_queue: int
    queue_timeout_s: float
    classes: int = 1


class Admission:
    """The places of a route or version; it outlives the generations: none is lost or doubled."""

    __slots__ = (
        "_admitting",
        "_lines",
        "_pace",
        "admitted",
        "bounds",
        "in_flight",
        "max_in_flight",
        "queued",
    )

    def __init__(self, bounds: Bounds) -> None:
        self.in_flight = 0
        self.admitted = 0
        self.queued = 0
        self._pace: Final = Pace()
        self._admitting = False
        self._lines: list[OrderedDict[Waiter, None]] = []
        """Who waits, by class, the highest first; a dictionary, because anybody may give up."""
        self.set_bounds(bounds)

    def set_bounds(self, bounds: Bounds) -> None:
        """Obey these from now on; nobody who is in or waits is thrown out.

        Places that this adds are given away by the next `admit`.
        """
        self.bounds = bounds
        self.max_in_flight = bounds.max_in_flight
        before = self._lines
        if len(before) != bounds.classes:
            self._lines = [OrderedDict() for _ in range(bounds.classes)]
            for rank, line in enumerate(before):
                self._line(rank).update(line)

    def enter(self) -> bool:
        """Take a place if there is one."""
        if self.in_flight < self.max_in_flight and not self.queued:
            self.in_flight += 1
            self.admitted += 1
            return True
        return False

    def wait(self, waiter: Waiter, rank: int, now: float) -> bool:
        """Queue for a place in a class, 0 the highest; False when the queue is full."""
        self._pace.note(self.admitted, now)
        displaced = None
        if self.queued >= self.bounds.max_queue:
            displaced = self._take_newest_below(rank)
            if displaced is None:
                return False
        self._line(rank)[waiter] = None
        self.queued += 1
        if displaced is not None:
            displaced.on_displaced()  # last: what it gives back may bring the next one here
        return True

    def give_up(self, waiter: Waiter) -> None:
        """Wait no more."""
        for line in self._lines:
            if waiter in line:
                del line[waiter]
                self.queued -= 1
                return

    def leave(self) -> None:
        """Give a place back; the next in the queue gets it."""
        self.in_flight -= 1
        if self.queued:
            self.admit()

    def admit(self) -> None:
        """Give free places to those who wait."""
        if self._admitting:
            return  # from below: who was let in has left at once, and the loop there goes on
        self._admitting = True
        try:
            while self.queued and self.in_flight < self.max_in_flight:
                line = next(line for line in self._lines if line)
                waiter, _ = line.popitem(last=False)
                self.queued -= 1
                self.in_flight += 1
                self.admitted += 1
                waiter.on_admitted()
        finally:
            self._admitting = False

    def take_waiters(self) -> list[Waiter]:
        """Empty the queue; whoever waited is the caller's now, in the order of service."""
        waiters = [waiter for line in self._lines for waiter in line]
        for line in self._lines:
            line.clear()
        self.queued = 0
        return waiters

    def retry_after_s(self, now: float) -> int:
        """Whole seconds after which one who is refused now has a chance."""
        return self._pace.wait_s(self.queued + 1, self.admitted, now)

    def _line(self, rank: int) -> OrderedDict[Waiter, None]:
        # A request keeps the rank it was given by an older configuration.
        return self._lines[min(rank, len(self._lines) - 1)]

    def _take_newest_below(self, rank: int) -> Waiter | None:
        for line in reversed(self._lines[rank + 1 :]):
            if line:
                waiter, _ = line.popitem()
                self.queued -= 1
                return waiter
        return None
