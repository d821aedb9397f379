"""How many retries a route may make: a share of its requests, and a few a second in any case.

Without such a bound a failing server gets its traffic multiplied just when it is weakest
(Finagle's retry budget).  Time comes in as an argument.
"""

from typing import Final

FLOOR_PER_S: Final = 3.0
_HORIZON_S: Final = 10.0


class RetryBudget:
    """Every request pays in a share of one retry, every second pays in `FLOOR_PER_S`.

    Nothing is done per request: `withdraw` is told how many there have been.
    """

    __slots__ = ("_at", "_balance", "_cap", "_requests", "_share")

    def __init__(self, percent: float, now: float, requests: int = 0) -> None:
        self._share: Final = percent / 100.0
        self._cap: Final = FLOOR_PER_S * _HORIZON_S + 1000.0 * self._share
        self._balance = FLOOR_PER_S
        self._at = now
        self._requests = requests

    def withdraw(self, now: float, requests: int) -> bool:
        """Whether one more retry may be made now; if so it is paid for.

        `requests` counts all requests of the route so far.
        """
        paid_in = FLOOR_PER_S * (now - self._at) + self._share * (requests - self._requests)
        self._balance = min(self._cap, self._balance + paid_in)
        self._at = now
        self._requests = requests
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True
