"""A blue-green release from its beginning to its end, by itself."""

from __future__ import annotations

import pytest

from router.analysis.phases import Phase as RunPhase
from router.errors import ConfigError
from router.rollouts import events
from router.rollouts.effects import Action, WarmUp
from router.rollouts.events import Trip
from router.rollouts.health import MAX_NAMED
from router.rollouts.phases import Phase, Reason
from router.rollouts.spec import Analysis, AnalysisRef, BlueGreenSpec, CanarySpec, GateKind, Warmup
from router.rollouts.stage import Stage
from router.rollouts.status import status
from router.snapshot import FULL, HeaderCondition
from tests.rollouts.story import ANALYSIS, Story, blue_green, endpoints, weight

WARMUP = Warmup(path="/v1/completions", requests=3, body="{}")
PREVIEW = HeaderCondition(name="x-preview", value="1")
EVERYTHING = blue_green(
    min_healthy_endpoints=3,
    warmup=WARMUP,
    pre_promotion=ANALYSIS,
    auto_promotion_s=60.0,
    post_promotion=Analysis(ref=AnalysisRef(templates=("after",))),
    preview=PREVIEW,
    keep_warm_s=3_600.0,
)


def healthy(story: Story, count: int = 3) -> Story:
    story.endpoints = {"v1": endpoints(healthy=3), "v2": endpoints(healthy=count)}
    return story


def switched(**strategy: object) -> Story:
    """A story in which v2 has just got all traffic and is measured."""
    story = healthy(Story(blue_green(post_promotion=ANALYSIS, **strategy))).settle()
    assert story.rollout.stage is Stage.POST_PROMOTION
    return story


def test_a_release_goes_through_every_stage_and_moves_the_traffic_once() -> None:
    story = Story(EVERYTHING).settle()
    assert (story.rollout.stage, story.mood) == (Stage.HEALTH, (Phase.PROGRESSING, None))
    healthy(story).settle()
    assert story.warmed == [WarmUp(id="chat-1-warmUp-1", version="v2", warmup=WARMUP)]
    story.end_warm_up(ok=True)
    [before] = story.started
    assert (before.id, before.subject, before.baseline) == (
        "chat-1-prePromotionAnalysis-2",
        "v2",
        "v1",
    )
    story.end_run(RunPhase.SUCCESSFUL)
    assert story.mood == (Phase.PAUSED, Reason.BLUE_GREEN_PAUSE)
    assert story.next_at == story.now + 60
    assert story.shares == {"v1": FULL}
    story.settle(after=60)
    assert (story.shares, story.state.stable) == ({"v2": FULL}, "v1")
    assert story.started[-1].ref.templates == ("after",)
    story.end_run(RunPhase.SUCCESSFUL)
    assert (story.shares, story.state.stable, story.state.past) == ({"v2": FULL}, "v2", ("v1",))
    assert story.mood == (Phase.HEALTHY, Reason.PROMOTED)
    assert story.state.warm == {"v1": story.now + 3_600}
    assert [note.action for note in story.notes].count(Action.SWITCHED) == 1


def test_a_release_that_has_to_prove_nothing_but_health_switches_at_once() -> None:
    story = healthy(Story(blue_green()))
    story.tick()
    assert (story.shares, story.state.stable) == ({"v2": FULL}, "v1")
    assert story.settle().state.stable == "v2"


def test_the_new_version_is_stable_only_when_every_worker_serves_the_switch() -> None:
    story = healthy(Story(blue_green()))
    story.applied = False
    story.settle()
    assert (story.shares, story.state.stable, story.rollout.switched) == ({"v2": FULL}, "v1", True)
    assert "every worker" in status(story.spec, story.state).text
    story.applied = True
    assert story.settle().state.stable == "v2"


# -- health ----------------------------------------------------------------------------------------


def test_green_with_two_of_three_endpoints_waits_and_tells_which_fails_and_why() -> None:
    story = Story(EVERYTHING)
    story.endpoints = {"v2": endpoints("HTTP 503 from /health", healthy=2)}
    story.settle()
    told = status(story.spec, story.state)
    assert (told.stage, story.shares) == (Stage.HEALTH, {"v1": FULL})
    assert told.text == (
        "v2 has 2 healthy endpoints, it needs 3; http://bad-0:80 fails: HTTP 503 from /health"
    )


