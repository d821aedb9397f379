"""What is told about a request is what the data plane does with it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from router.app import create_app
from router.config import Config, compile_snapshot
from router.controller.explain import Explanation, Request, explain
from tests.support.engines import engine_in_loop
from tests.support.routers import document

CONFIG = {
    "name": "chat",
    "match": [{"path": "/v1/chat/completions", "model": "llama"}],
    "release": "v2",
    "versions": {
        "v1": {"endpoints": ["http://10.0.0.1:8000"]},
        "v2": {"endpoints": ["http://10.0.0.2:8000"], "model": "llama-0901"},
    },
    "initialWeights": {"v1": 60, "v2": 40},
    "headerRoutes": [{"header": "x-canary", "exact": "always", "version": "v2"}],
    "sticky": {"by": [{"header": "x-session"}, {"body": "user"}]},
}
CHAT = {"model": "llama", "messages": []}


def config(*urls: str) -> Config:
    endpoints = {name: {"endpoints": [url]} for name, url in zip(("v1", "v2"), urls, strict=False)}
    versions = {name: CONFIG["versions"][name] | endpoints.get(name, {}) for name in ("v1", "v2")}
    return Config.model_validate(document(CONFIG | {"versions": versions}))


def ask(path: str = "/v1/chat/completions", **how: Any) -> Explanation:
    body = json.dumps(CHAT | how.pop("more", {})).encode()
    return explain(compile_snapshot(config(), 1), Request(path, **{"body": body, **how}))


def test_without_a_key_the_shares_are_told() -> None:
    told = ask()
    assert (told.route, told.version, told.shares) == ("chat", None, {"v2": 40, "v1": 60})
    assert told.why[0] == "the body asks for model llama"


def test_a_header_route_names_the_version_and_its_endpoints() -> None:
    told = ask(headers={"X-Canary": "always"})
    assert (told.version, told.endpoints) == ("v2", ("http://10.0.0.2:8000",))
    assert told.upstream_model == "llama-0901"
    assert "a header route sends requests with x-canary to v2" in told.why


def test_a_sticky_key_is_told_by_its_place_and_bucket_and_never_by_its_value() -> None:
    told = ask(more={"user": "alice@example.org"})
    assert told.version in ("v1", "v2")
    assert any("sticky key from body user: bucket" in reason for reason in told.why)
    assert not any("alice" in reason for reason in told.why)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"path": "/nowhere"}, "no route takes POST /nowhere"),
        ({"body": b""}, "this path needs a model in the request"),
        ({"more": {"model": "gpt"}}, "no route takes model gpt on this path"),
        ({"body": b"{"}, "this path needs a model in the request"),
    ],
)
def test_a_refused_request_is_told_why(how: dict[str, Any], reason: str) -> None:
    told = ask(**how)
    assert told.route is None
    assert told.why[-1] == reason


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "more"),
    [
        ({"x-canary": "always"}, {}),
        *[({"x-session": f"session {number}"}, {}) for number in range(8)],
        *[({}, {"user": f"user {number}"}) for number in range(8)],
    ],
)
async def test_the_data_plane_does_what_was_told(
    headers: dict[str, str], more: dict[str, str]
) -> None:
    async with engine_in_loop(name="v1") as one, engine_in_loop(name="v2") as two:
        served = config(*(f"http://127.0.0.1:{engine.port}" for engine in (one, two)))
        app = create_app(served)
        await app.start()
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://router") as client:
            answer = await client.post("/v1/chat/completions", json=CHAT | more, headers=headers)
        await app.close()
    assert answer.headers["x-model-version"] == ask(headers=headers, more=more).version
