"""Head fields: what is forwarded as it came, what is replaced, what is stripped, what is added."""

from __future__ import annotations

import pytest

from router.snapshot import HeaderCondition, HeaderMatch, HeaderRoute
from tests.support.dataplanes import RunningDataPlane, canary, endpoint, route, version
from tests.support.raw import RawClient, get, message, post
from tests.support.upstreams import Upstream, Upstreams, naming, saying


async def seen_by(v1: Upstream, client: RawClient, request: bytes) -> dict[str, list[str]]:
    """Send a request; give the fields that the model server sees."""
    v1.replies = naming("v1")
    assert (await client.ask(request)).status == 200
    head = v1.requests[-1].head
    return {name: head.all(name) for name in head.names}


# -- as it came --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/v1/x?a=1&b=%20&a=2&c",
        "/a//b/../c/./d;p=1",
        "/%41%2f%2F%00%ff?q=%2",
        '/x?q=a+b&r={}|\\^`"<>',
        "/v1/models/meta-llama%2FLlama-3@main:predict?x=/../",
        "/x?a?b??c",
        "/" + "y" * 4000 + "?" + "z" * 3900,
    ],
)
async def test_path_and_query_arrive_byte_for_byte(
    client: RawClient, v1: Upstream, target: str
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get(target))).status == 200
    assert v1.requests[0].target == target


async def test_a_lone_question_mark_stays(client: RawClient, v1: Upstream) -> None:
    v1.replies = naming("v1")
    await client.ask(get("/x?"))
    assert v1.requests[0].target == "/x?"


async def test_the_base_path_of_an_endpoint_stands_before_the_path(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named()
    router.install(route("chat", version("v1", endpoint(v1, base_path="/engines/one"))))
    await client.ask(get("/v1/x?q=1"))
    assert v1.requests[0].target == "/engines/one/v1/x?q=1"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_methods_are_passed_on(client: RawClient, v1: Upstream, method: str) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get("/x", method=method))).status == 200
    assert v1.requests[0].head.method == method


async def test_unknown_methods_are_passed_on(client: RawClient, v1: Upstream) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get("/x", method="FETCH"))).status == 200
    assert v1.requests[0].head.method == "FETCH"


async def test_duplicate_request_fields_arrive_in_their_order(
    client: RawClient, v1: Upstream
) -> None:
    fields = await seen_by(v1, client, get("/", "X-A: 1", "X-B: x", "X-A: 2", "Cookie: a=1; b=2"))
    assert fields["x-a"] == ["1", "2"]
    assert fields["cookie"] == ["a=1; b=2"]


async def test_ordinary_fields_arrive_unchanged(client: RawClient, v1: Upstream) -> None:
    fields = await seen_by(
        v1,
        client,
        get(
            "/",
            "Authorization: Bearer sk-1",
            "Accept: text/event-stream",
            "traceparent: 00-1-2-01",
            "tracestate: a=b",
            "X-Latin: caf\xe9",
            "X-Empty:",
            "Accept-Encoding: gzip",
        ),
    )
    assert fields["authorization"] == ["Bearer sk-1"]
    assert fields["accept"] == ["text/event-stream"]
    assert fields["traceparent"] == ["00-1-2-01"]
    assert fields["tracestate"] == ["a=b"]
    assert fields["x-latin"] == ["caf\xe9"]
    assert fields["x-empty"] == [""]
    assert fields["accept-encoding"] == ["gzip"]


async def test_duplicate_answer_fields_are_kept(client: RawClient, v1: Upstream) -> None:
    v1.replies = saying(
        message(
            "HTTP/1.1 200 OK",
            "Set-Cookie: a=1; Path=/",
            "Content-Length: 0",
            "Set-Cookie: b=2",
            "Warning: one",
            "Warning: two",
        )
    )
    head = (await client.ask(get())).head
    assert head.all("set-cookie") == ["a=1; Path=/", "b=2"]
    assert head.all("warning") == ["one", "two"]


