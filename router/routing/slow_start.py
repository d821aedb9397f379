"""Give an endpoint that has just come back a small part of its share, and then more and more.

A model server that comes back has cold caches and perhaps still compiles; one that fell over
under its load falls over again if it gets all of it at once.  So its share grows evenly over the
route's `slowStart`, from `LEAST` to all of it (as Envoy and nginx do).

The obvious rule, a load divided by the share, gives a warming endpoint nothing at all while the
others are idle (1/0.1 against 1/1), and lets it drown while they are busy (it has the fewest
requests).  So a warming endpoint gets turns instead: one in n/share choices among n endpoints, and
takes a turn unless it is busier than the others, by its share.  What it does not take is chosen by
the route's own balancer, over the endpoints that are warm.  A choice looks at every endpoint that
is warming, and at the others only where there is a turn.

Pure: `share_at` is told the time, the worker's tick moves the shares, choosing reads them.  A
version in which nothing is warming has the balancer that it always had.

Guarantees (tests/properties/test_slow_start.py):
  * a share only grows, and is all of it when the time is over;
  * a warming endpoint is never starved, and never gets more than its share of the choices;
  * when every endpoint is warming they share among themselves, and all requests are served.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Final, Generic, Protocol, TypeVar

from router.routing.balance import Balancer, Draw, Loaded, cost, make_balancer
from router.snapshot import Balance

LEAST: Final = 0.1
"""Where a share begins: enough to warm a server, little enough to lose."""


def share_at(elapsed_s: float, window_s: float) -> float:
    """The part of its full share that an endpoint gets so long after it came back, up to 1."""
    if elapsed_s >= window_s:
        return 1.0
    return max(LEAST, elapsed_s / window_s)


class Ramp:
    """How far one endpoint has come; `credit` is how much of a turn is due to it."""

    __slots__ = ("credit", "share", "since", "window_s")

    def __init__(self, since: float, window_s: float) -> None:
        self.since: Final = since
        self.window_s: Final = window_s
        self.share = share_at(0.0, window_s)
        self.credit = 0.0

    @property
    def until(self) -> float:
        """When it has its full share."""
        return self.since + self.window_s

    def move(self, now: float) -> bool:
        """Let the share grow; True once it is whole."""
        self.share = share_at(now - self.since, self.window_s)
        return self.share >= 1.0


class Warming(Loaded, Protocol):
    """An endpoint that may be warming: `ramp` is None when it is warm."""

    ramp: Ramp | None


W = TypeVar("W", bound=Warming)

_Fits = Callable[[W, float, Collection[W]], bool]


class SlowStart(Generic[W]):
    """The balancer of a version in which endpoints are warming."""

    __slots__ = (
        "_fits",
        "_inner",
        "_known",
        "_others",
        "_total",
        "_warm",
        "tracks",
        "weighs_latency",
    )

    def __init__(self, balance: Balance, warm: Collection[W], warming: Collection[W]) -> None:
        self._warm: Final = tuple(warm)
        self._others: Final = tuple(warming)
        self._known: Final = frozenset(warm)
        self._total: Final = len(warm) + len(warming)
        self._inner: Final[Balancer[W]] = make_balancer(balance, warm)
        self._fits: Final[_Fits[W]] = _FITS[balance]
        self.tracks = self._inner.tracks
        self.weighs_latency = self._inner.weighs_latency

    def choose(self, draw: Draw, besides: Collection[W] = ()) -> W | None:
        """See `Balancer`."""
        full = _share(self._warm[0])
        taker: W | None = None
        for endpoint in self._others:
            ramp = endpoint.ramp
            if ramp is None:
                continue
            part = min(1.0, ramp.share / full)
            ramp.credit += part / self._total
            if taker is None and ramp.credit >= 1.0 and endpoint not in besides:
                # A turn that is not taken is lost: it would only be asked again at each request.
                ramp.credit -= 1.0
                if self._fits(endpoint, part, self._warm):
                    taker = endpoint
        if taker is not None:
            return taker
        chosen = self._inner.choose(draw, besides)
        return chosen if chosen is not None else self._last_resort(besides)

    def _last_resort(self, besides: Collection[W]) -> W | None:
        """Every warm one has failed this request already."""
        left = [endpoint for endpoint in self._others if endpoint not in besides]
        return min(left, key=lambda each: (each.in_flight + 1) / _share(each), default=None)

    def began(self, endpoint: W) -> None:
        """See `Balancer`."""
        if endpoint in self._known:
            self._inner.began(endpoint)

    def ended(self, endpoint: W) -> None:
        """See `Balancer`."""
        if endpoint in self._known:
            self._inner.ended(endpoint)


def make_slow_start(balance: Balance, endpoints: Iterable[W]) -> Balancer[W]:
    """The balancer over the usable endpoints, some of which may be warming.

    Those that have come furthest are the measure of the others: a version of which everything is
    warming has nobody else to take its requests.
    """
    members = list(endpoints)
    furthest = max(map(_share, members), default=1.0)
    warm = [each for each in members if _share(each) >= furthest]
    if len(warm) == len(members):
        return make_balancer(balance, members)
    return SlowStart(balance, warm, [each for each in members if _share(each) < furthest])


def _share(endpoint: Warming) -> float:
    return 1.0 if endpoint.ramp is None else endpoint.ramp.share


def _always(endpoint: Warming, part: float, others: Collection[Warming]) -> bool:
    return True


def _has_few(endpoint: Warming, part: float, others: Collection[Warming]) -> bool:
    """Whether it has no more in flight than its part of what the least busy one has."""
    return endpoint.in_flight <= part * min(other.in_flight for other in others)


def _costs_little(endpoint: Warming, part: float, others: Collection[Warming]) -> bool:
    """Whether it is idle, or costs no more than its part of what the others do on average."""
    if not endpoint.in_flight:
        return True  # even a slow one: how else would it be known that it has become faster
    return cost(endpoint) <= part * sum(map(cost, others)) / len(others)


_FITS: Final[dict[Balance, _Fits[Warming]]] = {
    Balance.LEAST_REQUEST: _has_few,
    Balance.P2C: _costs_little,
    Balance.ROUND_ROBIN: _always,
}
