"""Who may do what: the whole table of operations, for everybody."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.admin.operation import RANKS, Operation
from router.admin.requests import Question, ShadowWish, Switch, Weights
from router.admin.table import OPERATIONS
from router.errors import ConfigError
from tests.support.admin import SECRETS, Admin, admin_port, configuration, digest, tokens

pytestmark = pytest.mark.anyio

READS = {"GET", "HEAD"}
TEXTS = {"showComparison", "exportComparisons"}
"""What these tell holds users' texts."""

NAMES = [operation.name for operation in OPERATIONS]


@pytest.fixture
async def settled(guarded: Admin) -> Admin:
    """A plane in which every operation finds what it is about."""
    for _ in range(3):
        await guarded.plane.reconcile()
    await guarded.weights(100, 0, role="operator")  # a version with weight is no shadow
    return guarded


def call_of(operation: Operation) -> tuple[str, str, dict[str, Any] | None]:
    """A call of it that makes sense; `/events` without its endless body."""
    places = {"route": "chat", "number": "1", "id": "1"}
    path = re.sub(r"\{(\w+)\}", lambda found: places[found[1]], operation.path)
    method = "HEAD" if operation.path == "/events" else operation.method
    bodies: dict[Any, dict[str, Any]] = {
        Weights: {"weights": {"v1": 100}, "reason": "a test"},
        Question: {"path": "/chat"},
        Switch: {"to": "v2", "reason": "a test"},
        ShadowWish: {"version": "v2", "percent": 10, "reason": "a test"},
        None: {},
    }
    body = bodies.get(operation.body, {"reason": "a test"})
    return method, path, body or None


@pytest.mark.parametrize("role", SECRETS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
async def test_an_operation_is_for_its_role_and_those_above(
    settled: Admin, operation: Operation, role: str
) -> None:
    method, path, body = call_of(operation)
    before = await settled.everything()
    response = await settled.call(method, path, body, role=role)
    if RANKS[role] >= RANKS[operation.role.value]:
        assert response.status_code in (200, 404, 409), response.text
        return
    assert response.status_code == 403
    problem = response.json()
    assert problem["type"] == "urn:inference-router:forbidden"
    assert f"needs the role {operation.role.value}" in problem["detail"]
    assert f"token {role}-1 has {role}" in problem["detail"]
    assert await settled.everything() == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
async def test_without_a_token_no_operation_is_for_anybody(
    settled: Admin, operation: Operation
) -> None:
    method, path, body = call_of(operation)
    before = await settled.everything()
    response = await settled.call(method, path, body)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert await settled.everything() == before


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_viewers_read_operators_change_and_admins_reload(operation: Operation) -> None:
    if operation.name in ("reload", "restart"):
        wanted = "admin"
    elif operation.name in TEXTS:
        wanted = "operator"
    elif operation.method in READS or operation.name == "explain":
        wanted = "viewer"
    else:
        wanted = "operator"
    assert operation.role.value == wanted


@pytest.mark.parametrize("path", ["/openapi.json", "/nowhere", "/routes/a/b/c", "/"])
async def test_what_is_no_operation_asks_for_a_token_too(guarded: Admin, path: str) -> None:
    assert (await guarded.call("GET", path)).status_code == 401


async def test_the_role_is_checked_before_anything_of_the_call_is_read(guarded: Admin) -> None:
    response = await guarded.call("PUT", "/routes/nope/weights?x=y", raw=b"not JSON", role="viewer")
    assert response.status_code == 403


@pytest.fixture
async def open_to_all() -> AsyncIterator[Admin]:
    async with admin_port(configuration(auth={"tokens": []})) as admin:
        yield admin


async def test_without_configured_tokens_everybody_on_this_host_is_admin(
    open_to_all: Admin,
) -> None:
    assert (await open_to_all.call("POST", "/reload", {"reason": "x"})).status_code == 200
    actor = (await open_to_all.trail())[0].actor
    assert actor.role == "system"
    await open_to_all.weights()
    actor = (await open_to_all.trail())[-1].actor
    assert (actor.name, actor.role) == ("local", "admin")


# -- tokens come and go by reload --------------------------------------------------------------


async def test_a_token_gets_another_role_by_reload(guarded: Admin) -> None:
    assert (await guarded.weights(role="operator")).status_code == 200
    known = [token | {"role": "viewer"} for token in tokens()]
    guarded.content = configuration(auth={"tokens": known})
    await guarded.plane.reload()
    assert (await guarded.weights(role="operator")).status_code == 403


async def test_a_token_that_is_taken_away_is_unknown_at_once(guarded: Admin) -> None:
    assert (await guarded.call("GET", "/routes", role="operator")).status_code == 200
    kept = [token for token in tokens() if token["name"] != "operator-1"]
    guarded.content = configuration(auth={"tokens": kept})
    reloaded = await guarded.call("POST", "/reload", {"reason": "rotate"}, role="admin")
    assert reloaded.status_code == 200
    assert (await guarded.call("GET", "/routes", role="operator")).status_code == 401
    assert (await guarded.call("GET", "/routes", role="viewer")).status_code == 200


async def test_old_and_new_token_are_both_good_while_both_are_configured(guarded: Admin) -> None:
    both = [*tokens(), tokens()[0] | {"name": "viewer-new", "sha256": "ab" * 32}]
    guarded.content = configuration(auth={"tokens": both})
    await guarded.plane.reload()
    assert (await guarded.call("GET", "/routes", role="viewer")).status_code == 200


async def test_a_refused_configuration_leaves_the_tokens_as_they_were(guarded: Admin) -> None:
    guarded.content = ConfigError("router.yaml:3: no such field")
    reloaded = await guarded.call("POST", "/reload", {"reason": "x"}, role="admin")
    assert reloaded.json()["type"] == "urn:inference-router:config-refused"
    assert (await guarded.call("GET", "/routes", role="viewer")).status_code == 200
    assert (await guarded.call("GET", "/routes")).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_the_scheme_is_read_as_rfc_9110_has_it(guarded: Admin, scheme: str) -> None:
    headers = {"authorization": f"{scheme} {SECRETS['viewer']}"}
    assert (await guarded.call("GET", "/routes", headers=headers)).status_code == 200


async def test_a_token_may_be_any_text_in_utf8() -> None:
    token = {"name": "odd", "role": "viewer", "sha256": digest("пароль 🔑")}
    async with admin_port(configuration(auth={"tokens": [token]})) as admin:
        sent = "Bearer пароль 🔑".encode()
        response = await admin.client.get("/api/v1/routes", headers={b"authorization": sent})  # type: ignore[dict-item]
    assert response.status_code == 200
