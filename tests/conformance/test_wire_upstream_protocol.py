"""A model server that breaks HTTP is answered for with 502: nothing half-parsed is passed on."""

from __future__ import annotations

from typing import Final

import pytest

from router.dataplane.upstream.connection import MAX_INTERIM
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import BrokenMessageError, RawClient, chunk, get, message, post
from tests.support.upstreams import Upstream, Upstreams, naming, saying

OF_V1: Final = ("chat", "v1", "stable")
BODY: Final = b"EVIL"
LENGTH: Final = "Content-Length: 4"


def head(*fields: str, line: str = "HTTP/1.1 200 OK", length: bool = True) -> bytes:
    return message(line, *fields, *([LENGTH] if length else []), body=BODY)


BROKEN: Final = {
    "no HTTP": b"EVIL EVIL EVIL\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "one byte": b"\x00",
    "tls": b"\x15\x03\x01\x00\x02\x02\x46",
    "html without a head": b"<html>EVIL</html>\r\n\r\n",
    "http 2": head(line="HTTP/2.0 200 OK"),
    "http 0.9": head(line="HTTP/0.9 200 OK"),
    "lower case": head(line="http/1.1 200 OK"),
    "status of two digits": head(line="HTTP/1.1 20 OK"),
    "status of four digits": head(line="HTTP/1.1 2000 OK"),
    "status 999": head(line="HTTP/1.1 999 EVIL"),
    "status 000": head(line="HTTP/1.1 000 EVIL"),
    "no status": head(line="HTTP/1.1  OK"),
    "two spaces": head(line="HTTP/1.1  200 OK"),
    "tab": head(line="HTTP/1.1\t200\tOK"),
    "reason with a control character": head(line="HTTP/1.1 200 O\x01K"),
    "bare LF everywhere": head().replace(b"\r\n", b"\n"),
    "bare LF within": b"HTTP/1.1 200 OK\r\nX-A: 1\nX-B: 2\r\nContent-Length: 4\r\n\r\nEVIL",
    "bare CR within": b"HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\nContent-Length: 4\r\n\r\nEVIL",
    "NUL in a value": head("X-A: a\x00b"),
    "folded": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n EVIL\r\nContent-Length: 4\r\n\r\nEVIL",
    "nameless": head(": EVIL"),
    "no colon": head("EVIL"),
    "space before colon": head("X-A : EVIL"),
    "space in a name": head("X A: EVIL"),
    "space before the first field": b"HTTP/1.1 200 OK\r\n X-A: 1\r\nContent-Length: 4\r\n\r\nEVIL",
    "two lengths": head("Content-Length: 3"),
    "list of lengths": head("Content-Length: 4, 5", length=False),
    "negative length": head("Content-Length: -4", length=False),
    "length with a plus": head("Content-Length: +4", length=False),
    "length with an underscore": head("Content-Length: 1_0", length=False),
    "hexadecimal length": head("Content-Length: 0x4", length=False),
    "empty length": head("Content-Length:", length=False),
    "length beyond all bounds": head("Content-Length: " + "9" * 40, length=False),
    "unknown coding": head("Transfer-Encoding: gzip", length=False),
    "chunked is not last": head("Transfer-Encoding: chunked, gzip", length=False),
    "chunked twice": head("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", length=False),
    "chunked with vertical tab": head("Transfer-Encoding: \x0bchunked", length=False),
    "chunked in 1.0": head("Transfer-Encoding: chunked", line="HTTP/1.0 200 OK", length=False),
    "switching protocols": head(line="HTTP/1.1 101 Switching", length=False),
    "endless head": b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"EVIL" * 20_000,
    "too many fields": head(*["X-A: EVIL"] * 200),
    "head too large": head("X-A: " + "EVIL" * 20_000),
    "bad chunk at once": message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"EVIL\r\n"),
    "broken interim": b"HTTP/1.1 100 Continue\nEVIL\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN)
async def test_a_broken_answer_is_answered_502_and_its_connection_closed(
    router: RunningDataPlane, client: RawClient, v1: Upstream, case: str
) -> None:
    await client.send(post("/files", b"x"))
    call = await v1.next_call()
    await call.read_request()
    await call.send(BROKEN[case])
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (502, "upstream_protocol")
    assert answer.field("x-model-version") == "v1"
    assert answer.field("x-should-retry") == "false"
    assert "x-a" not in answer.head.names
    assert b"EVIL" not in answer.body
    await call.wait_closed()
    call.finish()
    assert router.answers == {(*OF_V1, "502"): 1}
    assert router.errors == {(*OF_V1, "reset"): 1}
    ((labels, number),) = router.values("router_http_refusals_total").items()
    assert (labels[0], number) == ("502", 1)

    v1.replies = naming("v1")
    assert (await client.ask(get("/next"))).json()["server"] == "v1"


