"""The Prometheus provider against a server that says what Prometheus says."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.http import Clients
from router.analysis.providers.prometheus import MAX_ANSWER_BYTES, MAX_VALUES, Prometheus
from tests.support.raw import message
from tests.support.upstreams import Call, Replies, Upstream, Upstreams, saying, started_upstreams

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-value"
NOW = 1_700_000_000.0
SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=NOW - 60, now_s=NOW)


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


def success(kind: str, result: Any) -> Replies:
    return telling({"status": "success", "data": {"resultType": kind, "result": result}})


def telling(body: Any, status: str = "200 OK") -> Replies:
    async def reply(call: Call) -> None:
        await call.answer_json(body, status=status)

    return reply


def vector(*values: str) -> Replies:
    return success("vector", [{"metric": {"a": "b"}, "value": [NOW, value]} for value in values])


async def measure(
    clients: Clients, server: Upstream, default: dict[str, Any] | None = None, **settings: Any
) -> Reading:
    metric = {"address": server.url, "query": "up", **settings}
    return await Prometheus(clients, default).measure(metric, SUBJECT)


async def refusal(clients: Clients, server: Upstream, **settings: Any) -> str:
    with pytest.raises(ProviderError) as caught:
        await measure(clients, server, **settings)
    text = str(caught.value)
    assert "\n" not in text
    return text


async def test_a_scalar_is_a_number(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("p", success("scalar", [NOW, "0.25"]))
    assert await measure(clients, server) == Reading(value=0.25)


async def test_a_vector_is_a_list_of_numbers(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("p", vector("1", "+Inf", "-Inf", "1e-3"))
    assert (await measure(clients, server)).value == [1.0, math.inf, -math.inf, 0.001]


async def test_a_matrix_is_the_list_of_all_its_numbers(
    clients: Clients, upstreams: Upstreams
) -> None:
    series = [{"metric": {}, "values": [[1, "1"], [2, "2"]]}, {"metric": {}, "values": [[1, "3"]]}]
    server = await upstreams.start("p", success("matrix", series))
    assert await measure(clients, server) == Reading(value=[1.0, 2.0, 3.0])


async def test_an_empty_vector_is_no_data(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("p", vector())
    assert await measure(clients, server) == Reading(value=[], no_data=True)


async def test_nothing_but_nan_is_no_data_and_stays_what_it_is(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p", vector("NaN", "NaN"))
    reading = await measure(clients, server)
    assert reading.no_data
    assert [math.isnan(value) for value in reading.value] == [True, True]


async def test_a_scalar_nan_is_no_data(clients: Clients, upstreams: Upstreams) -> None:
    reading = await measure(clients, await upstreams.start("p", success("scalar", [NOW, "NaN"])))
    assert reading.no_data
    assert math.isnan(reading.value)


async def test_a_nan_beside_a_number_is_data(clients: Clients, upstreams: Upstreams) -> None:
    server = await upstreams.start("p", vector("NaN", "1"))
    assert not (await measure(clients, server)).no_data


async def test_a_query_is_posted_as_it_is_to_the_address_with_its_path(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p", vector("1"))
    query = 'sum(rate(x{a="ü+&="}[5m]))'
    await measure(clients, server, address=f"{server.url}/prom/", query=f"{query}\n")
    request = server.requests[0]
    assert request.raw.startswith(b"POST ")
    assert request.target == "/prom/api/v1/query"
    assert parse_qs(request.body.decode()) == {"query": [query]}
    assert request.field("content-type") == "application/x-www-form-urlencoded"


async def test_a_range_query_has_times_made_of_its_expressions(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p", success("matrix", []))
    span = {"start": 'now() - duration("5m")', "end": "now()", "step": "1m"}
    assert (await measure(clients, server, rangeQuery=span)).no_data
    request = server.requests[0]
    form = parse_qs(request.body.decode())
    assert request.target == "/api/v1/query_range"
    assert [float(form[name][0]) for name in ("start", "end", "step")] == [NOW - 300, NOW, 60]


async def test_an_expression_of_time_that_is_none_is_named(
    clients: Clients, upstreams: Upstreams
) -> None:
    span = {"start": "yesterday(", "end": "now()", "step": "1m"}
    text = await refusal(clients, await upstreams.start("p", vector()), rangeQuery=span)
    assert text.startswith("rangeQuery.start: ")


async def test_a_refused_query_says_why_in_prometheus_words(
    clients: Clients, upstreams: Upstreams
) -> None:
    said = 'invalid parameter "query": 1:5: parse error: unexpected <by>'
    body = {"status": "error", "errorType": "bad_data", "error": said}
    server = await upstreams.start("p", telling(body, "422 Unprocessable Entity"))
    assert await refusal(clients, server) == (
        f"{server.url} refuses the query (HTTP 422): bad_data: {said}"
    )


async def test_credentials_are_not_in_an_error_that_a_server_echoes(
    clients: Clients, upstreams: Upstreams
) -> None:
    body = {"status": "error", "errorType": "x", "error": f"who is Bearer {SECRET}?\nand {SECRET}"}
    server = await upstreams.start("p", telling(body, "401 Unauthorized"))
    text = await refusal(
        clients,
        server,
        authentication={"bearer": {"token": SECRET}},
        headers=[{"key": "X-Scope-OrgID", "value": SECRET}],
    )
    assert SECRET not in text
    assert server.requests[0].field("authorization") == f"Bearer {SECRET}"
    assert server.requests[0].field("x-scope-orgid") == SECRET


async def test_userinfo_of_the_address_authenticates_and_is_not_told(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p", telling({}, "500 Internal Server Error"))
    address = server.url.replace("http://", f"http://user:{SECRET}@")
    assert SECRET not in await refusal(clients, server, address=address)
    assert (server.requests[0].field("authorization") or "").startswith("Basic ")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b'{"status": "succ', "does not answer as Prometheus does"),
        (b"<html>login</html>", "does not answer as Prometheus does"),
        (b"[]", "does not answer as Prometheus does"),
        (b"\xff\xfe", "does not answer as Prometheus does"),
        (b"[" * 100_000, "does not answer as Prometheus does"),
        (b'{"status":"success"}', "refuses the query"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1]}}', "that are none"),
        (b'{"status":"success","data":{"resultType":"scalar","result":[1,"x"]}}', "that are none"),
        (b'{"status":"success","data":{"resultType":"vector","result":{}}}', "that are none"),
        (b'{"status":"success","data":{"resultType":"string","result":[1,"x"]}}', "gives a string"),
        (
            b'{"status":"success","data":{"resultType":"vector","result":[{"histogram":[1,{}]}]}}',
            "native histograms",
        ),
    ],
)
async def test_an_answer_that_is_no_number_is_an_error(
    clients: Clients, upstreams: Upstreams, answer: bytes, word: str
) -> None:
    head = f"Content-Length: {len(answer)}"
    server = await upstreams.start("p", saying(message("HTTP/1.1 200 OK", head, body=answer)))
    assert word in await refusal(clients, server)


async def test_a_gateways_error_page_is_told_by_its_status(
    clients: Clients, upstreams: Upstreams
) -> None:
    answer = message("HTTP/1.1 502 Bad Gateway", "Content-Length: 6", body=b"<html>")
    server = await upstreams.start("p", saying(answer))
    assert await refusal(clients, server) == f"{server.url} answers HTTP 502"


async def test_an_answer_beyond_the_bound_is_an_error(
    clients: Clients, upstreams: Upstreams
) -> None:
    async def flooding(call: Call) -> None:
        await call.start()
        while True:
            await call.send_chunk(b" " * 500_000)
            await asyncio.sleep(0)

    text = await refusal(clients, await upstreams.start("p", flooding))
    assert f"more than {MAX_ANSWER_BYTES} bytes" in text


async def test_more_values_than_anybody_looks_at_are_an_error(
    clients: Clients, upstreams: Upstreams
) -> None:
    values = [[1, "1"]] * (MAX_VALUES + 1)
    server = await upstreams.start("p", success("matrix", [{"metric": {}, "values": values}]))
    assert "aggregate" in await refusal(clients, server)


async def test_a_slow_server_is_given_up_after_the_metrics_timeout(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p")
    assert "did not answer in 0.05 s" in await refusal(clients, server, timeout="50ms")


async def test_a_template_without_an_address_asks_the_default_server(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p", vector("1"))
    default = {"address": server.url, "authentication": {"bearer": {"token": SECRET}}}
    for settings in ({"query": "up"}, {"query": "up", "address": ""}):
        assert (await Prometheus(clients, default).measure(settings, SUBJECT)).value == [1.0]
    assert server.requests[1].field("authorization") == f"Bearer {SECRET}"


async def test_the_default_servers_credentials_go_to_no_other_address(
    clients: Clients, upstreams: Upstreams
) -> None:
    server = await upstreams.start("p", vector("1"))
    default = {"address": "http://else", "authentication": {"bearer": {"token": SECRET}}}
    await measure(clients, server, default)
    assert server.requests[0].field("authorization") is None


async def test_without_any_address_the_remedy_is_named(clients: Clients) -> None:
    with pytest.raises(ProviderError, match="give the provider's `address`"):
        await Prometheus(clients).measure({"query": "up"}, SUBJECT)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "query is missing"),
        ({"query": " "}, "query: string should have at least 1 character"),
        ({"query": "up", "adress": "http://p"}, "adress is not a field of this provider"),
        ({"query": "up", "address": "prometheus:9090"}, "address: is no http:// or https:// URL"),
        ({"query": "up", "timeout": "soon"}, 'timeout: time: invalid duration "soon"'),
        ({"query": "up", "timeout": 301}, "timeout: input should be less than or equal to 300"),
        (
            {"query": "up", "headers": [{"key": "a b", "value": "x"}]},
            "headers[0].key: is no",
        ),
        (
            {"query": "up", "headers": [{"key": "a", "value": f"{SECRET}\n"}, {"key": "b"}]},
            "headers[1].value is missing",
        ),
        ({"query": "up", "rangeQuery": {"start": "now()", "end": "now()"}}, "rangeQuery.step"),
        (
            {"query": "up", "authentication": {"oauth2": {"clientId": "x"}}},
            "oauth2 is not",
        ),
        ({"query": "up", "authentication": {"bearer": {}}}, "exactly one of token, tokenEnv"),
        (
            {
                "query": "up",
                "authentication": {
                    "bearer": {"token": SECRET},
                    "basic": {"username": "u", "password": SECRET},
                },
            },
            "basic or bearer",
        ),
    ],
)
def test_what_is_wrong_with_settings_is_known_before_any_query(
    settings: dict[str, Any], problem: str
) -> None:
    problems = Prometheus(Clients(), {"address": "http://default"}).check(settings)
    assert any(problem in each for each in problems)
    assert SECRET not in "".join(problems)


def test_a_missing_address_is_known_before_any_query() -> None:
    assert len(Prometheus(Clients()).check({"query": "up"})) == 1
    assert Prometheus(Clients()).check({"query": "up", "address": "http://p"}) == []


def test_places_of_arguments_are_not_judged_before_they_are_filled() -> None:
    settings = {
        "address": "{{args.address}}",
        "query": 'up{a="{{args.version}}"}',
        "timeout": "{{args.timeout}}",
        "authentication": {"sigv4": {}, "bearer": {"token": "{{args.token}}"}},
    }
    assert Prometheus(Clients()).check(settings) == []


@pytest.mark.parametrize("body", [json.dumps({"status": "success", "data": None}).encode()])
async def test_success_without_data_is_an_error(
    clients: Clients, upstreams: Upstreams, body: bytes
) -> None:
    answer = message("HTTP/1.1 200 OK", f"Content-Length: {len(body)}", body=body)
    assert "refuses" in await refusal(clients, await upstreams.start("p", saying(answer)))
