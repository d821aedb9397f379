"""Requests that are refused: what the client is told, and that nobody else sees them."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from router.snapshot import Limits, Rule
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import (
    Answer,
    BrokenMessageError,
    RawClient,
    chunk,
    chunked_post,
    get,
    message,
    post,
)
from tests.support.upstreams import Call, Upstream, Upstreams, naming

CHAT: Final = "/v1/chat/completions"
SMUGGLED: Final = get("/smuggled")


async def refused(client: RawClient) -> Answer:
    """The error answer of a connection that is closed behind it."""
    answer = await client.read_answer()
    assert answer.status >= 400
    assert answer.field("connection") == "close"
    assert await client.read_to_end() == b""
    return answer


# -- what is not HTTP --------------------------------------------------------------------------


def request(*fields: str, line: str = "GET /x HTTP/1.1", host: bool = True) -> bytes:
    return message(line, *(["Host: router.test"] if host else []), *fields)


def post_with(*fields: str, body: bytes = b"") -> bytes:
    return message("POST /x HTTP/1.1", "Host: router.test", *fields, body=body)


MALFORMED: Final[dict[str, tuple[bytes, int]]] = {
    "no HTTP": (b"nonsense\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no version": (b"GET /x\r\nHost: a\r\n\r\n", 400),
    "two spaces": (request(line="GET  /x HTTP/1.1"), 400),
    "space in the target": (request(line="GET /x y HTTP/1.1"), 400),
    "control character in the target": (request(line="GET /x\x01 HTTP/1.1"), 400),
    "byte above ASCII in the target": (request(line="GET /x\xe9 HTTP/1.1"), 400),
    "method is no token": (request(line="G(T /x HTTP/1.1"), 400),
    "target without a slash": (request(line="GET x HTTP/1.1"), 400),
    "asterisk without OPTIONS": (request(line="GET * HTTP/1.1"), 400),
    "lower-case version": (request(line="GET /x http/1.1"), 400),
    "bare LF everywhere": (request().replace(b"\r\n", b"\n"), 400),
    "bare LF within": (b"GET /x HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n", 400),
    "bare CR within": (b"GET /x HTTP/1.1\r\nHost: a\rX-A: 1\r\n\r\n", 400),
    "NUL in a value": (request("X-A: a\x00b"), 400),
    "folded": (b"GET /x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n folded\r\n\r\n", 400),
    "nameless": (request(": value"), 400),
    "no colon": (request("X-A"), 400),
    "space before colon": (request("X-A : 1"), 400),
    "space in a name": (request("X A: 1"), 400),
    "no host": (request(host=False), 400),
    "two hosts": (request("Host: other.test"), 400),
    "host is no host": (request("Host: a/b", host=False), 400),
    "host with user": (request("Host: user@a", host=False), 400),
    "two lengths": (post_with("Content-Length: 4", "Content-Length: 5", body=b"body1"), 400),
    "list of lengths": (post_with("Content-Length: 4, 4", body=b"body"), 400),
    "negative length": (post_with("Content-Length: -1"), 400),
    "length with a plus": (post_with("Content-Length: +4", body=b"body"), 400),
    "length with an underscore": (post_with("Content-Length: 1_0", body=b"0123456789"), 400),
    "length beyond all bounds": (post_with("Content-Length: " + "9" * 40), 400),
    "chunked is not last": (post_with("Transfer-Encoding: chunked, identity"), 400),
    "chunked twice": (
        post_with("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        400,
    ),
    "chunked with vertical tab": (
        post_with("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"), 400
    ),
    "chunked in 1.0": (
        message("POST /x HTTP/1.0", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400
    ),
    "connection names host": (request("Connection: Host"), 400),
    "connection names the length": (
        post_with("Connection: Content-Length", "Content-Length: 1", body=b"x"), 400
    ),
    "connection names too much": (
        request("Connection: " + ",".join(f"x{n}" for n in range(11))), 400
    ),
}  # fmt: skip

LIMITS: Final[dict[str, tuple[bytes, int]]] = {
    "unknown coding": (post_with("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), 501),
    "connect": (request(line="CONNECT a.test:443 HTTP/1.1"), 501),
    "http 2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "http 3": (request(line="GET /x HTTP/3.0"), 505),
    "unknown expectation": (post_with("Expect: 200-ok", "Content-Length: 1", body=b"x"), 417),
    "target too long": (request(line=f"GET /{'x' * 8001} HTTP/1.1"), 414),
    "too many fields": (request(*[f"X-{n}: 1" for n in range(200)]), 431),
    "head too large": (request("X-A: " + "x" * 70_000), 431),
    "endless head": (request()[:-2] + b"X-A: " + b"x" * 70_000, 431),
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_http_is_answered_400_closed_and_never_forwarded(
    client: RawClient, v1: Upstream, case: str
) -> None:
    v1.replies = naming("v1")
    raw, status = MALFORMED[case]
    await client.send(raw + SMUGGLED)
    assert (await refused(client)).status == status
    assert v1.requests == []


@pytest.mark.parametrize("case", LIMITS)
async def test_http_beyond_the_limits_is_refused_closed_and_never_forwarded(
    client: RawClient, v1: Upstream, door: str, case: str
) -> None:
    v1.replies = naming("v1")
    raw, status = LIMITS[case]
    await client.send(raw + SMUGGLED)
    # An ASGI server may refuse it first, and has only one word for it.
    statuses = {status} if door == "native" else {status, 400}
    assert (await refused(client)).status in statuses
    assert v1.requests == []


@pytest.mark.parametrize("case", ["no HTTP", "two lengths", "folded"])
async def test_a_refusal_of_malformed_http_has_the_shape_of_openai_and_is_counted(
    router: RunningDataPlane, client: RawClient, v1: Upstream, case: str
) -> None:
    await client.send(MALFORMED[case][0])
    answer = await refused(client)
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["code"] == "bad_request"
    assert answer.field("x-should-retry") == "false"
    ((labels, number),) = router.values("router_http_refusals_total").items()
    assert (labels[0], number) == ("400", 1)
    assert v1.requests == []


async def test_a_malformed_request_spoils_no_answer_before_it(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    await client.send(get("/good") + MALFORMED["two lengths"][0] + SMUGGLED)
    assert (await client.read_answer()).status == 200
    assert (await refused(client)).status == 400
    assert [each.target for each in v1.requests] == ["/good"]


async def test_transfer_encoding_overrides_a_length_and_the_connection_ends(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    body = chunk(b"body") + chunk(b"")
    await client.send(
        post_with("Content-Length: 4", "Transfer-Encoding: chunked", body=body) + SMUGGLED
    )
    answer = await client.read_answer()
    assert answer.field("connection") == "close"
    assert await client.read_to_end() == b""
    if answer.status == 200:  # a server may refuse it as well (RFC 9112 §6.1)
        assert answer.json()["echo"] == "body"
        assert v1.requests[0].field("content-length") in (None, "4")
    assert "/smuggled" not in [each.target for each in v1.requests]


BROKEN_CHUNKS: Final = {
    "no size": b"x\r\n",
    "negative size": b"-4\r\nbody\r\n",
    "size with an underscore": b"0_4\r\nbody\r\n",
    "size line with bare LF": b"4\nbody\r\n0\r\n\r\n",
    "no line end behind a chunk": b"4\r\nbodyX\r\n0\r\n\r\n",
    "size beyond all bounds": b"f" * 20 + b"\r\n",
}


@pytest.mark.parametrize("case", BROKEN_CHUNKS)
async def test_a_broken_chunk_of_a_request_is_answered_400_and_ends_the_upstream_exchange(
    router: RunningDataPlane, client: RawClient, v1: Upstream, case: str
) -> None:
    await client.send(chunked_post("/upload", chunks=[b"good"]))
    call = await v1.next_call()
    assert await call.read_chunk() == b"good"
    await client.send(BROKEN_CHUNKS[case] + SMUGGLED)
    assert await call.read_broken_chunks() in (b"", b"body")
    call.finish()
    assert (await refused(client)).status == 400
    assert router.errors == {}
    assert len(v1.requests) == 1


async def test_a_broken_chunk_behind_a_begun_answer_adds_nothing_to_it(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(chunked_post("/upload", chunks=[b"good"]))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 1000", body=b"begun"))
    head = await client.read_head()
    assert await client.read_exactly(5) == b"begun"
    await client.send(b"nonsense\r\n")
    with pytest.raises(BrokenMessageError) as broken:
        await client.read_body(head)
    assert broken.value.body == b""
    await call.read_to_end()
    call.finish()


# -- times -------------------------------------------------------------------------------------


async def test_a_head_that_does_not_come_in_time_is_answered_408(
    client: RawClient, router: RunningDataPlane
) -> None:
    await client.send(get()[:-2])
    await asyncio.sleep(0.02)
    router.jump(11)
    answer = await refused(client)
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert answer.field("x-should-retry") == "true"


async def test_a_dribbled_head_gets_no_more_time(
    client: RawClient, router: RunningDataPlane
) -> None:
    await client.send(b"GET ")
    for byte in (b"/", b"x", b"y"):
        await asyncio.sleep(0.02)
        router.jump(4)
        await client.send(byte)
    assert (await refused(client)).status == 408


async def test_a_connection_that_says_nothing_is_closed(
    client: RawClient, router: RunningDataPlane
) -> None:
    await asyncio.sleep(0.02)
    router.jump(11)
    await client.wait_closed()


async def test_an_idle_connection_is_closed_in_the_end(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200
    router.jump(70)
    assert (await client.ask(get())).status == 200
    router.jump(76)
    await client.wait_closed()


@pytest.mark.parametrize("model", [None, "m"], ids=["while forwarding", "while routing"])
async def test_a_body_that_does_not_come_in_time_is_answered_408(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, model: str | None
) -> None:
    v1 = await upstreams.start()
    router.install(route("chat", version("v1", v1), rules=(Rule(path=CHAT, model=model),)))
    await client.send(post(CHAT, {"model": "m"})[:-3])
    if model is None:
        call = await v1.next_call()
        router.jump(61)
        await call.read_to_end()
        call.finish()
    else:
        await asyncio.sleep(0.02)
        router.jump(61)
    answer = await refused(client)
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert router.errors == {}


async def test_a_body_that_never_begins_is_answered_408(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(message("POST /x HTTP/1.1", "Host: router.test", "Content-Length: 5"))
    await asyncio.sleep(0.02)
    router.jump(61)
    assert (await refused(client)).status == 408
    assert router.errors == {}
    if v1.waiting:
        (await v1.next_call()).finish()


# -- size --------------------------------------------------------------------------------------


@pytest.fixture
async def small(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    """A route that takes 1000 bytes, beside one that takes 5000."""
    v1 = await upstreams.start()
    router.install(
        route("small", version("v1", v1), rules=(Rule(path="/small"),),
              limits=Limits(max_body_bytes=1000)),
        route("large", version("v1", v1), rules=(Rule(path="/large"),),
              limits=Limits(max_body_bytes=5000), order=1),
        route("chat", version("v1", v1), rules=(Rule(path=CHAT, model="m"),),
              limits=Limits(max_body_bytes=1000), order=2),
    )  # fmt: skip
    return v1


@pytest.mark.parametrize(("target", "size"), [("/small", 1001), ("/large", 5001), (CHAT, 5001)])
async def test_a_body_too_large_is_answered_413_before_it_is_read(
    client: RawClient, small: Upstream, target: str, size: int
) -> None:
    await client.send(post(target, b"x" * size)[:-size])
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    assert answer.error["type"] == "invalid_request_error"
    assert answer.field("x-should-retry") == "false"
    assert small.requests == []


@pytest.mark.parametrize("expect", [(), ("Expect: 100-continue",)], ids=["", "expecting 100"])
async def test_a_client_of_a_body_too_large_is_not_asked_for_it(
    client: RawClient, small: Upstream, expect: tuple[str, ...]
) -> None:
    await client.send(post("/small", b"x" * 2000, *expect)[:-2000])
    answer = await client.read_answer()
    assert (answer.status, answer.interim) == (413, [])
    assert small.requests == []


async def test_a_body_too_large_that_comes_anyway_spoils_nothing(
    router: RunningDataPlane, small: Upstream
) -> None:
    client = await router.connect()
    await client.send(post("/small", SMUGGLED * 200) + get("/small"))
    assert (await client.read_answer()).status == 413
    await asyncio.sleep(0.02)
    assert "/smuggled" not in [each.target for each in small.requests]


async def test_a_chunked_body_is_answered_413_once_it_is_too_large(
    router: RunningDataPlane, client: RawClient, small: Upstream
) -> None:
    await client.send(chunked_post("/small", chunks=[b"x" * 900]))
    call = await small.next_call()
    await client.send(chunk(b"x" * 101))
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    await call.read_to_end()
    call.finish()
    assert router.errors == {}


async def test_a_body_as_large_as_allowed_is_passed_on(client: RawClient, small: Upstream) -> None:
    small.replies = naming("v1")
    assert (await client.ask(post("/small", b"x" * 1000))).json()["echo"] == "x" * 1000
    assert (await client.ask(post("/large", b"x" * 5000))).json()["echo"] == "x" * 5000


# -- routing -----------------------------------------------------------------------------------


@pytest.fixture
async def routed(router: RunningDataPlane, upstreams: Upstreams) -> Upstream:
    """A path with two models, and one that takes anything."""
    v1 = await upstreams.named()
    router.install(
        route("a", version("v1", v1), rules=(Rule(path=CHAT, model="model-a"),)),
        route("b", version("v1", v1), rules=(Rule(path=CHAT, model="model-b"),), order=1),
        route("free", version("v1", v1), rules=(Rule(path="/free", methods=("POST",)),), order=2),
    )
    return v1


@pytest.mark.parametrize(
    "body",
    [b"{", b"nonsense", b'{"model": "model-a"', b'{"model": model-a}', b"[]", b'"x"', b"\xff\xfe",
     b'{"model": "model-a"} trailing'],
)  # fmt: skip
async def test_malformed_json_where_a_model_is_needed_is_answered_400(
    client: RawClient, routed: Upstream, body: bytes
) -> None:
    answer = await client.ask(post(CHAT, body))
    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    assert answer.error["type"] == "invalid_request_error"
    assert "JSON" in answer.error["message"]
    assert answer.field("x-should-retry") == "false"
    assert routed.requests == []
    assert (await client.ask(post(CHAT, {"model": "model-a"}))).status == 200


@pytest.mark.parametrize("model", [b"1", b"null", b"[]", b'{"a": 1}', b"true"])
async def test_a_model_that_is_no_string_is_named(
    client: RawClient, routed: Upstream, model: bytes
) -> None:
    answer = await client.ask(post(CHAT, b'{"model": %b}' % model))
    assert (answer.status, answer.error["param"]) == (400, "model")
    assert answer.error["code"] in {"invalid_json", "model_required"}
    assert routed.requests == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"messages": []}'])
async def test_a_missing_model_is_named(client: RawClient, routed: Upstream, body: bytes) -> None:
    answer = await client.ask(post(CHAT, body))
    assert (answer.status, answer.error["code"]) == (400, "model_required")
    assert answer.error["param"] == "model"
    assert routed.requests == []


async def test_an_unknown_model_is_answered_404_and_named(
    router: RunningDataPlane, client: RawClient, routed: Upstream
) -> None:
    answer = await client.ask(post(CHAT, {"model": "model-x"}))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["param"] == "model"
    assert "model-x" in answer.error["message"]
    assert answer.field("x-should-retry") == "false"
    assert router.values("router_unrouted_requests_total") == {("model_not_found",): 1}
    assert "model-x" not in str(router.plane.recorder.series(everything=True))
    assert routed.requests == []


async def test_an_unknown_model_does_not_swell_the_answer(
    client: RawClient, routed: Upstream
) -> None:
    answer = await client.ask(post(CHAT, {"model": "x" * 100_000}))
    assert answer.status == 404
    assert len(answer.body) < 1000


@pytest.mark.parametrize(
    "raw", [get("/nowhere"), get("/free"), post("/v1/chat", b"{}"), get("/"), get(CHAT + "/")]
)
async def test_an_unknown_route_is_answered_404(
    router: RunningDataPlane, client: RawClient, routed: Upstream, raw: bytes
) -> None:
    answer = await client.ask(raw)
    assert (answer.status, answer.error["code"]) == (404, "route_not_found")
    assert answer.error["type"] == "invalid_request_error"
    assert router.values("router_unrouted_requests_total") == {("route_not_found",): 1}
    assert router.answers == {}
    assert routed.requests == []
    assert (await client.ask(post("/free", b"not json"))).status == 200


async def test_an_error_to_head_has_no_body(client: RawClient, routed: Upstream) -> None:
    answer = await client.ask(get("/nowhere", method="HEAD"))
    assert (answer.status, answer.body) == (404, b"")
    assert (await client.ask(post("/free", b""))).status == 200
    assert len(routed.requests) == 1


async def test_the_connection_survives_an_answer_of_the_router(
    client: RawClient, routed: Upstream
) -> None:
    for _ in range(3):
        assert (await client.ask(get("/nowhere"))).status == 404
        assert (await client.ask(post(CHAT, {"model": "model-x"}))).status == 404
        assert (await client.ask(post(CHAT, {"model": "model-b"}))).status == 200
    assert len(routed.requests) == 3


# -- what the door breaks off while a version has it -------------------------------------------


async def begun_upload(client: RawClient, v1: Upstream) -> Call:
    """A chunked request whose first part the model server has."""
    await client.send(chunked_post(CHAT, chunks=[b"first"]))
    call = await v1.next_call()
    assert await call.read_chunk() == b"first"
    return call


async def test_a_broken_body_is_counted_as_what_its_client_was_told(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    call = await begun_upload(client, v1)
    await client.send(b"no size\r\n")
    assert (await refused(client)).status == 400
    await call.read_to_end()
    assert router.answers == {("chat", "v1", "stable", "400"): 1}
    assert router.errors == {}


async def test_a_body_that_dribbles_in_is_counted_as_what_its_client_was_told(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    call = await begun_upload(client, v1)
    router.jump(120)
    assert (await refused(client)).status == 408
    await call.read_to_end()
    assert router.answers == {("chat", "v1", "stable", "408"): 1}
    assert router.errors == {}
