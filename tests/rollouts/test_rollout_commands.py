"""What people say, and what is refused."""

from __future__ import annotations

import pytest

from router.rollouts import events
from router.rollouts.machine import advance
from router.rollouts.phases import IllegalEventError, Phase, Reason
from router.rollouts.spec import BlueGreenSpec, SetHeaderRoute
from router.snapshot import FULL, HeaderCondition
from tests.rollouts.story import ANALYSIS, FOREVER, Story, canary, pause, weight

MIDWAY = canary(weight(25), FOREVER, weight(50), FOREVER)


def refusal(story: Story, command: events.Event) -> IllegalEventError:
    before = story.state
    with pytest.raises(IllegalEventError) as refused:
        advance(story.spec, story.state, command, story.now)
    assert story.state is before
    return refused.value


def test_resume_ends_a_pause_of_the_steps() -> None:
    story = Story(MIDWAY).settle().say(events.Resume(reason="looks good"))
    assert story.shares["v2"] == 5_000


def test_a_pause_by_hand_stops_the_steps_and_keeps_the_shares() -> None:
    story = Story(canary(weight(5), pause(60), weight(50), FOREVER)).settle()
    story.say(events.Pause(reason="wait for bob")).settle(after=600)
    assert story.mood == (Phase.PAUSED, Reason.MANUAL)
    assert (story.shares["v2"], story.next_at) == (500, None)


def test_resuming_a_pause_by_hand_does_not_shorten_the_steps_own() -> None:
    story = Story(canary(weight(5), pause(60), weight(50), FOREVER)).settle()
    story.say(events.Pause()).settle(after=10).say(events.Resume())
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)
    assert story.settle(after=49).shares["v2"] == 500
    assert story.settle(after=1).shares["v2"] == 5_000


def test_the_timer_of_a_step_runs_on_under_a_pause_by_hand() -> None:
    story = Story(canary(weight(5), pause(60), weight(50), FOREVER)).settle()
    story.say(events.Pause()).settle(after=600).say(events.Resume())
    assert story.shares["v2"] == 5_000


def test_promote_goes_past_whatever_step_it_is() -> None:
    story = Story(canary(weight(5), pause(3_600), ANALYSIS, weight(50), FOREVER)).settle()
    story.say(events.Promote())
    assert [run.id for run in story.started] == ["chat-1-step3-1"]
    story.say(events.Promote())
    assert story.stopped == ["chat-1-step3-1"]
    assert story.shares["v2"] == 5_000


def test_a_step_that_is_promoted_past_sets_what_it_would_have_set() -> None:
    header = SetHeaderRoute(name="t", matches=(HeaderCondition(name="x-t", value="1"),))
    story = Story(canary(weight(5), header, FOREVER))
    story.applied = False
    story.settle().say(events.Promote()).say(events.Promote())
    assert story.shares["v2"] == 500
    assert story.rollout.header_routes == (header,)


def test_promote_has_nothing_to_skip_after_the_last_step() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    story.healthy = {"v2": 0}
    story.say(events.Resume())
    assert "last step has passed" in str(refusal(story, events.Promote()))


def test_promote_full_skips_steps_pauses_and_analyses() -> None:
    story = Story(canary(weight(5), ANALYSIS, FOREVER, background=0)).settle()
    running = {run.id for run in story.started}
    story.say(events.PromoteFull(reason="known good"))
    assert (story.state.stable, story.shares) == ("v2", {"v2": FULL})
    assert set(story.stopped) == running
    assert len(story.started) == 2


def test_promote_full_waits_for_a_healthy_endpoint_and_can_be_aborted_until_then() -> None:
    story = Story(MIDWAY).settle()
    story.healthy = {"v2": 0}
    assert story.say(events.PromoteFull()).state.stable == "v1"
    assert story.say(events.Abort()).mood == (Phase.DEGRADED, Reason.ABORTED)


def test_promote_full_overrules_an_abort() -> None:
    story = Story(MIDWAY).settle().say(events.Abort()).say(events.PromoteFull())
    assert (story.state.stable, story.state.rejected) == ("v2", None)


def test_promote_full_overrules_the_breaker_that_has_aborted_it() -> None:
    story = Story(MIDWAY).settle()
    story.tripped = {"v2": events.Trip(since_s=story.now)}
    story.settle(after=5).say(events.PromoteFull(reason="it was the network"))
    assert story.state.stable == "v2"


def test_abort_gives_all_traffic_back_and_takes_everything_away() -> None:
    header = SetHeaderRoute(name="t", matches=(HeaderCondition(name="x-t", value="1"),))
    story = Story(canary(weight(25), header, ANALYSIS)).settle()
    decision = story.hear(events.Abort(reason="errors in the UI"))
    assert decision.moves_traffic
    assert story.shares == {"v1": FULL}
    assert story.rollout.header_routes == ()
    assert (story.rollout.step, story.stopped) == (0, ["chat-1-step3-1"])
    assert story.rollout.message == "abort: errors in the UI"


