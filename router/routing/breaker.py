"""Take a failing canary out of the split before anybody outside has noticed.

Pure: counts and `now` (seconds, monotonic) come in, a verdict comes out.  It is asked only when a
request has failed, so a healthy version pays nothing for it.

Guarantees (tests/unit/routing/test_breaker.py):
  * so many failures in a row trip it, whatever the time between them;
  * a share of failures among enough requests of the last window trips it;
  * once tripped it stays so; whoever wants the version back makes a new breaker.
"""

from collections import deque
from typing import Final

from router.snapshot import BreakerLimits

_BLOCKS: Final = 10
"""A window is made of so many blocks of equal length; memory does not grow with traffic."""


class Breaker:
    """One version's failures, as one worker sees them; totals that come in never fall."""

    __slots__ = ("_blocks", "_limits", "_requests", "in_a_row", "tripped")

    def __init__(self, limits: BreakerLimits) -> None:
        self._limits: Final = limits
        self._requests = 0
        self._blocks: Final[deque[tuple[float, int, int]]] = deque(maxlen=_BLOCKS + 1)
        self.in_a_row = 0
        self.tripped = ""

    @property
    def limits(self) -> BreakerLimits:
        """What it was made with."""
        return self._limits

    def failed(self, requests: int, failures: int, now: float) -> bool:
        """A request has failed; totals include it.  Whether this one trips the breaker."""
        if self.tripped:
            return False
        # Exactly one request more than at the last failure: none has succeeded in between.
        self.in_a_row = self.in_a_row + 1 if requests == self._requests + 1 else 1
        self._requests = requests
        self.tripped = self._too_many_in_a_row() or self._too_large_a_share(requests, failures, now)
        return bool(self.tripped)

    def _too_many_in_a_row(self) -> str:
        limit = self._limits.consecutive
        return f"{self.in_a_row} failures in a row" if limit and self.in_a_row >= limit else ""

    def _too_large_a_share(self, requests: int, failures: int, now: float) -> str:
        limits, blocks = self._limits, self._blocks
        if not limits.error_percent:
            return ""
        if not blocks or now - blocks[-1][0] >= limits.window_s / _BLOCKS:
            blocks.append((now, requests - 1, failures - 1))
        while now - blocks[0][0] > limits.window_s and len(blocks) > 1:
            blocks.popleft()
        _, requests_before, failures_before = blocks[0]
        seen, failed = requests - requests_before, failures - failures_before
        if seen < limits.min_requests or failed * 100 < limits.error_percent * seen:
            return ""
        return f"{failed} of {seen} requests failed"
