"""Whether a request's body comes fast enough, judged window by window and never read by read.

A deadline for each read alone lets a client hold a place for hours with a byte a minute.
"""

from typing import Final

WINDOW_S: Final = 5.0
"""Long enough for a lost packet to be sent again a few times."""


class BodyPace:
    """One body: `received` grows with it, `due` is when its window ends."""

    __slots__ = ("_before", "_excused", "_least", "due", "received")

    def __init__(self, now: float, min_bytes_per_s: int) -> None:
        self._least: Final = min_bytes_per_s * WINDOW_S
        self._before = 0
        self._excused = False
        self.received = 0
        self.due = now + WINDOW_S

    def excuse(self) -> None:
        """It was not the client alone that kept the body waiting in this window."""
        self._excused = True

    def too_slow(self, now: float) -> bool:
        """Judge the window that has ended, and begin the next."""
        slow = self.received - self._before < self._least and not self._excused
        self._before = self.received
        self._excused = False
        self.due = now + WINDOW_S
        return slow
