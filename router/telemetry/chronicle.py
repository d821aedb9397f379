"""What every version did in the last hours, as points that a person looks at.

Sampled from merged counters every `FINE.step_s`; a point tells of the time since the sample before.
Points every 10 s are kept for an hour, points every minute for six; each is made from counters of
its own span, never by averaging others.

`History` (`windows`) answers for any window, of the few versions that an analysis asks about, and
is sampled every second; this is for all versions, and twenty times cheaper.

Guarantees (each is a test in tests/unit/telemetry/test_chronicle.py):
  * a number that was not measured is no number: nothing is carried on over a gap, and what was
    counted before the first sample, before a counter fell or over a missed sample is in no point;
  * at most `MAX_VERSIONS` are followed, and `left_out` counts the others;
  * a version's points take at most `MAX_BYTES`, and those of one that nobody calls less than half.

CPU of one sample of 1 000 busy versions, all of them streaming: 90 to 110 ms, in parts of 25
versions 2 to 4 ms each (`router.controller.chronicler`); of idle ones half of that.

Pure bookkeeping for one event loop: `now` comes in as an argument (seconds since 1970 UTC).
"""

import math
from array import array
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from router.telemetry.windows import (
    Counters,
    Timing,
    VersionKey,
    Window,
    has_fallen,
    increase_between,
    rows_of,
)

MAX_VERSIONS: Final = 2_000
MAX_BYTES: Final = 30_000
RECENT_S: Final = 60.0
"""What `recent` tells of, if the version was followed for so long."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Points `step_s` seconds apart, the newest `points` of them."""

    step_s: int
    points: int

    @property
    def span_s(self) -> int:
        """How far back it reaches."""
        return self.step_s * self.points


FINE: Final = Tier(10, 360)
COARSE: Final = Tier(60, 360)
_MISSED_S: Final = 2.5 * FINE.step_s
"""Samples that are farther apart have no point between them: it would lie about its time."""


class Point(NamedTuple):
    """One version in one span; NaN where nothing was measured.

    `weight` is percent at the end of the span, rates are per second, times in seconds.
    """

    weight: float = math.nan
    request_rate: float = math.nan
    error_ratio: float = math.nan
    p50: float = math.nan
    p99: float = math.nan
    ttft_p50: float = math.nan
    ttft_p99: float = math.nan
    inter_chunk_p99: float = math.nan
    tokens_per_second: float = math.nan


class Grid(NamedTuple):
    """The moments of a chart: `times`, each the end of `step_s` seconds; `tier` has the points."""

    tier: Tier
    step_s: int
    times: tuple[int, ...]


