"""Where a call may come from: no other host, and no page of another site."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from starlette.types import Message

from router.admin.application import API
from router.admin.origins import why_exposed, why_foreign
from router.config import Config
from tests.support.admin import Admin, admin_port, configuration

pytestmark = pytest.mark.anyio

FOREIGN = "urn:inference-router:foreign-origin"


# -- Host, against DNS rebinding ---------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8081",
        "10.1.2.3:8081",
        "[::1]:8081",
        "[::1]",
        "localhost",
        "LOCALHOST:8081",
        "localhost.",
        "router.localhost:8081",
    ],
)
async def test_without_tokens_this_host_is_called_by_address_or_as_localhost(
    admin: Admin, host: str
) -> None:
    assert (await admin.call("GET", "/routes", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8081",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "notlocalhost",
        "",
        "[evil.example]",
        "evil.example:localhost",
        "0x7f000001",
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/routes"), ("PUT", "/routes/chat/weights")])
async def test_without_tokens_another_name_is_refused_for_reads_too(
    admin: Admin, host: str, method: str, path: str
) -> None:
    before = await admin.everything()
    response = await admin.call(method, path, headers={"host": host})
    assert (response.status_code, response.json()["type"]) == (403, FOREIGN)
    assert "called by an IP address or as localhost" in response.json()["detail"]
    assert await admin.everything() == before


async def test_the_name_that_the_port_is_bound_to_is_good() -> None:
    content: Config = configuration(server={"admin": "localhost:0"})
    named = content.server.model_copy(
        update={"admin": content.server.admin.__class__("router-7.internal", 8081)}
    )
    async with admin_port(content.model_copy(update={"server": named})) as admin:
        headers = {"host": "Router-7.internal:8081"}
        assert (await admin.call("GET", "/routes", headers=headers)).status_code == 200


async def test_with_tokens_any_name_is_good(guarded: Admin) -> None:
    headers = {"host": "router.example"}
    assert (await guarded.call("GET", "/routes", role="viewer", headers=headers)).status_code == 200


# -- other hosts -------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_without_tokens_this_host_is_served(address: str) -> None:
    async with admin_port(address=address) as admin:
        assert (await admin.weights()).status_code == 200


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "fe80::1%eth0", "2001:db8::1"])
async def test_without_tokens_no_other_host_is_served(address: str) -> None:
    async with admin_port(address=address) as admin:
        response = await admin.weights()
        assert (response.status_code, response.json()["type"]) == (403, FOREIGN)


async def test_tokens_that_a_reload_takes_away_open_the_port_to_nobody_else(
    guarded: Admin,
) -> None:
    far = guarded.client_at("10.0.0.7")
    assert (await guarded.call("GET", "/routes", role="viewer", client=far)).status_code == 200
    guarded.content = configuration()
    await guarded.plane.reload()
    assert (await guarded.call("GET", "/routes", client=far)).status_code == 403
    assert (await guarded.call("GET", "/routes")).status_code == 200
    await far.aclose()


# -- Origin, against other pages ---------------------------------------------------------------


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:8081", "HTTP://127.0.0.1:8081"],
)
async def test_a_page_of_this_port_may_change_something(admin: Admin, origin: str) -> None:
    response = await admin.weights(headers={"host": "127.0.0.1:8081", "origin": origin})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://127.0.0.1:9999",
        "http://127.0.0.1",
        "http://localhost:8081",
        "null",
        "",
        "http://[",
        "http://127.0.0.1:99999",
        "file://127.0.0.1:8081",
        "127.0.0.1:8081",
    ],
)
@pytest.mark.parametrize("role", [None, "operator"])
async def test_a_page_of_another_site_changes_nothing(
    admin: Admin, guarded: Admin, origin: str, role: str | None
) -> None:
    asked = admin if role is None else guarded
    before = await asked.everything()
    headers = {"host": "127.0.0.1:8081", "origin": origin}
    response = await asked.weights(role=role, headers=headers)
    assert (response.status_code, response.json()["type"]) == (403, FOREIGN)
    assert await asked.everything() == before


async def test_a_read_may_name_any_origin_and_no_page_gets_to_see_the_answer(admin: Admin) -> None:
    response = await admin.call("GET", "/routes", headers={"origin": "https://evil.example"})
    assert response.status_code == 200
    assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_a_preflight_allows_nothing(admin: Admin) -> None:
    headers = {"origin": "https://evil.example", "access-control-request-method": "PUT"}
    response = await admin.call("OPTIONS", "/routes/chat/weights", headers=headers)
    assert response.status_code == 204
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_default_ports_need_not_be_written() -> None:
    assert why_foreign("PUT", "router.example", "https://router.example") is None
    assert why_foreign("PUT", "router.example:443", "https://router.example") is None
    assert why_foreign("PUT", "router.example", "http://router.example:80") is None
    assert why_foreign("PUT", "router.example:8443", "https://router.example") is not None


def test_a_caller_on_a_unix_socket_is_on_this_host() -> None:
    assert why_exposed("localhost", None, "127.0.0.1") is None


# -- what else arrives -------------------------------------------------------------------------


async def test_a_websocket_is_closed_and_nobody_hears_of_a_fault(admin: Admin) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope: dict[str, Any] = {
        "type": "websocket",
        "path": f"{API}/events",
        "root_path": "",
        "headers": [],
        "query_string": b"",
    }
    await admin.app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_answers_are_kept_by_nobody_on_the_way(admin: Admin) -> None:
    answers: list[httpx.Response] = [
        await admin.call("GET", "/routes"),
        await admin.call("GET", "/nowhere"),
        await admin.call("GET", "/openapi.json"),
        await admin.weights(),
    ]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert {answer.headers["x-content-type-options"] for answer in answers} == {"nosniff"}
