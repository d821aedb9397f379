"""Where a request would go, and why; the request itself is neither kept nor told."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.admin import Admin, admin_port, configuration, fields_of, plain_route

pytestmark = pytest.mark.anyio


def sticky_route() -> dict[str, Any]:
    route = plain_route("chat", "v1", "v2")
    route["match"] = [{"path": "/v1/chat/completions", "model": "llama"}]
    route["versions"]["v1"]["model"] = "llama-0901"
    more = {
        "sticky": {"by": [{"header": "x-session-id"}, {"body": "user"}]},
        "headerRoutes": [{"header": "x-canary", "exact": "always", "version": "v2"}],
    }
    return route | more


async def ask(admin: Admin, **question: Any) -> dict[str, Any]:
    response = await admin.call("POST", "/explain", {"path": "/v1/chat/completions", **question})
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


async def test_a_request_that_takes_turns_is_told_its_shares(admin: Admin) -> None:
    await admin.weights(75, 25)
    answer = await ask(admin, path="/chat")
    assert (answer["generation"], answer["route"], answer["version"]) == (2, "chat", None)
    assert answer["shares"] == {"v1": 75.0, "v2": 25.0}
    assert answer["why"][-1] == "no sticky key: versions take turns by their weights"


async def test_header_routes_sticky_keys_and_models_are_told() -> None:
    async with admin_port(configuration(sticky_route())) as admin:
        by_header = await ask(admin, headers={"X-Canary": "always"}, body={"model": "llama"})
        assert (by_header["version"], by_header["upstreamModel"]) == ("v2", None)
        assert by_header["endpoints"] == ["http://10.0.0.2:8000"]
        by_key = await ask(admin, body={"model": "llama", "user": "u1"})
        assert (by_key["version"], by_key["upstreamModel"]) == ("v1", "llama-0901")
        assert "sticky key from body user" in " ".join(by_key["why"])


@pytest.mark.parametrize("body", ['{"model": "llama"}', {"model": "llama", "n": 0.5}])
async def test_a_body_is_text_or_json(body: Any) -> None:
    async with admin_port(configuration(sticky_route())) as admin:
        assert (await ask(admin, body=body))["route"] == "chat"


async def test_a_request_that_no_route_takes_is_told_why() -> None:
    async with admin_port(configuration(sticky_route())) as admin:
        nowhere = await ask(admin, path="/nowhere", method="get")
        assert (nowhere["route"], nowhere["why"]) == (None, ["no route takes GET /nowhere"])
        nobody = await ask(admin, body={"model": "gpt"})
        assert nobody["why"][-1] == "no route takes model gpt on this path"
        unread = await ask(admin, body="{not JSON")
        assert unread["route"] is None


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({}, "path"),
        ({"path": "chat"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": "/a\x00"}, "path"),
        ({"path": "/" * 8_193}, "path"),
        ({"path": "/chat", "method": "GE T"}, "method"),
        ({"path": "/chat", "method": ""}, "method"),
        ({"path": "/chat", "headers": {"a b": "c"}}, "headers"),
        ({"path": "/chat", "headers": {"a": 5}}, "headers.a"),
        ({"path": "/chat", "headers": []}, "headers"),
        ({"path": "/chat", "reason": "x"}, "reason"),
    ],
)
async def test_a_question_that_makes_no_sense_names_the_field(
    admin: Admin, question: dict[str, Any], field: str
) -> None:
    assert list(fields_of(await admin.call("POST", "/explain", question))) == [field]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
async def test_a_body_that_json_cannot_say_is_refused(admin: Admin, number: str) -> None:
    raw = f'{{"path": "/chat", "body": {{"n": {number}}}}}'.encode()
    assert list(fields_of(await admin.call("POST", "/explain", raw=raw))) == ["body"]


async def test_a_question_changes_nothing_and_is_kept_nowhere(
    admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    before = await admin.everything()
    with caplog.at_level(logging.DEBUG):
        answer = await ask(
            admin, path="/chat", headers={"authorization": "hunter2"}, body={"prompt": "hunter2"}
        )
    assert await admin.everything() == before
    assert "hunter2" not in caplog.text + str(answer)


async def test_a_wrong_header_is_named_and_its_value_is_not_shown(admin: Admin) -> None:
    question = {"path": "/chat", "headers": {"x-key ": "hunter2"}}
    response = await admin.call("POST", "/explain", question)
    assert "hunter2" not in response.text
    assert "x-key " in response.text
