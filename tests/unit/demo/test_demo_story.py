"""When the story is as it should be, and when it is not."""

from __future__ import annotations

import pytest

from router.demo import CANARY
from router.demo.rollout import Entry
from router.demo.story import Chapter, Story
from router.rollouts.effects import Action

GOOD, BAD = CANARY.acts


def entry(time_s: float, action: Action, reason: str = "", **evidence: object) -> Entry:
    return Entry(int(time_s), time_s, action, reason, evidence)


def walked(*percents: int, began_s: float = 100.0) -> list[Entry]:
    entries = [entry(began_s, Action.STARTED)]
    for place, percent in enumerate(percents, start=1):
        at = began_s + 5 * place
        entries.append(entry(at, Action.WEIGHT_SET, weight_bp=100 * percent))
        entries.append(entry(at + 3, Action.ANALYSIS_PASSED))
    return entries


def promoted() -> Chapter:
    entries = [*walked(*CANARY.walk), entry(130.0, Action.PROMOTED, "v2 is stable")]
    return Chapter(GOOD, entries)


def aborted() -> Chapter:
    entries = [*walked(5)[:2], entry(109.0, Action.ABORTED, "analysis Failed")]
    return Chapter(BAD, entries)


def test_a_promoted_and_an_aborted_release_are_the_whole_story() -> None:
    story = Story(CANARY, [promoted(), aborted()])
    assert story.shortfalls(whole=True) == []
    assert story.unfinished == []


def test_a_chapter_knows_its_shares_its_time_and_its_exposure() -> None:
    chapter = promoted()
    assert chapter.shares == [5, 25, 50, 100]
    assert (chapter.took_s, chapter.exposed_s, chapter.passed) == (30.0, 25.0, 4)
    assert aborted().exposed_s == 4.0


def test_a_chapter_without_entries_is_nothing() -> None:
    chapter = Chapter(GOOD)
    assert (chapter.took_s, chapter.exposed_s, chapter.shares) == (0.0, 0.0, [])
    assert chapter.ending is None


def test_what_comes_after_the_ending_is_no_part_of_it() -> None:
    chapter = aborted()
    chapter.entries.append(entry(500.0, Action.PROMOTED))
    assert chapter.ending is not None
    assert chapter.ending.action == Action.ABORTED
    assert chapter.took_s == 9.0


@pytest.mark.parametrize(
    ("chapter", "shortfall"),
    [
        (Chapter(GOOD, walked(5)), "v2 came to no end"),
        (
            Chapter(GOOD, [*walked(5), entry(109.0, Action.ABORTED, "p95")]),
            "v2 ended with rollout.aborted (p95), not with rollout.promoted",
        ),
        (
            Chapter(BAD, [*walked(*CANARY.walk), entry(130.0, Action.PROMOTED, "stable")]),
            "v3 ended with rollout.promoted (stable), not with rollout.aborted",
        ),
        (
            Chapter(GOOD, [*walked(5, 100), entry(130.0, Action.PROMOTED)]),
            "v2 was given [5.0, 100.0] %, not [5, 25, 50, 100] %",
        ),
        (Chapter(BAD, [entry(100.0, Action.ABORTED)]), "v3 never had traffic"),
    ],
)
def test_what_went_otherwise_is_told(chapter: Chapter, shortfall: str) -> None:
    assert list(chapter.shortfalls(CANARY.walk)) == [shortfall]


def test_what_there_was_no_time_for_counts_only_where_all_was_wanted() -> None:
    story = Story(CANARY, [Chapter(GOOD, walked(5))])
    assert story.shortfalls(whole=False) == []
    assert story.unfinished == [GOOD, BAD]
    assert story.shortfalls(whole=True) == ["v2 came to no end", "v3 was not released"]


def test_a_wrong_ending_counts_however_short_the_time() -> None:
    chapter = Chapter(GOOD, [*walked(5), entry(109.0, Action.ABORTED, "p95")])
    assert len(Story(CANARY, [chapter]).shortfalls(whole=False)) == 1


def test_one_failed_client_request_spoils_the_story() -> None:
    story = Story(CANARY, [promoted(), aborted()], failed_requests=1)
    assert story.shortfalls(whole=True) == ["1 client requests failed"]
