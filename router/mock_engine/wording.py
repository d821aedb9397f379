"""The words of an answer, and how many tokens a text is worth.

Pure: the same name and count give the same words, in every process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from router.mock_engine.settings import EngineSettings

CHARACTERS_PER_TOKEN: Final = 4  # the field's rule of thumb for English text

WORDS: Final = (
    *("the", "router", "sends", "a", "small", "share", "of", "requests", "to", "the", "new"),
    *("version", "and", "watches", "what", "comes", "back", "before", "it", "sends", "more"),
    *("so", "that", "a", "bad", "one", "is", "found", "while", "few", "can", "see", "it"),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The tokens of an answer and why it ends: `stop` or `length`."""

    tokens: tuple[str, ...]
    finish_reason: str

    @property
    def text(self) -> str:
        """The tokens in one piece."""
        return "".join(self.tokens)


def estimate_tokens(characters: int) -> int:
    """How many tokens a text of so many characters is, at least one."""
    return max(1, -(-characters // CHARACTERS_PER_TOKEN))


def compose(settings: EngineSettings, max_tokens: int | None, draw: Callable[[], float]) -> Answer:
    """The answer to a request that allows `max_tokens`, or does not say."""
    answer = _compose(settings, max_tokens, draw)
    if settings.changed_share and draw() < settings.changed_share:
        # As a model does that samples, or batches differently: mostly the same, not always.
        other = f" {WORDS[int(draw() * len(WORDS))]}"
        return Answer((*answer.tokens[:-1], other), answer.finish_reason)
    return answer


def _compose(settings: EngineSettings, max_tokens: int | None, draw: Callable[[], float]) -> Answer:
    if settings.text:
        return _recite(settings.text, max_tokens)
    count = max_tokens or settings.default_output_tokens
    finish_reason = "stop" if max_tokens is None else "length"
    if settings.varied:
        words = (WORDS[int(draw() * len(WORDS))] for _ in range(count - 1))
        return Answer((settings.name, *(f" {word}" for word in words)), finish_reason)
    return Answer(_own_words(settings.name, count), finish_reason)


@lru_cache(maxsize=256)
def _own_words(name: str, count: int) -> tuple[str, ...]:
    return (name, *(f" {WORDS[index % len(WORDS)]}" for index in range(count - 1)))


@lru_cache(maxsize=256)
def _recite(text: str, max_tokens: int | None) -> Answer:
    tokens = tuple(re.findall(r"\s*\S+\s*$|\s*\S+", text)) or (text,)
    if max_tokens is None or max_tokens >= len(tokens):
        return Answer(tokens, "stop")
    return Answer(tokens[:max_tokens], "length")
