"""What a version still is to its route after it has lost its traffic: draining, and kept warm."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.admin import Admin, admin_port, configuration, plain_route

pytestmark = pytest.mark.anyio

DRAIN_S, WARM_S = 30, 600
BLUE_GREEN = {"blueGreen": {"drainSeconds": DRAIN_S, "keepWarmSeconds": WARM_S}}


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port(configuration({**plain_route(), "strategy": BLUE_GREEN})) as admin:
        yield admin


async def switch(admin: Admin, to: str) -> None:
    response = await admin.call("POST", "/routes/chat/switch", {"to": to, "reason": "go"})
    assert response.status_code == 200, response.text


async def told(admin: Admin) -> dict[str, tuple[Any, Any]]:
    """(drainUntil, warmUntil) of each version; both ways to ask say the same."""
    one = (await admin.call("GET", "/routes/chat")).json()["versions"]
    (every,) = (await admin.call("GET", "/routes")).json()["routes"]
    assert one == every["versions"]
    return {each["name"]: (each["drainUntil"], each["warmUntil"]) for each in one}


async def test_a_route_tells_until_when_the_old_side_drains_and_is_kept_warm(admin: Admin) -> None:
    assert await told(admin) == {"v1": (None, None), "v2": (None, None)}
    await switch(admin, "v2")
    now = admin.clock.wall()
    assert await told(admin) == {"v1": (now + DRAIN_S, now + WARM_S), "v2": (None, None)}


async def test_the_workers_are_told_the_same_end_of_the_drain(admin: Admin) -> None:
    await switch(admin, "v2")
    (chat,) = admin.workers.published[-1].routes
    drains = {version.name: version.drain_until_s for version in chat.versions}
    assert drains == {"v1": admin.clock.wall() + DRAIN_S, "v2": None}


async def test_what_is_over_is_not_told_any_more(admin: Admin) -> None:
    await switch(admin, "v2")
    warm_until = admin.clock.wall() + WARM_S
    admin.clock.advance(DRAIN_S)
    assert await told(admin) == {"v1": (None, warm_until), "v2": (None, None)}
    admin.clock.advance(WARM_S)
    assert await told(admin) == {"v1": (None, None), "v2": (None, None)}


async def test_a_switch_back_ends_the_drain_of_the_side_that_has_the_traffic_again(
    admin: Admin,
) -> None:
    await switch(admin, "v2")
    admin.clock.advance(5)
    await switch(admin, "v1")
    now = admin.clock.wall()
    assert await told(admin) == {"v1": (None, None), "v2": (now + DRAIN_S, now + WARM_S)}


async def test_weights_that_a_person_sets_begin_and_end_drains_too(admin: Admin) -> None:
    await admin.weights(v1=0, v2=100)
    left_at = admin.clock.wall()
    assert (await told(admin))["v1"] == (left_at + DRAIN_S, None)
    admin.clock.advance(5)
    await admin.call("DELETE", "/routes/chat/weights", {"reason": "done"})
    now = admin.clock.wall()
    assert await told(admin) == {"v1": (None, None), "v2": (now + DRAIN_S, None)}


async def test_a_restarted_control_goes_on_with_the_same_ends(admin: Admin) -> None:
    await switch(admin, "v2")
    before = await told(admin)
    again = Admin(admin.content, store=admin.store)
    await again.plane.start(again.workers)
    assert await told(again) == before
    await again.client.aclose()
