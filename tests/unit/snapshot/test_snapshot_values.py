"""A value of the snapshot cannot be wrong once it exists, and travels as it is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from router.errors import ConfigError
from router.snapshot import (
    FULL,
    Balance,
    Endpoint,
    HeaderCondition,
    HeaderMatch,
    HeaderRoute,
    Health,
    Limits,
    Retry,
    Role,
    Route,
    Rule,
    Snapshot,
    SnapshotChange,
    StickyKind,
    StickySource,
    Timeouts,
    Tls,
    Version,
    apply,
    difference,
)

ENDPOINT = Endpoint(url="http://a:1", host="a", port=1)


def version(name: str = "v1", weight: int = FULL, role: Role = Role.STABLE) -> Version:
    return Version(name=name, role=role, weight_bp=weight, endpoints=(ENDPOINT,))


def route(name: str = "r", order: int = 0, **changes: Any) -> Route:
    fields: dict[str, Any] = {"rules": (Rule(),), "versions": (version(),), **changes}
    return Route(name=name, order=order, **fields)


FULL_ROUTE = route(
    rules=(
        Rule(
            path="/v1/x",
            model="m",
            methods=("POST", "GET"),
            headers=(HeaderCondition(name="a", match=HeaderMatch.REGEX, value="x+"),),
        ),
        Rule(path_prefix="/v2"),
    ),
    versions=(
        Version(
            name="v2",
            role=Role.CANARY,
            weight_bp=500,
            model="m-2",
            endpoints=(
                Endpoint(
                    url="https://[::1]:8443/base",
                    host="::1",
                    port=8443,
                    https=True,
                    base_path="/base",
                    dns=True,
                    tls=Tls(verify=False, ca_file="ca", server_name="s"),
                ),
            ),
        ),
        version(weight=9_500),
    ),
    sticky=(
        StickySource(kind=StickyKind.API_KEY),
        StickySource(kind=StickyKind.BODY, name="user"),
    ),
    header_routes=(HeaderRoute(conditions=(HeaderCondition(name="b"),), version="v2"),),
    balance=Balance.P2C,
    timeouts=Timeouts(connect_s=1.5),
    retry=Retry(attempts=3, statuses=(502, 503), methods=("POST",)),
    health=Health(path="/h", statuses=(200, 204)),
    limits=Limits(max_in_flight=1),
)


@pytest.mark.parametrize("weight", [-1, FULL + 1])
def test_a_weight_outside_a_whole_is_refused(weight: int) -> None:
    with pytest.raises(ConfigError, match="weight"):
        version(weight=weight)


def test_a_version_without_an_endpoint_is_refused() -> None:
    with pytest.raises(ConfigError, match="no endpoint"):
        Version(name="v1", role=Role.STABLE, weight_bp=FULL, endpoints=())


@pytest.mark.parametrize(
    "versions",
    [
        (),
        (version(weight=FULL - 1),),
        (version("a", 5_000), version("b", 5_001)),
        (version("a", 0), version("b", 0)),
    ],
)
def test_weights_that_do_not_sum_to_a_whole_are_refused(versions: tuple[Version, ...]) -> None:
    with pytest.raises(ConfigError, match="sum"):
        route(versions=versions)


def test_two_versions_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="twice"):
        route(versions=(version("a", 5_000), version("a", 5_000)))


def test_a_header_route_to_an_unknown_version_is_refused() -> None:
    steer = HeaderRoute(conditions=(HeaderCondition(name="a"),), version="v9")
    with pytest.raises(ConfigError, match="v9"):
        route(header_routes=(steer,))


def test_a_rule_with_a_path_and_a_prefix_is_refused() -> None:
    with pytest.raises(ConfigError, match="not both"):
        Rule(path="/a", path_prefix="/a")


def test_two_routes_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="one name"):
        Snapshot(generation=1, routes=(route(), route(order=1)))


def test_a_header_condition_whose_pattern_is_none_is_refused() -> None:
    # The data plane compiles it while it installs the snapshot.
    with pytest.raises(ConfigError):
        HeaderCondition(name="a", match=HeaderMatch.REGEX, value="(")


def test_a_value_never_changes() -> None:
    with pytest.raises(AttributeError):
        version().weight_bp = 0  # type: ignore[misc]


@pytest.mark.parametrize("value", [route(), FULL_ROUTE], ids=["small", "full"])
def test_a_snapshot_travels_as_it_is(value: Route) -> None:
    snapshot = Snapshot(generation=7, routes=(value,))
    packed = msgspec.msgpack.encode(snapshot)
    assert msgspec.msgpack.decode(packed, type=Snapshot) == snapshot
    change = SnapshotChange(generation=8, base=7, changed=(value,), removed=("gone",))
    packed = msgspec.msgpack.encode(change)
    assert msgspec.msgpack.decode(packed, type=SnapshotChange) == change


@pytest.mark.parametrize(
    "broken",
    [
        {"generation": 1, "routes": [{"name": "r", "order": 0, "rules": [], "versions": []}]},
        {"generation": 1, "routes": [{"name": "r"}]},
        {"generation": "x"},
        {"routes": []},
    ],
)
def test_a_wrong_value_is_refused_on_arrival_too(broken: dict[str, object]) -> None:
    with pytest.raises((ConfigError, msgspec.ValidationError)):
        msgspec.msgpack.decode(msgspec.msgpack.encode(broken), type=Snapshot)


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        (Endpoint(url="", host="a.example", port=80), "a.example"),
        (Endpoint(url="", host="a.example", port=8000), "a.example:8000"),
        (Endpoint(url="", host="a.example", port=443), "a.example:443"),
        (Endpoint(url="", host="a.example", port=443, https=True), "a.example"),
        (Endpoint(url="", host="a.example", port=80, https=True), "a.example:80"),
        (Endpoint(url="", host="::1", port=80), "[::1]"),
        (Endpoint(url="", host="::1", port=8000), "[::1]:8000"),
    ],
)
def test_an_endpoint_expects_its_own_host(endpoint: Endpoint, authority: str) -> None:
    assert endpoint.authority == authority


def test_the_stable_version_is_the_one_with_that_role() -> None:
    versions = version("new", 9_000, Role.CANARY), version("old", 1_000)
    assert route(versions=versions).stable.name == "old"


def test_without_a_stable_role_the_heaviest_version_is_stable() -> None:
    versions = version("new", 1_000, Role.CANARY), version("old", 9_000, Role.PREVIEW)
    assert route(versions=versions).stable.name == "old"


# -- changes -----------------------------------------------------------------------------------


def test_only_what_changed_is_sent() -> None:
    old = Snapshot(generation=1, routes=(route("a", 0), route("b", 1), route("c", 2)))
    moved = route("b", 1, versions=(version("x", 1), version("y", FULL - 1)))
    new = Snapshot(generation=2, routes=(route("a", 0), moved, route("d", 3)))
    change = difference(old, new)
    assert change == SnapshotChange(
        generation=2, base=1, changed=(moved, route("d", 3)), removed=("c",)
    )
    assert apply(old, change) == new


def test_nothing_is_sent_between_equal_tables() -> None:
    old = Snapshot(generation=1, routes=(route(),))
    new = Snapshot(generation=2, routes=(route(),))
    assert difference(old, new) == SnapshotChange(generation=2, base=1)
    assert apply(old, difference(old, new)) == new


def test_a_change_of_another_generation_is_refused() -> None:
    old = Snapshot(generation=1, routes=(route(),))
    for base in (0, 2):
        with pytest.raises(ConfigError, match="does not fit"):
            apply(old, SnapshotChange(generation=3, base=base))


def test_removing_what_is_not_there_changes_nothing() -> None:
    old = Snapshot(generation=1, routes=(route(),))
    change = SnapshotChange(generation=2, base=1, removed=("never",))
    assert apply(old, change).routes == old.routes
