"""Continuous batching as arithmetic: who runs, who waits, when the next token comes.

Pure: `now` comes in, tokens come out. No clock, no asyncio, no randomness.

The accelerator works in steps. A step takes

    step_s + step_per_running_s * running + newly admitted prompt tokens / prefill_tokens_per_s

times `scale`, and at its end every producing sequence has one token more. Sequences join
and leave only between steps. A sequence reserves the KV of its whole life (prompt and
output) when it is admitted, so nothing is ever evicted.

Guarantees (tests/unit/mock_engine/test_mock_batch.py):
  * never more than `max_running` sequences run, never more than `kv_tokens` are reserved;
  * admission is first in, first out: who does not fit holds up those behind it;
  * `release` gives slot and KV back exactly once, in every phase of a sequence;
  * looking more often changes nothing: advance(a), advance(b) is advance(b);
  * with scale 0 everything that can be produced is produced by the next `advance`.

`advance(now)` comes before `submit`, `resume` and `release` at the same `now`: the batch
cannot hand out the tokens of steps that ended unseen.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


class TooLong(ValueError):  # noqa: N818  # reads as what it says
    """A sequence asks for more KV than the whole engine has; it could never run."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast the simulated accelerator is, and how much it holds."""

    prefill_tokens_per_s: float
    step_s: float
    step_per_running_s: float
    max_running: int
    kv_tokens: int
    scale: float

    def __post_init__(self) -> None:
        if self.prefill_tokens_per_s <= 0:
            raise ValueError("prefill tokens per second must be positive")
        if min(self.step_s, self.step_per_running_s, self.scale) < 0:
            raise ValueError("step times and the time scale cannot be negative")
        if self.max_running < 1 or self.kv_tokens < 2:
            raise ValueError("at least one sequence of two tokens must fit")

    def step_duration_s(self, *, running: int, prompt_tokens: int) -> float:
        """How long one step takes with so many running and so many new prompt tokens."""
        prefill_s = prompt_tokens / self.prefill_tokens_per_s
        return self.scale * (prefill_s + self.step_s + self.step_per_running_s * running)


@dataclass(slots=True, eq=False)
class Sequence:
    """One answer in the making. A stalled one keeps its slot and produces nothing."""

    prompt_tokens: int
    output_tokens: int
    stall_after: int | None = None
    produced: int = 0

    def __post_init__(self) -> None:
        if self.prompt_tokens < 0 or self.output_tokens < 1:
            raise ValueError("a sequence has output, and no negative prompt")
        if self.stall_after is not None:
            self.stall_after = min(self.stall_after, self.output_tokens)

    @property
    def kv_tokens(self) -> int:
        """The KV that it reserves while it runs."""
        return self.prompt_tokens + self.output_tokens

    @property
    def stalled(self) -> bool:
        """Whether it has come to the token after which it hangs."""
        return self.produced == self.stall_after

    @property
    def finished(self) -> bool:
        """Whether its last token is out and it may leave."""
        return self.produced == self.output_tokens and not self.stalled

    @property
    def tokens_until_change(self) -> int:
        """How many tokens it produces before it finishes or stalls."""
        end = self.output_tokens if self.stall_after is None else self.stall_after
        return end - self.produced


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """The batch at one moment; the token counts only ever grow."""

    running: int
    waiting: int
    kv_reserved: int
    kv_tokens: int
    prompt_tokens: int
    generated_tokens: int

    @property
    def kv_usage(self) -> float:
        """The share of the KV that is reserved, 0 to 1."""
        return self.kv_reserved / self.kv_tokens