def test_unknown_health_is_not_health() -> None:
    story = Story(blue_green()).settle()
    assert "nothing is known of the endpoints of v2" in status(story.spec, story.state).text
    story.healthy = {"v2": 1}
    assert story.settle().state.stable == "v2"


def test_a_version_with_too_few_endpoints_in_all_is_told_so() -> None:
    story = healthy(Story(EVERYTHING), 2).settle()
    assert story.rollout.message == "v2 has 2 healthy endpoints, it needs 3; it has no others"


def test_many_failing_endpoints_are_told_in_a_bounded_text() -> None:
    story = Story(EVERYTHING)
    story.endpoints = {"v2": endpoints(*["x" * 5_000] * 40, healthy=0)}
    story.settle()
    assert len(story.rollout.message) <= 1_000
    story.endpoints = {"v2": endpoints(*["no"] * (MAX_NAMED + 4), healthy=1)}
    assert story.settle().rollout.message.endswith("4 more fail")


def test_after_so_many_looks_in_vain_it_is_given_up_and_says_what_was_missing() -> None:
    story = Story(blue_green(health_check_retries=3, health_check_interval_s=10.0))
    story.endpoints = {"v2": endpoints("refused", healthy=0)}
    story.settle()
    assert story.next_at == story.now + 10
    story.settle(after=10).settle(after=10)
    assert (story.rollout.looks, story.mood) == (2, (Phase.PROGRESSING, None))
    story.settle(after=10)
    assert story.mood == (Phase.DEGRADED, Reason.UNHEALTHY)
    assert story.rollout.message == (
        "given up after 3 looks: v2 has 0 healthy endpoints, it needs 1; "
        "http://bad-0:80 fails: refused"
    )
    assert (story.shares, story.state.rejected) == ({"v1": FULL}, "v2")


def test_a_look_far_too_late_counts_all_that_were_missed() -> None:
    story = Story(blue_green(health_check_retries=3)).settle(after=0)
    assert story.settle(after=86_400).mood == (Phase.DEGRADED, Reason.UNHEALTHY)


def test_health_is_asked_again_right_before_the_switch() -> None:
    story = healthy(Story(EVERYTHING)).settle().end_warm_up(ok=True)
    story.end_run(RunPhase.SUCCESSFUL)
    story.endpoints = {"v2": endpoints("timed out", healthy=2)}
    story.settle(after=60)
    assert (story.rollout.stage, story.shares) == (Stage.SWITCH, {"v1": FULL})
    assert "http://bad-0:80 fails: timed out" in status(story.spec, story.state).text
    assert story.notes[-1].action is Action.SHARE_WITHHELD
    assert healthy(story).settle(after=1).shares == {"v2": FULL}


def test_an_endpoints_reason_that_changes_is_not_written_between_looks() -> None:
    story = Story(blue_green())
    story.endpoints = {"v2": endpoints("after 1.01 s", healthy=0)}
    before = story.settle().state
    story.endpoints = {"v2": endpoints("after 1.02 s", healthy=0)}
    assert story.settle(after=1).state == before
    assert "1.02" in story.settle(after=29).rollout.message


# -- warm-up, preview, analyses --------------------------------------------------------------------


def test_a_warm_up_that_fails_ends_it_before_it_has_any_traffic() -> None:
    story = healthy(Story(EVERYTHING)).settle().end_warm_up(ok=False, message="http://x: HTTP 500")
    assert story.mood == (Phase.DEGRADED, Reason.WARM_UP)
    assert "http://x: HTTP 500" in story.rollout.message
    assert (story.shares, story.cooled) == ({"v1": FULL}, [])


def test_what_ends_a_rollout_stops_its_warm_up_once() -> None:
    story = healthy(Story(EVERYTHING)).settle().say(events.Abort())
    assert story.cooled == ["chat-1-warmUp-1"]
    assert story.rollout.warmup is None


