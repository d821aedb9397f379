"""Versions that have lost their traffic: when, whoever has moved it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.rollouts.leaving import note_left
from router.rollouts.state import MAX_LEFT, Override, RouteState
from router.snapshot import FULL

NAMES = ("v1", "v2", "v3")


def state(override: dict[str, int] | None = None, /, **weights: int) -> RouteState:
    held = Override(weights=override, holder="alice", reason="r", since_s=0.0) if override else None
    return RouteState(stable="v1", weights=weights, override=held)


def shared_out() -> st.SearchStrategy[RouteState]:
    """Any weights, held by a person or not."""
    weights = st.sampled_from(
        [{a: 4_000, b: 6_000} if a != b else {a: FULL} for a in NAMES for b in NAMES]
    )
    return st.builds(lambda mine, held: state(held, **mine), weights, st.none() | weights)


def test_a_switch_notes_when_the_old_side_lost_its_traffic() -> None:
    assert note_left(state(v1=FULL), state(v2=FULL), 7.0).left == {"v1": 7.0}


def test_a_switch_back_forgets_it_and_notes_the_other_side() -> None:
    there = note_left(state(v1=FULL), state(v2=FULL), 7.0)
    assert note_left(there, state(v1=FULL), 9.0).left == {"v2": 9.0}


def test_a_version_that_never_had_traffic_was_never_left() -> None:
    assert note_left(state(v1=FULL), state(v1=FULL), 7.0).left == {}


def test_a_person_who_sets_weights_leaves_a_version_too() -> None:
    held = note_left(state(v1=FULL), state({"v2": FULL}, v1=FULL), 7.0)
    assert held.left == {"v1": 7.0}
    assert note_left(held, state(v1=FULL), 8.0).left == {"v2": 8.0}


@given(steps=st.lists(shared_out(), min_size=2, max_size=12))
def test_what_is_noted_are_exactly_the_versions_that_had_traffic_and_when_they_lost_it(
    steps: list[RouteState],
) -> None:
    now, before, expected = 0.0, steps[0], dict[str, float]()
    for after in steps[1:]:
        now += 1.0
        for name in NAMES:
            if after.share(name):
                expected.pop(name, None)
            elif before.share(name):
                expected[name] = now
        before = note_left(before, after, now)
        assert before.left == expected


@given(moves=st.integers(1, 40))
def test_the_versions_left_last_are_remembered_and_no_more_than_the_bound(moves: int) -> None:
    now = state(v0=FULL)
    for number in range(1, moves + 1):
        now = note_left(now, state(**{f"v{number}": FULL}), float(number))
    newest = range(max(0, moves - MAX_LEFT), moves)
    assert now.left == {f"v{number}": float(number + 1) for number in newest}
