"""One simulated model server: it gives the pure batch a clock and lets answers wait for tokens.

One timer per engine, not per sequence: it goes off when the batch's next step ends. A timer
may be late under load; the batch then catches up without drift, because it counts from the
times at which the steps ended and not from those at which they were seen.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from router.mock_engine.batch import Batch, BatchStatistics, Sequence
from router.mock_engine.faults import FaultPlan, Faults, choose_faults
from router.mock_engine.journal import Journal
from router.mock_engine.settings import EngineSettings
from router.mock_engine.wording import Answer, compose


class Generation:
    """A sequence as the server sees it: something to wait for."""

    __slots__ = ("_progress", "sequence")

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self._progress = asyncio.Event()

    async def wait_produced(self, tokens: int) -> None:
        """Wait until so many tokens are out."""
        while self.sequence.produced < tokens:
            self._progress.clear()
            await self._progress.wait()

    def on_progress(self) -> None:
        """The sequence has at least one token more."""
        self._progress.set()


class Engine:
    """Everything that the requests to one server share."""

    def __init__(
        self, settings: EngineSettings, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings = settings
        self.faults: Faults = settings.faults
        self.journal = Journal(settings.journal_size)
        self.finish_reasons: Counter[str] = Counter({"stop": 0, "length": 0, "abort": 0})
        self._now = now
        self._batch = Batch(settings.timing())
        self._generations: dict[Sequence, Generation] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due: float | None = None
        self._draw = random.Random(settings.seed).random  # noqa: S311  # no secret: faults
        self._answers = 0

    def __repr__(self) -> str:
        return f"<Engine {self.settings.name} {self._batch!r}>"

    def statistics(self) -> BatchStatistics:
        """The batch at this moment."""
        return self._batch.statistics()

    def choose_faults(self) -> FaultPlan:
        """Decide what the next inference request suffers."""
        return choose_faults(self.faults, self._draw)

    def compose(self, max_tokens: int | None) -> Answer:
        """The words of the next answer."""
        return compose(self.settings, max_tokens, self._draw)

    def next_answer_id(self) -> str:
        """An identifier that no other answer of this engine has."""
        self._answers += 1
        return f"{self.settings.name}-{self._answers}"

    @contextmanager
    def generating(self, sequence: Sequence, finish_reason: str) -> Iterator[Generation]:
        """Run a sequence through the batch; leaving the block frees its slot and its KV.

        A block that ends by an exception is counted as aborted.

        Raises:
            TooLong: it can never fit. Nothing was queued.
        """
        generation = Generation(sequence)
        self._catch_up()
        self._batch.submit(sequence, self._now())
        self._generations[sequence] = generation
        self._catch_up()
        counted = "abort"
        try:
            yield generation
            counted = finish_reason
        finally:
            self.finish_reasons[counted] += 1
            del self._generations[sequence]
            self._release(sequence)

    def resume(self, generation: Generation) -> None:
        """Let a stalled generation go on."""
        self._catch_up()
        self._batch.resume(generation.sequence, self._now())
        self._catch_up()

    def _release(self, sequence: Sequence) -> None:
        if sequence.finished:
            return  # it left the batch with its last token
        self._catch_up()
        self._batch.release(sequence, self._now())
        self._catch_up()

    def _catch_up(self) -> None:
        for sequence in self._batch.advance(self._now()):
            generation = self._generations.get(sequence)
            if generation is not None:
                generation.on_progress()
        self._set_timer()

    def _set_timer(self) -> None:
        due = self._batch.next_step_at
        if due == self._timer_due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = due
        self._timer = None if due is None else self._call_at(due)

    def _call_at(self, due: float) -> asyncio.TimerHandle:
        # uvloop's timers count whole milliseconds. Rounded up: a timer that comes too
        # early would be set again at once and spin until the step really ends.
        delay_ms = math.ceil((due - self._now()) * 1000)
        return asyncio.get_running_loop().call_later(max(0, delay_ms) / 1000, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._timer_due = None
        self._catch_up()
