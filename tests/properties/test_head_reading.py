"""Heads have one reading: however they are read, and whoever reads what is forwarded of them."""

from __future__ import annotations

import re
from collections.abc import Callable

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.http1.grammar import ProtocolError
from router.http1.reader import HeadReader
from router.http1.request import CHUNKED_FIELD, RequestHead, parse_request, request_start
from router.http1.response import ResponseHead, parse_response

PROPERTY = settings(deadline=None, max_examples=100)

LENGTHS = [b"0", b"5", b"7", b"42", b"007", b"9" * 15, b"9" * 16, b"", b"+5", b"5,5", b"5 ", b"-1",
           b"\t8", b"0x5", b"5\xc2\xb2", b"1_0"]  # fmt: skip
VALUES = [b"", b"1", b"chunked", b"Chunked", b"gzip, chunked", b"close", b"keep-alive",
          b"X-A, close", b"X-B", b"100-continue", b"a.example", b"b:80", b"a@b", b" padded\t",
          b"a\tb", b"caf\xc3\xa9", *LENGTHS]  # fmt: skip
NAMES = [b"Host", b"Content-Length", b"content-length", b"Transfer-Encoding", b"Connection",
         b"Expect", b"Via", b"X-Request-Id", b"TE", b"Upgrade", b"Keep-Alive", b"Trailer",
         b"X-Forwarded-For", b"X-Router-Route", b"X-Shadow", b"X-A", b"X-B", b"x-a", b"Accept",
         b"Content-Type", b"Date", b"Set-Cookie", b"X-Content-Length"]  # fmt: skip
NOISE = [b"\r\n", b"\r", b"\n", b"\r\n\r\n", b" ", b"\t", b":", b"\x00", b"\x80", b",", b"0", b"5",
         b"#", b"?", b"/", b"HTTP/1.0", b"content-length: 3\r\n", b"\r\nhost: evil\r\n",
         b"transfer-encoding: chunked\r\n", b"connection: x-a\r\n", b" folded\r\n"]  # fmt: skip

FIELD = st.builds(
    lambda name, value: name + b": " + value + b"\r\n",
    st.sampled_from(NAMES),
    st.sampled_from(VALUES),
)
GOOD_FIELDS = st.lists(
    st.one_of(
        FIELD,
        st.sampled_from(
            [b"Content-Length: 12\r\n", b"Connection: X-B\r\n", b"X-B: 2\r\n", b"X-A: 1\r\n"]
        ),
    ),
    max_size=6,
)
REQUEST_LINES = st.sampled_from(
    [b"GET / HTTP/1.1\r\n", b"POST /v1/x?y=z HTTP/1.1\r\n", b"POST /a HTTP/1.0\r\n",
     b"OPTIONS * HTTP/1.1\r\n", b"GET http://o.example/p HTTP/1.1\r\n", b"GET //x HTTP/1.1\r\n",
     b"M-X /% HTTP/1.1\r\n", b"CONNECT /x HTTP/1.1\r\n"]
)  # fmt: skip
STATUS_LINES = st.sampled_from(
    [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 200 OK\r\n", b"HTTP/1.1 204\r\n", b"HTTP/1.1 500 a b\r\n"]
)
REQUESTS = st.builds(
    lambda line, host, fields: line + host + b"".join(fields) + b"\r\n",
    REQUEST_LINES,
    st.sampled_from([b"Host: a.example\r\n", b"host:b:80\r\n", b""]),
    GOOD_FIELDS,
)
RESPONSES = st.builds(
    lambda line, fields: line + b"".join(fields) + b"\r\n", STATUS_LINES, GOOD_FIELDS
)
# Where, how much of it goes, and what comes in its place.
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.sampled_from([b"", *NOISE])), max_size=3
)
_LENGTH = re.compile(rb"(?i)(content-length:[ \t]*)[0-9]+")


