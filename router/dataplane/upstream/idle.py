"""How long an idle connection to one server is kept: learned from the server's own closes.

A request that is written into a connection which the server is just closing is lost, and may have
to be sent again.  So idle connections are closed by us first, below the time after which the
server does.  No server tells that time in HTTP/1.1 in a way that can be relied on; each close of
an idle connection shows it.

What is learned is forgotten slowly: a server that is restarted closes connections of any age, and
one odd close must not cost a new connection for each request for ever.  Every `RECOVER_S` the time
is doubled; if the server closes again at the age known before, the next try comes twice as late.

Pure: ages and the time come in as arguments.

Guarantees (tests/properties/test_idle.py):
  * the time stays between `FLOOR_S` and the ceiling, whatever closes come;
  * after a close at an age, connections are kept for less than that age;
  * without closes it comes back to the ceiling.
"""

from typing import Final

CEILING_S: Final = 4.0
"""Below the 5 s after which model servers on uvicorn close an idle connection."""
FLOOR_S: Final = 0.1
"""A close at a younger age (a restart, a server that counts requests) could not be avoided."""
MARGIN: Final = 0.8
"""So much of the age of a close is trusted: the close was on its way while we still waited."""
RECOVER_S: Final = 60.0
RECOVER_MAX_S: Final = 900.0


class IdleTime:
    """How long the idle connections of one server are kept (`limit_s`).

    `learned` tells whether that is less than the ceiling.
    """

    __slots__ = ("_moved_at", "_raised", "_wait_s", "ceiling_s", "learned", "limit_s")

    def __init__(self, ceiling_s: float = CEILING_S) -> None:
        self.ceiling_s: Final = ceiling_s
        self.limit_s = ceiling_s
        self.learned = False
        self._raised = False
        self._wait_s = RECOVER_S
        self._moved_at = 0.0

    def __repr__(self) -> str:
        return f"<IdleTime {self.limit_s:g} s of {self.ceiling_s:g} s>"

    def closed(self, age_s: float, now: float) -> None:
        """The server has closed a connection that had been idle so long."""
        safe_s = max(FLOOR_S, age_s * MARGIN)
        if age_s <= FLOOR_S or safe_s >= self.limit_s:
            return
        if self._raised:
            self._wait_s = min(RECOVER_MAX_S, self._wait_s * 2)
        self.limit_s = safe_s
        self.learned = True
        self._raised = False
        self._moved_at = now

    def recover(self, now: float) -> None:
        """Keep connections longer again, if the server has not closed one for a while."""
        if not (self.learned or self._raised) or now - self._moved_at < self._wait_s:
            return
        self._moved_at = now
        if not self.learned:  # it has stood at the ceiling for as long as a try is waited for
            self._raised = False
            self._wait_s = RECOVER_S
            return
        self.limit_s = min(self.ceiling_s, self.limit_s * 2)
        self.learned = self.limit_s < self.ceiling_s
        self._raised = True
