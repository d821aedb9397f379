"""A table that is sent as changes is the table that was meant."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from router.snapshot import (
    FULL,
    Balance,
    Endpoint,
    HeaderCondition,
    HeaderMatch,
    Retry,
    Role,
    Route,
    Rule,
    Snapshot,
    SnapshotChange,
    Version,
    apply,
    difference,
)

PROPERTY = settings(deadline=None, max_examples=50)

ENDPOINTS = st.integers(1, 3).map(
    lambda port: Endpoint(url=f"http://a:{port}", host="a", port=port)
)
RULES = st.builds(
    Rule,
    path=st.sampled_from([None, "/a", "/b"]),
    model=st.sampled_from([None, "m", "n"]),
    methods=st.sampled_from([(), ("POST",)]),
    headers=st.sampled_from(
        [(), (HeaderCondition(name="a", match=HeaderMatch.PREFIX, value="x"),)]
    ),
)


@st.composite
def versions(draw: st.DrawFn) -> tuple[Version, ...]:
    places = [0, *sorted(draw(st.lists(st.integers(0, FULL), max_size=2))), FULL]
    return tuple(
        Version(
            name=f"v{number}",
            role=draw(st.sampled_from(list(Role))),
            weight_bp=later - earlier,
            endpoints=(draw(ENDPOINTS),),
            model=draw(st.sampled_from([None, "m2"])),
        )
        for number, (earlier, later) in enumerate(pairwise(places))
    )


@st.composite
def snapshots(draw: st.DrawFn, generation: int) -> Snapshot:
    """Routes stand in the order of the configuration, as they are compiled."""
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, max_size=5))
    routes = tuple(
        Route(
            name=name,
            order=order,
            rules=tuple(draw(st.lists(RULES, max_size=2))),
            versions=draw(versions()),
            balance=draw(st.sampled_from(list(Balance))),
            retry=Retry(attempts=draw(st.integers(1, 3))),
        )
        for order, name in enumerate(names)
    )
    return Snapshot(generation=generation, routes=routes)


@PROPERTY
@given(snapshots(4), snapshots(5))
def test_applying_the_difference_gives_the_new_table(old: Snapshot, new: Snapshot) -> None:
    change = difference(old, new)
    assert apply(old, change) == new
    before = {route.name: route for route in old.routes}
    assert all(before.get(route.name) != route for route in change.changed)


@PROPERTY
@given(snapshots(4), snapshots(5))
def test_a_change_that_travelled_gives_the_new_table(old: Snapshot, new: Snapshot) -> None:
    wire = msgspec.msgpack.encode((old, difference(old, new)))
    there, change = msgspec.msgpack.decode(wire, type=tuple[Snapshot, SnapshotChange])
    assert apply(there, change) == new


@PROPERTY
@given(snapshots(1), snapshots(2), snapshots(3))
def test_changes_one_after_the_other_give_the_last_table(
    first: Snapshot, second: Snapshot, third: Snapshot
) -> None:
    table = apply(first, difference(first, second))
    assert apply(table, difference(second, third)) == third
