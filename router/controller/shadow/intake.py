"""Pairs that wait to be compared: bounded by number and by bytes; what does not fit is refused.

A pair holds whole bodies, so a number alone would not bound the memory.
"""

import asyncio
from collections import deque
from typing import Final

from router.link.messages import Captured, Fields, Pair

MAX_PAIRS: Final = 1_000
MAX_BYTES: Final = 64 * 1024 * 1024

_OVERHEAD: Final = 2 * 1024
"""Bytes of a pair's objects beside its texts, roughly."""


class Intake:
    """First in, first out; `take` from it in one task only."""

    def __init__(self, *, max_pairs: int = MAX_PAIRS, max_bytes: int = MAX_BYTES) -> None:
        self._max_pairs: Final = max_pairs
        self._max_bytes: Final = max_bytes
        self._pairs: Final[deque[tuple[Pair, int]]] = deque()
        self._bytes = 0
        self._some: Final = asyncio.Event()

    def __len__(self) -> int:
        return len(self._pairs)

    def put(self, pair: Pair) -> bool:
        """Let it wait; False: there is no room for it."""
        size = size_of(pair)
        if len(self._pairs) >= self._max_pairs or self._bytes + size > self._max_bytes:
            return False
        self._pairs.append((pair, size))
        self._bytes += size
        self._some.set()
        return True

    async def wait(self) -> None:
        """Wait until there is a pair."""
        await self._some.wait()

    def wake(self) -> None:
        """Wake whoever waits, though there may be no pair."""
        self._some.set()

    def take(self, most: int) -> list[Pair]:
        """The oldest pairs, at most so many."""
        taken: list[Pair] = []
        while self._pairs and len(taken) < most:
            pair, size = self._pairs.popleft()
            self._bytes -= size
            taken.append(pair)
        if not self._pairs:
            self._some.clear()
        return taken


def size_of(pair: Pair) -> int:
    """About how many bytes of memory a pair holds."""
    answers = [each for each in (pair.primary, pair.shadow, pair.twin) if each is not None]
    return (
        _OVERHEAD
        + len(pair.target)
        + _size_of_fields(pair.fields)
        + len(pair.request or b"")
        + sum(_size_of_answer(answer) for answer in answers)
    )


def _size_of_answer(answer: Captured) -> int:
    return len(answer.body) + _size_of_fields(answer.fields)


def _size_of_fields(fields: Fields) -> int:
    return sum(len(name) + len(value) for name, value in fields)
