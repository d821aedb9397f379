"""Steps, one after the other."""

from __future__ import annotations

import pytest

from router.errors import ConfigError
from router.rollouts import events
from router.rollouts.effects import Action
from router.rollouts.phases import Phase, Reason
from router.rollouts.spec import CanarySpec, Pause, SetHeaderRoute, SetShadow, SetWeight
from router.snapshot import FULL, HeaderCondition, Rule
from tests.rollouts.story import FOREVER, Story, canary, pause, weight

CANARY_HEADER = SetHeaderRoute(
    name="testers", matches=(HeaderCondition(name="x-canary", value="always"),)
)


def test_a_route_whose_release_is_stable_is_at_rest() -> None:
    story = Story(canary(weight(5)), stable="v2")
    decision = story.tick()
    assert (decision.effects, decision.notes, decision.moves_traffic) == ((), (), False)
    assert story.state.rollout is None


def test_a_new_release_gets_the_share_of_its_first_step_in_one_decision() -> None:
    story = Story(canary(weight(5), FOREVER))
    decision = story.tick()
    assert decision.moves_traffic
    assert story.shares == {"v1": 9_500, "v2": 500}
    assert story.mood == (Phase.PROGRESSING, None)
    assert [note.action for note in decision.notes] == [Action.STARTED, Action.WEIGHT_SET]


def test_a_share_has_to_be_served_by_every_worker_before_the_next_step() -> None:
    story = Story(canary(weight(5), weight(10), FOREVER))
    story.applied = False
    story.settle(after=60)
    assert (story.rollout.step, story.shares["v2"]) == (0, 500)
    story.applied = True
    story.tick()
    assert (story.rollout.step, story.shares["v2"]) == (1, 1_000)
    story.tick()
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_a_pause_lasts_from_when_the_share_is_served_to_its_end() -> None:
    story = Story(canary(weight(5), pause(60), weight(50), FOREVER))
    story.settle()
    began = story.now
    assert story.next_at == began + 60
    story.settle(after=59.9)
    assert story.shares["v2"] == 500
    story.settle(after=0.1)
    assert story.shares["v2"] == 5_000


def test_a_pause_of_no_time_is_none() -> None:
    assert Story(canary(weight(5), pause(0))).settle().state.stable == "v2"


def test_a_pause_without_duration_waits_for_ever() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    assert story.next_at is None
    assert story.settle(after=10_000_000).mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_after_the_last_step_the_canary_is_stable_with_all_traffic() -> None:
    story = Story(canary(weight(50)), past=("v0",)).settle()
    assert story.mood == (Phase.HEALTHY, Reason.PROMOTED)
    assert (story.state.stable, story.shares) == ("v2", {"v2": FULL})
    assert story.state.past == ("v1", "v0")
    assert story.told == [(Phase.PROGRESSING, None), (Phase.HEALTHY, Reason.PROMOTED)]
    assert story.rollout.finished_s == story.now


def test_a_canary_without_steps_is_stable_at_once() -> None:
    story = Story(canary())
    story.tick()
    assert story.state.stable == "v2"


def test_a_version_that_is_stable_again_is_not_its_own_past() -> None:
    story = Story(canary(), past=("v3", "v2")).settle()
    assert story.state.past == ("v1", "v3")


def test_the_past_has_an_end() -> None:
    names = tuple(f"v{number}" for number in range(20))
    story = Story(canary(versions=names, release="v0"), stable="v19")
    for name in names[:15]:
        story.edit(release=name).settle()
    assert story.state.past == names[13:3:-1]


def test_no_share_is_raised_for_a_version_without_a_healthy_endpoint() -> None:
    story = Story(canary(weight(5), FOREVER))
    story.healthy = {"v1": 1, "v2": 0}
    assert story.settle(after=60).shares == {"v1": FULL}
    assert [note.action for note in story.notes] == [Action.STARTED], "not even for a moment"
    story.healthy["v2"] = 1
    assert story.settle().shares["v2"] == 500


def test_a_canary_that_dies_has_no_share_until_it_lives_again() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    story.healthy = {"v2": 0}
    assert story.settle().shares == {"v1": FULL}
    assert story.notes[-1].action is Action.SHARE_WITHHELD
    story.healthy = {"v2": 2}
    assert story.settle().shares["v2"] == 500
    assert story.mood == (Phase.PAUSED, Reason.CANARY_PAUSE)


def test_a_dead_canary_keeps_its_share_if_stable_is_dead_too() -> None:
    story = Story(canary(weight(5), FOREVER)).settle()
    story.healthy = {"v1": 0, "v2": 0}
    assert story.settle().shares["v2"] == 500


def test_a_version_without_a_healthy_endpoint_does_not_become_stable() -> None:
    story = Story(canary(weight(5), pause(60))).settle()
    story.healthy = {"v2": 0}
    assert story.settle(after=60).state.stable == "v1"
    story.healthy = {"v2": 1}
    assert story.settle().state.stable == "v2"


def test_a_header_route_is_set_replaced_and_ended_by_its_name() -> None:
    other = SetHeaderRoute(name="staff", matches=(HeaderCondition(name="x-staff", value="1"),))
    again = SetHeaderRoute(name="testers", matches=(HeaderCondition(name="x-t", value="2"),))
    steps = (CANARY_HEADER, FOREVER, other, again, FOREVER, SetHeaderRoute(name="testers"), FOREVER)
    story = Story(canary(*steps)).settle()
    seen = [story.rollout.header_routes]
    for _ in range(2):
        story.say(events.Resume(reason="go on"))
        seen.append(story.rollout.header_routes)
    assert seen == [(CANARY_HEADER,), (again, other), (other,)]


def test_a_header_route_has_to_be_served_before_the_next_step() -> None:
    story = Story(canary(CANARY_HEADER, weight(5), FOREVER))
    story.applied = False
    story.settle()
    assert (story.rollout.step, story.shares) == (0, {"v1": FULL})


def test_a_shadow_is_set_and_ended() -> None:
    shadow = SetShadow(percent_bp=1_000, rules=(Rule(path="/v1/chat/completions"),))
    story = Story(canary(shadow, FOREVER, SetShadow(percent_bp=0), FOREVER)).settle()
    assert story.rollout.shadow == shadow
    story.say(events.Resume(reason="go on"))
    assert story.rollout.shadow is None


def test_header_routes_and_shadow_end_with_the_rollout() -> None:
    story = Story(canary(CANARY_HEADER, SetShadow(percent_bp=100))).settle()
    assert story.state.stable == "v2"
    assert (story.rollout.header_routes, story.rollout.shadow) == ((), None)


def test_a_share_may_be_lowered_again() -> None:
    story = Story(canary(weight(50), weight(5), FOREVER)).settle()
    assert story.shares == {"v1": 9_500, "v2": 500}


@pytest.mark.parametrize("bad", [-1, FULL + 1])
def test_a_step_cannot_be_wrong(bad: int) -> None:
    with pytest.raises(ConfigError):
        SetWeight(weight_bp=bad)
    with pytest.raises(ConfigError):
        SetShadow(percent_bp=bad)
    with pytest.raises(ConfigError):
        Pause(duration_s=-1.0)


def test_the_digest_stands_for_the_steps() -> None:
    one, same = CanarySpec(steps=(weight(5), FOREVER)), CanarySpec(steps=(weight(5), FOREVER))
    assert one.digest == same.digest == "f9ba1edc426cf945"  # also in every other process
    assert one.digest != CanarySpec(steps=(FOREVER, weight(5))).digest
