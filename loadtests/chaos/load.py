"""The load: requests at a rate whatever becomes of them, streams that are always open.

Chance comes from a seeded generator, so that a run asks the same things as the one before.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from loadtests.chaos.asks import Ask, End, Kind, Outcome, end_of
from loadtests.chaos.client import Client

KEPT_FLAWS: Final = 100
"""Of what is wrong so many are told in words; all are counted."""

_STREAM_TOKENS: Final = (20, 60)
_CHAT_TOKENS: Final = (1, 4)
_ECHO_BYTES: Final = (1_000, 60_000)
_ECHO_SHARE: Final = 0.1


@dataclass(slots=True)
class Ends:
    """What all asks came to, by kind, outcome and detail (an error's code)."""

    counts: Counter[tuple[Kind, Outcome, str]] = field(default_factory=Counter)
    flaws: list[str] = field(default_factory=list)
    running: int = 0

    def add(self, kind: Kind, end: End) -> None:
        """One more."""
        if end.outcome is Outcome.WRONG:
            self.counts[kind, end.outcome, ""] += 1
            if len(self.flaws) < KEPT_FLAWS:
                self.flaws.append(end.detail)
        else:
            self.counts[kind, end.outcome, end.detail] += 1

    def total(self, *outcomes: Outcome) -> int:
        """How many came to one of these."""
        return sum(number for (_, each, _), number in self.counts.items() if each in outcomes)


class Load:
    """See the module."""

    def __init__(self, client: Client, seed: int) -> None:
        self._client: Final = client
        self._random: Final = random.Random(seed)
        self._numbers: Final = count()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self.ends = Ends()

    async def run(self, seconds: float, rate: float, streams: int) -> Ends:
        """Ask for so long, then let everything end; what it came to."""
        self.ends = Ends()
        until = time.monotonic() + seconds
        for _ in range(streams):
            self._spawn_streams(until)
        due = time.monotonic()
        while (now := time.monotonic()) < until:
            if due > now:
                await asyncio.sleep(due - now)
            due += 1.0 / rate
            self._keep(asyncio.ensure_future(self._ask(self._draw_unary())))
        while self._tasks:
            await asyncio.wait(self._tasks)
        return self.ends

    def _spawn_streams(self, until: float) -> None:
        async def again_and_again() -> None:
            await asyncio.sleep(self._random.random())  # not all in the same instant
            while time.monotonic() < until:
                await self._ask(self._draw(Kind.STREAM, _STREAM_TOKENS))

        self._keep(asyncio.ensure_future(again_and_again()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.ends.add(Kind.CHAT, End(Outcome.WRONG, f"the load itself: {error!r}"))

    async def _ask(self, ask: Ask) -> None:
        with self._running():
            came = await self._client.ask(ask.wire)
        self.ends.add(ask.kind, end_of(ask, came))

    @contextmanager
    def _running(self) -> Iterator[None]:
        self.ends.running += 1
        try:
            yield
        finally:
            self.ends.running -= 1

    def _draw_unary(self) -> Ask:
        if self._random.random() < _ECHO_SHARE:
            return self._draw(Kind.ECHO, _ECHO_BYTES)
        return self._draw(Kind.CHAT, _CHAT_TOKENS)

    def _draw(self, kind: Kind, sizes: tuple[int, int]) -> Ask:
        return Ask(next(self._numbers), kind, self._random.randint(*sizes))
