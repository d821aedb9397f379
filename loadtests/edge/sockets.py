"""Which clients a server holds, and for how long: from /proc/net/tcp, from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_LISTEN: Final = "0A"
_TABLE: Final = Path("/proc/net/tcp")


def held_by_port(port: int) -> set[str]:
    """The peers of connections of a local port that some process still holds open.

    The kernel's table is no snapshot: under much coming and going a look may miss one.
    """
    return peers_in(_TABLE.read_text(), port)


def peers_in(table: str, port: int) -> set[str]:
    """The same, out of the kernel's table (proc_net_tcp(5))."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        local, peer, state, inode = fields[1], fields[2], fields[3], fields[9]
        # Without an inode only the kernel has it still: the process has closed it.
        if int(local.rpartition(":")[2], 16) == port and state != _LISTEN and inode != "0":
            found.add(peer)
    return found


class Ages:
    """How old each connection was when it was last seen, in seconds."""

    def __init__(self, ignored: set[str]) -> None:
        self._ignored: Final = ignored
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self.most = 0

    def note(self, now: float, peers: set[str]) -> int:
        """Take down who is there at this time; returns how many they are."""
        there = peers - self._ignored
        for peer in there:
            self._first.setdefault(peer, now)
            self._last[peer] = now
        self.most = max(self.most, len(there))
        return len(there)

    @property
    def seen(self) -> int:
        """How many connections there have been."""
        return len(self._first)

    @property
    def oldest_s(self) -> float:
        """Of all that were seen; NaN of none."""
        if not self._first:
            return float("nan")
        return max(self._last[peer] - first for peer, first in self._first.items())
