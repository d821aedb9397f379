"""How fast a line of waiting requests moves, and so when it is worth to come again.

Pure: totals and `now` (seconds, monotonic) come in.  It is asked only when a request waits or is
refused, so a route with free places pays nothing for it.

Guarantees (tests/unit/routing/test_pace.py):
  * an estimate is between 1 and `MAX_WAIT_S` seconds;
  * it follows the last `WINDOW_S` seconds, not what was before;
  * memory does not grow with traffic.
"""

import math
from collections import deque
from typing import Final

WINDOW_S: Final = 10.0
_STEP_S: Final = 1.0
"""Totals are kept so far apart at least."""
MAX_WAIT_S: Final = 60
"""Nobody is sent away for longer: the last ten seconds do not tell what comes in a minute."""


class Pace:
    """One line's pace, from how many it has let in; totals that come in never fall."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: Final[deque[tuple[float, int]]] = deque()

    def note(self, total: int, now: float) -> None:
        """So many have been let in by now."""
        marks = self._marks
        while marks and now - marks[0][0] > WINDOW_S:
            marks.popleft()
        if not marks or now - marks[-1][0] >= _STEP_S:
            marks.append((now, total))

    def wait_s(self, ahead: int, total: int, now: float) -> int:
        """Whole seconds until so many more will have been let in, as far as one can tell."""
        self.note(total, now)
        began, before = self._marks[0]
        # One more than were counted: the next one may have been about to go in, and a line that
        # has only just begun to stand must not look as if it stood for ever.
        through = total - before + 1
        estimate = math.ceil(ahead * (now - began) / through)
        return min(max(estimate, 1), MAX_WAIT_S)
