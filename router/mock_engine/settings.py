"""What an engine is like: its name, its models, its speed, its first faults.

A value here is valid once it exists. Every field is a command-line option (arguments.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Final

from router.mock_engine.batch import Timing
from router.mock_engine.faults import Faults
from router.mock_engine.options import option, require_at_least, require_type

_SIZES: Final = (
    "default_output_tokens",
    "embedding_dimensions",
    "max_body_bytes",
    "journal_size",
    "keep_alive_seconds",
)


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One simulated model server. The defaults answer a short request in about 35 ms."""

    name: str = option("mock", "name of the engine: in x-mock-engine and in every answer")
    models: tuple[str, ...] = option((), "a model name that is served; none given: any")
    time_scale: float = option(1.0, "factor on all simulated times; 0: answer at once")
    prefill_tokens_per_second: float = option(50_000.0, "prompt tokens read in a second")
    step_seconds: float = option(0.002, "time between two tokens of one sequence alone")
    step_seconds_per_running: float = option(0.00002, "more time for each running sequence")
    max_running: int = option(256, "sequences that run together; the others wait")
    kv_tokens: int = option(262_144, "tokens of KV cache; who does not fit waits")
    default_output_tokens: int = option(16, "tokens of an answer that sets no max_tokens")
    text: str = option("", "the words of every answer, instead of the engine's own")
    varied: bool = option(False, "draw the words of every answer anew")
    changed_share: float = option(0.0, "share of answers whose last word is drawn, 0 to 1")
    seed: int = option(0, "seed of the faults and of drawn words")
    embedding_dimensions: int = option(16, "length of an embedding")
    max_body_bytes: int = option(64 * 2**20, "longest request body before 413")
    journal_size: int = option(1024, "requests that are remembered")
    keep_alive_seconds: int = option(60, "how long an idle connection is kept")
    faults: Faults = field(default_factory=Faults)

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.name != "faults":
                require_type(each, getattr(self, each.name))
        self._require_name()
        if not 0 <= self.changed_share <= 1:
            raise ValueError(f"changed_share must be 0 to 1, not {self.changed_share:g}")
        require_at_least(1, ((size, getattr(self, size)) for size in _SIZES))
        self.timing()

    def timing(self) -> Timing:
        """The part that the batch works with."""
        return Timing(
            prefill_tokens_per_s=self.prefill_tokens_per_second,
            step_s=self.step_seconds,
            step_per_running_s=self.step_seconds_per_running,
            max_running=self.max_running,
            kv_tokens=self.kv_tokens,
            scale=self.time_scale,
        )

    def serves(self, model: str) -> bool:
        """Whether requests for this model are answered."""
        return not self.models or model in self.models

    @property
    def listed_models(self) -> tuple[str, ...]:
        """The models that `/v1/models` shows: an engine that takes any shows its own name."""
        return self.models or (self.name,)

    def _require_name(self) -> None:
        # It travels in a header (RFC 9110 §5.5) and as the first word of an answer.
        if not self.name or not self.name.isascii() or not self.name.isprintable():
            raise ValueError(f"name must be printable ASCII, not {self.name!r}")
        if " " in self.name:
            raise ValueError(f"name must be one word, not {self.name!r}")
