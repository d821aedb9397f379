"""What a version did in the last minutes: rates, ratios and quantiles from merged counters.

`History` is given the counters about once a second and answers for any window up to six hours.
Samples thin out with age: one a second for the last minute, then at most 1/16 of their age apart.
A window begins with a sample, so it may be that much longer than asked; `Window.seconds` says how
long it is, and rates are made with that.

Memory: a version has at most `MAX_SAMPLES` samples (9 hours) of about 600 bytes: 145 KB for one
that streams all the time, 100 KB without streams, 30 KB for an idle one.

CPU of one `add` for 1 000 busy versions, all of them streaming: 12 ms with one worker, 40 with
two, 75 with four; what grows is `View.merged`.  For 20 of 10 000 versions with two workers it is
17 ms: give it a view of those (`Merger.look`).  A window with a quantile takes 25 µs.

Guarantees (each is a test in tests/unit/telemetry/test_windows.py):
  * a window of up to `MAX_WINDOW_S` is never shorter than asked, unless the history is, and at
    most two seconds or 1/16 of its length longer;
  * a version is counted over all its roles: a promotion is no gap;
  * what was counted before a version's history began is never part of a window, nor is what was
    counted before a counter fell or the version was away;
  * a quantile is Prometheus' `histogram_quantile` over the same buckets.

Pure bookkeeping for one event loop: `now` comes in as an argument.
"""

import math
import struct
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import lt
from typing import Final, NamedTuple, Protocol

from router.errors import FailureReason
from router.telemetry import families
from router.telemetry.families import Family
from router.telemetry.merge import Distribution, Rows

MAX_WINDOW_S: Final = 6 * 3600.0
_RECENT: Final = 64
_PER_LEVEL: Final = 16
_LEVELS: Final = 11
MAX_SAMPLES: Final = _RECENT + _PER_LEVEL * (_LEVELS - 1) + _LEVELS  # one may wait for its pair

VersionKey = tuple[str, str]
"""Route and version."""


class Timing(Enum):
    """What is measured in seconds; the values are its histograms."""

    DURATION = families.DURATION
    FIRST_BYTE = families.FIRST_BYTE
    FIRST_TOKEN = families.FIRST_TOKEN
    INTER_CHUNK = families.INTER_CHUNK


class Counters(Protocol):
    """Where samples are taken from, like `router.telemetry.merge.View`."""

    def merged(self, family: Family) -> Rows:
        """The family's values by label values."""
        ...


# -- one sample: all counters of a version in one row ------------------------------------------

CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "client_gone", "other")
"""Classes of answers; status 499 is a client that went away."""
TOKEN_TYPES: Final = ("prompt", "completion")

_CLASS_OF_DIGIT: Final = {"1": 0, "2": 1, "3": 2, "4": 3, "5": 4}
_CLIENT_GONE: Final = CLASSES.index("client_gone")
_OTHER: Final = CLASSES.index("other")
_REASONS: Final = {reason: len(CLASSES) + place for place, reason in enumerate(FailureReason)}
_REASON_OF_LABEL: Final = {reason.value: place for reason, place in _REASONS.items()}
_TOKENS: Final = {
    type_: len(CLASSES) + len(_REASONS) + place for place, type_ in enumerate(TOKEN_TYPES)
}
_NUMBERS: Final = len(CLASSES) + len(_REASONS) + len(_TOKENS)


def _places() -> Iterator[tuple[Timing, slice]]:
    start = _NUMBERS
    for timing in Timing:  # those of streams come last: see `_pack`
        stop = start + len(timing.value.buckets) + 1
        yield timing, slice(start, stop)
        start = stop


_PLACES: Final = dict(_places())
_COLUMNS: Final = _PLACES[Timing.INTER_CHUNK].stop
_NOTHING: Final = {
    timing: Distribution((0,) * (len(timing.value.buckets) + 1), 0.0) for timing in Timing
}
# Counters wrap here, and so do their differences, which are right as long as nothing counts
# more in one window (200 000 tokens a second for six hours).
_WRAP: Final = 2**32
_ROW: Final = struct.Struct(f"<{_COLUMNS}I")


