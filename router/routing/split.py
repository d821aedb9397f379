"""Choose the version that answers a request.

Pure: split and key come in, a version comes out.  No clock, no randomness, no I/O.

Guarantees (each is a property in tests/properties/test_split.py):
  * one key and one split always give the same version, in every process;
  * raising the weight of the newest version takes no key away from it;
  * without a key, any 10 000 consecutive requests are shared exactly by the weights, and
    already the shortest run that can be (5 % of 40 is exactly 2).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import cycle, islice
from math import gcd
from typing import Final, Generic, TypeVar

from router.errors import ConfigError
from router.snapshot import FULL

T = TypeVar("T")

_MAX_PERIOD: Final = 2_000


@dataclass(frozen=True, slots=True)
class Split(Generic[T]):
    """How a route shares its requests among versions, the newest first, in basis points.

    The salt is the route's name: without it the same users would be the first to meet every
    canary of every route.
    """

    salt: bytes
    shares: tuple[tuple[T, int], ...]

    def __post_init__(self) -> None:
        weights = [weight for _, weight in self.shares]
        if sum(weights) != FULL or min(weights) < 0:
            raise ConfigError(f"weights {weights} do not share out {FULL} basis points")


def bucket(salt: bytes, key: bytes) -> int:
    """Where a key falls among `FULL` buckets; the same in every process and release."""
    # blake2b takes at most 64 bytes of key; a longer name is itself digested first.
    salt = salt if len(salt) <= 64 else blake2b(salt, digest_size=64).digest()
    return int.from_bytes(blake2b(key, digest_size=8, key=salt).digest()) % FULL


def choose_by_key(split: Split[T], key: bytes) -> T:
    """Choose for a request that has a sticky key; stateless."""
    point = bucket(split.salt, key)
    for version, weight in split.shares:
        if point < weight:
            return version
        point -= weight
    raise AssertionError("unreachable: a Split's weights sum to FULL")


class Rotation(Generic[T]):
    """Smooth weighted round-robin for requests without a key.

    nginx's algorithm (commit 52327e0627f4, 2012): each turn every version gains its weight, the
    highest is chosen and pays the sum.  It spreads the canary's requests evenly over time, where
    a draw would clump them.

    `choose` gives the version of the next request.  The turns repeat after `FULL` over the
    weights' common divisor (95 to 5: 20 turns), so mostly they are worked out once.
    """

    __slots__ = ("choose",)

    def __init__(self, split: Split[T]) -> None:
        # The rarest first: on a tie it waits no longer.
        shares = sorted((s for s in split.shares if s[1]), key=lambda share: share[1])
        turns = _turns(shares)
        period = FULL // gcd(*(weight for _, weight in shares))
        if period <= _MAX_PERIOD:
            turns = cycle(tuple(islice(turns, period)))
        self.choose: Callable[[], T] = turns.__next__


def _turns(shares: Sequence[tuple[T, int]]) -> Iterator[T]:
    credit = [0] * len(shares)
    while True:
        best = 0
        for index, (_, weight) in enumerate(shares):
            credit[index] += weight
            if credit[index] > credit[best]:
                best = index
        credit[best] -= FULL
        yield shares[best][0]
