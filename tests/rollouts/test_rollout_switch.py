"""A person's switch: at once, on every route, whatever is under way."""

from __future__ import annotations

import pytest

from router.rollouts import events
from router.rollouts.effects import Action
from router.rollouts.health import NotReadyError
from router.rollouts.phases import IllegalEventError, Phase, Reason
from router.rollouts.spec import RouteSpec
from router.snapshot import FULL
from tests.rollouts.story import ANALYSIS, FOREVER, Story, blue_green, canary, endpoints, weight

KINDS = {
    "canary": canary(weight(25), ANALYSIS, FOREVER, background=0),
    "blue-green": blue_green(pre_promotion=ANALYSIS),
    "no strategy": canary(strategy=None),
}
each_kind = pytest.mark.parametrize("spec", KINDS.values(), ids=KINDS)


def ready(spec: RouteSpec) -> Story:
    story = Story(spec)
    story.endpoints = {name: endpoints(healthy=1) for name in ("v1", "v2", "v3")}
    return story.settle()


def switch(story: Story, to: str, *, force: bool = False) -> events.Switch:
    return events.Switch(to=to, observation=story.seen, force=force, reason="incident 7")


@each_kind
def test_all_traffic_moves_in_one_decision_and_stays(spec: RouteSpec) -> None:
    story = ready(spec)
    assert story.hear(switch(story, "v3")).moves_traffic
    assert (story.state.stable, story.shares, story.state.past) == ("v3", {"v3": FULL}, ("v1",))
    before = story.settle().state
    assert story.settle(after=86_400).state == before, "release v2 does not fight it"
    assert story.state.rejected == "v2"


@each_kind
def test_a_switch_ends_what_is_under_way(spec: RouteSpec) -> None:
    story = ready(spec)
    story.say(switch(story, "v2"))
    assert sorted(story.stopped) == sorted(run.id for run in story.started)
    assert story.told[-1] == (Phase.HEALTHY, Reason.SWITCHED)
    assert (story.state.stable, story.state.rejected) == ("v2", None)


@each_kind
def test_ten_switches_there_and_back_again(spec: RouteSpec) -> None:
    story = ready(spec)
    for _ in range(10):
        story.say(switch(story, "v2"))
        assert (story.shares, story.state.past) == ({"v2": FULL}, ("v1",))
        story.say(switch(story, "v1"))
        assert (story.shares, story.state.past) == ({"v1": FULL}, ("v2",))


@each_kind
def test_a_sick_version_is_refused_and_each_endpoint_named(spec: RouteSpec) -> None:
    story = ready(spec)
    story.endpoints["v3"] = endpoints("HTTP 503", "timed out", healthy=0)
    before = story.state
    with pytest.raises(NotReadyError) as refused:
        story.hear(switch(story, "v3"))
    assert story.state is before
    assert refused.value.version == "v3"
    assert [seen.reason for seen in refused.value.failing] == ["HTTP 503", "timed out"]
    assert "http://bad-0:80 fails: HTTP 503; http://bad-1:80 fails: timed out" in str(refused.value)


def test_green_with_two_of_three_endpoints_is_refused() -> None:
    story = ready(blue_green(min_healthy_endpoints=3))
    story.endpoints["v2"] = endpoints("HTTP 503", healthy=2)
    with pytest.raises(NotReadyError, match=r"v2 has 2 healthy endpoints, it needs 3; .*HTTP 503"):
        story.hear(switch(story, "v2"))


def test_a_version_of_which_nothing_is_known_is_refused() -> None:
    story = ready(canary(strategy=None))
    with pytest.raises(NotReadyError, match="nothing is known of the endpoints of v4"):
        story.hear(switch(story, "v4"))


@each_kind
def test_force_switches_to_a_sick_version_and_the_note_tells_so(spec: RouteSpec) -> None:
    story = ready(spec)
    story.endpoints["v3"] = endpoints("HTTP 503", healthy=0)
    story.hear(switch(story, "v3", force=True))
    assert story.shares == {"v3": FULL}
    note = story.notes[-1]
    assert (note.action, note.evidence["forced"]) == (Action.SWITCHED_BY_HAND, True)
    assert "HTTP 503" in note.evidence["lacks"]


def test_a_switch_is_refused_while_somebody_holds_the_weights_unless_it_is_forced() -> None:
    story = ready(KINDS["canary"]).hold(v1=5_000, v2=5_000)
    with pytest.raises(IllegalEventError, match="ops holds the weights"):
        story.hear(switch(story, "v2"))
    story.hear(switch(story, "v2", force=True))
    assert (story.state.override, story.shares) == (None, {"v2": FULL})
    assert story.notes[-1].evidence["released"] == "ops"


def test_a_switch_to_where_all_traffic_is_already_is_refused() -> None:
    story = ready(canary(strategy=None))
    with pytest.raises(IllegalEventError, match="v1 is stable already"):
        story.hear(switch(story, "v1", force=True))


def test_a_switch_to_an_unknown_version_is_refused_even_by_force() -> None:
    story = ready(canary(strategy=None))
    with pytest.raises(IllegalEventError, match="no version v9; the route has v1, v2, v3, v4"):
        story.hear(switch(story, "v9", force=True))


def test_a_switch_to_stable_ends_a_canary() -> None:
    story = ready(canary(weight(25), FOREVER))
    story.say(switch(story, "v1"))
    assert (story.shares, story.state.past) == ({"v1": FULL}, ())
    assert story.mood == (Phase.HEALTHY, Reason.SWITCHED)
    assert story.state.rejected == "v2"


def test_a_release_that_a_switch_has_left_waits_for_a_retry() -> None:
    story = ready(canary(weight(25), FOREVER))
    story.say(switch(story, "v3")).say(events.Retry())
    assert (story.rollout.target, story.shares) == ("v2", {"v3": 7_500, "v2": 2_500})


def test_a_switch_can_be_rolled_back() -> None:
    story = ready(blue_green())
    assert story.state.stable == "v2"
    story.say(switch(story, "v3")).say(events.Rollback())
    assert (story.state.stable, story.shares) == ("v2", {"v2": FULL})


def test_a_switch_on_a_blue_green_route_keeps_the_old_version_warm() -> None:
    story = ready(blue_green(pre_promotion=ANALYSIS, keep_warm_s=60.0))
    story.say(switch(story, "v3"))
    assert story.state.warm == {"v1": story.now + 60}


def test_a_switch_on_a_route_that_never_had_a_rollout_tells_people() -> None:
    story = ready(canary(strategy=None))
    story.say(switch(story, "v2"))
    assert (story.told, story.state.rollout) == ([(Phase.HEALTHY, Reason.SWITCHED)], None)