def _pack(numbers: list[int]) -> bytes:
    """Write a row; without trailing zeros, which is all of a stream's histograms if none ran."""
    try:
        row = _ROW.pack(*numbers)
    except struct.error:
        row = _ROW.pack(*(number % _WRAP for number in numbers))
    return row.rstrip(b"\0")


def _unpack(row: bytes) -> tuple[int, ...]:
    return _ROW.unpack(row.ljust(_ROW.size, b"\0"))


def increase_between(before: bytes, after: bytes) -> tuple[int, ...]:
    """What was counted from one row to a later one; see `Window.increase`."""
    earlier, later = _unpack(before), _unpack(after)
    return tuple([(new - old) % _WRAP for new, old in zip(later, earlier, strict=True)])


def has_fallen(before: bytes, after: bytes) -> bool:
    """Whether a counter fell; one that only wrapped did not."""
    if before == after or not any(map(lt, _unpack(after), _unpack(before))):
        return False
    return max(increase_between(before, after)) >= _WRAP // 2


def rows_of(counters: Counters, versions: Collection[VersionKey]) -> dict[VersionKey, bytes]:
    """One row for each of `versions`, zeros for what never counted."""
    numbers = {key: [0] * _NUMBERS for key in versions}
    for family, place_of in (
        (families.REQUESTS, _class_of),
        (families.ERRORS, _REASON_OF_LABEL.get),
        (families.TOKENS, _TOKENS.get),
    ):
        for labels, value in counters.merged(family).items():
            row = numbers.get((labels[0], labels[1]))
            place = place_of(labels[-1])
            if row is not None and place is not None and not isinstance(value, Distribution):
                row[place] += int(value)
    for timing in Timing:
        observed = counters.merged(timing.value)
        nothing = _NOTHING[timing]
        for key, row in numbers.items():
            found = observed.get(key, nothing)
            assert isinstance(found, Distribution)
            row += found.buckets
    return {key: _pack(row) for key, row in numbers.items()}


def _class_of(code: str) -> int:
    return _CLIENT_GONE if code == "499" else _CLASS_OF_DIGIT.get(code[:1], _OTHER)


# -- the samples of one version ----------------------------------------------------------------


class _Sample(NamedTuple):
    time_s: float
    row: bytes


class _Track:
    """The samples of one version, in levels: each holds older ones, twice as far apart."""

    __slots__ = ("_levels", "newest")

    def __init__(self, first: _Sample) -> None:
        self.newest = first
        self._levels: Final = [deque((first,))]

    def __len__(self) -> int:
        return sum(map(len, self._levels))

    def add(self, now: float, row: bytes) -> None:
        """Take a sample that is newer than all others."""
        if row == self.newest.row:
            row = self.newest.row  # an idle version's samples share one row
        self.newest = _Sample(now, row)
        self._levels[0].append(self.newest)
        self._thin_out()

    def at(self, time_s: float) -> _Sample:
        """The newest sample that is not newer than this, or else the oldest of all."""
        for level in self._levels:
            if level[0].time_s <= time_s:
                return next(sample for sample in reversed(level) if sample.time_s <= time_s)
        return self._levels[-1][0]

    def _thin_out(self) -> None:
        """Hand every second sample that a level has no room for to the next level."""
        room = _RECENT
        for depth, level in enumerate(self._levels):
            if len(level) < room + 2:
                return
            kept = level.popleft()
            level.popleft()
            if depth + 1 < len(self._levels):
                self._levels[depth + 1].append(kept)
            elif depth + 1 < _LEVELS:
                self._levels.append(deque((kept,)))
                return
            room = _PER_LEVEL


