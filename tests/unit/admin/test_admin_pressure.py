"""`GET /routes/{route}`: places, lines and refusals, of all live workers together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.telemetry import families
from router.telemetry.families import Family
from router.telemetry.merge import Incarnation
from router.telemetry.recorder import Series
from tests.support.admin import Admin, admin_port, configuration, plain_route

pytestmark = pytest.mark.anyio

CLASSES = {"classes": ["interactive", "batch"], "default": "batch"}
W0, W1 = Incarnation("w0", 1), Incarnation("w1", 2)


def bounded_route() -> dict[str, Any]:
    route = plain_route()
    route["versions"]["v2"]["limits"] = {"maxInFlight": 4, "maxPending": 2}
    return {**route, "limits": {"maxInFlight": 8, "maxQueue": 5, "priority": CLASSES}}


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port(configuration(bounded_route())) as admin:
        yield admin


def report(admin: Admin, who: Incarnation, *rows: tuple[Family, tuple[str, ...], float]) -> None:
    series = [Series(family.name, labels, value) for family, labels, value in rows]
    admin.plane.fleet.on_telemetry(who, series)


async def told(admin: Admin) -> tuple[dict[str, Any], dict[str, Any]]:
    """A route's admission, and its versions' circuits; both ways to ask say the same."""
    one = (await admin.call("GET", "/routes/chat")).json()
    (every,) = (await admin.call("GET", "/routes")).json()["routes"]
    assert one == every
    return one["admission"], {each["name"]: each["circuit"] for each in one["versions"]}


async def test_a_route_at_rest_tells_its_bounds_and_that_nobody_is_there(admin: Admin) -> None:
    admission, circuits = await told(admin)
    assert admission == {
        "maxInFlight": 8, "maxQueue": 5, "workers": 2, "inFlight": 0, "queued": 0,
        "refused": {}, "shed": {}, "shedShare": 0.0,
    }  # fmt: skip
    assert circuits == {
        "v1": None,
        "v2": {"maxInFlight": 4, "maxPending": 2, "inFlight": 0, "pending": 0, "refused": {}},
    }


async def test_what_the_workers_count_is_added_up(admin: Admin) -> None:
    for who in (W0, W1):
        report(
            admin,
            who,
            (families.IN_FLIGHT, ("chat", "v1"), 3),
            (families.IN_FLIGHT, ("chat", "v2"), 4),
            (families.QUEUED, ("chat",), 5),
            (families.QUEUE_FULL, ("chat", "full"), 7),
            (families.CIRCUIT_IN_FLIGHT, ("chat", "v2"), 4),
            (families.CIRCUIT_PENDING, ("chat", "v2"), 1),
            (families.CIRCUIT_REFUSALS, ("chat", "v2", "deadline"), 2),
            (families.SHED, ("chat", "batch"), 10),
        )
    admission, circuits = await told(admin)
    assert admission["inFlight"] == 2 * (3 + 4 + 1)  # who waits for v2 has a place of the route
    assert admission["queued"] == 10
    assert admission["refused"] == {"full": 14}
    assert admission["shed"] == {"batch": 20}
    assert circuits["v2"]["inFlight"] == 8
    assert circuits["v2"]["pending"] == 2
    assert circuits["v2"]["refused"] == {"deadline": 4}


async def test_the_share_that_is_told_is_that_of_the_worker_that_refuses_most(
    admin: Admin,
) -> None:
    report(admin, W0, (families.SHED_SHARE, ("w0",), 0.25))
    report(admin, W1, (families.SHED_SHARE, ("w1",), 0.5))
    admission, _ = await told(admin)
    assert admission["shedShare"] == 0.5


async def test_what_other_routes_wait_for_is_not_told_here() -> None:
    async with admin_port(configuration(bounded_route(), plain_route("other"))) as admin:
        report(
            admin,
            W0,
            (families.QUEUED, ("other",), 5),
            (families.QUEUE_FULL, ("other", "full"), 7),
        )
        one = (await admin.call("GET", "/routes/chat")).json()["admission"]
        assert (one["queued"], one["refused"]) == (0, {})
        one = (await admin.call("GET", "/routes/other")).json()["admission"]
        assert (one["queued"], one["refused"]) == (5, {"full": 7})
