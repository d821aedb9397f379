"""Refuse a share of the new requests while a worker's event loop cannot keep up.

A loop that runs late delays everybody: requests, streams, probes and deadlines.  What was begun
is finished; of what comes new a share is refused, which rises while the smoothed delay is above
the target and falls below it.

Pure: delays, elapsed time and chance come in.

Guarantees (tests/unit/routing/test_shedding.py):
  * one stall, however long, sheds nothing: a pause of the machine is not load;
  * the share rises while the delay stays above the target, falls below it, and ends at 0;
  * a class is touched only when the ones below it are refused whole;
  * the share never reaches 1: what the delay comes from may be somebody else's load, and then
    refusing everybody would help nobody.
"""

import math
from typing import Final

RISE_PER_S: Final = 0.25
"""At twice the target or beyond; less above it in proportion."""
FALL_PER_S: Final = 0.1
"""Slower than it rises, or the load that was refused would swing back at once."""
MAX_SHARE: Final = 0.95
_SMOOTHING: Final = 0.2
"""Weight of the newest delay."""
_MAX_DELAYS: Final = 4.0
"""A single delay counts for so many targets at most: 0.2 * 4 < 1, so one alone sheds nothing."""
_MAX_ELAPSED_S: Final = 1.0


class Shedder:
    """One worker's share of refused requests; a target of infinity never refuses any."""

    __slots__ = ("delay_s", "share", "target_s")

    def __init__(self, target_s: float) -> None:
        self.target_s: Final = target_s
        self.delay_s = 0.0
        self.share = 0.0

    def observe(self, delay_s: float, elapsed_s: float) -> None:
        """The loop ran a timer so late, so long after the last one."""
        target = self.target_s
        delay_s = min(delay_s, _MAX_DELAYS * target)
        self.delay_s += _SMOOTHING * (delay_s - self.delay_s)
        elapsed_s = min(elapsed_s, _MAX_ELAPSED_S)
        if self.delay_s > target:
            excess = min(self.delay_s / target - 1.0, 1.0)
            self.share = min(self.share + RISE_PER_S * excess * elapsed_s, MAX_SHARE)
        elif self.share:
            self.share = max(self.share - FALL_PER_S * elapsed_s, 0.0)

    def refuses(self, rank: int, classes: int, draw: float) -> bool:
        """Whether a new request is refused; rank 0 is the highest class, `draw` is in [0, 1)."""
        from_below = classes - 1 - rank
        return draw < self.share * classes - from_below

    @property
    def retry_after_s(self) -> int:
        """Whole seconds until nothing is refused, if the delay is over now."""
        return max(1, math.ceil(self.share / FALL_PER_S))
