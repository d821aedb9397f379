"""Audit entries in a few words, as they come: what was decided, and the values that led to it.

Pure.
"""

from __future__ import annotations

from typing import Final

from router.demo.checks import measured
from router.demo.rollout import Entry
from router.demo.story import Chapter
from router.rollouts.effects import Action

_UNTOLD: Final = frozenset((Action.STEP_PASSED, Action.ANALYSIS_STARTED))
"""What the others say already."""

_WORDS: Final = {
    Action.STARTED: "rollout begins",
    Action.SHADOW_SET: "shadow",
    Action.WEIGHT_SET: "weight",
    Action.ANALYSIS_PASSED: "evidence",
    Action.PAUSED: "pause",
    Action.PROMOTED: "PROMOTED",
    Action.ABORTED: "ROLLED BACK",
}


def told(entry: Entry) -> str | None:
    """One line; None for an entry that says nothing new."""
    if entry.action in _UNTOLD:
        return None
    word = next((text for action, text in _WORDS.items() if action == entry.action), entry.action)
    values = measured(entry.evidence)
    return f"{word}: {entry.reason}" + (f" [{values}]" if values else "")


def ends_shadow_phase(entry: Entry, chapter: Chapter) -> bool:
    """Whether the version has just proved itself as a shadow: the first verdict says so."""
    return entry.action == Action.ANALYSIS_PASSED and chapter.passed == 1