def mutate(head: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    for place, gone, put in mutations:
        at = place % (len(head) + 1)
        head = head[:at] + put + head[at + gone :]
    return head


def with_length(head: bytes, length: bytes) -> bytes:
    return _LENGTH.sub(lambda match: match[1] + length, head)


def variations(heads: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """What a connection may send: a few heads, again and again, all or nearly the same."""

    def of(bases: list[bytes]) -> st.SearchStrategy[list[bytes]]:
        base = st.sampled_from(bases)
        return st.lists(
            st.one_of(
                base,
                st.builds(with_length, base, st.sampled_from(LENGTHS)),
                st.builds(mutate, base, MUTATIONS),
            ).map(lambda head: head.rstrip(b"\r\n") + b"\r\n\r\n"),
            min_size=2,
            max_size=12,
        )

    return st.lists(heads, min_size=1, max_size=2).flatmap(of)


def composed(head: RequestHead, length: int | None) -> bytes:
    start = request_start(
        head, target=head.target, authority=head.host or b"e", kept=head.kept, extra=b""
    )
    if length is not None:
        return start + b"content-length: %d\r\n\r\n" % length
    return start + (CHUNKED_FIELD if head.chunked else b"") + b"\r\n"


# -- one connection's heads ----------------------------------------------------------------------


def request_meaning(head: RequestHead, length: int | None) -> tuple[object, ...]:
    return (
        head.method, head.target, head.path, head.minor, head.host, head.chunked, head.keep_alive,
        head.expects_continue, head.request_id, head.via, length, composed(head, length),
        head.kept_without((b"x-a",)), head.field(b"x-a"), head.field(b"content-type"),
    )  # fmt: skip


def response_meaning(head: ResponseHead, length: int | None) -> tuple[object, ...]:
    return (
        head.status, head.start, head.chunked, head.keep_alive, head.content_type, length,
        head.has_body(b"GET"), head.has_body(b"HEAD"), head.field(b"x-a"),
    )  # fmt: skip


def outcome(read: Callable[[], tuple[object, ...]]) -> tuple[object, ...]:
    try:
        return read()
    except ProtocolError as error:
        return error.reason, error.code


@PROPERTY
@given(variations(REQUESTS))
def test_a_reader_gives_what_parsing_gives_for_any_sequence_of_requests(heads: list[bytes]) -> None:
    reader = HeadReader(parse_request)
    for head in heads:
        fresh = outcome(lambda: request_meaning(h := parse_request(head), h.content_length))  # noqa: B023 - called at once
        assert outcome(lambda: request_meaning(*reader.read(head))) == fresh  # noqa: B023 - the same


@PROPERTY
@given(variations(RESPONSES))
def test_a_reader_gives_what_parsing_gives_for_any_sequence_of_responses(
    heads: list[bytes],
) -> None:
    reader = HeadReader(parse_response)
    for head in heads:
        fresh = outcome(lambda: response_meaning(h := parse_response(head), h.content_length))  # noqa: B023 - called at once
        assert outcome(lambda: response_meaning(*reader.read(head))) == fresh  # noqa: B023 - the same


def test_a_reader_knows_a_head_again_that_differs_only_in_its_length() -> None:
    reader = HeadReader(parse_request)
    text = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nX-A: 1\r\n\r\n"
    first, length = reader.read(text % 5)
    assert length == 5
    again, length = reader.read(text % 123_456)
    assert length == 123_456
    assert again is first


# -- one reading ---------------------------------------------------------------------------------


def lower_names(lines: list[bytes]) -> list[bytes]:
    return [line.partition(b":")[0].lower() for line in lines]


@PROPERTY
@given(REQUESTS, MUTATIONS)
@example(
    b"POST / HTTP/1.1\r\nHost: a\r\nConnection: X-A\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n", []
)
def test_a_request_is_refused_or_what_is_forwarded_has_the_same_one_reading(
    base: bytes, mutations: list[tuple[int, int, bytes]]
) -> None:
    try:
        head = parse_request(mutate(base, mutations))
    except ProtocolError:
        return
    forwarded = composed(head, head.content_length)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", forwarded)
    assert forwarded.index(b"\r\n\r\n") == len(forwarded) - 4
    names = lower_names(forwarded[:-4].split(b"\r\n")[1:])
    assert names.count(b"host") == 1
    framing = names.count(b"content-length"), names.count(b"transfer-encoding")
    assert framing == (head.content_length is not None, head.chunked)
    assert not {b"connection", b"te", b"upgrade", b"keep-alive", b"expect", b"via"} & {*names}

    again = parse_request(forwarded)
    assert (again.method, again.target, again.path) == (head.method, head.target, head.path)
    assert (again.chunked, again.content_length) == (head.chunked, head.content_length)
    assert again.kept == head.kept
    assert composed(again, again.content_length) == forwarded

    other = h11.Connection(h11.SERVER)
    other.receive_data(forwarded)
    event = other.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method, event.target) == (head.method, head.target)
    read = [(name.lower(), value) for name, value in event.headers.raw_items()]
    expected = [line.partition(b":") for line in forwarded[:-4].split(b"\r\n")[1:]]
    assert read == [(name.lower(), value.strip(b" \t")) for name, _, value in expected]


@PROPERTY
@given(RESPONSES, MUTATIONS)
@example(b"HTTP/1.1 200 OK\r\nConnection: X-A\r\nContent-Length: 5\r\nX-A: 1\r\n\r\n", [])
def test_a_response_is_refused_or_what_is_relayed_has_the_same_one_reading(
    base: bytes, mutations: list[tuple[int, int, bytes]]
) -> None:
    try:
        head = parse_response(mutate(base, mutations))
    except ProtocolError:
        return
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", head.start)
    assert head.start.endswith(b"\r\n")
    names = lower_names(head.start[:-2].split(b"\r\n")[1:])
    hops = {b"connection", b"content-length", b"transfer-encoding", b"keep-alive", b"upgrade"}
    assert not hops & {*names}
    again = parse_response(head.start + b"content-length: 3\r\n\r\n")
    assert (again.status, again.start, again.content_length) == (head.status, head.start, 3)
    assert (again.keep_alive, again.chunked) == (True, False)


@PROPERTY
@given(st.lists(st.sampled_from([b"X-A: 1", b"X-B: 2", b"Accept: *", b"Content-Length: 5",
                                 b"TE: x", b"Connection: X-A", b"Connection: close, X-B",
                                 b"X-Request-Id: r", b"x-a: 3"]), max_size=5))  # fmt: skip
def test_of_both_kinds_of_head_exactly_the_end_to_end_fields_are_kept(lines: list[bytes]) -> None:
    named = b",".join(line[12:].lower() for line in lines if line.startswith(b"Connection: "))
    gone = {b"content-length", b"te", b"connection", b"x-request-id"}
    gone |= {option.strip() for option in named.split(b",")}
    expected = [line for line in lines if line.partition(b":")[0].lower() not in gone]
    block = b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    request = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n" + block)
    assert request.kept == b"\r\n" + b"".join(line + b"\r\n" for line in expected)
    response = parse_response(b"HTTP/1.1 200 OK\r\n" + block)
    assert response.start[15:] == b"\r\n" + b"".join(line + b"\r\n" for line in expected)


@PROPERTY
@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange_to_refuse(head: bytes) -> None:
    for parse in (parse_request, parse_response):
        for data in (head, head + b"\r\n\r\n", b"GET / HTTP/1.1\r\n" + head + b"\r\n\r\n"):
            outcome(lambda: (parse(data),))  # noqa: B023 - called at once
