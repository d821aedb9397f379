"""What the configuration asks for, while something is under way."""

from __future__ import annotations

from router.rollouts import events
from router.rollouts.phases import Phase, Reason
from router.rollouts.spec import BlueGreenSpec, CanarySpec, SetHeaderRoute, SetShadow
from router.rollouts.stage import Stage
from router.rollouts.status import status
from router.snapshot import FULL, HeaderCondition
from tests.rollouts.story import ANALYSIS, FOREVER, Story, canary, pause, weight

MIDWAY = canary(weight(25), FOREVER, weight(50), FOREVER)


def test_a_new_release_takes_the_weight_away_before_the_pointer_moves() -> None:
    story = Story(MIDWAY).settle().edit(release="v3")
    story.applied = False
    story.settle()
    assert story.shares == {"v1": FULL}
    assert (story.rollout.target, story.rollout.number) == ("v2", 1)
    assert story.mood == (Phase.PROGRESSING, Reason.SUPERSEDED)
    story.applied = True
    story.tick()
    assert (story.rollout.target, story.rollout.number) == ("v3", 2)
    assert story.shares == {"v1": 7_500, "v3": 2_500}


def test_a_new_release_stops_the_runs_of_the_old_one() -> None:
    story = Story(canary(weight(5), ANALYSIS, background=0)).settle()
    old = {run.id for run in story.started}
    story.edit(release="v3").settle()
    assert set(story.stopped) == old
    assert {run.subject for run in story.started if run.id not in old} == {"v3"}


def test_a_release_that_comes_back_before_the_other_has_begun_starts_from_the_first_step() -> None:
    story = Story(MIDWAY).settle().say(events.Resume()).edit(release="v3")
    story.applied = False
    story.settle().edit(release="v2")
    story.applied = True
    assert story.settle().shares["v2"] == 2_500
    assert (story.rollout.number, story.rollout.step) == (1, 1)


def test_a_release_set_back_to_stable_ends_it_at_once() -> None:
    steps = (
        weight(25),
        SetHeaderRoute(name="t", matches=(HeaderCondition(name="x-t", value="1"),)),
        SetShadow(percent_bp=100),
        ANALYSIS,
    )
    story = Story(canary(*steps)).settle().edit(release="v1")
    story.tick()
    assert story.mood == (Phase.HEALTHY, Reason.WITHDRAWN)
    assert story.shares == {"v1": FULL}
    assert (story.rollout.header_routes, story.rollout.shadow) == ((), None)
    assert story.stopped == ["chat-1-step4-1"]


def test_a_release_that_was_withdrawn_may_be_released_again() -> None:
    story = Story(MIDWAY).settle().edit(release="v1").settle().edit(release="v2").settle()
    assert (story.rollout.number, story.shares["v2"]) == (2, 2_500)


def test_an_aborted_release_begins_again_after_stable_was_released_in_between() -> None:
    story = Story(MIDWAY).settle().say(events.Abort())
    story.edit(release="v1").settle()
    assert story.mood == (Phase.HEALTHY, Reason.WITHDRAWN)
    assert story.edit(release="v2").settle().shares["v2"] == 2_500


def test_after_an_abort_the_next_release_waits_until_the_abort_is_served() -> None:
    story = Story(MIDWAY).settle().say(events.Abort()).edit(release="v3")
    story.applied = False
    assert story.settle().rollout.target == "v2"
    story.applied = True
    assert story.settle().rollout.target == "v3"


def test_a_configuration_that_loses_its_release_changes_nothing() -> None:
    story = Story(MIDWAY).settle()
    before = story.state
    assert story.edit(release=None).settle().state == before


def test_edited_steps_begin_again_with_the_first_and_no_weight() -> None:
    story = Story(MIDWAY).settle().say(events.Resume())
    assert story.shares["v2"] == 5_000
    story.edit(strategy=CanarySpec(steps=(FOREVER, weight(10)))).settle()
    assert (story.rollout.step, story.shares) == (0, {"v1": FULL})
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_edited_steps_stop_the_runs_and_later_ones_have_other_ids() -> None:
    story = Story(canary(ANALYSIS)).settle()
    story.edit(strategy=CanarySpec(steps=(ANALYSIS, weight(10)))).settle()
    assert story.stopped == ["chat-1-step1-1"]
    assert story.started[-1].id == "chat-1-step1-2"


