"""The head of a response: read strictly, relayed without the upstream's framing and hops."""

from __future__ import annotations

import pytest

from router.http1.grammar import MAX_FIELDS, ProtocolError
from router.http1.response import ResponseHead, parse_response


def raw(*fields: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n"


def ok(*fields: bytes) -> ResponseHead:
    return parse_response(raw(*fields))


def relayed(*fields: bytes) -> list[bytes]:
    """The field lines of the head that goes to the client."""
    start = ok(*fields).start
    assert start.endswith(b"\r\n")
    line, *kept = start[:-2].split(b"\r\n")
    assert line == b"HTTP/1.1 200 OK"
    return kept


def refused(head: bytes) -> str:
    with pytest.raises(ProtocolError) as error:
        parse_response(head)
    return error.value.reason


@pytest.mark.parametrize(
    ("line", "status", "start"),
    [
        (b"HTTP/1.1 200 OK", 200, b"HTTP/1.1 200 OK\r\n"),
        (b"HTTP/1.0 200 OK", 200, b"HTTP/1.1 200 OK\r\n"),
        (b"HTTP/1.1 200 ", 200, b"HTTP/1.1 200 \r\n"),
        (b"HTTP/1.1 200", 200, b"HTTP/1.1 200 \r\n"),
        (b"HTTP/1.1 404 Not  Found\t!", 404, b"HTTP/1.1 404 Not  Found\t!\r\n"),
        (b"HTTP/1.1 599 caf\xc3\xa9", 599, b"HTTP/1.1 599 caf\xc3\xa9\r\n"),
        (b"HTTP/1.1 100 Continue", 100, b"HTTP/1.1 100 Continue\r\n"),
    ],
)
def test_a_status_line_is_read_and_relayed_as_http_1_1(
    line: bytes, status: int, start: bytes
) -> None:
    head = parse_response(raw(line=line))
    assert (head.status, head.start) == (status, start)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1 600 OK",
        b"HTTP/1.1 999 OK",
        b"HTTP/1.1 2x0 OK",
        b"HTTP/1.1 -20 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/1.1 200\tOK",
        b"HTTP/1.1 200OK",
        b"HTTP/1.1",
        b"HTTP/2.0 200 OK",
        b"HTTP/0.9 200 OK",
        b"HTTP/1.2 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b" HTTP/1.1 200 OK",
        b"\r\nHTTP/1.1 200 OK",
        b"HTTP/1.1 200 O\x00K",
        b"HTTP/1.1 200 O\x7fK",
        b"HTTP/1.1 200 O\rK",
        b"HTTP/1.1 200 O\nK",
        b"<html>",
        b"",
    ],
)
def test_a_malformed_status_line_is_refused(line: bytes) -> None:
    assert refused(raw(b"Content-Length: 0", line=line)) == "response_head"


@pytest.mark.parametrize(
    "field",
    [
        b"X-A : 1",
        b": 1",
        b"X-A",
        b" folded",
        b"\tfolded: 1",
        b"X A: 1",
        b"X\x80A: 1",
        b"X-A: a\x00b",
        b"X-A: a\x08b",
        b"X-A: a\rb",
        b"X-A: a\nb",
        b"X-A: a\nSet-Cookie: b",
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_malformed_field_line_is_refused(field: bytes, first: bool) -> None:
    fields = (field, b"Content-Length: 0") if first else (b"Content-Length: 0", field)
    assert refused(raw(*fields)) == "response_head"


def test_line_feeds_alone_end_no_line() -> None:
    assert refused(b"HTTP/1.1 200 OK\nContent-Length: 5\n\r\n\r\n") == "response_head"


def test_a_response_has_at_most_128_fields() -> None:
    ok(*[b"X-A: 1"] * MAX_FIELDS)
    assert refused(raw(*[b"X-A: 1"] * (MAX_FIELDS + 1))) == "too_many_fields"


@pytest.mark.parametrize("value", [b"", b"5x", b"+5", b"-1", b"5, 5", b"5,6", b"0x5", b"1" * 16])
def test_a_bad_content_length_is_refused(value: bytes) -> None:
    assert refused(raw(b"Content-Length: " + value)) == "content_length"


def test_conflicting_content_lengths_are_refused() -> None:
    assert refused(raw(b"Content-Length: 5", b"content-length: 6")) == "content_length"


def test_equal_content_lengths_are_one() -> None:
    head = ok(b"Content-Length: 5", b"X-A: 1", b"content-length: 05")
    assert (head.content_length, head.start) == (5, b"HTTP/1.1 200 OK\r\nX-A: 1\r\n")


@pytest.mark.parametrize(
    "fields",
    [
        (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked, chunked",),
        (b"Transfer-Encoding: chunked,",),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding:",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    ],
)
def test_any_coding_but_one_chunked_is_refused(fields: tuple[bytes, ...]) -> None:
    assert refused(raw(*fields)) == "transfer_encoding"


def test_http_1_0_has_no_chunks() -> None:
    line = b"HTTP/1.0 200 OK"
    assert refused(raw(b"Transfer-Encoding: chunked", line=line)) == "transfer_encoding"


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"\tCHUNKED "])
def test_a_chunked_body_is_told(value: bytes) -> None:
    head = ok(b"Transfer-Encoding:" + value)
    assert (head.chunked, head.content_length, head.keep_alive) == (True, None, True)
    assert head.start == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("order", [1, -1])
def test_transfer_encoding_wins_and_the_connection_is_not_used_again(order: int) -> None:
    head = ok(*(b"Content-Length: 30", b"Transfer-Encoding: chunked")[::order])
    assert (head.chunked, head.content_length, head.keep_alive) == (True, None, False)
    assert head.start == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("line", "fields", "keep_alive"),
    [
        (b"HTTP/1.1 200 OK", (), True),
        (b"HTTP/1.1 200 OK", (b"Connection: close",), False),
        (b"HTTP/1.1 200 OK", (b"Connection: CLOSE",), False),
        (b"HTTP/1.1 200 OK", (b"Connection: keep-alive, close",), False),
        (b"HTTP/1.1 200 OK", (b"Connection: close", b"Connection: keep-alive"), False),
        (b"HTTP/1.0 200 OK", (), False),
        (b"HTTP/1.0 200 OK", (b"Connection: keep-alive",), True),
        (b"HTTP/1.0 200 OK", (b"Connection: close", b"Connection: keep-alive"), False),
        (b"HTTP/1.0 200 OK", (b"Connection: keep-alive", b"Connection: close"), False),
    ],
)
def test_the_connection_is_reused_only_if_the_server_says_so(
    line: bytes, fields: tuple[bytes, ...], keep_alive: bool
) -> None:
    assert parse_response(raw(*fields, line=line)).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (200, b"GET", True),
        (200, b"POST", True),
        (200, b"HEAD", False),
        (204, b"GET", False),
        (304, b"GET", False),
        (404, b"GET", True),
        (500, b"HEAD", False),
    ],
)
def test_head_204_and_304_have_no_body(status: int, method: bytes, body: bool) -> None:
    head = parse_response(raw(b"Content-Length: 5", line=b"HTTP/1.1 %d X" % status))
    assert head.has_body(method) is body


