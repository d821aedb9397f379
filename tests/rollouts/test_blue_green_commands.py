"""What people say to a blue-green release."""

from __future__ import annotations

import pytest

from router.analysis.phases import Phase as RunPhase
from router.rollouts import events
from router.rollouts.phases import IllegalEventError, Phase, Reason
from router.rollouts.spec import GateKind, Warmup
from router.rollouts.stage import Stage
from router.snapshot import FULL
from tests.rollouts.story import ANALYSIS, Story, blue_green, endpoints

WARMUP = Warmup(path="/v1/completions")
BY_HAND = {"auto_promotion_enabled": False}


def healthy(story: Story) -> Story:
    story.endpoints = {name: endpoints(healthy=1) for name in ("v1", "v2", "v3")}
    return story


@pytest.mark.parametrize("command", [events.Promote(), events.Resume()])
def test_a_person_ends_the_pause_before_the_switch(command: events.Event) -> None:
    story = healthy(Story(blue_green(**BY_HAND, post_promotion=ANALYSIS))).settle()
    assert story.say(command).shares == {"v2": FULL}


@pytest.mark.parametrize("command", [events.Promote(), events.Resume()])
def test_a_person_who_ends_the_pause_does_not_end_the_need_of_health(command: events.Event) -> None:
    story = healthy(Story(blue_green(**BY_HAND))).settle()
    story.endpoints["v2"] = endpoints("gone", healthy=0)
    story.say(command)
    assert (story.rollout.stage, story.shares) == (Stage.SWITCH, {"v1": FULL})
    with pytest.raises(IllegalEventError, match=r"health is never skipped.*bad-0:80 fails: gone"):
        story.hear(events.Promote())


def test_promote_skips_the_warm_up_and_each_analysis() -> None:
    strategy = {"warmup": WARMUP, "pre_promotion": ANALYSIS, "post_promotion": ANALYSIS}
    story = healthy(Story(blue_green(**strategy))).settle().say(events.Promote())
    assert story.cooled == ["chat-1-warmUp-1"]
    assert story.rollout.stage is Stage.PRE_PROMOTION
    story.say(events.Promote())
    assert (story.rollout.stage, story.shares) == (Stage.POST_PROMOTION, {"v2": FULL})
    story.say(events.Promote(reason="known good"))
    assert (story.state.stable, story.mood) == ("v2", (Phase.HEALTHY, Reason.PROMOTED))
    assert story.stopped == [run.id for run in story.started]


def test_promote_does_not_skip_the_wait_for_health_or_for_workers() -> None:
    story = Story(blue_green()).settle()
    with pytest.raises(IllegalEventError, match="health is never skipped"):
        story.hear(events.Promote())
    story.applied = False
    healthy(story).settle()
    with pytest.raises(IllegalEventError, match="switched already"):
        story.hear(events.Promote())


def test_promote_goes_through_a_gate_but_not_past_health() -> None:
    story = Story(blue_green({"gates": (GateKind.CONFIRM_ROLLOUT,)})).settle()
    story.say(events.Promote())
    assert (story.rollout.gate, story.rollout.stage) == (None, Stage.HEALTH)


def test_promote_full_skips_everything_but_health() -> None:
    strategy = {"warmup": WARMUP, "pre_promotion": ANALYSIS, "post_promotion": ANALYSIS, **BY_HAND}
    story = Story(blue_green({"gates": tuple(GateKind)}, **strategy)).settle()
    story.say(events.PromoteFull())
    assert (story.rollout.stage, story.shares) == (Stage.SWITCH, {"v1": FULL})
    assert healthy(story).settle().state.stable == "v2"
    assert (story.warmed, story.started) == ([], [])


def test_promote_full_after_the_switch_stops_the_analysis() -> None:
    story = healthy(Story(blue_green(post_promotion=ANALYSIS))).settle()
    story.say(events.PromoteFull())
    assert (story.state.stable, story.stopped) == ("v2", ["chat-1-postPromotionAnalysis-1"])


def test_promote_full_overrules_an_abort() -> None:
    story = healthy(Story(blue_green(**BY_HAND))).settle().say(events.Abort())
    assert story.say(events.PromoteFull()).state.stable == "v2"


