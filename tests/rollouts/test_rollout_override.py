"""Weights that a person holds."""

from __future__ import annotations

import pytest

from router.analysis.phases import Phase as RunPhase
from router.rollouts import events
from router.rollouts.effects import Action
from router.rollouts.phases import IllegalEventError, Phase, Reason
from router.snapshot import FULL
from tests.rollouts.story import ANALYSIS, FOREVER, Story, canary, pause, weight

TIMED = canary(weight(5), pause(60), weight(50), FOREVER)


def test_under_an_override_no_step_is_taken() -> None:
    story = Story(TIMED).settle().hold(v1=2_000, v2=8_000).settle(after=600)
    assert story.shares == {"v1": 2_000, "v2": 8_000}
    assert story.rollout.step == 1


def test_timers_go_on_and_what_is_due_is_done_after_the_release() -> None:
    story = Story(TIMED).settle().hold(v1=FULL).settle(after=60).release_override()
    assert story.shares["v2"] == 5_000


def test_nothing_begins_under_an_override() -> None:
    story = Story(TIMED).hold(v1=9_000, v3=1_000)
    assert story.state.rollout is None
    assert story.release_override().shares["v2"] == 500


def test_a_rollout_that_is_held_tells_by_whom_and_is_not_late_afterwards() -> None:
    story = Story(canary(weight(5), FOREVER, progress_deadline_abort=True))
    story.applied = False
    story.settle().hold(v1=FULL).settle(after=10_000)
    assert story.mood == (Phase.PAUSED, Reason.OVERRIDE)
    assert "ops holds the weights" in story.rollout.message
    assert story.release_override().mood == (Phase.PROGRESSING, None)


def test_an_override_ends_by_itself_when_its_time_is_up() -> None:
    story = Story(TIMED).settle()
    end = story.now + 300
    story.hold(expires_s=end, v1=FULL)
    assert story.next_at == end
    story.settle(after=300)
    assert story.state.override is None
    assert Action.OVERRIDE_EXPIRED in [note.action for note in story.notes]
    assert story.shares["v2"] == 5_000


def test_a_bad_analysis_aborts_behind_an_override() -> None:
    story = Story(canary(weight(5), ANALYSIS)).settle().hold(v1=5_000, v2=5_000)
    story.end_run(RunPhase.FAILED)
    assert story.mood == (Phase.DEGRADED, Reason.ANALYSIS)
    assert story.shares == {"v1": 5_000, "v2": 5_000}
    assert "a person holds the weights" in story.notes[-1].reason
    assert story.release_override().shares == {"v1": FULL}


@pytest.mark.parametrize(
    "command", [events.Promote(), events.PromoteFull(), events.Rollback(reason="x")]
)
def test_what_would_move_traffic_is_refused_under_an_override(command: events.Event) -> None:
    story = Story(TIMED).settle().hold(v1=FULL)
    with pytest.raises(IllegalEventError, match="ops holds the weights; release the override"):
        story.hear(command)


def test_an_abort_is_heard_under_an_override() -> None:
    story = Story(TIMED).settle().hold(v1=FULL).say(events.Abort())
    assert story.mood == (Phase.DEGRADED, Reason.ABORTED)


def test_resume_does_not_release_an_override() -> None:
    story = Story(canary(weight(5)))
    story.applied = False
    story.settle().hold(v1=FULL)
    with pytest.raises(IllegalEventError, match="release the override"):
        story.hear(events.Resume())
