"""The head of a request: it has one reading, or it is refused."""

from __future__ import annotations

import pytest

from router.errors import ErrorCode
from router.http1.grammar import MAX_FIELDS, MAX_TARGET, ProtocolError
from router.http1.request import RequestHead, parse_request

HOST = b"Host: model.example"
LINE = b"POST /v1/chat/completions HTTP/1.1"


def raw(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((line, *fields)) + b"\r\n\r\n"


def post(*fields: bytes) -> RequestHead:
    return parse_request(raw(LINE, HOST, *fields))


def refused(head: bytes) -> tuple[int, str]:
    with pytest.raises(ProtocolError) as error:
        parse_request(head)
    return error.value.code.status, error.value.reason


# -- the request line ------------------------------------------------------------------------


def test_a_plain_request_is_read() -> None:
    head = parse_request(raw(b"GET /v1/models?limit=2 HTTP/1.1", HOST, b"Accept: */*"))
    assert (head.method, head.target, head.path) == (b"GET", b"/v1/models?limit=2", b"/v1/models")
    assert (head.minor, head.host, head.keep_alive) == (1, b"model.example", True)
    assert (head.content_length, head.chunked, head.has_body) == (None, False, False)
    assert head.field(b"accept") == b"*/*"


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"//a//b",
        b"//evil.example/x",
        b"/a/../b",
        b"/%2e%2e/%2F",
        b"/%c3%A9",
        b"/a?",
        b"/a?b=c?d=/..&e",
        b"/a\\b",
        b"/{model}|^`\"<>'",
        b"/a;b=c,d:e@f",
        b"/%",
        b"/" + b"a" * (MAX_TARGET - 1),
    ],
)
def test_path_and_query_stay_the_bytes_that_came(target: bytes) -> None:
    head = parse_request(raw(b"GET " + target + b" HTTP/1.1", HOST))
    assert head.target == target
    assert head.path == target.partition(b"?")[0]


@pytest.mark.parametrize(
    "method", [b"GET", b"M-SEARCH", b"PURGE", b"get", b"!#$%&'*+-.^_`|~09azAZ", b"A" * 32]
)
def test_any_token_is_a_method(method: bytes) -> None:
    assert parse_request(raw(method + b" / HTTP/1.1", HOST)).method == method


@pytest.mark.parametrize(
    "line",
    [
        b"GET  / HTTP/1.1",
        b"GET /  HTTP/1.1",
        b"GET\t/\tHTTP/1.1",
        b" GET / HTTP/1.1",
        b"GET / HTTP/1.1 ",
        b"GET /",
        b"GET",
        b"",
        b"GET / HTTP/1",
        b"GET / HTTP/1.1.1",
        b"GET / HTTP/11",
        b"GET / HTTP/01.1",
        b"GET / HTTP/1.x",
        b"GET / http/1.1",
        b"GET / HTTPS/1.1",
        b"GET / HTTP/ 1.1",
        b"GET / ICY/1.1",
        b"GET / HTTP/1.2",
        b"G@T / HTTP/1.1",
        b"GET: / HTTP/1.1",
        b"(GET) / HTTP/1.1",
        b"G\xc3\x89T / HTTP/1.1",
        b"A" * 33 + b" / HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x01 HTTP/1.1",
        b"GET /\xc3\xa9 HTTP/1.1",
        b"GET /\xa0 HTTP/1.1",
        b"\x16\x03\x01\x02",
    ],
)
def test_a_malformed_request_line_is_answered_with_400(line: bytes) -> None:
    assert refused(raw(line, HOST)) == (400, "request_line")


@pytest.mark.parametrize(
    "line", [b"GET / HTTP/2.0", b"PRI * HTTP/2.0", b"GET / HTTP/0.9", b"GET / HTTP/3.1"]
)
def test_another_major_version_is_answered_with_505(line: bytes) -> None:
    assert refused(raw(line, HOST)) == (505, "version")


