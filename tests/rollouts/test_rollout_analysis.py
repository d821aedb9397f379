"""Analyses that a rollout waits for, and those beside its steps."""

from __future__ import annotations

import pytest

from router.analysis.phases import OnDeadline
from router.analysis.phases import Phase as RunPhase
from router.rollouts import events
from router.rollouts.effects import Action, RunKind
from router.rollouts.events import Trip
from router.rollouts.phases import Phase, Reason
from router.rollouts.spec import Analysis
from router.snapshot import FULL
from tests.rollouts.story import ANALYSIS, FOREVER, QUALITY, Story, canary, pause, weight

GATED = canary(weight(5), ANALYSIS, weight(50), FOREVER)
BESIDE = canary(weight(5), pause(60), weight(50), FOREVER, background=1)


def test_an_inline_analysis_begins_when_its_step_comes_and_blocks_it() -> None:
    story = Story(GATED)
    story.tick()
    assert story.started == []  # the workers do not serve 5 % yet
    story.settle()
    (run,) = story.started
    assert (run.id, run.kind, run.step) == ("chat-1-step2-1", RunKind.INLINE, 1)
    assert (run.subject, run.baseline, run.ref) == ("v2", "v1", QUALITY)
    assert story.settle(after=3_600).shares["v2"] == 500
    assert story.mood == (Phase.PROGRESSING, None)


def test_a_step_tells_its_run_the_deadline() -> None:
    step = Analysis(ref=QUALITY, deadline_s=90.0, on_deadline=OnDeadline.ABORT)
    (run,) = Story(canary(step)).settle().started
    assert (run.deadline_s, run.on_deadline) == (90.0, OnDeadline.ABORT)


def test_a_good_analysis_lets_the_next_step_begin() -> None:
    story = Story(GATED).settle().end_run(RunPhase.SUCCESSFUL)
    assert story.shares["v2"] == 5_000
    assert story.stopped == []


@pytest.mark.parametrize("phase", [RunPhase.FAILED, RunPhase.ERROR])
def test_a_bad_analysis_gives_all_traffic_back(phase: RunPhase) -> None:
    story = Story(GATED).settle().end_run(phase, "too many errors")
    assert story.mood == (Phase.DEGRADED, Reason.ANALYSIS)
    assert story.shares == {"v1": FULL}
    assert (story.state.stable, story.state.rejected) == ("v1", "v2")
    note = story.notes[-1]
    assert (note.action, note.reason) == (
        Action.ABORTED,
        f"inline analysis {phase}: too many errors",
    )
    assert note.evidence["run"] == "chat-1-step2-1"
    assert note.evidence["message"] == "too many errors"


def test_what_was_aborted_does_not_begin_again_by_itself() -> None:
    story = Story(GATED).settle().end_run(RunPhase.FAILED)
    before = story.state
    assert story.settle(after=1_000_000).state == before


@pytest.mark.parametrize("phase", [RunPhase.INCONCLUSIVE, RunPhase.TERMINATED])
def test_an_analysis_without_a_verdict_leaves_it_to_a_person(phase: RunPhase) -> None:
    story = Story(GATED).settle().end_run(phase, "nobody knows")
    assert story.mood == (Phase.PAUSED, Reason.INCONCLUSIVE)
    assert story.shares["v2"] == 500
    assert len(story.settle(after=1_000).started) == 1, "no new run while it is paused"


def test_after_an_inconclusive_analysis_a_resumed_rollout_measures_again() -> None:
    story = Story(GATED).settle().end_run(RunPhase.INCONCLUSIVE)
    story.say(events.Resume(reason="look again"))
    assert [run.id for run in story.started] == ["chat-1-step2-1", "chat-1-step2-2"]
    assert story.end_run(RunPhase.SUCCESSFUL).shares["v2"] == 5_000


def test_an_inconclusive_analysis_is_skipped_by_promote() -> None:
    story = Story(GATED).settle().end_run(RunPhase.INCONCLUSIVE)
    assert story.say(events.Promote(reason="it is fine")).shares["v2"] == 5_000
    assert len(story.started) == 1