def grid(now: float, seconds: int, points: int) -> Grid:
    """At most `points` moments of the last `seconds`, as far apart as whole samples are."""
    tier = FINE if seconds <= FINE.span_s else COARSE
    step_s = max(1, math.ceil(seconds / points / tier.step_s)) * tier.step_s
    last = int(now // step_s) * step_s
    first = last - (seconds // step_s - 1) * step_s
    return Grid(tier, step_s, tuple(range(first, last + 1, step_s)))


# -- points in rings ---------------------------------------------------------------------------


class _Ring:
    """The newest points of a tier; a column takes memory from its first number on."""

    __slots__ = ("_columns", "_numbers", "_tier")

    def __init__(self, tier: Tier) -> None:
        self._tier: Final = tier
        self._numbers: Final = array("I", bytes(4 * tier.points))
        self._columns: Final[list[array[float] | None]] = [None] * len(Point._fields)

    def put(self, number: int, point: Point) -> None:
        """Keep the point of this span; spans are numbered through since 1970."""
        place = number % self._tier.points
        self._numbers[place] = number
        for which, value in enumerate(point):
            column = self._columns[which]
            if column is None and not math.isnan(value):
                column = self._columns[which] = array("f", [math.nan]) * self._tier.points
            if column is not None:
                column[place] = value

    def get(self, number: int) -> Point | None:
        """The point of this span, if it is there."""
        place = number % self._tier.points
        if self._numbers[place] != number:
            return None
        nan = math.nan
        return Point._make([nan if column is None else column[place] for column in self._columns])

    @property
    def bytes(self) -> int:
        """What the numbers take."""
        columns = [column for column in self._columns if column is not None]
        numbers = len(self._numbers) * self._numbers.itemsize
        return numbers + sum(len(column) * column.itemsize for column in columns)


# -- one version -------------------------------------------------------------------------------


class _Sample(NamedTuple):
    time_s: float
    row: bytes


class _Track:
    """A version's points, and the counters that the next ones are made from."""

    __slots__ = ("_minute", "_samples", "coarse", "fine")

    def __init__(self) -> None:
        self.fine: Final = _Ring(FINE)
        self.coarse: Final = _Ring(COARSE)
        self._samples: Final[deque[_Sample]] = deque(maxlen=int(RECENT_S) // FINE.step_s + 1)
        self._minute: _Sample | None = None

    def begin_anew(self) -> None:
        """The next sample has nothing to be compared with."""
        self._samples.clear()
        self._minute = None

    def take(self, now: float, row: bytes, weight: float) -> None:
        """Make the points that end with this sample."""
        last = self._samples[-1] if self._samples else None
        number = int(now // FINE.step_s)
        if last is not None and last.time_s <= now and number == last.time_s // FINE.step_s:
            return  # a sample of this span is there
        if last is not None and not _follows(last, now, row):
            self.begin_anew()
            last = None
        if last is not None and last.row == row:
            row = last.row  # an idle version's samples share one row
        sample = _Sample(now, row)
        self.fine.put(number, _point(last, sample, weight))
        self._samples.append(sample)
        minute = int(now // COARSE.step_s)
        if self._minute is None or minute != self._minute.time_s // COARSE.step_s:
            self.coarse.put(minute, _point(self._minute, sample, weight))
            self._minute = sample

    def recent(self, now: float, row: bytes) -> Window | None:
        """What came in the last `RECENT_S` or a little more; None: nothing to compare with."""
        if not self._samples or not _follows(self._samples[-1], now, row):
            return None
        old_enough = (one for one in reversed(self._samples) if now - one.time_s >= RECENT_S)
        return _window(next(old_enough, self._samples[0]), _Sample(now, row))


def _follows(last: _Sample, now: float, row: bytes) -> bool:
    return 0 < now - last.time_s <= _MISSED_S and not has_fallen(last.row, row)


def _window(first: _Sample, last: _Sample) -> Window:
    return Window(last.time_s - first.time_s, last.time_s, increase_between(first.row, last.row))


def _point(first: _Sample | None, last: _Sample, weight: float) -> Point:
    if first is None:
        return Point(weight)
    if first.row == last.row:
        return Point(weight, request_rate=0.0, tokens_per_second=0.0)
    return point_of(_window(first, last), weight)


def point_of(window: Window, weight: float) -> Point:
    """A window's numbers."""
    quantile = window.quantile
    return Point(
        weight=weight,
        request_rate=window.request_rate,
        error_ratio=window.error_ratio,
        p50=quantile(Timing.DURATION, 0.5),
        p99=quantile(Timing.DURATION, 0.99),
        ttft_p50=quantile(Timing.FIRST_TOKEN, 0.5),
        ttft_p99=quantile(Timing.FIRST_TOKEN, 0.99),
        inter_chunk_p99=quantile(Timing.INTER_CHUNK, 0.99),
        tokens_per_second=window.tokens_per_second,
    )


# -- all versions ------------------------------------------------------------------------------


class Chronicle:
    """The last hours of every version."""

    def __init__(self, max_versions: int = MAX_VERSIONS) -> None:
        self._max_versions: Final = max_versions
        self._tracks: dict[VersionKey, _Track] = {}
        self.left_out = 0

    @property
    def bytes(self) -> int:
        """What all points take."""
        return sum(track.fine.bytes + track.coarse.bytes for track in self._tracks.values())

    def follow(self, versions: Collection[VersionKey]) -> list[VersionKey]:
        """Forget all others; returns those that there is room for, the first ones."""
        followed = list(islice(versions, self._max_versions))
        self.left_out = len(versions) - len(followed)
        tracks = self._tracks
        self._tracks = {key: tracks.get(key) or _Track() for key in followed}
        return followed

    def add(self, now: float, counters: Counters, weights: Mapping[VersionKey, float]) -> None:
        """Take a sample of these versions, with their weights in percent; others are left out."""
        known = {key: weights[key] for key in weights if key in self._tracks}
        for key, row in rows_of(counters, known).items():
            self._tracks[key].take(now, row, known[key])

    def begin_anew(self) -> None:
        """Counters are about to jump (workers that served before control came): that is a gap."""
        for track in self._tracks.values():
            track.begin_anew()

    def recent(
        self, now: float, counters: Counters, versions: Collection[VersionKey]
    ) -> dict[VersionKey, Window]:
        """What these did in the last minute, up to this moment; without those of which that is
        not known."""
        known = [key for key in versions if key in self._tracks]
        rows = rows_of(counters, known)
        found = {key: self._tracks[key].recent(now, rows[key]) for key in known}
        return {key: window for key, window in found.items() if window is not None}

    def points(self, key: VersionKey, of: Grid) -> list[Point | None]:
        """One for each of the grid's moments; None where there was no sample."""
        track = self._tracks.get(key)
        if track is None:
            return [None] * len(of.times)
        ring = track.fine if of.tier is FINE else track.coarse
        spans, base_s = of.step_s // of.tier.step_s, of.tier.step_s
        found = []
        for time_s in of.times:
            last = time_s // base_s
            parts = (ring.get(number) for number in range(last - spans + 1, last + 1))
            found.append(joined([part for part in parts if part is not None]))
        return found


def joined(parts: list[Point]) -> Point | None:
    """Several spans as one: rates and medians by what they are made of, a 99th percentile as the
    worst of them (which of them were together cannot be known), the newest weight."""
    if len(parts) < 2:
        return parts[0] if parts else None
    calls = [part.request_rate for part in parts]
    return Point(
        weight=parts[-1].weight,
        request_rate=_mean(calls),
        error_ratio=_weighted([part.error_ratio for part in parts], calls),
        p50=_weighted([part.p50 for part in parts], calls),
        p99=_worst(part.p99 for part in parts),
        ttft_p50=_weighted([part.ttft_p50 for part in parts], calls),
        ttft_p99=_worst(part.ttft_p99 for part in parts),
        inter_chunk_p99=_worst(part.inter_chunk_p99 for part in parts),
        tokens_per_second=_mean([part.tokens_per_second for part in parts]),
    )


def _mean(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _weighted(values: list[float], weights: list[float]) -> float:
    known = [
        (value, weight)
        for value, weight in zip(values, weights, strict=True)
        if not math.isnan(value) and not math.isnan(weight)
    ]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else math.nan


def _worst(values: Iterable[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)