def test_a_target_over_the_limit_is_answered_with_414() -> None:
    assert refused(raw(b"GET /" + b"a" * MAX_TARGET + b" HTTP/1.1", HOST)) == (
        414,
        "target_too_long",
    )


@pytest.mark.parametrize(
    "target",
    [
        b"/a#b",
        b"/#",
        b"http://model.example/a#b",
        b"model.example",
        b"model.example:80",
        b"v1/models",
        b"?a=b",
        b"*",
        b"**",
        b"/*#",
        b"ftp://model.example/",
        b"http:/model.example/",
        b"http:model.example",
        b"http://",
        b"http:///v1",
        b"http://?a",
        b"http://:80/",
        b"http://user@model.example/",
        b"http://user:secret@model.example/",
        b"http://model.example:http/",
        b"http://model.example:123456/",
        b"http://[::1/",
        b"http://a,b/",
        b"http://a\\b/",
    ],
)
def test_what_is_no_request_target_is_answered_with_400(target: bytes) -> None:
    assert refused(raw(b"GET " + target + b" HTTP/1.1", HOST)) == (400, "target")


# -- absolute and asterisk form, CONNECT -------------------------------------------------------


@pytest.mark.parametrize(
    ("absolute", "host", "target"),
    [
        (b"http://other.example/v1/models?a=b", b"other.example", b"/v1/models?a=b"),
        (b"https://other.example:8443/x", b"other.example:8443", b"/x"),
        (b"HTTP://Other.Example/X", b"Other.Example", b"/X"),
        (b"http://other.example", b"other.example", b"/"),
        (b"http://other.example?a=b", b"other.example", b"/?a=b"),
        (b"http://[::1]:80//x", b"[::1]:80", b"//x"),
        (
            b"http://other.example/http://third.example/",
            b"other.example",
            b"/http://third.example/",
        ),
    ],
)
def test_the_authority_of_an_absolute_target_replaces_host(
    absolute: bytes, host: bytes, target: bytes
) -> None:
    head = parse_request(raw(b"GET " + absolute + b" HTTP/1.1", HOST))
    assert (head.host, head.target) == (host, target)
    assert head.path == target.partition(b"?")[0]


def test_an_absolute_target_does_not_excuse_a_missing_host() -> None:
    assert refused(raw(b"GET http://other.example/ HTTP/1.1", b"Accept: */*")) == (400, "host")


def test_an_absolute_target_is_enough_of_a_host_for_http_1_0() -> None:
    assert parse_request(raw(b"GET http://other.example/ HTTP/1.0")).host == b"other.example"


def test_options_may_ask_for_the_server_itself() -> None:
    head = parse_request(raw(b"OPTIONS * HTTP/1.1", HOST))
    assert (head.target, head.path) == (b"*", b"*")


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD", b"options"])
def test_only_options_may_ask_for_the_server_itself(method: bytes) -> None:
    assert refused(raw(method + b" * HTTP/1.1", HOST)) == (400, "target")


@pytest.mark.parametrize(
    "target", [b"model.example:443", b"model.example", b"*", b"http://a/", b"/", b"/v1/models"]
)
def test_connect_is_refused_whatever_its_target(target: bytes) -> None:
    status, _ = refused(raw(b"CONNECT " + target + b" HTTP/1.1", HOST))
    assert status in (400, 501)


# -- field lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b"X-Empty:", b"x-empty", b""),
        (b"X-Blank: \t ", b"x-blank", b""),
        (b"X-Tight:v", b"x-tight", b"v"),
        (b"X-Wide:\t  v \t", b"x-wide", b"v"),
        (b"X-Inner: a \t b", b"x-inner", b"a \t b"),
        (b"X-Colons: a:b: c", b"x-colons", b"a:b: c"),
        (b"X-Obs: caf\xc3\xa9\xff", b"x-obs", b"caf\xc3\xa9\xff"),
        (b"!#$%&'*+-.^_`|~9aZ: v", b"!#$%&'*+-.^_`|~9az", b"v"),
        (b"X-CASE: Value", b"x-case", b"Value"),
        (b"X-Big: " + b"b" * 60_000, b"x-big", b"b" * 60_000),
    ],
)
def test_a_value_is_read_without_the_white_space_around_it(
    line: bytes, name: bytes, value: bytes
) -> None:
    assert post(line).field(name) == value


