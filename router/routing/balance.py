"""Choose the endpoint of a version.

A balancer knows only usable endpoints; whoever changes what is usable makes a new one.  All
three take constant time however many endpoints there are.  Chance comes in as `draw`, a number
in [0, 1).
"""

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from typing import Final, Generic, Protocol, TypeVar

from router.snapshot import Balance

Draw = Callable[[], float]


class Loaded(Protocol):
    """What a balancer must know of an endpoint."""

    in_flight: int
    latency_s: float


E = TypeVar("E", bound=Loaded)

_FEW: Final = 8
"""Up to so many endpoints, looking at each costs less than keeping them in order."""
_TURN: Final = 8


class Balancer(Protocol[E]):
    """Chooses; one that `tracks` is told when a request begins and ends at an endpoint.

    The caller changes `in_flight` by one before it tells.
    """

    tracks: bool
    weighs_latency: bool

    def choose(self, draw: Draw, besides: Collection[E] = ()) -> E | None:
        """Choose one that is not in `besides`; None if there is none."""
        ...

    def began(self, endpoint: E) -> None:
        """A request was given to this endpoint."""
        ...

    def ended(self, endpoint: E) -> None:
        """A request has ended there."""
        ...


class _Untracked:
    """A balancer that looks at the endpoints when it chooses, and needs not be told."""

    __slots__ = ()
    tracks = False
    weighs_latency = False

    def began(self, endpoint: Loaded) -> None:
        """Nothing to keep."""

    def ended(self, endpoint: Loaded) -> None:
        """Nothing to keep."""


class Single(_Untracked, Generic[E]):
    """There is only one."""

    __slots__ = ("_endpoint",)

    def __init__(self, endpoint: E) -> None:
        self._endpoint: Final = endpoint

    def choose(self, draw: Draw, besides: Collection[E] = ()) -> E | None:
        """See `Balancer`."""
        return None if besides and self._endpoint in besides else self._endpoint


class FewestOfFew(_Untracked, Generic[E]):
    """The endpoint with the fewest requests in flight, by looking at each: for a few of them.

    The search begins one further each time, so equals take turns.
    """

    __slots__ = ("_endpoints", "_first")

    def __init__(self, endpoints: Iterable[E]) -> None:
        self._endpoints: list[E] = list(endpoints)
        self._first = 0

    def choose(self, draw: Draw, besides: Collection[E] = ()) -> E | None:
        """See `Balancer`."""
        endpoints = self._endpoints
        count = len(endpoints)
        first = self._first = (self._first + 1) % count
        best: E | None = None
        for offset in range(first - count, first):
            endpoint = endpoints[offset]
            if (best is None or endpoint.in_flight < best.in_flight) and endpoint not in besides:
                best = endpoint
        return best


class LeastRequest(Generic[E]):
    """The endpoint with the fewest requests in flight, of many; equals take turns.

    Endpoints stand in one ordered set for each number of requests in flight, so the least one is
    found without looking at the others.  A turn is `_TURN` requests on average: going through 500
    endpoints one request at a time would find each one's connection cold (+14 µs a request).
    """

    __slots__ = ("_ended", "_levels", "_lowest")
    tracks = True
    weighs_latency = False

    def __init__(self, endpoints: Iterable[E]) -> None:
        members = list(endpoints)
        highest = max((endpoint.in_flight for endpoint in members), default=0)
        self._levels: list[OrderedDict[E, bool]] = [OrderedDict() for _ in range(highest + 2)]
        self._lowest = 0
        self._ended = 0
        for endpoint in members:
            self._levels[endpoint.in_flight][endpoint] = True

    def choose(self, draw: Draw, besides: Collection[E] = ()) -> E | None:
        """See `Balancer`."""
        levels = self._levels
        while True:
            lowest = self._lowest
            while not levels[lowest] and lowest < len(levels) - 1:
                lowest += 1
            self._lowest = lowest
            for endpoint in levels[lowest]:
                if not besides or endpoint not in besides:
                    break
            else:
                return self._least_above(lowest, besides)
            if endpoint.in_flight <= lowest:
                return endpoint
            # In a table of before nobody has told what the present one's requests are.
            self._put_right(endpoint, lowest)

    def _least_above(self, level: int, besides: Collection[E]) -> E | None:
        others = (endpoint for higher in self._levels[level + 1 :] for endpoint in higher)
        return next((endpoint for endpoint in others if endpoint not in besides), None)

    def _put_right(self, endpoint: E, level: int) -> None:
        """Stand it where it belongs."""
        levels = self._levels
        del levels[level][endpoint]
        while len(levels) <= endpoint.in_flight:
            levels.append(OrderedDict())
        levels[endpoint.in_flight][endpoint] = True

    def began(self, endpoint: E) -> None:
        """See `Balancer`."""
        levels, level = self._levels, endpoint.in_flight
        if level == len(levels):
            levels.append(OrderedDict())
        # One that is not usable any more stands nowhere, however much it has to do.
        if level < len(levels) and levels[level - 1].pop(endpoint, False):
            levels[level][endpoint] = True

    def ended(self, endpoint: E) -> None:
        """See `Balancer`."""
        levels, level = self._levels, endpoint.in_flight
        # One that is not usable any more stands nowhere; its last requests are ending.
        if level + 1 < len(levels) and levels[level + 1].pop(endpoint, False):
            equals = levels[level]
            equals[endpoint] = True
            self._ended += 1
            if self._ended % _TURN:
                equals.move_to_end(endpoint, last=False)
            if level < self._lowest:
                self._lowest = level


