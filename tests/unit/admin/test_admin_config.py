"""Declared against running: what differs and why, and no secret of any configuration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.admin.configuration import server_of, strategy_text
from router.config import Config
from router.config.models import Strategy
from router.errors import ConfigError
from tests.support.admin import (
    SECRETS_OF_TWO,
    Admin,
    admin_port,
    configuration,
    digest,
    plain_route,
    tokens,
    walking_route,
)

pytestmark = pytest.mark.anyio


async def shown(admin: Admin, query: str = "") -> dict[str, Any]:
    document: dict[str, Any] = (await admin.call("GET", f"/config{query}")).json()
    return document


async def route(admin: Admin, name: str) -> dict[str, Any]:
    (found,) = [each for each in (await shown(admin))["routes"] if each["name"] == name]
    document: dict[str, Any] = found
    return document


# -- what is declared, and what runs -----------------------------------------------------------


async def test_a_route_that_runs_as_declared_has_no_differences(admin: Admin) -> None:
    chat = await route(admin, "chat")
    assert chat["differences"] == []
    assert chat["declared"]["release"] == chat["running"]["stable"] == "v1"
    assert chat["declared"]["versions"]["v2"] == {
        "endpoints": ["http://10.0.0.2:8000"],
        "model": None,
    }
    assert chat["running"]["weights"] == {"v1": 100}


async def test_a_release_that_is_under_way_is_told_with_its_step(admin: Admin) -> None:
    for _ in range(6):
        await admin.plane.reconcile()
    walk = await route(admin, "walk")
    assert walk["differences"] == [
        "release v2 is declared, v1 is stable: the rollout is paused at step 2 of 7"
    ]
    assert walk["declared"]["initialWeights"] == {"v1": 100, "v2": 0}
    assert walk["running"]["phase"] == "Paused"


async def test_what_people_hold_is_told_with_who_and_why(admin: Admin) -> None:
    await admin.weights(body={"reason": "v2 looks slow"})
    await admin.call(
        "PUT", "/routes/walk/shadow", {"version": "v2", "percent": 12.5, "reason": "compare"}
    )
    chat, walk = await route(admin, "chat"), await route(admin, "walk")
    assert chat["differences"] == [
        "weights are held by local, so the controller moves nothing: v2 looks slow"
    ]
    assert chat["running"]["override"]["weights"] == {"v1": 90, "v2": 10}
    assert "the shadow was set by local (12.5 % to v2): compare" in walk["differences"]
    assert walk["running"]["shadow"] == {"version": "v2", "percent": 12.5, "by": "person"}


async def test_a_file_that_was_refused_is_told_until_one_is_taken(admin: Admin) -> None:
    assert (await shown(admin))["lastProblem"] is None
    loaded = (await shown(admin))["loadedAt"]
    good, admin.content = admin.content, ConfigError("router.yaml:7: releese: unknown field")
    admin.clock.advance(60)
    await admin.plane.reload()
    document = await shown(admin)
    assert document["lastProblem"] == {
        "time": admin.clock.wall(),
        "text": "router.yaml:7: releese: unknown field",
    }
    assert document["loadedAt"] == loaded
    admin.content = good
    await admin.plane.reload()
    document = await shown(admin)
    assert (document["lastProblem"], document["loadedAt"]) == (None, admin.clock.wall())


async def test_what_needs_a_restart_is_told(admin: Admin) -> None:
    assert (await shown(admin))["restartNeeded"] == []
    admin.content = configuration(server={"workers": 3, "drainSeconds": 7})
    await admin.plane.reload()
    document = await shown(admin)
    assert document["restartNeeded"] == ["server.workers", "server.drainSeconds"]
    assert document["server"]["workers"] == 3


@pytest.fixture
async def wide() -> AsyncIterator[Admin]:
    async with admin_port(configuration(*(plain_route(f"r{n:03}") for n in range(250)))) as admin:
        yield admin


async def test_many_routes_come_in_pages_and_are_searched(wide: Admin) -> None:
    first = await shown(wide)
    assert (len(first["routes"]), first["total"], first["next"]) == (100, 250, "r099")
    last = await shown(wide, "?after=r199")
    assert ([last["routes"][0]["name"], len(last["routes"])], last["next"]) == (["r200", 50], None)
    assert (await shown(wide, "?search=R24&limit=1"))["total"] == 10


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (None, "none: a release waits for a switch"),
        (
            walking_route()["strategy"],
            "canary: 5 % → pause → analysis → header route beta → shadow 12.5 % → pause 600 s → "
            "50 % → 100 %",
        ),
        (
            {"canary": {"steps": [{"setWeight": 1}], "maxTrafficWeight": 1000}},
            "canary: 0.1 % → 100 %",
        ),
        (
            {"canary": {"steps": [{"setWeight": 1}] * 25}},
            "canary: " + "1 % → " * 20 + "5 more → 100 %",
        ),
        ({"blueGreen": {}}, "blue-green: 1 healthy → 100 %"),
        (
            {"blueGreen": {"minHealthyEndpoints": 2, "autoPromotionEnabled": False}},
            "blue-green: 2 healthy → a person promotes → 100 %",
        ),
    ],
)
def test_a_strategy_is_told_in_one_line(strategy: Any, expected: str) -> None:
    made = None if strategy is None else Strategy.model_validate(strategy)
    assert strategy_text(made) == expected


# -- secrets -----------------------------------------------------------------------------------

SECRET = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=24, max_size=40)


def full_of_secrets(secrets: list[str]) -> Config:
    """A configuration with a secret in each place that takes one."""
    token, gate, header, hook, address, query, password = secrets
    gated = walking_route()
    gated["strategy"] = {
        **gated["strategy"],
        "gates": [
            {
                "type": "confirmRollout",
                "url": f"https://gate.example/{gate}",
                "headers": [{"name": "authorization", "value": f"Bearer {header}"}],
            }
        ],
    }
    return configuration(
        plain_route(),
        gated,
        auth={"tokens": [{"name": "ann", "role": "admin", "sha256": digest(token)}]},
        store=f"postgresql://router:{password}@db/router",
        notifications=[{"name": "slack", "url": f"https://hooks.example/{hook}"}],
        providers={
            "prometheus": {
                "address": f"http://user:{address}@prometheus:9090",
                "headers": [{"name": "x-scope", "value": query}],
            }
        },
    )


@settings(max_examples=20, deadline=None)
@given(secrets=st.lists(SECRET, min_size=7, max_size=7, unique=True))
async def test_no_secret_of_a_configuration_is_shown(secrets: list[str]) -> None:
    config = full_of_secrets(secrets)
    async with admin_port(config) as admin:
        headers = {"authorization": f"Bearer {secrets[0]}"}
        text = (await admin.call("GET", "/config", headers=headers)).text
    assert "walk" in text
    assert digest(secrets[0]) not in text
    for secret in secrets:
        assert secret not in text


async def test_no_token_s_digest_is_shown_to_anybody(guarded: Admin) -> None:
    text = (await guarded.call("GET", "/config", role="admin")).text
    for secret in SECRETS_OF_TWO.values():
        assert digest(secret) not in text
        assert secret not in text
    assert '"tokens":4' in text
    assert len(tokens()) == 4


def test_a_field_that_a_model_does_not_show_is_not_shown_here_either() -> None:
    told = server_of(configuration(auth={"tokens": tokens()}))
    assert told["store"] == "sqlite"
    assert told["listen"] == "0.0.0.0:8080"
    assert "auth" not in told
