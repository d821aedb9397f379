"""What has been told so far, and whether it went as it should.

Pure: entries of the audit trail come in, findings come out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from router.demo.rollout import Entry
from router.demo.scenario import Act, Scenario
from router.rollouts.effects import Action

_ENDINGS: Final = frozenset(
    (Action.PROMOTED, Action.ABORTED, Action.WITHDRAWN, Action.ROLLED_BACK, Action.SUPERSEDED)
)


@dataclass(slots=True)
class Chapter:
    """An act as it was played: what the router wrote down about it."""

    act: Act
    entries: list[Entry] = field(default_factory=list)

    @property
    def ending(self) -> Entry | None:
        """The entry that ended it; None while it goes on."""
        return next((entry for entry in self.entries if entry.action in _ENDINGS), None)

    @property
    def shares(self) -> list[float]:
        """The shares that the version was given one after the other, in percent."""
        return [entry.evidence["weight_bp"] / 100 for entry in self._given]

    @property
    def took_s(self) -> float:
        """From its first entry to its ending, or to the last that is known."""
        return self._end_s - self.entries[0].time_s if self.entries else 0.0

    @property
    def exposed_s(self) -> float:
        """How long the version had traffic until the ending."""
        return self._end_s - self._given[0].time_s if self._given else 0.0

    @property
    def passed(self) -> int:
        """Analyses with a good verdict."""
        return sum(entry.action == Action.ANALYSIS_PASSED for entry in self.entries)

    @property
    def _given(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.action == Action.WEIGHT_SET]

    @property
    def _end_s(self) -> float:
        return (self.ending or self.entries[-1]).time_s

    def shortfalls(self, walk: tuple[int, ...]) -> Iterator[str]:
        """What went otherwise; nothing if it went as it should."""
        name, ending = self.act.release, self.ending
        if ending is None:
            yield f"{name} came to no end"
        elif ending.action != self.act.ends:
            yield f"{name} ended with {ending.action} ({ending.reason}), not with {self.act.ends}"
        elif ending.action == Action.PROMOTED and self.shares != list(walk):
            yield f"{name} was given {self.shares} %, not {list(walk)} %"
        elif not self.shares:
            yield f"{name} never had traffic"


@dataclass(slots=True)
class Story:
    """A scenario as far as it was played."""

    scenario: Scenario
    chapters: list[Chapter] = field(default_factory=list)
    failed_requests: int = 0
    """Client requests that had failed when it was over."""

    def begin(self, act: Act) -> Chapter:
        """Go on with the next act."""
        self.chapters.append(Chapter(act))
        return self.chapters[-1]

    @property
    def unfinished(self) -> list[Act]:
        """Acts without an ending."""
        ended = [chapter.act for chapter in self.chapters if chapter.ending is not None]
        return [act for act in self.scenario.acts if act not in ended]

    def shortfalls(self, *, whole: bool) -> list[str]:
        """What went otherwise; `whole`: what has no ending counts too."""
        walk = self.scenario.walk
        wrong = [
            shortfall
            for chapter in self.chapters
            if whole or chapter.ending is not None
            for shortfall in chapter.shortfalls(walk)
        ]
        if whole:
            begun = [chapter.act for chapter in self.chapters]
            late = [act for act in self.scenario.acts if act not in begun]
            wrong += [f"{act.release} was not released" for act in late]
        if self.failed_requests:
            wrong.append(f"{self.failed_requests} client requests failed")
        return wrong
