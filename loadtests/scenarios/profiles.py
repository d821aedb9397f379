"""How much load over time, as a value.

Pure.  One form for all shapes: points of (second, requests/s), straight lines between them.

Guarantees (tests/unit/loadtests/test_loadtest_profiles.py):
  * a rate is never below the lowest point nor above the highest;
  * a profile ends, and says when;
  * stretching the time changes no rate, scaling the rate changes no time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import msgspec

RATE_PER_USER: Final = 2.0
"""Requests a second that one simulated user makes, as long as each is answered within 0.5 s."""

Point = tuple[float, float]


class Profile(msgspec.Struct, frozen=True):
    """Requests that come and go, streams that are always open, and changes of weights."""

    name: str
    curve: tuple[Point, ...]
    """(second, requests/s), the first at 0."""
    streams: int
    """Open at any time: when one has ended, its user opens the next."""
    change_every_s: float

    def __post_init__(self) -> None:
        seconds = [second for second, _ in self.curve]
        if len(seconds) < 2 or seconds[0] != 0 or seconds != sorted(seconds) or not seconds[-1]:
            raise ValueError(f"{self.name}: a curve goes from second 0 on, not {seconds}")
        if min(rate for _, rate in self.curve) < 0 or self.streams < 0 or self.change_every_s <= 0:
            raise ValueError(f"{self.name}: no rate, number or interval may be negative")

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.curve[-1][0]

    @property
    def peak(self) -> float:
        """The highest rate."""
        return max(rate for _, rate in self.curve)

    @property
    def requests(self) -> float:
        """How many there are in all, streams not among them."""
        return sum((b - a) * (low + high) / 2 for (a, low), (b, high) in pairwise(self.curve))

    def rate_at(self, elapsed_s: float) -> float | None:
        """Requests/s at this moment; None when it is over."""
        for (begin, low), (end, high) in pairwise(self.curve):
            if begin <= elapsed_s < end:
                return low + (high - low) * (elapsed_s - begin) / (end - begin)
        return None

    def users_at(self, elapsed_s: float) -> int | None:
        """How many users make that rate; None when it is over."""
        rate = self.rate_at(elapsed_s)
        return None if rate is None else round(rate / RATE_PER_USER)


def fitted(
    profile: Profile,
    *,
    seconds: float | None = None,
    peak: float | None = None,
    streams: int | None = None,
) -> Profile:
    """The same shape, this long, this high and with so many streams, where given."""
    stretch = 1.0 if seconds is None else seconds / profile.seconds
    scale = 1.0 if peak is None else peak / profile.peak
    return msgspec.structs.replace(
        profile,
        curve=tuple((second * stretch, rate * scale) for second, rate in profile.curve),
        streams=profile.streams if streams is None else streams,
    )


def _curve(*points: Point) -> tuple[Point, ...]:
    return points


PROFILES: Final = {
    profile.name: profile
    for profile in (
        Profile("short", _curve((0, 30), (12, 30)), streams=6, change_every_s=1),
        Profile("steady", _curve((0, 200), (60, 200)), streams=50, change_every_s=1),
        Profile("ramp", _curve((0, 20), (100, 400), (120, 400)), streams=50, change_every_s=1),
        Profile(
            "spike",
            _curve((0, 50), (20, 50), (21, 400), (31, 400), (32, 50), (60, 50)),
            streams=50,
            change_every_s=1,
        ),
        Profile("soak", _curve((0, 300), (600, 300)), streams=200, change_every_s=1),
    )
}