async def test_a_flood_of_interim_answers_is_answered_502(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    interim = b"HTTP/1.1 102 Processing\r\n\r\n"
    for _ in range(2):  # each request has all of it
        await client.send(get())
        call = await v1.next_call()
        await call.send(interim * (MAX_INTERIM // len(interim)))
        await call.answer()
        assert (await client.read_answer()).status == 200
    await client.send(post("/files", b"x"))
    call = await v1.next_call()
    await call.send(interim * (MAX_INTERIM // len(interim) + 1))
    answer = await client.read_answer()
    assert (answer.status, answer.error["code"]) == (502, "upstream_protocol")
    await call.read_to_end()
    call.finish()


BROKEN_CHUNKS: Final = {
    "no size": b"EVIL\r\n",
    "negative size": b"-4\r\nEVIL\r\n",
    "size with a prefix": b"0x4\r\nEVIL\r\n",
    "size with an underscore": b"0_4\r\nEVIL\r\n",
    "size with white space": b" 4\r\nEVIL\r\n",
    "size beyond all bounds": b"f" * 20 + b"\r\nEVIL",
    "size line with bare LF": b"4\nEVIL\r\n",
    "size line with bare CR": b"4\rEVIL\r\n",
    "endless size line": b"4;" + b"x" * 6000,
    "endless trailers": b"0\r\n" + b"X-A: EVIL\r\n" * 1000,
    "no colon in a trailer": b"0\r\nEVIL\r\n\r\n",
}


@pytest.mark.parametrize("case", BROKEN_CHUNKS)
async def test_a_broken_chunk_ends_the_answer_visibly(
    router: RunningDataPlane, client: RawClient, v1: Upstream, case: str
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    await call.send_chunk(b"good")
    answer = await client.read_head()
    assert await client.read_chunk() == b"good"
    await call.send(BROKEN_CHUNKS[case])
    with pytest.raises(BrokenMessageError) as broken:
        await client.read_body(answer)
    assert b"EVIL" not in broken.value.body
    await call.wait_closed()
    call.finish()
    assert router.errors == {(*OF_V1, "reset"): 1}


@pytest.mark.parametrize("payload", [b"4\r\nEVILx\r\n", b"4\r\nEVIL\n\r\n", b"4\r\nEVIL5\r\n"])
async def test_a_chunk_without_its_line_end_ends_the_answer_visibly(
    client: RawClient, v1: Upstream, payload: bytes
) -> None:
    await client.send(get())
    call = await v1.next_call()
    await call.start()
    await call.send_chunk(b"good")
    answer = await client.read_head()
    await call.send(payload)
    with pytest.raises(BrokenMessageError):
        await client.read_body(answer)
    await call.wait_closed()
    call.finish()


async def test_transfer_encoding_overrides_a_length_and_the_connection_is_not_used_again(
    client: RawClient, v1: Upstream
) -> None:
    v1.replies = saying(
        message("HTTP/1.1 200 OK", "Content-Length: 3", "Transfer-Encoding: chunked")
        + chunk(b"chunked")
        + chunk(b"")
    )
    answer = await client.ask(get())
    assert (answer.body, answer.head.length) == (b"chunked", None)
    v1.replies = naming("v1")
    assert (await client.ask(get())).status == 200
    assert len(v1.connections) == 2


async def test_equal_lengths_are_one(client: RawClient, v1: Upstream) -> None:
    v1.replies = saying(
        message("HTTP/1.1 200 OK", "Content-Length: 2", LENGTH[:-1] + "2", body=b"ok")
    )
    answer = await client.ask(get())
    assert answer.body == b"ok"
    assert answer.head.all("content-length") == ["2"]


@pytest.mark.parametrize("line", ["HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.1 200 Tr\xe8s bien"])
async def test_the_reason_of_a_status_is_free(client: RawClient, v1: Upstream, line: str) -> None:
    v1.replies = saying(message(line, LENGTH, body=b"good"))
    answer = await client.ask(get())
    assert (answer.status, answer.body) == (200, b"good")


async def test_a_connection_that_names_the_framing_is_refused(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start(
        "v1", saying(message("HTTP/1.1 200 OK", "Connection: Content-Length", LENGTH, body=BODY))
    )
    router.install(route("chat", version("v1", v1)))
    assert (await client.ask(post("/files", b"x"))).status == 502