def test_the_first_of_several_lines_of_a_field_is_its_value() -> None:
    assert post(b"X-A: 1", b"x-a: 2").field(b"x-a") == b"1"


def test_a_field_that_is_not_there_has_no_value() -> None:
    head = post(b"X-A: x-b: 1", b"X-BB: 1")
    assert head.field(b"x-b") is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"X-A : 1", "field_name"),
        (b"X-A\t: 1", "field_name"),
        (b"Content-Length : 5", "field_name"),
        (b"Transfer-Encoding : chunked", "field_name"),
        (b"Content\tLength: 5", "field_name"),
        (b"Transfer- Encoding: chunked", "field_name"),
        (b": 1", "field_name"),
        (b'X"A: 1', "field_name"),
        (b"X/A: 1", "field_name"),
        (b"X@A: 1", "field_name"),
        (b"X\x00A: 1", "field_name"),
        (b"X\x7fA: 1", "field_name"),
        (b"Transfer-Encoding\x88: chunked", "field_name"),
        (b"Tran\xc5\xbffer-Encoding: chunked", "field_name"),
        (b"\xc2\xa0Transfer-Encoding: chunked", "field_name"),
        (b"\x0bTransfer-Encoding: chunked", "field_name"),
        (b" folded", "obs_fold"),
        (b"\tfolded: 1", "obs_fold"),
        (b" ", "obs_fold"),
        (b"X-A: a\x00b", "field_value"),
        (b"X-A: a\x07b", "field_value"),
        (b"X-A: a\x0bb", "field_value"),
        (b"X-A: a\x0cb", "field_value"),
        (b"X-A: a\x1bb", "field_value"),
        (b"X-A: a\x7fb", "field_value"),
        (b"X-A: a\rb", "bare_line_end"),
        (b"X-A: a\nb", "bare_line_end"),
        (b"X-A: a\nTransfer-Encoding: chunked", "bare_line_end"),
        (b"X-A:\rTransfer-Encoding: chunked", "bare_line_end"),
        (b"X-A: a\r\r", "bare_line_end"),
    ],
)
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_malformed_field_line_is_answered_with_400(line: bytes, reason: str, place: str) -> None:
    fields = {
        "first": (line, HOST, b"X-Z: 1"),
        "middle": (HOST, line, b"X-Z: 1"),
        "last": (HOST, b"X-Z: 1", line),
    }[place]
    assert refused(raw(LINE, *fields)) == (400, reason)


def test_a_line_without_a_colon_is_no_field() -> None:
    assert refused(raw(LINE, HOST, b"X-A")) == (400, "field_name")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\nHost: a\n\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n",
        b"GET / HTTP/1.1\rHost: a\r\n\r\n",
        b"GET /\n HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
    ],
)
def test_a_bare_line_end_is_answered_with_400(head: bytes) -> None:
    assert refused(head)[0] == 400


def test_as_many_fields_as_the_limit_are_read() -> None:
    post(*(b"X-%d: v" % number for number in range(MAX_FIELDS - 1)))


def test_one_field_over_the_limit_is_answered_with_431() -> None:
    fields = [b"X-%d: v" % number for number in range(MAX_FIELDS)]
    assert refused(raw(LINE, HOST, *fields)) == (431, "too_many_fields")


def test_ten_thousand_fields_are_answered_with_431() -> None:
    assert refused(raw(LINE, HOST, *[b"A: b"] * 10_000)) == (431, "too_many_fields")


