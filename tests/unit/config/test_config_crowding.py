"""`check` warns of limits of versions that do not fit into their route's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from router.config import Config, check
from router.config.crowding import find_crowding
from router.config.problems import format_path

Write = Callable[..., str]
Limits = dict[str, int]


def warnings(places: int | None, **versions: Limits | None) -> list[str]:
    """What is said of versions with these limits in a route with so many places."""
    route: dict[str, Any] = {"name": "chat", "match": [{"path": "/x"}], "versions": {}}
    for name, limits in versions.items():
        bounded = {} if limits is None else {"limits": limits}
        route["versions"][name] = {"endpoints": ["http://10.0.0.1:8000"], **bounded}
    if places is not None:
        route["limits"] = {"maxInFlight": places}
    (read,) = Config.model_validate({"routes": [route]}).routes
    return [f"{format_path(found.path)}: {found.message}" for found in find_crowding(read)]


def of(places: int, line: int = 0) -> Limits:
    return {"maxInFlight": places, "maxPending": line}


@pytest.mark.parametrize(
    "versions",
    [
        {"v1": None, "v2": None},
        {"v1": None, "v2": of(64, 32)},
        {"v1": None, "v2": of(99)},
        {"v1": of(50, 20), "v2": of(20, 10)},
        {"v1": of(60, 40)},
    ],
    ids=str,
)
def test_limits_that_fit_into_the_route_are_not_warned_about(
    versions: dict[str, Limits | None],
) -> None:
    assert warnings(100, **versions) == []


def test_more_places_than_the_route_has_cannot_be_reached() -> None:
    assert warnings(100, v1=None, v2=of(101)) == [
        "versions.v2.limits.maxInFlight: 101 cannot be reached: "
        "the route has 100 places (limits.maxInFlight)"
    ]


def test_the_default_places_of_a_route_count_as_well() -> None:
    assert warnings(None, v1=of(1024)) == []
    (said,) = warnings(None, v1=of(1025))
    assert "the route has 1024 places" in said


def test_a_line_that_finds_no_place_of_the_route_cannot_be_reached() -> None:
    assert warnings(100, v1=of(80, 21)) == [
        "versions.v1.limits: maxInFlight + maxPending = 101 cannot be reached: the route has 100 "
        "places (limits.maxInFlight), and who waits for a version holds one of them"
    ]


def test_a_version_that_can_take_every_place_starves_the_others() -> None:
    assert warnings(100, v1=None, v2=of(80, 20)) == [
        "versions.v2.limits: maxInFlight + maxPending = 100, and the route has 100 places "
        "(limits.maxInFlight): if this version stands still, the others get none"
    ]


def test_versions_that_take_each_others_places_are_told_of_once_at_the_route() -> None:
    assert warnings(100, v1=of(64), v2=of(32, 8)) == [
        "limits.maxInFlight: 100 places, but maxInFlight + maxPending of the versions are 104 "
        '("v1" 64, "v2" 40): those that stand still take the places of the others'
    ]


def test_bounded_versions_leave_a_place_for_one_without_bounds() -> None:
    assert warnings(100, v1=of(50), v2=of(49), v3=None) == []
    (said,) = warnings(100, v1=of(50), v2=of(50), v3=None)
    assert "are 100" in said


def test_crowded_limits_are_a_warning_at_their_line_and_no_problem(write: Write) -> None:
    text = """\
        routes:
        - name: chat
          match: [{path: /x}]
          release: v1
          versions:
            v1:
              endpoints: [http://10.0.0.1:8000]
              limits: {maxInFlight: 64, maxPending: 64}
          limits: {maxInFlight: 100}
        """
    (report,) = check([write(text)]).files
    assert report.problems == ()
    assert [(found.line, found.field) for found in report.warnings] == [
        (8, "routes[0].versions.v1.limits")
    ]
