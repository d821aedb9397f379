"""Whether every process of a load test has told all that it counted.  Pure.

Locust's first process waits half a second for the last words of the others, and a busy machine
takes longer: requests that they had counted would be missing, failed ones too.  Each of them
reports every 3 s in any case, so one more report is waited for when no user is left.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

PATIENCE_S: Final = 15.0
"""A process that died never reports."""


class LastReports:
    """Listens to reports; begins to wait when it is first asked."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._reported: set[str] = set()

    def on_report(self, process: str) -> None:
        """A process has told what it counted since its last report."""
        self._reported.add(process)

    def complete(self, processes: Collection[str], now_s: float) -> bool:
        """Whether each has reported since this was first asked, or had the time.

        To be asked when no user is left: what was reported before counts for nothing.
        """
        if self._since_s is None:
            self._since_s = now_s
            self._reported.clear()
        return self._reported >= set(processes) or now_s - self._since_s > PATIENCE_S