def test_a_pause_by_hand_stands_still_before_the_switch_and_the_timer_goes_on() -> None:
    story = healthy(Story(blue_green(auto_promotion_s=60.0))).settle().say(events.Pause())
    assert story.settle(after=600).shares == {"v1": FULL}
    assert story.say(events.Resume()).state.stable == "v2"


def test_an_abort_before_the_switch_moves_nothing() -> None:
    story = healthy(Story(blue_green(**BY_HAND))).settle()
    assert not story.hear(events.Abort()).moves_traffic
    assert story.mood == (Phase.DEGRADED, Reason.ABORTED)


@pytest.mark.parametrize("command", [events.Abort(), events.Rollback()])
def test_after_the_switch_all_traffic_goes_back_at_once(command: events.Event) -> None:
    story = healthy(Story(blue_green(post_promotion=ANALYSIS))).settle()
    assert story.shares == {"v2": FULL}
    assert story.hear(command).moves_traffic
    assert (story.shares, story.state.stable) == ({"v1": FULL}, "v1")
    assert story.settle().mood[0] is Phase.DEGRADED


def test_a_retry_proves_everything_again() -> None:
    story = healthy(Story(blue_green(pre_promotion=ANALYSIS))).settle()
    story.end_run(RunPhase.FAILED).say(events.Retry())
    assert (story.rollout.stage, story.rollout.attempt) == (Stage.PRE_PROMOTION, 2)
    assert [run.id for run in story.started] == [
        "chat-1-prePromotionAnalysis-1",
        "chat-1-prePromotionAnalysis-2",
    ]


# -- the way back ----------------------------------------------------------------------------------

PROVEN = {"pre_promotion": ANALYSIS, **BY_HAND, "keep_warm_s": 3_600.0}


def promoted() -> Story:
    """v2 is stable, v1 is kept warm."""
    story = healthy(Story(blue_green(**PROVEN))).settle()
    story.end_run(RunPhase.SUCCESSFUL).say(events.Promote())
    assert (story.state.stable, story.state.past) == ("v2", ("v1",))
    return story


def test_a_rollback_at_rest_is_one_decision_without_an_analysis() -> None:
    story = promoted()
    story.hear(events.Rollback(reason="wrong tokenizer"))
    assert (story.state.stable, story.shares) == ("v1", {"v1": FULL})
    assert (story.state.rejected, story.state.warm) == ("v2", {})
    assert len(story.settle().started) == 1


def test_a_rollback_to_a_sick_version_is_refused_unless_it_is_forced() -> None:
    story = promoted()
    story.endpoints["v1"] = endpoints("refused", healthy=0)
    with pytest.raises(IllegalEventError, match=r"bad-0:80 fails: refused"):
        story.hear(events.Rollback(observation=story.seen))
    assert story.state.stable == "v2"
    story.hear(events.Rollback(observation=story.seen, force=True))
    assert story.state.stable == "v1"


def test_a_release_set_back_to_a_warm_version_switches_without_steps() -> None:
    story = promoted().edit(release="v1").settle(after=3_599)
    assert story.state.stable == "v1"
    assert len(story.started) == 1


def test_a_release_set_back_to_a_warm_version_still_needs_its_health() -> None:
    story = promoted().edit(release="v1")
    story.endpoints["v1"] = endpoints("refused", healthy=0)
    assert story.settle().shares == {"v2": FULL}
    assert healthy(story).settle().state.stable == "v1"


def test_a_version_that_is_no_longer_warm_proves_itself_again() -> None:
    story = promoted().edit(release="v1").settle(after=3_600)
    assert story.rollout.stage is Stage.PRE_PROMOTION
    assert story.shares == {"v2": FULL}


def test_a_version_that_a_person_left_proves_itself_again_on_a_retry() -> None:
    story = promoted()
    story.say(events.Switch(to="v1", observation=story.seen))
    assert "v2" in story.state.warm
    assert story.say(events.Retry()).rollout.stage is Stage.PRE_PROMOTION


def test_nothing_is_kept_warm_for_no_time() -> None:
    story = healthy(Story(blue_green(keep_warm_s=0.0))).settle()
    assert (story.state.stable, story.state.warm) == ("v2", {})