# -- replaced or stripped ----------------------------------------------------------------------


async def test_hop_by_hop_fields_are_not_passed_on(client: RawClient, v1: Upstream) -> None:
    fields = await seen_by(
        v1,
        client,
        get(
            "/",
            "Connection: X-Private, keep-alive",
            "X-Private: 1",
            "Keep-Alive: timeout=5",
            "TE: trailers",
            "Trailer: X-T",
            "Upgrade: h2c",
            "Proxy-Connection: keep-alive",
            "Proxy-Authorization: Basic x",
            "X-Public: 1",
        ),
    )
    assert fields["x-public"] == ["1"]
    assert not fields.keys() & {
        "connection",
        "x-private",
        "keep-alive",
        "trailer",
        "upgrade",
        "proxy-connection",
        "proxy-authorization",
    }
    assert fields.get("te", ["trailers"]) == ["trailers"]


async def test_hop_by_hop_fields_of_an_answer_are_not_passed_on(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = saying(
        message(
            "HTTP/1.1 200 OK",
            "Connection: X-Private, keep-alive",
            "X-Private: 1",
            "Keep-Alive: timeout=5",
            "Upgrade: h2c",
            "Proxy-Connection: keep-alive",
            "Content-Length: 0",
            "X-Public: 1",
        )
    )
    names = (await client.ask(get())).head.names
    assert "x-public" in names
    assert not names & {"x-private", "keep-alive", "upgrade", "proxy-connection", "connection"}


async def test_what_a_client_says_of_its_origin_is_replaced(
    client: RawClient, v1: Upstream
) -> None:
    fields = await seen_by(
        v1,
        client,
        get(
            "/",
            "X-Forwarded-For: 6.6.6.6",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.test",
            "X-Forwarded-Client-Cert: Hash=1",
            "Forwarded: for=6.6.6.6",
        ),
    )
    assert fields["x-forwarded-for"] == ["127.0.0.1"]
    assert fields["x-forwarded-proto"] == ["http"]
    assert not fields.keys() & {"x-forwarded-client-cert", "forwarded"}
    assert fields.get("x-forwarded-host") != ["evil.test"]
    assert fields["via"] == ["1.1 inference-router"]


async def test_a_request_that_another_router_has_passed_on_is_answered(
    client: RawClient, v1: Upstream
) -> None:
    sent = get("/", "Via: 1.1 inference-router-1a2b3c4d (of inference-router), 1.0 x")
    await client.send(sent)
    await (await v1.next_call()).answer()
    assert (await client.read_answer()).status == 200


async def test_a_request_that_was_here_before_is_refused(client: RawClient, v1: Upstream) -> None:
    answer = await client.ask(get("/", "Via: 1.1 other, 1.1 inference-router"))
    assert (answer.status, answer.error["code"]) == (508, "loop_detected")
    assert v1.requests == []


async def test_control_fields_are_stripped(client: RawClient, v1: Upstream) -> None:
    fields = await seen_by(
        v1,
        client,
        get(
            "/",
            "X-Model-Version: v9",
            "X-Router-Route: other",
            "X-Router-Generation: 9",
            "X-Router-Debug: 1",
            "X-Shadow: 1",
        ),
    )
    assert not [name for name in fields if name.startswith(("x-router", "x-model", "x-shadow"))]


async def test_a_field_that_steers_the_router_is_not_forwarded(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    condition = HeaderCondition(name="x-canary", match=HeaderMatch.EXACT, value="always")
    router.install(
        route(
            "chat",
            canary("v2", v2, weight=0),
            version("v1", v1),
            header_routes=(HeaderRoute(conditions=(condition,), version="v2"),),
        )
    )
    assert (await client.ask(get("/", "X-Canary: always", "X-Other: 1"))).json()["server"] == "v2"
    assert v2.requests[0].field("x-canary") is None
    assert v2.requests[0].field("x-other") == "1"
    assert (await client.ask(get("/", "X-Canary: never"))).json()["server"] == "v1"
    assert v1.requests[0].field("x-canary") is None


async def test_an_address_gets_the_host_that_the_client_named(
    client: RawClient, v1: Upstream
) -> None:
    fields = await seen_by(v1, client, get())
    assert fields["host"] == ["router.test"]


async def test_a_named_server_gets_its_own_name_as_host(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named()
    named = endpoint(v1, host="localhost", url=f"http://localhost:{v1.port}")
    router.install(route("chat", version("v1", named)))
    await client.ask(get())
    assert v1.requests[0].field("host") == f"localhost:{v1.port}"


async def test_the_authority_of_an_absolute_target_replaces_host(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    await client.ask(get("http://other.test:81/path?q=1"))
    assert v1.requests[0].target == "/path?q=1"
    assert v1.requests[0].field("host") == "other.test:81"


# -- added -------------------------------------------------------------------------------------


async def test_an_answer_tells_who_gave_it(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named()
    router.install(route("chat", version("v1", v1)), generation=17)
    answer = await client.ask(get())
    assert answer.field("x-model-version") == "v1"
    assert answer.field("x-router-route") == "chat"
    assert answer.field("x-router-generation") == "17"


async def test_what_a_model_server_says_in_the_routers_name_is_replaced(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = saying(
        message(
            "HTTP/1.1 200 OK",
            "X-Model-Version: v9",
            "X-Router-Route: other",
            "X-Router-Generation: 99",
            "X-Router-Extra: 1",
            "X-Request-Id: theirs",
            "Content-Length: 0",
        )
    )
    head = (await client.ask(get("/", "X-Request-Id: mine"))).head
    assert head.all("x-model-version") == ["v1"]
    assert head.all("x-router-route") == ["chat"]
    assert head.all("x-router-generation") == ["1"]
    assert head.all("x-request-id") == ["mine"]
    assert "x-router-extra" not in head.names


async def test_a_request_id_is_accepted_forwarded_and_echoed(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    answer = await client.ask(get("/", "X-Request-Id: req-123/abc"))
    assert answer.field("x-request-id") == "req-123/abc"
    assert v1.requests[0].field("x-request-id") == "req-123/abc"


async def test_a_missing_request_id_is_made_and_never_twice(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    answers = [await client.ask(get()) for _ in range(10)]
    made = [answer.field("x-request-id") for answer in answers]
    assert made == [request.field("x-request-id") for request in v1.requests]
    assert len(set(made)) == 10


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "caf\xe9"])
async def test_a_request_id_that_is_not_bounded_and_printable_is_replaced(
    client: RawClient, v1: Upstream, given: str
) -> None:
    v1.replies = naming("v1")
    answer = await client.ask(get("/", f"X-Request-Id: {given}"))
    made = answer.field("x-request-id")
    assert made
    assert made != given
    assert v1.requests[0].field("x-request-id") == made


async def test_each_request_of_a_connection_has_the_fields_of_its_own_head(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    for number in range(6):
        request = post(f"/{number % 2}", b"x" * number, f"X-Number: {number % 3}")
        answer = await client.ask(request)
        assert answer.json()["echo"] == "x" * number
        seen = v1.requests[-1]
        assert (seen.target, seen.field("x-number")) == (f"/{number % 2}", str(number % 3))
        assert answer.field("x-request-id") == seen.field("x-request-id")


async def test_an_error_of_the_router_tells_request_and_generation(
    router: RunningDataPlane, client: RawClient
) -> None:
    router.install(generation=5)
    answer = await client.ask(get("/nowhere", "X-Request-Id: mine"))
    assert answer.status == 404
    assert answer.field("x-request-id") == "mine"
    assert answer.field("x-router-generation") == "5"
    assert answer.field("x-model-version") is None