class Batch:
    """The running sequences, the waiting ones, and the step in progress."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        # Ordered by submission and by admission; keys only.
        self._waiting: OrderedDict[Sequence, None] = OrderedDict()
        self._running: OrderedDict[Sequence, None] = OrderedDict()
        self._kv_reserved = 0
        # The step in progress: who gets a token at its end, and when that is.
        self._producing: list[Sequence] = []
        self._step_ends: float | None = None
        # Totals since the start.
        self._prompt_tokens = 0
        self._generated_tokens = 0

    def __repr__(self) -> str:
        return (
            f"<Batch running={len(self._running)} waiting={len(self._waiting)}"
            f" kv={self._kv_reserved}/{self._timing.kv_tokens} step_ends={self._step_ends}>"
        )

    @property
    def next_step_at(self) -> float | None:
        """When the next tokens come; None while nothing produces."""
        return self._step_ends

    def statistics(self) -> BatchStatistics:
        """What runs and waits now, and what was produced so far."""
        return BatchStatistics(
            running=len(self._running),
            waiting=len(self._waiting),
            kv_reserved=self._kv_reserved,
            kv_tokens=self._timing.kv_tokens,
            prompt_tokens=self._prompt_tokens,
            generated_tokens=self._generated_tokens,
        )

    def submit(self, sequence: Sequence, now: float) -> None:
        """Queue a sequence; it is admitted at the next step that has room for it.

        Raises:
            TooLong: it can never fit. It is not queued.
        """
        if sequence.kv_tokens > self._timing.kv_tokens:
            raise TooLong(f"{sequence.kv_tokens} tokens do not fit {self._timing.kv_tokens}")
        self._waiting[sequence] = None
        self._begin_step_if_idle(now)

    def resume(self, sequence: Sequence, now: float) -> None:
        """Let a stalled sequence produce again."""
        sequence.stall_after = None
        if sequence.finished and sequence in self._running:
            self._leave(sequence)
        self._begin_step_if_idle(now)

    def release(self, sequence: Sequence, now: float) -> None:
        """Take a sequence out, in whatever phase it is; one that has left already stays left."""
        if sequence in self._running:
            self._leave(sequence)
        else:
            self._waiting.pop(sequence, None)
        self._begin_step_if_idle(now)

    def advance(self, now: float) -> list[Sequence]:
        """End every step that is due; return the sequences that got a token, each once."""
        progressed: dict[Sequence, None] = {}
        while self._step_ends is not None and self._step_ends <= now:
            progressed.update(dict.fromkeys(self._end_step(self._step_ends)))
        return list(progressed)

    def _end_step(self, now: float) -> list[Sequence]:
        producing = [sequence for sequence in self._producing if sequence in self._running]
        tokens = self._tokens_per_step(producing)
        for sequence in producing:
            sequence.produced += tokens
            if sequence.finished:
                self._leave(sequence)
        self._generated_tokens += tokens * len(producing)
        self._begin_step(now)
        return producing

    def _tokens_per_step(self, producing: list[Sequence]) -> int:
        # Steps that take no time are taken together, up to the next change of the batch:
        # a token at a time would cost 1 us of CPU each for nothing that can be observed.
        if self._timing.scale > 0 or not producing:
            return 1
        return min(sequence.tokens_until_change for sequence in producing)

    def _begin_step_if_idle(self, now: float) -> None:
        if self._step_ends is None:
            self._begin_step(now)

    def _begin_step(self, now: float) -> None:
        prompt_tokens = self._admit()
        self._producing = [sequence for sequence in self._running if not sequence.stalled]
        if not self._producing:
            self._step_ends = None
            return
        self._step_ends = now + self._timing.step_duration_s(
            running=len(self._running), prompt_tokens=prompt_tokens
        )

    def _admit(self) -> int:
        prompt_tokens = 0
        while self._waiting and self._fits(sequence := next(iter(self._waiting))):
            del self._waiting[sequence]
            self._running[sequence] = None
            self._kv_reserved += sequence.kv_tokens
            prompt_tokens += sequence.prompt_tokens
        self._prompt_tokens += prompt_tokens
        return prompt_tokens

    def _fits(self, sequence: Sequence) -> bool:
        if len(self._running) >= self._timing.max_running:
            return False
        return self._kv_reserved + sequence.kv_tokens <= self._timing.kv_tokens

    def _leave(self, sequence: Sequence) -> None:
        del self._running[sequence]
        self._kv_reserved -= sequence.kv_tokens