def test_a_pause_by_hand_outlives_an_edit_of_the_steps() -> None:
    story = Story(MIDWAY).settle().say(events.Pause(reason="freeze"))
    story.edit(strategy=CanarySpec(steps=(weight(90),))).settle()
    assert story.mood == (Phase.PAUSED, Reason.MANUAL)
    assert story.shares == {"v1": FULL}


def test_edits_that_leave_the_steps_alone_change_nothing() -> None:
    story = Story(MIDWAY).settle()
    before = story.state
    assert story.edit(progress_deadline_s=1.0).settle().state == before


def test_within_the_rollback_window_an_older_version_is_stable_without_steps() -> None:
    story = Story(
        canary(weight(5), ANALYSIS, FOREVER, background=0, rollback_window=2),
        stable="v4",
        past=("v3", "v2", "v1"),
    ).settle()
    assert story.state.stable == "v2"
    assert story.started == []


def test_beyond_the_rollback_window_an_older_version_takes_every_step() -> None:
    spec = canary(weight(5), FOREVER, rollback_window=1)
    story = Story(spec, stable="v4", past=("v3", "v2")).settle()
    assert story.shares == {"v4": 9_500, "v2": 500}


def test_without_a_strategy_a_release_waits_for_a_person() -> None:
    story = Story(canary(strategy=None)).settle()
    assert story.state.rollout is None
    told = status(story.spec, story.state)
    assert told.phase is Phase.HEALTHY
    assert told.text == "no strategy: release v2 waits for `switch`"


def test_without_a_strategy_a_person_may_start_it() -> None:
    story = Story(canary(strategy=None)).settle().say(events.Start())
    assert story.state.stable == "v2"


def test_a_strategy_that_comes_to_a_rollout_without_one_is_walked_from_the_start() -> None:
    story = Story(canary(strategy=None))
    story.healthy = {"v2": 0}
    story.settle().say(events.Start()).edit(strategy=BlueGreenSpec()).settle()
    assert (story.rollout.stage, story.shares) == (Stage.HEALTH, {"v1": FULL})


def test_a_strategy_that_leaves_the_configuration_does_not_promote() -> None:
    story = Story(MIDWAY).settle().edit(strategy=None).settle()
    assert story.mood == (Phase.DEGRADED, Reason.STRATEGY_GONE)
    assert story.shares == {"v1": FULL}


def test_a_strategy_that_leaves_with_a_new_release_promotes_neither() -> None:
    story = Story(MIDWAY).settle().edit(strategy=None, release="v3").settle()
    assert (story.state.stable, story.shares) == ("v1", {"v1": FULL})


def test_a_target_that_leaves_the_configuration_ends_it() -> None:
    story = Story(MIDWAY).settle().say(events.Abort())
    story.edit(release=None).say(events.Start(to="v3"))
    assert story.rollout.in_flight
    story.edit(versions=("v1", "v2")).settle()
    assert story.mood == (Phase.DEGRADED, Reason.VERSION_GONE)


def test_a_target_that_was_made_stable_in_the_meantime_ends_it() -> None:
    story = Story(MIDWAY).settle()
    story.state = type(story.state)(
        stable="v2", weights={"v2": FULL}, past=("v1",), rollout=story.rollout
    )
    assert story.settle().mood == (Phase.HEALTHY, Reason.WITHDRAWN)
    assert story.shares == {"v2": FULL}


def test_a_version_that_a_person_started_stays_stable_against_the_release() -> None:
    story = Story(canary(weight(5), pause(60))).settle(after=60)
    story.settle(after=60)
    assert story.state.stable == "v2"
    story.say(events.Start(to="v3")).settle(after=60)
    assert story.state.stable == "v3"
    before = story.state
    assert story.settle(after=1_000).state == before, "release v2 does not fight it"
    story.edit(release="v4").settle(after=60)
    assert story.rollout.target == "v4"


def test_a_release_that_agrees_with_the_person_who_was_first_changes_nothing() -> None:
    story = Story(canary(weight(5), FOREVER, release="v1")).settle()
    story.say(events.Start(to="v3")).edit(release="v3").settle()
    assert (story.rollout.number, story.rollout.step) == (1, 1)
    assert story.edit(release="v1").settle().mood == (Phase.HEALTHY, Reason.WITHDRAWN)
