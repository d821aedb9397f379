"""Time as a value that is handed in, so that tests jump it instead of sleeping."""

import math
import time
from typing import Final, Protocol

NEVER: Final = math.inf
"""The deadline of what has none, on any clock."""


class Clock(Protocol):
    """Where the impure edges take their time from; decisions get `now` as an argument."""

    def monotonic(self) -> float:
        """Seconds that never go back; for deadlines and durations."""
        ...

    def wall(self) -> float:
        """Seconds since 1970 UTC; for people and records."""
        ...


class SystemClock:
    """The machine's clock."""

    monotonic = staticmethod(time.monotonic)
    wall = staticmethod(time.time)


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, start_s: float = 1_000.0) -> None:
        self._now = start_s
        self._behind_s = 0.0

    def monotonic(self) -> float:
        """See `Clock`."""
        return self._now

    def wall(self) -> float:
        """See `Clock`."""
        return self._now - self._behind_s

    def advance(self, seconds: float) -> None:
        """Jump forward."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds

    def set_back(self, seconds: float) -> None:
        """Have the wall clock told that it was fast; what has passed has passed."""
        self._behind_s += seconds
