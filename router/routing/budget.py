"""How many retries a route may make: a share of its requests, and a few a second in any case.

Without such a bound a failing server gets its traffic multiplied just when it is weakest
(Finagle's retry budget).  Time comes in as an argument.
"""

from typing import Final

FLOOR_PER_S: Final = 3.0
_HORIZON_S: Final = 10.0


class RetryBudget:
    """Every request pays in a share of one retry, every second pays in `FLOOR_PER_S`."""

    __slots__ = ("_at", "_balance", "_cap", "_share")

    def __init__(self, percent: float, now: float) -> None:
        self._share: Final = percent / 100.0
        self._cap: Final = max(FLOOR_PER_S * _HORIZON_S, 1.0) + 1000.0 * self._share
        self._balance = FLOOR_PER_S
        self._at = now

    def deposit(self) -> None:
        """A request was made."""
        if self._balance < self._cap:
            self._balance += self._share

    def withdraw(self, now: float) -> bool:
        """Whether one more retry may be made now; if so it is paid for."""
        self._balance = min(self._cap, self._balance + FLOOR_PER_S * (now - self._at))
        self._at = now
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True