@pytest.mark.parametrize(
    ("wanted", "mood", "share"),
    [
        (OnDeadline.PAUSE, (Phase.PAUSED, Reason.INCONCLUSIVE), 500),
        (OnDeadline.ABORT, (Phase.DEGRADED, Reason.ANALYSIS), 0),
        (OnDeadline.PROMOTE, (Phase.PAUSED, Reason.CANARY_PAUSE), 5_000),
    ],
)
def test_a_deadline_without_a_verdict_does_what_the_step_says(
    wanted: OnDeadline, mood: tuple[Phase, Reason], share: int
) -> None:
    story = Story(GATED).settle().end_run(RunPhase.RUNNING, "no data", on_deadline=wanted)
    assert story.mood == mood
    assert story.state.share("v2") == share


def test_what_a_run_says_after_its_verdict_counts_no_more() -> None:
    story = Story(GATED).settle().end_run(RunPhase.INCONCLUSIVE)
    assert story.end_run(RunPhase.FAILED).mood == (Phase.PAUSED, Reason.INCONCLUSIVE)


def test_a_background_analysis_begins_with_its_step_and_ends_with_the_rollout() -> None:
    story = Story(BESIDE)
    story.tick()
    assert story.started == []
    story.settle()
    (run,) = story.started
    assert (run.id, run.kind, run.step) == ("chat-1-background-1", RunKind.BACKGROUND, 1)
    story.settle(after=60).say(events.Resume())
    assert story.state.stable == "v2"
    assert story.stopped == [run.id]


def test_a_bad_background_analysis_aborts_in_the_middle_of_a_pause() -> None:
    story = Story(BESIDE).settle().end_run(RunPhase.FAILED, "slow")
    assert story.mood == (Phase.DEGRADED, Reason.ANALYSIS)
    assert story.stopped == [], "it has ended by itself"


def test_a_good_background_analysis_is_not_begun_again() -> None:
    story = Story(BESIDE).settle().end_run(RunPhase.SUCCESSFUL)
    story.settle(after=60)
    assert (len(story.started), story.shares["v2"]) == (1, 5_000)


def test_an_inconclusive_background_analysis_stops_the_steps_until_resumed() -> None:
    story = Story(BESIDE).settle().end_run(RunPhase.INCONCLUSIVE)
    assert story.settle(after=60).shares["v2"] == 500
    story.say(events.Resume())
    assert story.shares["v2"] == 5_000
    assert [run.kind for run in story.started] == [RunKind.BACKGROUND] * 2


def test_resuming_an_inconclusive_analysis_does_not_shorten_a_pause() -> None:
    story = Story(BESIDE).settle().end_run(RunPhase.INCONCLUSIVE)
    story.settle(after=20).say(events.Resume())
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)
    assert story.settle(after=39).shares["v2"] == 500
    assert story.settle(after=1).shares["v2"] == 5_000


def test_both_analyses_may_run_at_once_and_an_abort_stops_both() -> None:
    story = Story(canary(weight(5), ANALYSIS, background=0)).settle()
    ids = {run.id for run in story.started}
    assert len(ids) == 2
    story.say(events.Abort(reason="stop"))
    assert set(story.stopped) == ids


def test_nothing_is_measured_where_there_is_nothing_to_compare_with() -> None:
    story = Story(canary(weight(5), ANALYSIS, background=0), stable="v2").settle()
    assert story.started == []


def test_a_tripped_breaker_gives_all_traffic_back_at_once() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    story.tripped = {"v2": Trip(since_s=story.now, message="20 failures in a row")}
    story.tick()
    assert story.mood == (Phase.DEGRADED, Reason.BREAKER)
    assert story.shares == {"v1": FULL}
    assert "20 failures in a row" in story.rollout.message


def test_another_versions_breaker_is_not_the_canarys() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    story.tripped = {"v1": Trip(since_s=story.now)}
    assert story.settle().mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_a_breaker_that_tripped_before_the_retry_does_not_end_it() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    story.tripped = {"v2": Trip(since_s=story.now)}
    story.settle(after=5).say(events.Retry(reason="fixed"))
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)
    story.tripped = {"v2": Trip(since_s=story.now + 1)}
    assert story.settle(after=1).mood == (Phase.DEGRADED, Reason.BREAKER)


def test_a_long_message_of_a_provider_is_cut() -> None:
    story = Story(GATED).settle().end_run(RunPhase.ERROR, "x" * 1_000_000)
    assert len(story.rollout.message) <= 1_000
    assert len(story.notes[-1].reason) <= 1_000
