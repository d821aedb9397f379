"""What people may say of a route's shadow: state in, state or refusal out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.audit.entry import Actor
from router.config import Config, compile_route, initial_state
from router.config.models import Route
from router.config.rollout import rollout_spec
from router.config.shadow import shadow_of
from router.controller.changes import (
    Action,
    ConflictError,
    Copying,
    Holding,
    InvalidChangeError,
    RefusedError,
    ShadowSource,
    clear_shadow,
    command,
    set_shadow,
    set_weights,
    shadow_source,
    told,
)
from router.rollouts import events
from router.rollouts.spec import SetShadow
from router.rollouts.state import RouteState, ShadowOverride
from router.snapshot import FULL, Role

ANN = Holding(Actor("ann", "operator"), "a closer look")
BOB = Holding(Actor("bob", "operator"), "mine is newer")
NAMES = ("v1", "v2", "v3", "v9")


def route(**more: object) -> Route:
    versions = {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("v1", "v2", "v3")}
    document = {"name": "chat", "match": [{"path": "/"}], "versions": versions, "release": "v1"}
    return Config.model_validate({"routes": [{**document, **more}]}).routes[0]


ROUTE = route()
START = initial_state(ROUTE)
CONFIGURED = route(shadow={"version": "v2", "percent": 40, "noise": {"percent": 5}, "maxQueue": 7})


def shadowed(
    state: RouteState = START, version: str = "v3", percent_bp: int = 1_000, **more: int
) -> RouteState:
    return set_shadow(ROUTE, state, Copying(version, percent_bp, **more), ANN, 10.0).state


def weighted(
    state: RouteState, weights: Mapping[str, int], configured: Route = ROUTE
) -> RouteState:
    return set_weights(configured, state, weights, ANN, 11.0).state


def walking(state: RouteState = START) -> RouteState:
    """A rollout to v2 that is under way and has no weight yet."""
    steps = [{"pause": {}}, {"setWeight": 50}]
    walks = route(release="v2", initialWeights={"v1": 100}, strategy={"canary": {"steps": steps}})
    return command(rollout_spec(walks), state, events.Start(reason="go", to="v2"), 5.0).state


def stepped(shadow: SetShadow) -> RouteState:
    state = walking()
    assert state.rollout is not None
    return msgspec.structs.replace(
        state, rollout=msgspec.structs.replace(state.rollout, shadow=shadow)
    )


# -- setting and clearing ----------------------------------------------------------------------


def test_a_persons_shadow_is_in_force_until_it_is_cleared() -> None:
    decision = set_shadow(ROUTE, START, Copying("v3", 1_025, 500), ANN, 10.0)
    assert [(word.action, word.reason) for word in decision.words] == [
        (Action.SHADOW_SET, "a closer look")
    ]
    in_force = shadow_of(ROUTE, decision.state)
    assert in_force is not None
    assert (in_force.version, in_force.percent_bp, in_force.noise_bp) == ("v3", 1_025, 500)
    assert decision.state.shadow == ShadowOverride(
        version="v3",
        percent_bp=1_025,
        noise_bp=500,
        holder="ann",
        reason="a closer look",
        since_s=10.0,
    )
    cleared = clear_shadow(decision.state, "seen enough")
    assert cleared.state == START
    assert [(word.action, word.reason) for word in cleared.words] == [
        (Action.SHADOW_CLEARED, "seen enough")
    ]


def test_a_persons_shadow_keeps_the_configured_limits_and_noise() -> None:
    state = set_shadow(CONFIGURED, START, Copying("v3", 100), ANN, 10.0).state
    in_force = shadow_of(CONFIGURED, state)
    assert in_force is not None
    assert (in_force.version, in_force.noise_bp, in_force.max_queue) == ("v3", 500, 7)


def test_zero_percent_ends_what_the_configuration_wants() -> None:
    assert shadow_of(CONFIGURED, START) is not None
    state = set_shadow(CONFIGURED, START, Copying("v2", 0), ANN, 10.0).state
    assert shadow_of(CONFIGURED, state) is None
    assert shadow_of(CONFIGURED, clear_shadow(state, "go on").state) is not None


def test_a_shadow_that_another_person_has_set_may_be_replaced() -> None:
    state = set_shadow(ROUTE, shadowed(), Copying("v2", 1), BOB, 20.0).state
    assert state.shadow is not None
    assert (state.shadow.holder, state.shadow.version) == ("bob", "v2")


def test_nobodys_shadow_cannot_be_cleared() -> None:
    with pytest.raises(ConflictError, match="nobody has set a shadow"):
        clear_shadow(START, "why")


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "field", "message"),
    [
        (Copying("v9", 100), "version", "unknown version; the route has v1, v2, v3"),
        (Copying("v1", 100), "version", "is the stable version"),
        (Copying("v3", FULL + 1), "percent", "100.01 is not between 0 and 100"),
        (Copying("v3", -1), "percent", "-0.01 is not between 0 and 100"),
        (Copying("v3", 1, FULL + 50), "noisePercent", "100.5 is not between 0 and 100"),
        (Copying("v3", 1, -1), "noisePercent", "-0.01 is not between 0 and 100"),
    ],
)
def test_what_is_no_shadow_is_refused_by_the_name_of_the_field(
    wanted: Copying, field: str, message: str
) -> None:
    with pytest.raises(InvalidChangeError, match=message) as refused:
        set_shadow(ROUTE, START, wanted, ANN, 10.0)
    assert refused.value.field == field


def test_a_version_with_users_is_refused_and_the_way_out_is_named() -> None:
    state = weighted(START, {"v1": 9_475, "v3": 525})
    with pytest.raises(InvalidChangeError) as refused:
        shadowed(state)
    assert refused.value.field == "version"
    assert str(refused.value) == "a shadow has no users: move the 5.25 % of v3 away first"


@given(
    st.sampled_from(NAMES),
    st.integers(-10, FULL + 10),
    st.none() | st.integers(-10, FULL + 10),
    st.sampled_from([START, weighted(START, {"v1": 9_000, "v2": 1_000})]),
)
def test_whatever_shadow_is_asked_for_it_is_one_that_can_be_served_or_nothing_happens(
    version: str, percent_bp: int, noise_bp: int | None, before: RouteState
) -> None:
    try:
        state = set_shadow(ROUTE, before, Copying(version, percent_bp, noise_bp), ANN, 1.0).state
    except RefusedError:
        return
    served = compile_route(ROUTE, 0, state)
    assert (served.shadow is not None) == (percent_bp > 0)
    assert state.shares == before.shares
    if served.shadow is not None:
        (role,) = {each.role for each in served.versions if each.name == version}
        assert role is Role.SHADOW


# -- weights -----------------------------------------------------------------------------------


def test_the_shadow_that_a_person_has_set_gets_no_users() -> None:
    with pytest.raises(InvalidChangeError, match="set by hand: clear the shadow first") as refused:
        weighted(shadowed(), {"v1": 9_000, "v3": 1_000})
    assert refused.value.field == "weights.v3"
    assert weighted(shadowed(), {"v1": 9_000, "v2": 1_000}).share("v2") == 1_000


def test_a_version_of_which_a_person_wants_no_copies_may_get_users() -> None:
    assert weighted(shadowed(percent_bp=0), {"v1": 9_000, "v3": 1_000}).share("v3") == 1_000


def test_a_version_that_has_become_stable_since_a_person_made_it_a_shadow_keeps_its_users() -> None:
    state = msgspec.structs.replace(shadowed(), stable="v3", weights={"v3": FULL})
    assert shadow_of(ROUTE, state) is None
    assert weighted(state, {"v3": FULL}).shares == {"v3": FULL}


def test_the_shadow_of_a_step_may_get_users_and_is_none_any_more() -> None:
    state = stepped(SetShadow(percent_bp=1_000))
    assert shadow_of(ROUTE, state) is not None
    after = weighted(state, {"v1": 9_000, "v2": 1_000})
    assert (after.share("v2"), shadow_of(ROUTE, after)) == (1_000, None)


# -- what is told ------------------------------------------------------------------------------


def test_a_person_is_heard_before_a_step_and_a_step_before_the_configuration() -> None:
    assert shadow_source(START) is ShadowSource.CONFIGURATION
    by_step = stepped(SetShadow(percent_bp=2_000, version="v3"))
    assert shadow_source(by_step) is ShadowSource.ROLLOUT
    by_person = shadowed(by_step, "v2", 300)
    assert shadow_source(by_person) is ShadowSource.PERSON
    in_force = [shadow_of(CONFIGURED, state) for state in (START, by_step, by_person)]
    assert [(each.version, each.percent_bp) for each in in_force if each is not None] == [
        ("v2", 4_000),
        ("v3", 2_000),
        ("v2", 300),
    ]


def test_what_is_told_names_the_shadow_in_force_and_the_persons_wish() -> None:
    document = told(shadowed(), shadow_of(ROUTE, shadowed()))
    assert document is not None
    assert document["shadow"] == {"version": "v3", "percent": 10.0, "by": "person"}
    assert document["shadowOverride"] == {
        "version": "v3",
        "percent": 10.0,
        "noisePercent": None,
        "holder": "ann",
        "reason": "a closer look",
        "since": 10.0,
    }
    silenced = shadowed(percent_bp=0)
    document = told(silenced, shadow_of(CONFIGURED, silenced))
    assert document is not None
    assert "shadow" not in document
    assert document["shadowOverride"]["percent"] == 0


def test_nothing_is_told_of_a_shadow_where_there_is_none() -> None:
    document = told(START, shadow_of(ROUTE, START))
    assert document is not None
    assert not {"shadow", "shadowOverride"} & document.keys()