# -- windows -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """What a version did in `seconds` that ended at `ended_s`; numbers of what never was are NaN.

    `increase` is by column of a sample's row: use the properties.
    """

    seconds: float
    ended_s: float
    increase: tuple[int, ...]

    @property
    def requests(self) -> int:
        """Answers and failures together."""
        return sum(self.increase[: len(CLASSES)])

    @property
    def errors(self) -> int:
        """Failures of the version."""
        return sum(self.failures.values())

    @property
    def classes(self) -> Mapping[str, int]:
        """Requests by class of their status."""
        return dict(zip(CLASSES, self.increase, strict=False))

    @property
    def failures(self) -> Mapping[FailureReason, int]:
        """Failures by reason."""
        return {reason: self.increase[place] for reason, place in _REASONS.items()}

    @property
    def request_rate(self) -> float:
        """Requests a second."""
        return self._rate(self.requests)

    @property
    def error_ratio(self) -> float:
        """Failures as a share of requests, 0 to 1."""
        return self.errors / self.requests if self.requests else math.nan

    @property
    def tokens_per_second(self) -> float:
        """Completion tokens, as the model server reported them, of all requests together."""
        return self._rate(self.increase[_TOKENS["completion"]])

    def observations(self, timing: Timing) -> int:
        """How often this was measured."""
        return sum(self.increase[_PLACES[timing]])

    def quantile(self, timing: Timing, q: float) -> float:
        """Seconds that a share `q` of the observations did not exceed."""
        return quantile(timing.value.buckets, self.increase[_PLACES[timing]], q)

    def _rate(self, number: int) -> float:
        return number / self.seconds if self.seconds else math.nan


def quantile(bounds: tuple[float, ...], buckets: tuple[int, ...], q: float) -> float:
    """Prometheus' histogram_quantile: linear inside a bucket, the first one begins at 0.

    `buckets` are counts between bounds, the last one is +Inf, for which the highest bound stands.
    """
    if not 0 <= q <= 1:
        raise ValueError(f"a quantile is between 0 and 1, not {q}")
    total = sum(buckets)
    if not total:
        return math.nan
    rank, below, lower = q * total, 0, 0.0
    for bound, count in zip(bounds, buckets, strict=False):
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count
        below, lower = below + count, bound
    return lower


class History:
    """The last hours of every version that somebody may ask about."""

    def __init__(self) -> None:
        self._tracks: dict[VersionKey, _Track] = {}
        self._newest_s = -math.inf

    def add(self, now: float, counters: Counters, versions: Collection[VersionKey]) -> None:
        """Take a sample of these versions, and forget all others; call it once a second.

        A version's history begins with the first sample, whatever it had counted until then.
        A second sample of one moment is left out; if `now` is earlier than before (a clock was
        set back), all histories begin anew.
        """
        if now == self._newest_s:
            return
        if now < self._newest_s:
            self.clear()
        self._newest_s = now
        rows = rows_of(counters, versions)
        for key in self._tracks.keys() - rows.keys():
            del self._tracks[key]
        for key, row in rows.items():
            track = self._tracks.get(key)
            if track is None or has_fallen(track.newest.row, row):
                self._tracks[key] = _Track(_Sample(now, row))
            else:
                track.add(now, row)

    def clear(self) -> None:
        """Begin anew: counters are about to jump (workers that served before control came)."""
        self._tracks.clear()
        self._newest_s = -math.inf

    def knows(self, route: str, version: str) -> bool:
        """Whether this version has a history."""
        return (route, version) in self._tracks

    def window(self, route: str, version: str, now: float, seconds: float) -> Window:
        """What the version did in the last `seconds` before `now`; without a history: nothing."""
        if not 0 < seconds <= MAX_WINDOW_S:
            raise ValueError(f"a window has more than 0 and up to {MAX_WINDOW_S:g} s")
        track = self._tracks.get((route, version))
        if track is None:
            return Window(0.0, now, (0,) * _COLUMNS)
        end = track.at(now)
        start = track.at(end.time_s - seconds)
        return Window(end.time_s - start.time_s, end.time_s, increase_between(start.row, end.row))