# -- Host --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        b"a",
        b"a.example",
        b"A.Example:8080",
        b"10.0.0.1:80",
        b"[::1]",
        b"[2001:db8::1]:8080",
        b"a_b.example",
        b"xn--bcher-kva.example.",
        b"a:",
        b"%61.example",
        b"",
    ],
)
def test_a_host_and_an_optional_port_are_read(value: bytes) -> None:
    assert parse_request(raw(LINE, b"Host: " + value)).host == value


@pytest.mark.parametrize(
    "value",
    [
        b"a b",
        b"a,b",
        b"a.example:abc",
        b"a.example:80:80",
        b"a.example:123456",
        b"a.example:-1",
        b"a@evil.example",
        b"user:secret@a",
        b"a/b",
        b"a?b",
        b"a#b",
        b"a\\b",
        b"http://a",
        b"[::1",
        b"::1",
        b"[::1]x",
        b"[zz]",
        b"caf\xc3\xa9",
        b'"a"',
        b"<a>",
    ],
)
def test_a_host_that_is_none_is_answered_with_400(value: bytes) -> None:
    assert refused(raw(LINE, b"Host: " + value)) == (400, "host")


@pytest.mark.parametrize(
    "fields",
    [(), (b"Accept: */*",), (HOST, HOST), (HOST, b"HOST: other.example"), (b"Host:", b"Host:")],
)
def test_http_1_1_needs_exactly_one_host(fields: tuple[bytes, ...]) -> None:
    assert refused(raw(LINE, *fields)) == (400, "host")


def test_http_1_0_needs_no_host() -> None:
    head = parse_request(raw(b"GET / HTTP/1.0"))
    assert (head.host, head.minor) == (None, 0)


def test_http_1_0_has_one_host_at_most() -> None:
    assert refused(raw(b"GET / HTTP/1.0", HOST, HOST)) == (400, "host")


# -- Content-Length ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "length"),
    [
        (b"0", 0),
        (b"5", 5),
        (b"005", 5),
        (b"\t5 ", 5),
        (b"999999999999999", 999_999_999_999_999),
    ],
)
def test_content_length_is_digits(value: bytes, length: int) -> None:
    head = post(b"Content-Length:" + value)
    assert (head.content_length, head.has_body) == (length, length > 0)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+5",
        b"-5",
        b"-0",
        b"5.0",
        b"5e0",
        b"0x5",
        b"0o5",
        b"0b1",
        b"1_0",
        b"5 0",
        b"5x",
        b"abc",
        b"5,5",
        b"5, 5",
        b"5, 6",
        b",5",
        b"5,",
        b"5;5",
        b'"5"',
        b"\xd9\xa5",
        b"\xc2\xb2",
        b"1000000000000000",
        b"99999999999999999999",
        b"0" * 16,
    ],
)
def test_any_other_content_length_is_answered_with_400(value: bytes) -> None:
    assert refused(raw(LINE, HOST, b"Content-Length: " + value)) == (400, "content_length")


def test_equal_content_lengths_are_one() -> None:
    assert (
        post(b"Content-Length: 5", b"content-length:5", b"CONTENT-LENGTH: 5 ").content_length == 5
    )


@pytest.mark.parametrize(("one", "other"), [(b"5", b"6"), (b"0", b"5"), (b"5", b"0"), (b"5", b"")])
def test_different_content_lengths_are_answered_with_400(one: bytes, other: bytes) -> None:
    fields = b"Content-Length: " + one, b"X-A: 1", b"Content-Length: " + other
    assert refused(raw(LINE, HOST, *fields)) == (400, "content_length")


def test_a_name_that_only_looks_like_content_length_frames_nothing() -> None:
    head = post(b"Content_Length: 9", b"X-Content-Length: 9", b"Content-Length2: 9")
    assert (head.content_length, head.has_body) == (None, False)