def test_the_content_type_is_read_and_relayed() -> None:
    head = ok(b"Content-Type: Text/Event-Stream; charset=UTF-8")
    assert head.content_type == b"text/event-stream; charset=utf-8"
    assert relayed(b"Content-Type: Text/Event-Stream") == [b"Content-Type: Text/Event-Stream"]
    assert ok().content_type == b""


def test_a_field_is_found_by_its_lower_case_name() -> None:
    head = ok(b"X-A:  One ", b"X-a: two")
    assert head.field(b"x-a") == b"One"
    assert head.field(b"x-b") is None


def test_duplicates_keep_their_number_and_order() -> None:
    fields = [b"Set-Cookie: a=1", b"Server: uvicorn", b"Set-Cookie: b=2", b"set-cookie: c=3"]
    assert relayed(*fields) == fields


@pytest.mark.parametrize(
    "field",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Proxy-Connection: close",
        b"TE: trailers",
        b"Trailer: X-Checksum",
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
        b"Content-Length: 5",
        b"X-Model-Version: forged",
        b"X-Router-Route: forged",
        b"X-Router-Generation: 9",
        b"X-Request-Id: forged",
    ],
)
def test_hop_by_hop_and_control_fields_are_not_relayed(field: bytes) -> None:
    assert relayed(b"X-A: 1", field, b"X-B: 2") == [b"X-A: 1", b"X-B: 2"]


@pytest.mark.parametrize(
    "field",
    [b"Server: x", b"Date: x", b"Vary: *", b"WWW-Authenticate: Basic", b"X-Routers: 1", b"Via: x"],
)
def test_an_end_to_end_field_is_relayed(field: bytes) -> None:
    assert relayed(field) == [field]


@pytest.mark.parametrize(
    "name",
    [b"Xe", b"Xontent-Type", b"C-Request-Id", b"Trailer2"],
)
def test_a_field_whose_name_only_ends_like_a_special_one_is_relayed(name: bytes) -> None:
    assert relayed(b"X-A: 1", name + b": 1") == [b"X-A: 1", name + b": 1"]


@pytest.mark.parametrize("place", range(5))
def test_a_field_that_connection_names_is_not_relayed_wherever_it_stands(place: int) -> None:
    fields = [b"X-Hop: 1", b"Content-Length: 5", b"X-A: 1", b"x-hop: 2"]
    fields.insert(place, b"Connection: close, X-Hop")
    assert relayed(*fields) == [b"X-A: 1"]


@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_the_framing_of_the_upstream_is_never_relayed_beside_a_nominated_field(
    framing: bytes,
) -> None:
    # The router writes its own framing: a second one would be read in two ways.
    assert relayed(b"Connection: X-Hop", framing, b"X-Hop: 1", b"X-A: 1") == [b"X-A: 1"]


@pytest.mark.parametrize(
    "named", [b"Content-Length", b"content-type", b"Transfer-Encoding", b"X-Forwarded-For", b"a b"]
)
def test_connection_may_not_name_what_frames_the_message(named: bytes) -> None:
    assert refused(raw(b"Content-Length: 5", b"Connection: " + named)) == "connection"


def test_the_relayed_fields_can_be_had_as_pairs() -> None:
    head = ok(b"Set-Cookie: a=1; b", b"Content-Length: 5", b"X-Empty:", b"set-cookie:\tc:d ")
    pairs = [(b"set-cookie", b"a=1; b"), (b"x-empty", b""), (b"set-cookie", b"c:d")]
    assert head.kept_pairs() == pairs
    assert head.kept_pairs() == pairs
    assert ok().kept_pairs() == []
