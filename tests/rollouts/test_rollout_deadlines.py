"""Being late, when to look again, and what people are told."""

from __future__ import annotations

from router.rollouts import events
from router.rollouts.phases import Phase, Reason
from router.rollouts.status import status
from router.snapshot import FULL
from tests.rollouts.story import ANALYSIS, FOREVER, Story, canary, pause, weight


def test_a_share_that_no_worker_serves_is_noticed_after_the_progress_deadline() -> None:
    story = Story(canary(weight(5), FOREVER))
    story.applied = False
    assert story.settle().next_at == story.now + 600
    assert story.settle(after=599).mood == (Phase.PROGRESSING, None)
    story.settle(after=1)
    assert story.mood == (Phase.PROGRESSING, Reason.LATE)
    assert "waits for the workers" in story.rollout.message
    assert story.next_at is None
    assert story.settle(after=600).told.count((Phase.PROGRESSING, Reason.LATE)) == 1
    story.applied = True
    assert story.settle().mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_where_the_spec_says_so_being_late_aborts() -> None:
    story = Story(canary(weight(5), progress_deadline_abort=True, progress_deadline_s=30.0))
    story.healthy = {"v2": 0}
    story.settle().settle(after=30)
    assert story.mood == (Phase.DEGRADED, Reason.LATE)
    assert "a healthy endpoint of v2" in story.rollout.message


def test_pauses_and_analyses_are_never_late() -> None:
    spec = canary(pause(10_000), ANALYSIS, FOREVER, progress_deadline_abort=True)
    story = Story(spec).settle().settle(after=5_000).settle(after=5_000)
    assert len(story.started) == 1
    assert story.settle(after=5_000).mood == (Phase.PROGRESSING, None)


def test_the_deadline_counts_from_the_last_progress() -> None:
    story = Story(canary(weight(5), pause(500), weight(10), FOREVER)).settle()
    story.applied = False
    story.settle(after=500)
    assert story.rollout.step == 2
    assert story.settle(after=500).mood == (Phase.PROGRESSING, None)


def test_a_pause_by_hand_gives_the_whole_deadline_again() -> None:
    story = Story(canary(weight(5), progress_deadline_abort=True))
    story.applied = False
    story.settle().say(events.Pause()).settle(after=10_000).say(events.Resume())
    assert story.mood == (Phase.PROGRESSING, None)
    assert story.next_at == story.now + 600


def test_a_release_that_waits_for_the_former_one_to_give_back_does_not_spin() -> None:
    story = Story(canary(weight(5), FOREVER)).settle().edit(release="v3")
    story.applied = False
    assert story.settle(after=10_000).next_at is None


def test_the_status_tells_step_pause_and_what_can_be_said() -> None:
    story = Story(canary(weight(5), pause(60), weight(50))).settle()
    told = status(story.spec, story.state)
    assert (told.step, told.steps, told.target) == (2, 3, "v2")
    assert told.until_s == story.now + 60
    assert told.text == "step 2 waits until a person resumes or for 60 s"
    assert "promote" in told.possible


def test_the_status_of_a_given_up_release_tells_how_to_go_on() -> None:
    story = Story(canary()).settle().say(events.Rollback(reason="bad"))
    assert "waits for `retry`" in status(story.spec, story.state).text
    aborted = Story(canary(weight(5), FOREVER)).settle().say(events.Abort(reason="bad"))
    assert status(aborted.spec, aborted.state).text == "abort: bad"
    assert status(aborted.spec, aborted.state).step is None


def test_a_route_at_rest_needs_no_look() -> None:
    story = Story(canary(), stable="v2").settle()
    assert story.next_at is None
    assert story.shares == {"v2": FULL}
