"""What people may change about a route: state in, state or refusal out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.audit.entry import Actor
from router.config import Config, initial_state
from router.config.models import Route
from router.config.rollout import rollout_spec
from router.controller.changes import (
    ConflictError,
    ForbiddenError,
    Holding,
    InvalidChangeError,
    RefusedError,
    release_weights,
    roll_back,
    set_weights,
    told,
)
from router.rollouts.state import RouteState
from router.snapshot import FULL

ANN, BOB = Actor("ann", "operator"), Actor("bob", "operator")
ROOT = Actor("root", "admin")


def route(**more: object) -> Route:
    versions = {name: {"endpoints": ["http://127.0.0.1:1"]} for name in ("v1", "v2", "v3")}
    document = {"name": "chat", "match": [{"path": "/"}], "versions": versions, "release": "v1"}
    return Config.model_validate({"routes": [{**document, **more}]}).routes[0]


ROUTE = route()
START = initial_state(ROUTE)


def held(state: RouteState = START, by: Actor = ANN, **weights: int) -> RouteState:
    wanted = weights or {"v1": 5000, "v2": 5000}
    return set_weights(ROUTE, state, wanted, Holding(by, "why"), 10.0).state


def released(state: RouteState, by: Actor) -> RouteState:
    return release_weights(state, by, "why").state


def rolled_back(configured: Route, state: RouteState) -> RouteState:
    return roll_back(rollout_spec(configured), state, "why", 10.0).state


def test_a_persons_weights_hold_until_they_are_released() -> None:
    state = held(v1=9000, v2=1000)
    assert dict(state.shares) == {"v1": 9000, "v2": 1000}
    assert state.weights == {"v1": FULL}
    assert released(state, ANN) == START


def test_weights_end_when_they_are_told_to() -> None:
    holding = Holding(ANN, "why", for_s=60)
    override = set_weights(ROUTE, START, {"v2": FULL}, holding, 10.0).state.override
    assert override is not None
    assert not override.has_expired(69.9)
    assert override.has_expired(70.0)


@pytest.mark.parametrize(
    ("weights", "field", "message"),
    [
        ({"v1": 5000}, "weights", "sum to 50 percent, not 100"),
        ({}, "weights", "sum to 0 percent, not 100"),
        ({"v1": 10_001, "v2": -1}, "weights.v2", "is less than 0"),
        ({"v9": FULL}, "weights.v9", "unknown version; the route has v1, v2, v3"),
    ],
)
def test_wrong_weights_are_refused_by_the_name_of_the_field(
    weights: dict[str, int], field: str, message: str
) -> None:
    with pytest.raises(InvalidChangeError, match=message) as refused:
        set_weights(ROUTE, START, weights, Holding(ANN, "why"), 10.0)
    assert refused.value.field == field


def test_the_shadow_gets_no_users() -> None:
    shadowed = route(shadow={"version": "v3"})
    with pytest.raises(InvalidChangeError, match="shadow"):
        set_weights(shadowed, START, {"v3": FULL}, Holding(ANN, "why"), 10.0)


def test_only_the_holder_or_an_admin_replaces_or_releases_weights() -> None:
    state = held()
    with pytest.raises(ConflictError, match="ann holds the weights"):
        held(state, by=BOB)
    with pytest.raises(ForbiddenError, match="ann holds the weights"):
        released(state, BOB)
    assert held(state, by=ROOT, v1=FULL).shares == {"v1": FULL}
    assert held(state, by=ANN, v1=FULL).shares == {"v1": FULL}
    assert released(state, ROOT) == START


def test_nobodys_weights_cannot_be_released() -> None:
    with pytest.raises(ConflictError, match="nobody holds"):
        released(START, ROOT)


def test_a_rollback_takes_all_traffic_to_stable_whoever_holds_the_route() -> None:
    after = rolled_back(ROUTE, held(v2=FULL))
    assert (after.stable, dict(after.shares), after.override) == ("v1", {"v1": FULL}, None)


def test_a_rollback_of_a_route_at_rest_goes_to_the_version_that_was_stable_before() -> None:
    state = RouteState(stable="v3", weights={"v3": FULL}, past=("v2", "v1"))
    once = rolled_back(ROUTE, state)
    assert (once.stable, once.past) == ("v2", ("v1",))
    twice = rolled_back(ROUTE, once)
    assert (twice.stable, twice.past) == ("v1", ())
    with pytest.raises(ConflictError, match="no version that was stable before"):
        rolled_back(ROUTE, twice)


def test_a_rollback_skips_versions_that_are_gone() -> None:
    state = RouteState(stable="v3", weights={"v3": FULL}, past=("v0", "v1"))
    assert rolled_back(ROUTE, state).stable == "v1"


def test_the_release_that_was_left_is_not_wanted_any_more() -> None:
    state = RouteState(stable="v2", weights={"v2": FULL}, past=("v1",))
    assert rolled_back(route(release="v2"), state).rejected == "v2"


def test_what_is_told_names_the_lineage_of_every_version_with_traffic() -> None:
    lineage = {"v1": {"run": "a"}, "v2": {"run": "b"}, "v3": {"run": "c"}}
    state = RouteState(stable="v1", weights={"v1": 9500, "v2": 500}, lineage=lineage)
    document = told(state)
    assert document is not None
    assert document["weights"] == {"v1": 95.0, "v2": 5.0}
    assert document["lineage"] == {"v1": {"run": "a"}, "v2": {"run": "b"}}


@given(st.dictionaries(st.sampled_from(["v1", "v2", "v3", "v9"]), st.integers(-10, FULL + 10)))
def test_whatever_weights_are_asked_for_the_route_is_shared_out_or_nothing_happens(
    weights: dict[str, int],
) -> None:
    try:
        state = set_weights(ROUTE, START, weights, Holding(ANN, "why"), 10.0).state
    except RefusedError:
        return
    assert sum(state.shares.values()) == FULL
