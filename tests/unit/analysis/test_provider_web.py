"""The web provider against services that answer well, badly, or with something else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.http import Clients
from router.analysis.providers.web import MAX_ANSWER_BYTES, Web
from tests.support.raw import message
from tests.support.upstreams import Replies, Upstream, Upstreams, saying, started_upstreams

pytestmark = pytest.mark.anyio

SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=60.0)
DOCUMENT = {"data": {"ok": True, "n": 2, "none": None}, "items": [{"v": 1}, {"v": 2.5}]}


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def upstreams() -> AsyncIterator[Upstreams]:
    async with started_upstreams() as started:
        yield started


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    made = Clients()
    yield made
    await made.aclose()


def body(content: bytes, status: str = "200 OK") -> Replies:
    return saying(message(f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", body=content))


async def measure(clients: Clients, server: Upstream, **settings: Any) -> Reading:
    return await Web(clients).measure({"url": f"{server.url}/q?a=b", **settings}, SUBJECT)


async def refusal(clients: Clients, server: Upstream, **settings: Any) -> str:
    with pytest.raises(ProviderError) as caught:
        await measure(clients, server, **settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("{$.data.ok}", True),
        ("{$.data.n}", 2),
        ("{$.data}", DOCUMENT["data"]),
        ("{$.items[*].v}", 1),
        ("{$}", DOCUMENT),
        ("{$.data.none}", None),
    ],
)
async def test_a_path_leads_to_the_value(
    clients: Clients, upstreams: Upstreams, path: str, value: Any
) -> None:
    server = await upstreams.start("w", body(json.dumps(DOCUMENT).encode()))
    assert await measure(clients, server, jsonPath=path) == Reading(value=value)


async def test_numbers_are_floating_point_as_in_argo(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("w", body(b'{"n": 2}'))
    reading = await measure(clients, server, jsonPath="{$.n}")
    assert isinstance(reading.value, float)


async def test_without_a_path_the_result_is_the_document(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("w", body(b'{"a": [1, null]}'))
    assert await measure(clients, server) == Reading(value={"a": [1, None]})


@pytest.mark.parametrize("path", ["{$.data.missing}", "{$.items[7].v}", "{$.data[*].x}"])
async def test_a_path_that_leads_nowhere_is_no_data(
    clients: Clients, upstreams: Upstreams, path: str
) -> None:
    server = await upstreams.start("w", body(json.dumps(DOCUMENT).encode()))
    assert await measure(clients, server, jsonPath=path) == Reading(value=None, no_data=True)


@pytest.mark.parametrize("text", ["OK", "", '{"a": ', "NaN"])
async def test_what_is_no_json_is_its_text(
    clients: Clients, upstreams: Upstreams, text: str
) -> None:
    server = await upstreams.start("w", body(text.encode()))
    assert await measure(clients, server) == Reading(value=text)


async def test_json_that_is_nested_too_deeply_is_an_error(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("w", body(b"[" * 500_000))
    assert "nested" in await refusal(clients, server)


@pytest.mark.parametrize("status", ["300 Multiple Choices", "301 Moved", "404 No", "500 Broken"])
async def test_a_status_that_is_not_2xx_is_an_error(
    clients: Clients, upstreams: Upstreams, status: str
) -> None:
    server = await upstreams.start("w", body(b'{"a": 1}', status))
    assert await refusal(clients, server) == f"{server.url} answers HTTP {status[:3]}"


async def test_an_answer_of_more_than_a_mebibyte_is_an_error(
    clients: Clients, upstreams: Upstreams
) -> None:
    exact = await upstreams.start("w", body(b"x" * MAX_ANSWER_BYTES))
    assert len((await measure(clients, exact)).value) == MAX_ANSWER_BYTES
    longer = await upstreams.start("w", body(b"x" * (MAX_ANSWER_BYTES + 1)))
    assert "more than 1048576 bytes" in await refusal(clients, longer)


async def test_a_slow_service_is_given_up(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("w")
    assert "did not answer in 0.05 s" in await refusal(clients, server, timeoutSeconds="0.05")


async def test_a_get_has_the_headers_and_the_query(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("w", body(b"1"))
    await measure(clients, server, headers=[{"key": "X-A", "value": "b"}, {"key": "N", "value": 1}])
    request = server.requests[0]
    assert request.target == "/q?a=b"
    assert (request.field("x-a"), request.field("n")) == ("b", "1")


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_json_body_is_sent_as_json(
    clients: Clients, upstreams: Upstreams, method: str
) -> None:
    server = await upstreams.start("w", body(b"1"))
    await measure(clients, server, method=method, jsonBody={"a": [1]})
    request = server.requests[0]
    assert request.raw.startswith(method.encode())
    assert request.json() == {"a": [1]}
    assert request.field("content-type") == "application/json"


async def test_a_body_is_sent_as_it_is(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("w", body(b"1"))
    headers = [{"key": "Content-Type", "value": "text/x"}]
    await measure(clients, server, method="POST", body="é=1", headers=headers)
    assert server.requests[0].body == "é=1".encode()
    assert server.requests[0].field("content-type") == "text/x"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "url is missing"),
        ({"url": "/relative"}, "url: is no http:// or https:// URL"),
        ({"url": "http://h:99999/"}, "url: is no http:// or https:// URL"),
        ({"url": "http://h", "method": "DELETE"}, "method: input should be"),
        ({"url": "http://h", "body": "x"}, "a GET has no body"),
        ({"url": "http://h", "method": "POST", "body": "x", "jsonBody": {}}, "not both"),
        ({"url": "http://h", "jsonPath": "{$..x}"}, "jsonPath: recursion"),
        ({"url": "http://h", "timeoutSeconds": -1}, "timeoutSeconds: "),
        ({"url": "http://h", "headers": {"a": "b"}}, "headers: "),
        (
            {"url": "http://h", "headers": [{"key": "Content-Length", "value": "1"}]},
            "cannot be set",
        ),
    ],
)
def test_what_is_wrong_with_settings_is_known_before_any_request(
    settings: dict[str, Any], problem: str
) -> None:
    assert any(problem in each for each in Web(Clients()).check(settings))


def test_what_argo_takes_is_taken() -> None:
    settings = {
        "url": "https://h/{{args.path}}",
        "method": "",
        "timeoutSeconds": 0,
        "jsonPath": "{$.{{args.field}}}",
        "headers": [{"key": "Authorization", "value": "Bearer {{ args.token }}"}],
    }
    assert Web(Clients()).check(settings) == []