class PeakEwma(_Untracked, Generic[E]):
    """The better of two drawn at random, by latency times (requests in flight + 1).

    Power of two choices (Mitzenmacher 2001) on a latency average that rises at once and falls
    slowly (Finagle's peak EWMA); `latency_s` is kept by the endpoint, if its balancer
    `weighs_latency`.
    """

    __slots__ = ("_endpoints",)
    weighs_latency = True

    def __init__(self, endpoints: Iterable[E]) -> None:
        self._endpoints: Final = tuple(endpoints)

    def choose(self, draw: Draw, besides: Collection[E] = ()) -> E | None:
        """See `Balancer`."""
        endpoints: tuple[E, ...] = self._endpoints
        if besides:
            endpoints = tuple(endpoint for endpoint in endpoints if endpoint not in besides)
        count = len(endpoints)
        if count < 2:
            return endpoints[0] if endpoints else None
        first = int(draw() * count)
        second = (first + 1 + int(draw() * (count - 1))) % count
        one, other = endpoints[first], endpoints[second]
        return one if cost(one) <= cost(other) else other


def cost(endpoint: Loaded) -> float:
    """What one more request there is expected to wait: latency times requests."""
    return endpoint.latency_s * (endpoint.in_flight + 1)


class RoundRobin(_Untracked, Generic[E]):
    """One after the other."""

    __slots__ = ("_endpoints", "_next")

    def __init__(self, endpoints: Iterable[E]) -> None:
        self._endpoints: Final = tuple(endpoints)
        self._next = 0

    def choose(self, draw: Draw, besides: Collection[E] = ()) -> E | None:
        """See `Balancer`."""
        for _ in range(len(self._endpoints)):
            endpoint = self._endpoints[self._next]
            self._next = (self._next + 1) % len(self._endpoints)
            if not besides or endpoint not in besides:
                return endpoint
        return None


def make_balancer(balance: Balance, endpoints: Iterable[E]) -> Balancer[E]:
    """The balancer of a route, over the endpoints that are usable now."""
    members = list(endpoints)
    if len(members) == 1:
        return Single(members[0])
    match balance:
        case Balance.LEAST_REQUEST:
            return FewestOfFew(members) if 1 < len(members) <= _FEW else LeastRequest(members)
        case Balance.P2C:
            return PeakEwma(members)
        case Balance.ROUND_ROBIN:
            return RoundRobin(members)


def peak_ewma(previous_s: float, sample_s: float, elapsed_s: float, decay_s: float = 10.0) -> float:
    """Move an average by one sample: up at once, down by its age (time constant `decay_s`)."""
    if sample_s >= previous_s:
        return sample_s
    keep = max(0.0, 1.0 - elapsed_s / decay_s)
    return previous_s * keep + sample_s * (1.0 - keep)