def test_retry_begins_again_with_the_first_step_and_new_runs() -> None:
    story = Story(canary(ANALYSIS, weight(25), FOREVER)).settle().say(events.Abort())
    story.say(events.Retry(reason="fixed"))
    assert (story.rollout.attempt, story.rollout.step, story.state.rejected) == (2, 0, None)
    assert [run.id for run in story.started] == ["chat-1-step1-1", "chat-1-step1-2"]


def test_rollback_in_mid_flight_is_an_abort() -> None:
    story = Story(MIDWAY, past=("v4",)).settle().say(events.Rollback(reason="bad"))
    assert story.mood == (Phase.DEGRADED, Reason.ROLLED_BACK)
    assert (story.state.stable, story.state.rejected) == ("v1", "v2")


def test_rollback_at_rest_makes_the_former_version_stable() -> None:
    story = Story(canary()).settle()
    assert story.state.past == ("v1",)
    decision = story.hear(events.Rollback(reason="bad"))
    assert decision.moves_traffic
    assert (story.state.stable, story.shares) == ("v1", {"v1": FULL})
    assert not story.state.past
    assert story.state.rejected == "v2"
    before = story.state
    assert story.settle(after=600).state == before, "release v2 does not come back by itself"


def test_a_second_rollback_goes_further_back() -> None:
    story = Story(canary(), past=("v4", "v3")).settle()
    story.say(events.Rollback()).say(events.Rollback())
    assert (story.state.stable, story.state.past) == ("v4", ("v3",))
    assert [mood for mood in story.told if mood[1] is Reason.ROLLED_BACK] == [
        (Phase.HEALTHY, Reason.ROLLED_BACK)
    ] * 2
    assert story.settle(after=600).state.stable == "v4"


def test_rollback_needs_a_version_that_is_still_declared() -> None:
    story = Story(canary(release="v1"), past=("v9", "v3")).settle().say(events.Rollback())
    assert story.state.stable == "v3"
    lonely = Story(canary(release="v1"), past=("v9",)).settle()
    assert "no version that was stable before" in str(refusal(lonely, events.Rollback()))


def test_rollback_right_after_an_abort_does_not_go_one_version_too_far() -> None:
    story = Story(MIDWAY, past=("v4",)).settle().say(events.Abort())
    assert "retry" in refusal(story, events.Rollback()).possible
    assert story.state.stable == "v1"


def test_a_release_that_was_rolled_back_can_be_tried_again() -> None:
    story = Story(canary(weight(5), FOREVER)).settle().say(events.Resume())
    story.say(events.Rollback()).say(events.Retry(reason="was something else"))
    assert (story.rollout.number, story.shares["v2"]) == (2, 500)


def test_start_takes_a_version_through_the_steps() -> None:
    story = Story(canary(weight(5), FOREVER), stable="v2").settle().say(events.Start(to="v3"))
    assert story.shares == {"v2": 9_500, "v3": 500}


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (events.Start(to="v9"), "no version v9; the route has v1, v2, v3, v4"),
        (events.Start(to="v2"), "v2 is stable already"),
        (events.Retry(), "no release was rolled back"),
        (events.Resume(), "resume is not possible while Healthy (a Healthy route takes start"),
        (events.Pause(), "pause is not possible while Healthy"),
        (events.Abort(), "abort is not possible while Healthy"),
        (events.Promote(), "promote is not possible while Healthy"),
        (events.PromoteFull(), "promote-full is not possible while Healthy"),
    ],
)
def test_a_route_at_rest_refuses_what_makes_no_sense(command: events.Event, why: str) -> None:
    story = Story(canary(weight(5)), stable="v2").settle()
    assert why in str(refusal(story, command))


def test_a_rollout_under_way_refuses_what_makes_no_sense() -> None:
    story = Story(MIDWAY).settle()
    refused = refusal(story, events.Start(to="v3"))
    assert refused.phase is Phase.PAUSED
    assert refused.possible == (
        "pause",
        "resume",
        "promote",
        "promote-full",
        "abort",
        "rollback",
    )
    refusal(story, events.Retry())
    story.say(events.Pause())
    assert "paused by a person already" in str(refusal(story, events.Pause()))


def test_a_blue_green_route_is_started_by_hand_too() -> None:
    story = Story(canary(strategy=BlueGreenSpec(), release=None)).settle()
    story.say(events.Start(to="v3"))
    assert (story.rollout.target, story.shares) == ("v3", {"v1": FULL})


def test_start_without_a_release_needs_a_version() -> None:
    story = Story(canary(release=None)).settle()
    assert "say to which version" in str(refusal(story, events.Start()))