def test_a_warm_up_without_an_outcome_is_late_by_the_progress_deadline() -> None:
    story = healthy(Story(EVERYTHING)).settle()
    assert story.next_at == story.now + 600
    assert story.settle(after=600).mood == (Phase.PROGRESSING, Reason.LATE)
    assert story.end_warm_up(ok=True).rollout.stage is Stage.PRE_PROMOTION


def test_the_preview_header_reaches_the_target_until_it_has_all_traffic() -> None:
    story = Story(blue_green(preview=PREVIEW, post_promotion=ANALYSIS))
    assert story.tick().moves_traffic
    assert [route.matches for route in story.rollout.header_routes] == [(PREVIEW,)]
    healthy(story).settle()
    assert (story.rollout.stage, story.rollout.header_routes) == (Stage.POST_PROMOTION, ())


def test_a_bad_analysis_before_the_switch_moves_nothing() -> None:
    story = healthy(Story(blue_green(pre_promotion=ANALYSIS))).settle()
    story.end_run(RunPhase.FAILED, "errors 5 %")
    assert story.mood == (Phase.DEGRADED, Reason.ANALYSIS)
    assert story.shares == {"v1": FULL}


@pytest.mark.parametrize("outcome", [RunPhase.FAILED, RunPhase.ERROR])
def test_a_bad_analysis_after_the_switch_switches_back_in_one_decision(outcome: RunPhase) -> None:
    story = switched()
    assert story.shares == {"v2": FULL}
    story.runs[story.started[-1].id] = events.RunOutcome(phase=outcome)
    assert story.tick().moves_traffic
    assert (story.shares, story.state.stable) == ({"v1": FULL}, "v1")
    assert story.mood == (Phase.DEGRADED, Reason.ANALYSIS)
    assert story.state.rejected == "v2"


def test_an_undecided_analysis_after_the_switch_leaves_it_to_a_person() -> None:
    story = switched().end_run(RunPhase.INCONCLUSIVE)
    assert (story.mood, story.shares) == ((Phase.PAUSED, Reason.INCONCLUSIVE), {"v2": FULL})
    story.say(events.Resume())
    assert len(story.started) == 2
    story.end_run(RunPhase.INCONCLUSIVE).say(events.Promote())
    assert story.state.stable == "v2"


def test_a_breaker_that_trips_after_the_switch_switches_back() -> None:
    story = switched()
    story.tripped = {"v2": Trip(since_s=story.now)}
    assert story.settle(after=1).shares == {"v1": FULL}
    assert story.mood == (Phase.DEGRADED, Reason.BREAKER)


def test_endpoints_that_all_die_after_the_switch_switch_back() -> None:
    story = switched()
    story.endpoints["v2"] = endpoints("gone", healthy=0)
    assert story.settle().mood == (Phase.DEGRADED, Reason.UNHEALTHY)
    assert story.shares == {"v1": FULL}


def test_there_is_no_way_back_to_a_stable_version_that_is_dead_too() -> None:
    story = switched()
    story.endpoints = {name: endpoints("gone", healthy=0) for name in ("v1", "v2")}
    assert story.settle().shares == {"v2": FULL}


def test_a_switch_that_workers_never_serve_is_undone_where_the_deadline_aborts() -> None:
    story = healthy(Story(blue_green({"progress_deadline_abort": True})))
    story.applied = False
    assert story.settle().shares == {"v2": FULL}
    assert story.settle(after=600).mood == (Phase.DEGRADED, Reason.LATE)
    assert story.shares == {"v1": FULL}


# -- gates -----------------------------------------------------------------------------------------


def test_every_gate_is_asked_before_the_switch() -> None:
    story = healthy(Story(blue_green({"gates": tuple(GateKind)}))).settle()
    assert story.rollout.stage is Stage.HEALTH
    story.answer(open=True).answer(open=True)
    assert story.shares == {"v1": FULL}
    story.answer(open=False, message="not on a Friday")
    assert story.mood == (Phase.PAUSED, Reason.GATE_CLOSED)
    assert story.answer(open=True).state.stable == "v2"
    assert [gate.kind for gate in story.asked] == [
        GateKind.CONFIRM_ROLLOUT,
        GateKind.CONFIRM_TRAFFIC_INCREASE,
        GateKind.CONFIRM_PROMOTION,
    ]