# -- Transfer-Encoding -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"CHUNKED", b" \tchunked\t "])
def test_chunked_is_the_one_coding_that_is_read(value: bytes) -> None:
    head = post(b"TRANSFER-encoding:" + value)
    assert (head.chunked, head.content_length, head.has_body) == (True, None, True)
    assert head.keep_alive


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b",",
        b"gzip",
        b"identity",
        b"chunked, gzip",
        b"chunked, identity",
        b"chunked, chunked",
        b"gzip, chunked, chunked",
        b"chunked, gzip, chunked",
        b"chunked,",
        b",chunked",
        b"gzip,,chunked",
        b"chunkedchunked",
        b"xchunked",
        b"chunked;a=b",
        b'"chunked"',
        b"'chunked'",
        b"chunk ed",
        b"chunked 0",
        b"\xa0chunked",
        b"chunked\x85",
    ],
)
def test_a_coding_that_does_not_end_in_one_chunked_is_answered_with_400(value: bytes) -> None:
    fields = b"Transfer-Encoding: " + value, b"Content-Length: 5"
    assert refused(raw(LINE, HOST, *fields)) == (400, "transfer_encoding")


@pytest.mark.parametrize("value", [b"gzip, chunked", b"cow,chunked", b"identity\t, Chunked"])
def test_an_unknown_coding_before_chunked_is_answered_with_501(value: bytes) -> None:
    assert refused(raw(LINE, HOST, b"Transfer-Encoding: " + value)) == (501, "transfer_encoding")


@pytest.mark.parametrize("other", [b"chunked", b"gzip", b"identity", b""])
def test_two_transfer_encodings_are_answered_with_400(other: bytes) -> None:
    fields = b"Transfer-Encoding: chunked", b"Transfer-Encoding: " + other
    assert refused(raw(LINE, HOST, *fields)) == (400, "transfer_encoding")
    assert refused(raw(LINE, HOST, *reversed(fields))) == (400, "transfer_encoding")


@pytest.mark.parametrize(
    "fields",
    [
        (b"Content-Length: 23", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 0"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Connection: keep-alive"),
    ],
)
def test_transfer_encoding_wins_and_the_answer_closes(fields: tuple[bytes, ...]) -> None:
    head = post(*fields)
    assert (head.chunked, head.content_length, head.keep_alive) == (True, None, False)


def test_transfer_encoding_does_not_excuse_a_bad_content_length() -> None:
    fields = b"Transfer-Encoding: chunked", b"Content-Length: x"
    assert refused(raw(LINE, HOST, *fields)) == (400, "content_length")


def test_http_1_0_has_no_transfer_encoding() -> None:
    head = raw(b"POST / HTTP/1.0", HOST, b"Transfer-Encoding: chunked")
    assert refused(head) == (400, "transfer_encoding")


def test_a_name_that_only_looks_like_transfer_encoding_frames_nothing() -> None:
    head = post(b"Transfer_Encoding: chunked", b"X-Transfer-Encoding: chunked", b"TE: chunked")
    assert not head.chunked


# -- keep-alive, Expect ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "fields", "keep_alive"),
    [
        (b"GET / HTTP/1.1", (), True),
        (b"GET / HTTP/1.1", (b"Connection: keep-alive",), True),
        (b"GET / HTTP/1.1", (b"Connection: close",), False),
        (b"GET / HTTP/1.1", (b"Connection: Close",), False),
        (b"GET / HTTP/1.1", (b"Connection: keep-alive, close",), False),
        (b"GET / HTTP/1.1", (b"Connection: keep-alive", b"Connection: close"), False),
        (b"GET / HTTP/1.1", (b"Connection:",), True),
        (b"GET / HTTP/1.1", (b"Connection: closed",), True),
        (b"GET / HTTP/1.1", (b"X-Connection: close",), True),
        (b"GET / HTTP/1.0", (), False),
        (b"GET / HTTP/1.0", (b"Connection: Keep-Alive",), True),
        (b"GET / HTTP/1.0", (b"Connection: keep-alive, close",), False),
        (b"GET / HTTP/1.0", (b"Keep-Alive: timeout=5",), False),
    ],
)
def test_the_connection_is_kept_as_the_client_says(
    line: bytes, fields: tuple[bytes, ...], keep_alive: bool
) -> None:
    assert parse_request(raw(line, HOST, *fields)).keep_alive is keep_alive


@pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"\t100-CONTINUE "])
def test_a_client_may_wait_for_100_continue(value: bytes) -> None:
    assert post(b"Content-Length: 5", b"Expect:" + value).expects_continue


def test_an_http_1_0_client_never_gets_100_continue() -> None:
    head = parse_request(raw(b"POST / HTTP/1.0", HOST, b"Expect: 100-continue"))
    assert not head.expects_continue


@pytest.mark.parametrize("value", [b"", b"200-ok", b"100-continue, x", b"100"])
def test_another_expectation_is_answered_with_417(value: bytes) -> None:
    assert refused(raw(LINE, HOST, b"Expect: " + value)) == (417, "expect")


# -- what the router reads for itself ----------------------------------------------------------


@pytest.mark.parametrize("given", [b"r-1", b"!~" * 64, b"Mixed-Case"])
def test_a_request_id_is_taken_over(given: bytes) -> None:
    assert post(b"X-Request-Id: " + given).request_id == given


@pytest.mark.parametrize("given", [b"", b"a b", b"a" * 129, b"caf\xc3\xa9", b"a\tb"])
def test_a_request_id_that_is_long_or_strange_is_not(given: bytes) -> None:
    assert post(b"X-Request-Id: " + given).request_id is None


def test_every_via_is_seen() -> None:
    head = post(b"Via: 1.1 One", b"X-A: 1", b"VIA: 1.0 two")
    assert head.via == b"1.1 one,1.0 two"
    assert post().via is None


# -- Connection --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "named",
    [
        b"Content-Length",
        b"content-length",
        b"Host",
        b"Transfer-Encoding",
        b"Content-Type",
        b"Authorization",
        b"Via",
        b"X-Forwarded-For",
        b"x-forwarded-host",
        b"X-Forwarded-",
        b"close, Host",
        b"keep-alive,\tX-Forwarded-Proto",
    ],
)
def test_connection_may_not_name_what_must_reach_the_other_side(named: bytes) -> None:
    fields = b"Content-Length: 5", b"Connection: " + named
    assert refused(raw(LINE, HOST, *fields)) == (400, "connection")


@pytest.mark.parametrize("value", [b"a b", b"a;b", b'"close"', b"clo\xc5\xbfe", b"a:b", b"a/b"])
def test_a_connection_option_is_a_token(value: bytes) -> None:
    assert refused(raw(LINE, HOST, b"Connection: " + value)) == (400, "connection")


def test_connection_may_name_ten_fields() -> None:
    post(b"Connection: " + b", ".join(b"x-%d" % number for number in range(10)))


def test_connection_may_not_name_eleven_fields() -> None:
    field = b"Connection: " + b",".join(b"x-%d" % number for number in range(11))
    assert refused(raw(LINE, HOST, field)) == (400, "connection")


def test_connection_may_not_name_eleven_fields_over_two_lines() -> None:
    # RFC 9110 §5.3: several lines of one field are one list.
    first = b"Connection: " + b",".join(b"x-%d" % number for number in range(6))
    second = b"Connection: " + b",".join(b"y-%d" % number for number in range(6))
    assert refused(raw(LINE, HOST, first, second)) == (400, "connection")


def test_empty_connection_options_are_ignored() -> None:
    assert post(b"Connection: , ,close,,").keep_alive is False


def test_every_refusal_has_a_status_of_the_client_or_says_what_is_not_spoken() -> None:
    heads = [
        raw(b"GET / HTTP/2.0", HOST),
        raw(b"CONNECT a:1 HTTP/1.1", HOST),
        raw(LINE),
        b"\x00\r\n\r\n",
    ]
    for head in heads:
        with pytest.raises(ProtocolError) as error:
            parse_request(head)
        assert isinstance(error.value.code, ErrorCode)
        assert 400 <= error.value.code.status <= 505
        assert str(error.value)
