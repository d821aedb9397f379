"""What of a request's head is forwarded: framing and Host anew, hop-by-hop fields not at all."""

from __future__ import annotations

import pytest

from router.http1.request import CHUNKED_FIELD, parse_request, request_start

HOST = b"Host: model.example"


def forward(
    *fields: bytes,
    line: bytes = b"POST /v1/x?y HTTP/1.1",
    steering: tuple[bytes, ...] = (),
    extra: bytes = b"x-request-id: r\r\n",
) -> list[bytes]:
    """The lines of the head that goes upstream."""
    head = parse_request(b"\r\n".join((line, HOST, *fields)) + b"\r\n\r\n")
    composed = request_start(
        head,
        target=head.target,
        authority=b"10.0.0.1:8000",
        kept=head.kept_without(steering) if steering else head.kept,
        extra=extra,
    )
    if head.content_length is not None:
        composed += b"content-length: %d\r\n" % head.content_length
    elif head.chunked:
        composed += CHUNKED_FIELD
    assert composed.endswith(b"\r\n")
    lines = composed[:-2].split(b"\r\n")
    assert all(lines)
    return lines


def names(*fields: bytes) -> list[bytes]:
    """The lower-case names of the client's fields that go upstream."""
    ours = (b"host", b"content-length", b"transfer-encoding", b"x-request-id")
    sent = [line.partition(b":")[0].lower() for line in forward(*fields)[1:]]
    return [name for name in sent if name not in ours]


def test_a_head_is_forwarded_with_our_host_and_its_own_fields() -> None:
    assert forward(b"Content-Type: application/json", b"Content-Length: 5", b"X-A:  1 ") == [
        b"POST /v1/x?y HTTP/1.1",
        b"host: 10.0.0.1:8000",
        b"Content-Type: application/json",
        b"X-A:  1 ",
        b"x-request-id: r",
        b"content-length: 5",
    ]


def test_a_head_without_other_fields_is_forwarded() -> None:
    assert forward(line=b"GET / HTTP/1.1", extra=b"") == [b"GET / HTTP/1.1", b"host: 10.0.0.1:8000"]


def test_a_chunked_request_stays_chunked() -> None:
    sent = forward(b"Transfer-Encoding: Chunked", b"X-A: 1")
    assert sent.count(b"transfer-encoding: chunked") == 1
    assert not [line for line in sent if line.lower().startswith(b"content-length")]


def test_only_transfer_encoding_is_forwarded_of_both_framings() -> None:
    sent = forward(b"Content-Length: 4", b"Transfer-Encoding: chunked")
    framing = [line for line in sent if line.startswith((b"content-l", b"Content-L", b"tr", b"Tr"))]
    assert framing == [b"transfer-encoding: chunked"]


def test_equal_content_lengths_are_forwarded_as_one() -> None:
    sent = forward(b"Content-Length: 05", b"X-A: 1", b"Content-Length: 5")
    assert [line for line in sent if line.lower().startswith(b"content-length")] == [
        b"content-length: 5"
    ]


def test_http_1_0_is_forwarded_as_http_1_1() -> None:
    assert forward(line=b"GET /a HTTP/1.0")[0] == b"GET /a HTTP/1.1"


def test_an_absolute_target_is_forwarded_in_origin_form() -> None:
    sent = forward(line=b"GET http://other.example/a?b HTTP/1.1")
    assert sent[:2] == [b"GET /a?b HTTP/1.1", b"host: 10.0.0.1:8000"]
    assert not any(b"model.example" in line or b"other.example" in line for line in sent)


@pytest.mark.parametrize(
    "field",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5, max=100",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: Basic eDp5",
        b"Proxy-Authenticate: Basic",
        b"TE: trailers",
        b"TE: trailers, deflate;q=0.5",
        b"Trailer: X-Checksum",
        b"Upgrade: h2c",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
    ],
)
def test_a_hop_by_hop_field_is_never_forwarded(field: bytes) -> None:
    assert names(b"X-A: 1", field, b"X-B: 2") == [b"x-a", b"x-b"]
    assert names(b"X-A: 1", field.upper(), b"X-B: 2") == [b"x-a", b"x-b"]


@pytest.mark.parametrize(
    "field",
    [
        b"X-Forwarded-For: 6.6.6.6",
        b"X-Forwarded-Host: evil.example",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Port: 1",
        b"X-Forwarded-Prefix: /x",
        b"X-Forwarded-Client-Cert: Subject=admin",
        b"Forwarded: for=6.6.6.6;host=evil.example",
        b"Via: 1.1 someone",
    ],
)
def test_a_forwarding_field_of_the_client_is_never_forwarded_as_it_came(field: bytes) -> None:
    assert names(field, b"X-A: 1", field) == [b"x-a"]