def test_a_gate_that_opens_does_not_open_the_way_to_sick_endpoints() -> None:
    story = healthy(Story(blue_green({"gates": (GateKind.CONFIRM_PROMOTION,)}))).settle()
    story.endpoints["v2"] = endpoints("gone", healthy=0)
    story.answer(open=True)
    assert (story.rollout.stage, story.shares) == (Stage.SWITCH, {"v1": FULL})


# -- what happens meanwhile ------------------------------------------------------------------------


def test_another_release_after_the_switch_gives_the_traffic_back_first() -> None:
    story = switched().edit(release="v3")
    story.applied = False
    story.settle()
    assert (story.shares, story.rollout.target) == ({"v1": FULL}, "v2")
    story.applied = True
    story.settle()
    assert (story.shares, story.rollout.target) == ({"v1": FULL}, "v3")


def test_a_release_set_back_after_the_switch_switches_back_at_once() -> None:
    story = switched().edit(release="v1")
    story.tick()
    assert (story.shares, story.mood) == ({"v1": FULL}, (Phase.HEALTHY, Reason.WITHDRAWN))


@pytest.mark.parametrize("strategy", [None, CanarySpec(steps=(weight(5),))])
@pytest.mark.parametrize("begun", [Stage.PROMOTION, Stage.POST_PROMOTION])
def test_a_strategy_that_leaves_gives_the_traffic_back(
    strategy: CanarySpec | None, begun: Stage
) -> None:
    waits = {"auto_promotion_enabled": begun is not Stage.PROMOTION}
    story = healthy(Story(blue_green(post_promotion=ANALYSIS, **waits))).settle()
    assert story.rollout.stage is begun
    story.edit(strategy=strategy).settle()
    assert (story.mood, story.shares) == ((Phase.DEGRADED, Reason.STRATEGY_GONE), {"v1": FULL})
    assert "blue-green" in story.rollout.message


def test_what_has_to_be_proven_is_proven_again_when_it_is_edited_before_the_switch() -> None:
    story = healthy(Story(blue_green(pre_promotion=ANALYSIS))).settle()
    other = Analysis(ref=AnalysisRef(templates=("other",)))
    story.edit(strategy=BlueGreenSpec(pre_promotion=other)).settle()
    assert story.stopped == ["chat-1-prePromotionAnalysis-1"]
    assert story.started[-1].ref == other.ref


def test_an_edit_after_the_switch_moves_nothing() -> None:
    story = switched().edit(strategy=BlueGreenSpec(warmup=WARMUP, post_promotion=ANALYSIS))
    before = story.state
    assert story.settle().state == before


def test_a_wait_that_is_shortened_by_an_edit_ends_at_once() -> None:
    story = healthy(Story(blue_green(auto_promotion_enabled=False))).settle(after=86_400)
    assert (story.mood, story.next_at) == ((Phase.PAUSED, Reason.BLUE_GREEN_PAUSE), None)
    assert story.edit(strategy=BlueGreenSpec()).settle().state.stable == "v2"


def test_under_an_override_it_stands_still_and_a_bad_analysis_ends_it_behind_it() -> None:
    story = switched().hold(v1=5_000, v2=5_000)
    assert story.mood == (Phase.PAUSED, Reason.OVERRIDE)
    story.end_run(RunPhase.FAILED)
    assert story.shares == {"v1": 5_000, "v2": 5_000}
    assert story.release_override().shares == {"v1": FULL}


def test_looks_for_health_begin_anew_after_an_override() -> None:
    story = Story(blue_green(health_check_retries=2)).settle().hold(v1=FULL)
    story.settle(after=86_400).release_override()
    assert (story.rollout.stage, story.rollout.looks) == (Stage.HEALTH, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_healthy_endpoints": 0},
        {"health_check_retries": 0},
        {"health_check_interval_s": 0.0},
        {"keep_warm_s": -1.0},
        {"auto_promotion_s": -1.0},
    ],
)
def test_a_spec_that_makes_no_sense_does_not_exist(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        BlueGreenSpec(**wrong)  # type: ignore[arg-type]  # one of its numbers
