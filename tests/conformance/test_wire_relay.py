"""One request on its way and its answer back: bodies, framing, connections."""

from __future__ import annotations

import asyncio

import pytest

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
    wait_until,
)
from tests.support.upstreams import Upstream, Upstreams, naming, saying

# -- bodies, there and back --------------------------------------------------------------------


async def test_json_goes_there_and_comes_back(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post("/v1/embeddings", b'{"input": "x"}'))
    call = await v1.next_call()
    assert await call.read_request() == b'{"input": "x"}'
    assert call.request.field("content-type") == "application/json"
    await call.answer_json({"data": [1]})

    answer = await client.read_answer()
    assert (answer.status, answer.json()) == (200, {"data": [1]})
    assert answer.field("content-type") == "application/json"
    assert router.answers == {("chat", "v1", "stable", "200"): 1}
    assert router.errors == {}


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 300_000])
async def test_a_body_of_known_length_arrives_whole_with_its_length(
    client: RawClient, v1: Upstream, size: int
) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    await client.send(post("/upload", body[:size], kind="application/octet-stream"))
    call = await v1.next_call()

    assert await call.read_request() == body[:size]
    assert call.request.head.length == size
    assert not call.request.head.chunked
    await call.answer()
    assert (await client.read_answer()).body == b"ok"


async def test_a_body_of_known_length_is_passed_on_while_it_comes(
    client: RawClient, v1: Upstream
) -> None:
    request = post("/upload", b"0123456789", kind="application/octet-stream")
    await client.send(request[:-6])
    call = await v1.next_call()
    assert await call.read_exactly(4) == b"0123"
    await client.send(request[-6:-3])
    assert await call.read_exactly(3) == b"456"
    await client.send(request[-3:])
    assert await call.read_exactly(3) == b"789"


async def test_a_chunked_body_is_passed_on_while_it_comes(client: RawClient, v1: Upstream) -> None:
    await client.send(chunked_post("/upload", chunks=[b"one"]))
    call = await v1.next_call()
    assert call.request.head.chunked
    assert call.request.head.length is None
    assert await call.read_chunks(3) == b"one"
    await client.send(chunk(b"two"))
    assert await call.read_chunks(3) == b"two"
    await client.send(chunk(b""))
    assert await call.read_chunk() == b""
    call.close()


async def test_a_chunked_body_arrives_whole_however_it_is_cut(
    client: RawClient, v1: Upstream
) -> None:
    whole = chunked_post("/upload", chunks=[b"a" * 300, b"b", b"", b""])[:-5]
    for at in range(len(whole)):
        await client.send(whole[at : at + 1])
    call = await v1.next_call()
    assert await call.read_request() == b"a" * 300 + b"b"
    await call.answer()
    assert (await client.read_answer()).status == 200


async def test_chunk_extensions_are_dropped(client: RawClient, v1: Upstream) -> None:
    await client.send(chunked_post("/upload") + b'3;name=value;x="y"\r\nabc\r\n0;last\r\n\r\n')
    call = await v1.next_call()
    assert await call.read_request() == b"abc"
    await call.answer()
    assert (await client.read_answer()).status == 200


async def test_request_trailers_are_dropped(client: RawClient, v1: Upstream) -> None:
    trailers = b"0\r\nAuthorization: Bearer stolen\r\nHost: evil.test\r\n\r\n"
    await client.send(chunked_post("/upload", "Trailer: Authorization", chunks=[b"x"]) + trailers)
    call = await v1.next_call()
    assert await call.read_request() == b"x"
    assert call.request.head.names.isdisjoint({"authorization", "trailer"})
    assert call.request.field("host") != "evil.test"
    await call.answer()
    await client.read_answer()

    await client.send(get("/next"))  # and none of it was taken for a request
    await (await v1.next_call()).answer(b"next")
    assert (await client.read_answer()).body == b"next"


async def test_trailers_of_a_later_read_are_dropped(client: RawClient, v1: Upstream) -> None:
    await client.send(chunked_post("/upload", chunks=[b"x"]))
    call = await v1.next_call()
    await client.send(b"0\r\nX-Late: yes\r\n\r\n")
    assert await call.read_request() == b"x"
    assert "x-late" not in call.request.head.names
    await call.answer()
    assert (await client.read_answer()).status == 200