@pytest.mark.parametrize(
    "field",
    [
        b"X-Router-Route: chat",
        b"X-Router-Generation: 1",
        b"X-ROUTER-anything: 1",
        b"X-Model-Version: v2",
        b"X-Shadow: true",
        b"X-Request-Id: forged",
    ],
)
def test_a_control_field_of_the_client_is_never_forwarded(field: bytes) -> None:
    sent = forward(b"X-A: 1", field, b"X-B: 2")
    assert sent[1:] == [b"host: 10.0.0.1:8000", b"X-A: 1", b"X-B: 2", b"x-request-id: r"]


@pytest.mark.parametrize(
    "field",
    [
        b"Authorization: Bearer k",
        b"Accept-Encoding: gzip",
        b"Idempotency-Key: 1",
        b"traceparent: 00-a-b-01",
        b"Inference-Header-Content-Length: 12",
        b"X-Routers: 1",
        b"X-Shadows: 1",
        b"X-Forwarded: 1",
        b"Proxy: http://x",
        b"Hosts: a",
        b"Viable: 1",
        b"Range: bytes=0-10",
    ],
)
def test_an_end_to_end_field_is_forwarded_as_the_bytes_that_came(field: bytes) -> None:
    assert field in forward(field)


@pytest.mark.parametrize(
    "name",
    # The name of a special field with the first letter of another one.
    [b"Xe", b"Cia", b"T-Request-Id", b"C-Shadow", b"U-Forwarded-For", b"Upgrade2"],
)
def test_a_field_whose_name_only_ends_like_a_special_one_is_forwarded(name: bytes) -> None:
    assert name + b": 1" in forward(b"X-A: 1", name + b": 1", b"X-B: 2")


def test_duplicates_of_an_end_to_end_field_keep_their_number_and_order() -> None:
    fields = b"Cookie: a=1", b"X-A: 1", b"Cookie: b=2", b"X-A: 2"
    assert forward(*fields)[2:-1] == list(fields)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("named", [b"X-Hop", b"x-hop", b"X-HOP,close", b"keep-alive , X-Hop"])
def test_a_field_that_connection_names_is_removed_wherever_it_stands(
    named: bytes, place: int
) -> None:
    fields = [b"X-Hop: secret", b"X-Hopper: 1", b"Content-Length: 5", b"x-hop: more"]
    fields.insert(place, b"Connection: " + named)
    assert names(*fields) == [b"x-hopper"]


def test_every_connection_line_names_fields() -> None:
    fields = b"Connection: X-A", b"X-A: 1", b"X-B: 2", b"X-C: 3", b"Connection: close, X-C"
    assert names(*fields) == [b"x-b"]


def test_connection_may_name_fields_that_are_removed_anyway() -> None:
    fields = (
        b"Connection: TE, Upgrade, HTTP2-Settings, Keep-Alive, Proxy-Connection, Trailer",
        b"TE: trailers",
        b"Upgrade: h2c",
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA",
        b"Keep-Alive: 5",
        b"Proxy-Connection: close",
        b"Trailer: X",
        b"X-A: 1",
    )
    assert names(*fields) == [b"x-a"]


def test_connection_may_name_a_field_that_is_not_there() -> None:
    assert names(b"Connection: X-Missing, X-Miss", b"X-A: 1") == [b"x-a"]


def test_steering_fields_of_the_route_are_left_out_as_well() -> None:
    fields = b"X-Canary: always", b"X-A: 1", b"Connection: X-Hop", b"x-canary: 2", b"X-Hop: 3"
    sent = forward(*fields, b"X-B: 4", steering=(b"x-canary", b"x-missing"))
    assert sent[2:-1] == [b"X-A: 1", b"X-B: 4"]


def test_leaving_steering_fields_out_changes_nothing_for_the_next_reader() -> None:
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\nX-Canary: 1\r\nX-A: 1\r\n\r\n")
    before = head.kept
    assert head.kept_without((b"x-canary",)) == b"\r\nX-A: 1\r\n"
    assert head.kept == before == b"\r\nX-Canary: 1\r\nX-A: 1\r\n"


@pytest.mark.parametrize(
    ("cookie", "sent"),
    [
        (b"Cookie: a=1; b=2", [b"Cookie: a=1; b=2"]),
        (b"Cookie: inference_router_session=S", []),
        (b"Cookie:inference_router_session=S; ", []),
        (b"Cookie: a=1; inference_router_session=S", [b"Cookie: a=1"]),
        (b"Cookie: Inference_Router_Session=S; a=1", [b"Cookie: a=1"]),
        (b"Cookie: a=1; inference_router_session=S; b=2", [b"Cookie: a=1; b=2"]),
        (b"Cookie: a=inference_router_session=S", [b"Cookie: a=inference_router_session=S"]),
    ],
)
def test_the_session_of_the_console_never_reaches_a_model_server(
    cookie: bytes, sent: list[bytes]
) -> None:
    found = [line for line in forward(cookie, b"X-A: 1") if line.lower().startswith(b"cookie")]
    assert [line.replace(b":  ", b": ").replace(b":a", b": a") for line in found] == sent
    without = forward(cookie, b"X-A: 1", steering=(b"cookie",))
    assert not [line for line in without if b"=S" in line]
    assert b"X-A: 1" in without
