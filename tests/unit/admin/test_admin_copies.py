"""How the copies of a route's requests have ended, as `GET /routes/{route}/shadow` tells it."""

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

W0, W1 = Incarnation("w0", 1), Incarnation("w1", 2)


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port(configuration(plain_route("chat", "v1", "v2", "v3"))) as admin:
        yield admin


def report(admin: Admin, who: Incarnation, *rows: tuple[Family, tuple[str, ...], float]) -> None:
    series = [Series(family.name, labels, value) for family, labels, value in rows]
    admin.plane.fleet.on_telemetry(who, series)


async def copies(admin: Admin) -> Any:
    return (await admin.call("GET", "/routes/chat/shadow")).json()["copies"]


async def test_nothing_is_told_of_versions_that_got_no_copies(admin: Admin) -> None:
    report(admin, W0, (families.SHADOW_SAMPLED, ("chat", "v2"), 0))
    assert await copies(admin) == []


async def test_copies_are_told_by_their_end_and_all_workers_are_added_up(admin: Admin) -> None:
    for who in (W0, W1):
        report(
            admin,
            who,
            (families.SHADOW_SAMPLED, ("chat", "v2"), 20),
            (families.SHADOW_IN_FLIGHT, ("chat", "v2"), 1),
            (families.SHADOW_REQUESTS, ("chat", "v2", "answered"), 9),
            (families.SHADOW_REQUESTS, ("chat", "v2", "error"), 2),
            (families.SHADOW_REQUESTS, ("chat", "v2", "timeout"), 1),
            (families.SHADOW_REQUESTS, ("chat", "v2", "dropped_queue"), 4),
            (families.SHADOW_REQUESTS, ("chat", "v2", "dropped_size"), 3),
            (families.SHADOW_SAMPLED, ("chat", "v1"), 5),
            (families.SHADOW_REQUESTS, ("chat", "v1", "answered"), 5),
        )
    twins, shadow = await copies(admin)
    assert (twins["version"], twins["sampled"], twins["answered"]) == ("v1", 10, 10)
    assert shadow == {
        "version": "v2",
        "sampled": 40,
        "inFlight": 2,
        "answered": 18,
        "error": 4,
        "timeout": 2,
        "dropped": {"queue": 8, "size": 6},
    }
