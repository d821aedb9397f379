"""Compare texts: exactly, then normalised, then by how alike they are.

How alike: twice the length of the longest common subsequence over both lengths, which is 1 minus
the share of characters to delete and insert (rapidfuzz's ratio).  Finding that subsequence takes
the product of both lengths, so it is done window by window once the texts are long.  A window
finds no more in common than there is: a long text may be called less alike than it is, never more.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from rapidfuzz.distance import LCSseq

from router.comparison.excerpts import around, common_start
from router.comparison.result import Difference, Field

WINDOW: Final = 8 * 1024
"""Characters that differ up to which a ratio is exact.

Measured (rapidfuzz 3.14, CPython 3.11, one core): two unrelated texts of this length take 4 ms in
English and 16 ms in Chinese.
"""
MIN_WINDOW: Final = 256
"""No smaller window is worth its call; two unrelated texts of 8 MiB take half a second in it."""

# NFC sorts each run of combining marks in quadratic time (160 000 marks: 21 s on CPython 3.11).
# A text with a longer run than Unicode's own bound of 30 (UAX 15, Stream-Safe Text Format), which
# no language needs, stays as it is.  Searched for only where a run begins: linear as well.
_MARK: Final = r"[^\w\s\x00-\u02ff]"
_MANY_MARKS: Final = re.compile(rf"(?<!{_MARK}){_MARK}{{31}}")


class _Middle(msgspec.Struct, frozen=True):
    """What is left of two texts between their common start and end."""

    primary: str
    other: str
    common: int

    @property
    def length(self) -> int:
        """The length of the longer one."""
        return max(len(self.primary), len(self.other))

    def ratio(self, window: int) -> float:
        """How alike the whole texts are."""
        total = len(self.primary) + len(self.other) + 2 * self.common
        matched = sum(LCSseq.similarity(one, two) for one, two in self._windows(window))
        return 2 * (self.common + matched) / total

    def _windows(self, window: int) -> Iterator[tuple[str, str]]:
        count = -(-self.length // window)
        for index in range(count):
            yield _part(self.primary, index, count), _part(self.other, index, count)


def compare_texts(
    primary: Mapping[str, str], other: Mapping[str, str], least_ratio: float
) -> Difference:
    """Compare the texts of two answers by their places; the least alike two decide."""
    places = [*primary, *(place for place in other if place not in primary)]
    pairs = ((place, primary.get(place, ""), other.get(place, "")) for place in places)
    unequal = [pair for pair in pairs if pair[1] != pair[2]]
    if not unequal:
        return Difference(field=Field.TEXT, same=True, rule="text.exact", score=1.0)
    normalised = [(place, normalise(one), normalise(two)) for place, one, two in unequal]
    unlike = [pair for pair in normalised if pair[1] != pair[2]]
    if not unlike:
        return Difference(field=Field.TEXT, same=True, rule="text.normalised", score=1.0)
    scores = ratios((one, two) for _, one, two in unlike)
    same = min(scores) >= least_ratio
    first = next(i for i, score in enumerate(scores) if same or score < least_ratio)
    place, one, two = unlike[first]
    shown = around(one, two)
    return Difference(
        field=Field.TEXT,
        same=same,
        rule="text.ratio",
        score=min(scores),
        place=place,
        primary=shown[0],
        other=shown[1],
    )


def normalise(text: str) -> str:
    """The text in Unicode's NFC, each run of white space one space, none at its ends."""
    if not text.isascii() and not _MANY_MARKS.search(text):
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


def ratios(pairs: Iterable[tuple[str, str]]) -> list[float]:
    """How alike the texts of each pair are, 0 to 1; the pairs share one bound of time."""
    middles = [_middle(one, two) for one, two in pairs]
    total = sum(middle.length for middle in middles)
    window = max(MIN_WINDOW, min(WINDOW, WINDOW**2 // max(total, 1)))
    return [middle.ratio(window) for middle in middles]


def _middle(one: str, two: str) -> _Middle:
    # A longest common subsequence may always begin with the common start and end with the
    # common end: two long texts that differ in one place are as cheap as that place.
    start = common_start(one, two)
    one, two = one[start:], two[start:]
    end = common_start(one[::-1], two[::-1])
    return _Middle(one[: len(one) - end], two[: len(two) - end], start + end)


def _part(text: str, index: int, count: int) -> str:
    return text[index * len(text) // count : (index + 1) * len(text) // count]
