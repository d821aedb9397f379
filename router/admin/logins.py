"""Failed logins: how many an address may have, and which of them the audit trail tells.

Times come in as arguments: `now` never goes back (seconds).

Guarantees (each is a test in tests/unit/admin/test_admin_logins.py):
  * an address has `GUESSES` guesses, and one more every `REFILL_S`; not more, however it asks;
  * a token that was right from an address within `TRUSTED_S` is right there while others guess;
  * at most one entry a minute tells of an address, at most `ENTRIES_A_MINUTE` of all, and every
    failure is counted in one of them, or still pending;
  * what is remembered is bounded, and a secret is never part of it.
"""

import math
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from router.telemetry import families
from router.telemetry.recorder import Series

GUESSES: Final = 10
REFILL_S: Final = 6.0
TRUSTED_S: Final = 3_600.0
MAX_ADDRESSES: Final = 1_024
MAX_TRUSTED: Final = 16
"""Tokens that are remembered as right from one address."""

ENTRY_EVERY_S: Final = 60.0
ENTRIES_A_MINUTE: Final = 30


@dataclass(slots=True)
class Bucket:
    """Permits that come back with time."""

    size: int
    refill_s: float
    left: float
    at_s: float

    def wait_s(self, now: float) -> float:
        """How long until there is one; 0 when there is."""
        self.left = min(self.size, self.left + (now - self.at_s) / self.refill_s)
        self.at_s = now
        # A hair less than one is one: adding sixths of a permit does not give a whole.
        return 0.0 if self.left > 1 - 1e-9 else (1 - self.left) * self.refill_s

    def take(self, now: float) -> bool:
        """Take one, if there is one."""
        if self.wait_s(now):
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class _Source:
    """What is known about one address."""

    guesses: Bucket
    trusted: dict[bytes, float] = field(default_factory=dict)
    untold: int = 0
    told_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Failures:
    """What one audit entry tells; `forgotten` are of addresses that had to make room."""

    address: str
    count: int
    forgotten: int = 0


class Logins:
    """What every address has tried."""

    def __init__(self) -> None:
        self._sources: Final[OrderedDict[str, _Source]] = OrderedDict()
        self._untold: Final[set[str]] = set()
        self._entries: Final = Bucket(
            ENTRIES_A_MINUTE, ENTRY_EVERY_S / ENTRIES_A_MINUTE, ENTRIES_A_MINUTE, 0.0
        )
        self._forgotten = 0
        self._counts: Final = {"refused": 0, "limited": 0}

    def wait_s(self, address: str, now: float) -> float:
        """How long until a token from this address is looked at; 0: at once."""
        source = self._sources.get(network_of(address))
        return 0.0 if source is None else source.guesses.wait_s(now)

    def trusts(self, address: str, digest: bytes, now: float) -> bool:
        """Whether this token was right from there not long ago."""
        source = self._sources.get(network_of(address))
        return source is not None and now - source.trusted.get(digest, -math.inf) <= TRUSTED_S

    def on_right(self, address: str, digest: bytes, now: float) -> None:
        """A token was right; `digest` is its SHA-256."""
        trusted = self._source(address, now).trusted
        trusted.pop(digest, None)
        trusted[digest] = now
        if len(trusted) > MAX_TRUSTED:
            del trusted[next(iter(trusted))]

    def on_missing(self) -> None:
        """No token was sent: no guess, and nothing to tell."""
        self._counts["refused"] += 1

    def on_wrong(self, address: str, now: float) -> None:
        """A token was looked at and is unknown."""
        self._counts["refused"] += 1
        source = self._source(address, now)
        source.guesses.take(now)
        self._book(address, source)

    def on_limited(self, address: str, now: float) -> None:
        """A token was not even looked at."""
        self._counts["limited"] += 1
        self._book(address, self._source(address, now))

    def due(self, now: float) -> Failures | None:
        """The next entry that may be written, if any; it is told with that."""
        for network in self._untold:
            source = self._sources[network]
            if now - source.told_s < ENTRY_EVERY_S:
                continue
            if not self._entries.take(now):
                return None
            return self._tell(network, source, now)
        return None

    def series(self) -> Iterator[Series]:
        """Calls without a known token."""
        for result, count in self._counts.items():
            yield Series(families.LOGIN_FAILURES.name, (result,), count)

    def _source(self, address: str, now: float) -> _Source:
        network = network_of(address)
        if network not in self._sources:
            self._sources[network] = _Source(Bucket(GUESSES, REFILL_S, GUESSES, now))
            if len(self._sources) > MAX_ADDRESSES:
                self._forget_oldest()
        self._sources.move_to_end(network)
        return self._sources[network]

    def _forget_oldest(self) -> None:
        network, source = self._sources.popitem(last=False)
        self._untold.discard(network)
        self._forgotten += source.untold

    def _book(self, address: str, source: _Source) -> None:
        source.untold += 1
        self._untold.add(network_of(address))

    def _tell(self, network: str, source: _Source, now: float) -> Failures:
        told = Failures(network, source.untold, self._forgotten)
        source.untold, source.told_s, self._forgotten = 0, now, 0
        self._untold.discard(network)
        return told


def network_of(address: str) -> str:
    """Whom an address stands for: a host has a whole /64 of IPv6 addresses to guess from."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address) or parsed.is_loopback:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ip_network((int(parsed), 64), strict=False))