async def test_a_body_of_a_get_is_passed_on(client: RawClient, v1: Upstream) -> None:
    await client.send(get("/search", "Content-Length: 5") + b"query")
    call = await v1.next_call()
    assert await call.read_request() == b"query"
    await call.answer()
    assert (await client.read_answer()).status == 200


async def test_a_post_without_a_body_keeps_its_length_of_zero(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(post("/cancel"))
    call = await v1.next_call()
    assert call.request.field("content-length") == "0"
    await call.answer()
    assert (await client.read_answer()).status == 200


# -- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 300_000])
async def test_an_answer_of_known_length_keeps_its_length(
    client: RawClient, v1: Upstream, size: int
) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    await client.send(get())
    await (await v1.next_call()).answer(body[:size])
    answer = await client.read_answer()
    assert answer.body == body[:size]
    assert answer.head.length == size


async def test_a_chunked_answer_arrives_chunked(client: RawClient, v1: Upstream) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    await call.send(chunk(b"one") + chunk(b"two") + b"1;ext=1\r\n!\r\n")
    await call.end_chunks()
    answer = await client.read_answer()
    assert answer.head.chunked
    assert answer.head.length is None
    assert answer.body == b"onetwo!"


async def test_a_chunked_answer_arrives_whole_however_it_is_cut(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    whole = message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Set-Cookie: a=1")
    whole += chunk(b"a" * 300) + chunk(b"b") + b"0\r\nX-Trailer: 1\r\n\r\n"
    for at in range(len(whole)):
        await call.send(whole[at : at + 1])
        await asyncio.sleep(0)
    call.finish()
    answer = await client.read_answer()
    assert answer.body == b"a" * 300 + b"b"
    assert answer.head.all("set-cookie") == ["a=1"]


async def test_trailers_of_an_answer_are_dropped(client: RawClient, v1: Upstream) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.start("Trailer: X-Checksum")
    await call.send(chunk(b"x") + b"0\r\nX-Checksum: 1\r\n\r\n")
    call.finish()
    answer = await client.read_answer()
    assert answer.body == b"x"
    assert "trailer" not in answer.head.names
    assert (await _ask_again(client, v1)).status == 200


async def test_an_answer_that_ends_with_its_connection_arrives_whole(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", body=b"until "))
    head = await client.read_head()
    assert await client.read_chunks(6) == b"until "
    await call.send(b"the end")
    call.close()
    assert await client.read_body(head) == b"the end"
    assert router.errors == {}
    assert (await _ask_again(client, v1)).status == 200
    assert len(v1.connections) == 2


async def test_an_answer_of_http_1_0_arrives_as_1_1(client: RawClient, v1: Upstream) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.0 200 OK", "Content-Length: 2", body=b"ok"))
    call.finish()
    answer = await client.read_answer()
    assert answer.head.line.startswith("HTTP/1.1 200")
    assert answer.body == b"ok"
    await call.wait_closed()  # 1.0 without keep-alive


@pytest.mark.parametrize(
    "framing", ["Content-Length: 1234", "Transfer-Encoding: chunked", "X-None: 1"]
)
async def test_the_answer_to_head_has_no_body(
    client: RawClient, v1: Upstream, framing: str
) -> None:
    await client.send(get("/v1/models/x", method="HEAD"))
    call = await v1.next_call()
    assert call.request.head.method == "HEAD"
    await call.send(message("HTTP/1.1 200 OK", framing, "ETag: 7"))
    call.finish()
    answer = await client.read_answer("HEAD")
    assert (answer.status, answer.field("etag")) == (200, "7")
    if "Length" in framing:
        assert answer.head.length == 1234
    assert (await _ask_again(client, v1)).status == 200


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
@pytest.mark.parametrize("field", ["X-None: 1", "ETag: 7"])
async def test_204_and_304_have_no_body(
    client: RawClient, v1: Upstream, status: str, field: str
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message(f"HTTP/1.1 {status}", field))
    call.finish()
    answer = await client.read_answer()
    assert answer.status == int(status[:3])
    assert answer.head.names.isdisjoint({"transfer-encoding", "content-length"})
    assert (await _ask_again(client, v1)).status == 200
    assert len(v1.connections) == 1


async def test_a_304_may_tell_the_length_that_a_200_would_have(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 304 Not Modified", "Content-Length: 1234"))
    call.finish()
    assert (await client.read_answer()).status == 304
    assert (await _ask_again(client, v1)).status == 200


async def test_a_204_has_no_length(client: RawClient, v1: Upstream) -> None:
    # RFC 9110 §8.6: a server MUST NOT send Content-Length with 204.
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 204 No Content", "Content-Length: 0"))
    call.finish()
    assert (await client.read_answer()).head.length is None


async def test_interim_answers_are_passed_over(client: RawClient, v1: Upstream) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    await call.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r")
    await call.send(b"\n")
    await call.answer(b"at last")
    answer = await client.read_answer()
    assert (answer.status, answer.body, answer.interim) == (200, b"at last", [])
    assert "link" not in answer.head.names


async def test_any_number_of_interim_answers_is_passed_over(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 2000)
    await call.answer(b"at last")
    assert (await client.read_answer()).body == b"at last"


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 503])
async def test_an_error_of_the_model_server_is_passed_on_as_it_is(
    router: RunningDataPlane, client: RawClient, v1: Upstream, status: int
) -> None:
    await client.send(post("/v1/chat/completions", {"stream": True}))
    await (await v1.next_call()).answer_json(
        {"error": "mine"}, "Retry-After: 7", status=f"{status} Some Reason"
    )
    answer = await client.read_answer()
    assert (answer.status, answer.json()) == (status, {"error": "mine"})
    assert answer.field("retry-after") == "7"
    assert router.answers == {("chat", "v1", "stable", str(status)): 1}
    failed = {("chat", "v1", "stable", "upstream_5xx"): 1} if status >= 500 else {}
    assert router.errors == failed


# -- 100-continue ------------------------------------------------------------------------------


async def test_a_client_that_expects_100_gets_it_before_its_body(
    client: RawClient, v1: Upstream
) -> None:
    request = post("/upload", b"body", "Expect: 100-continue", kind="text/plain")
    await client.send(request[:-4])
    assert await client.read_interim() == 100
    await client.send(b"body")
    call = await v1.next_call()
    assert await call.read_request() == b"body"
    assert "expect" not in call.request.head.names
    await call.answer()
    assert (await client.read_answer()).interim == []


async def test_a_client_that_expects_100_gets_it_where_routing_waits_for_the_body(
    client: RawClient, router: RunningDataPlane, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named()
    router.install(route("chat", version("v1", v1, model="real")))
    body = b'{"model": "m"}'
    await client.send(post("/v1/completions", body, "Expect: 100-continue")[: -len(body)])
    assert await client.read_interim() == 100
    await client.send(body)
    assert (await client.read_answer()).json()["echo"] == '{"model": "real"}'


async def test_a_refusal_comes_instead_of_100(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    router.install()
    await client.send(post("/nowhere", b"body", "Expect: 100-continue")[:-4])
    answer = await client.read_answer()
    assert (answer.status, answer.interim) == (404, [])


# -- connections -------------------------------------------------------------------------------


async def _ask_again(client: RawClient, v1: Upstream) -> Answer:
    await client.send(get("/again"))
    await (await v1.next_call()).answer(b"again")
    answer = await client.read_answer()
    assert answer.body == b"again"
    return answer


async def test_both_connections_are_used_again(client: RawClient, v1: Upstream) -> None:
    v1.replies = naming("v1")
    for number in range(20):
        answer = await client.ask(post(f"/{number}", b"%d" % number))
        assert answer.json()["echo"] == str(number)
        assert "connection" not in answer.head.names
    assert len(v1.connections) == 1
    assert [request.target for request in v1.requests] == [f"/{n}" for n in range(20)]


async def test_one_connection_carries_every_kind_of_request_in_turn(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    chunked = chunked_post("/c", chunks=[b"in ", b"chunks", b""])
    for _ in range(3):
        assert (await client.ask(post("/a", b"known"))).json()["echo"] == "known"
        assert (await client.ask(get("/b"))).json()["echo"] == ""
        assert (await client.ask(chunked)).json()["echo"] == "in chunks"
        assert (await client.ask(get("/d", method="HEAD"))).body == b""
        assert (await client.ask(post("/a", b"another length"))).json()["echo"] == "another length"


async def test_clients_share_upstream_connections(router: RunningDataPlane, v1: Upstream) -> None:
    v1.replies = naming("v1")
    for _ in range(5):
        client = await router.connect()
        assert (await client.ask(get())).status == 200
    assert len(v1.connections) == 1


async def test_requests_at_the_same_time_get_connections_of_their_own(
    router: RunningDataPlane, v1: Upstream
) -> None:
    clients = [await router.connect() for _ in range(5)]
    for number, each in enumerate(clients):
        await each.send(get(f"/{number}"))
    calls = [await v1.next_call() for _ in clients]
    assert len(v1.connections) == 5
    for call in reversed(calls):
        await call.answer(call.request.target.encode())
    for number, each in enumerate(clients):
        assert (await each.read_answer()).body == b"/%d" % number


async def test_connection_close_of_the_client_is_obeyed(client: RawClient, v1: Upstream) -> None:
    await client.send(get("/", "Connection: close"))
    call = await v1.next_call()
    assert call.request.field("connection") is None
    await call.answer()
    assert (await client.read_answer()).field("connection") == "close"
    await client.wait_closed()
    assert v1.open == 1


async def test_connection_close_of_the_model_server_is_not_the_clients(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.answer(b"bye", "Connection: close")
    answer = await client.read_answer()
    assert "connection" not in answer.head.names
    await call.wait_closed()
    await _ask_again(client, v1)
    assert len(v1.connections) == 2


async def test_pipelined_requests_are_answered_in_their_order(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(get("/1") + post("/2", b"two") + get("/3"))
    for number in (1, 2, 3):
        call = await v1.next_call()
        assert call.request.target == f"/{number}"
        assert len(v1.requests) == number
        await call.answer(b"%d" % number)
    for number in (1, 2, 3):
        assert (await client.read_answer()).body == b"%d" % number


async def test_what_is_pipelined_behind_a_long_answer_waits_without_being_lost(
    client: RawClient, v1: Upstream
) -> None:
    bodies = [b"%d" % number * 50_000 for number in range(5)]
    upload = asyncio.ensure_future(
        client.send(get("/first") + b"".join(post("/more", body) for body in bodies))
    )
    call = await v1.next_call()
    await call.start()
    await call.send_chunk(b"slow")
    assert len(v1.requests) == 1
    await call.end_chunks()
    for body in bodies:
        call = await v1.next_call()
        assert await call.read_request() == body
        await call.answer()
    await upload
    for expected in (b"slow", *[b"ok"] * 5):
        assert (await client.read_answer()).body == expected


async def test_a_request_behind_connection_close_is_not_answered(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    await client.send(get("/1", "Connection: close") + get("/2"))
    assert (await client.read_answer()).status == 200
    assert await client.read_to_end() == b""
    assert [request.target for request in v1.requests] == ["/1"]


async def test_an_empty_line_before_a_request_is_passed_over(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    await client.send(b"\r\n" + get("/1"))
    assert (await client.read_answer()).status == 200


async def test_a_head_may_come_byte_by_byte(client: RawClient, v1: Upstream) -> None:
    v1.replies = naming("v1")
    for byte in get("/slow", "X-One: 1"):
        await client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await client.read_answer()).status == 200
    assert v1.requests[0].field("x-one") == "1"


# -- HTTP/1.0 ----------------------------------------------------------------------------------


async def test_a_client_of_http_1_0_gets_a_body_that_ends_with_the_connection(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(message("GET /old HTTP/1.0"))
    call = await v1.next_call()
    assert call.request.raw.startswith(b"GET /old HTTP/1.1\r\n")
    assert call.request.field("host") == f"127.0.0.1:{v1.port}"
    await call.start()
    await call.send_chunk(b"no ")
    await call.send_chunk(b"chunks")
    await call.end_chunks()
    answer = await client.read_answer()
    assert answer.head.names.isdisjoint({"transfer-encoding", "content-length"})
    assert answer.body == b"no chunks"


async def test_a_client_of_http_1_0_gets_a_known_length_and_is_closed(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(message("GET /old HTTP/1.0", "Host: router.test"))
    await (await v1.next_call()).answer()
    answer = await client.read_answer()
    assert (answer.body, answer.head.length) == (b"ok", 2)
    await client.wait_closed()


async def test_a_client_of_http_1_0_may_keep_its_connection(
    client: RawClient, v1: Upstream
) -> None:
    for _ in range(2):
        await client.send(message("GET /old HTTP/1.0", "Connection: keep-alive"))
        await (await v1.next_call()).answer()
        assert (await client.read_answer()).field("connection") == "keep-alive"


# -- an answer that comes before the request has ended -----------------------------------------


async def test_an_early_answer_is_relayed_and_the_connection_not_used_again(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(chunked_post("/upload", chunks=[b"first"]))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 401 No", "Content-Length: 4", body=b"stop"))
    answer = await client.read_answer()
    assert (answer.status, answer.body) == (401, b"stop")
    await call.read_to_end()  # the half-used upstream connection is closed
    assert router.answers == {("chat", "v1", "stable", "401"): 1}


async def test_the_rest_of_a_body_is_never_taken_for_a_request(
    client: RawClient, v1: Upstream
) -> None:
    smuggled = get("/smuggled")
    request = post("/upload", b"first" + smuggled, kind="text/plain")
    await client.send(request[: -len(smuggled)])
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 6", body=b"one"))
    await client.read_head()
    assert await client.read_exactly(3) == b"one"
    await call.send(b"two")  # the answer has ended, the request has not
    assert await client.read_exactly(3) == b"two"
    await client.send(smuggled + get("/next"))
    await wait_until(lambda: client.reader.at_eof() or len(v1.requests) > 1)
    assert "/smuggled" not in [request.target for request in v1.requests]


async def test_request_and_answer_may_flow_at_the_same_time(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(chunked_post("/mirror", chunks=[b"1"]))
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    head = await client.read_head()
    assert head.chunked
    assert await call.read_chunk() == b"1"
    for number in (b"2", b"3", b"4"):
        await client.send(chunk(number))
        assert await call.read_chunk() == number
        await call.send_chunk(number)
        assert await client.read_chunk() == number
    await client.send(chunk(b""))
    assert await call.read_chunk() == b""
    await call.end_chunks()
    assert await client.read_chunk() == b""


# -- an answer that breaks off is never a clean end --------------------------------------------


@pytest.mark.parametrize("framing", ["Content-Length: 100", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_an_answer_that_breaks_off_is_seen_to_break_off(
    router: RunningDataPlane, client: RawClient, v1: Upstream, framing: str, how: str
) -> None:
    await client.send(get())
    call = await v1.next_call()
    body = b"half" if "Length" in framing else chunk(b"half")
    await call.send(message("HTTP/1.1 200 OK", framing, body=body))
    head = await client.read_head()
    if head.chunked:
        assert await client.read_chunk() == b"half"
    else:
        assert await client.read_exactly(4) == b"half"
    if how == "close":
        call.close()
    else:
        call.reset()
    with pytest.raises((BrokenMessageError, ConnectionResetError)):
        await client.read_body(head)
    assert router.answers == {("chat", "v1", "stable", "200"): 1}
    assert sum(router.errors.values()) == 1
    assert {labels[3] for labels in router.errors} <= {"truncated", "reset"}


async def test_a_reset_is_no_clean_end_of_a_body_without_length(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.send(message("HTTP/1.1 200 OK", body=b"half"))
    head = await client.read_head()
    assert await client.read_chunks(4) == b"half"
    call.reset()
    with pytest.raises((BrokenMessageError, ConnectionResetError)):
        await client.read_body(head)


async def test_raw_bytes_are_relayed_unchanged(client: RawClient, v1: Upstream) -> None:
    body = bytes(range(256))
    v1.replies = saying(
        message("HTTP/1.1 200 OK", "Content-Length: 256", "Content-Encoding: gzip", body=body)
    )
    answer = await client.ask(post("/binary", body, kind="application/octet-stream"))
    assert answer.body == v1.requests[0].body == body
    assert answer.field("content-encoding") == "gzip"
