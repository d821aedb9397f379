"""The chunked coding, case by case; any split of it is a property in tests/properties."""

from __future__ import annotations

import pytest

from router.errors import ErrorCode
from router.http1.chunked import (
    END,
    MAX_CHUNK_LINE,
    MAX_EXTENSIONS,
    MAX_TRAILERS,
    ChunkedDecoder,
    frame_chunk,
)
from router.http1.grammar import ProtocolError


def decode(*reads: bytes) -> tuple[bytes, bool, bytes]:
    """Payload, whether the body has ended, and what came behind it."""
    decoder = ChunkedDecoder()
    payload = b"".join(decoder.feed(read) for read in reads)
    return payload, decoder.done, decoder.rest


def by_bytes(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def refused(*reads: bytes) -> tuple[str, ErrorCode]:
    with pytest.raises(ProtocolError) as error:
        decode(*reads)
    return error.value.reason, error.value.code


@pytest.mark.parametrize(
    ("body", "payload"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"a\r\n0123456789\r\n000\r\n\r\n", b"0123456789"),
        (b"000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
        (b"1\r\n\n\r\n0\r\n\r\n", b"\n"),
        (b"5;a\r\nhello\r\n0;last\r\n\r\n", b"hello"),
        (b"5;a=b;c\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5 ; a = b\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b'5;a="b;c\\"\xc3"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b'5;a=""\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b"5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\nHost: x\r\nX:\r\n\r\n", b"hello"),
    ],
)
def test_a_body_is_read_whole_and_byte_by_byte(body: bytes, payload: bytes) -> None:
    assert decode(body) == (payload, True, b"")
    assert decode(*by_bytes(body)) == (payload, True, b"")


@pytest.mark.parametrize("body", [b"3\r\nabc\r\n0\r\n\r\n", b"0\r\nX-A: 1\r\n\r\n"])
@pytest.mark.parametrize("rest", [b"", b"\r\n", b"GET / HTTP/1.1\r\n\r\n", b"0\r\n\r\n"])
def test_what_stands_behind_a_body_is_the_rest(body: bytes, rest: bytes) -> None:
    payload, done, found = decode(body + rest)
    assert (done, found) == (True, rest)
    assert payload in (b"abc", b"")


@pytest.mark.parametrize(
    "body",
    [
        b"-5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"0_5\r\nhello\r\n",
        b"5h\r\nhello\r\n",
        b"g\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5\t\r\nhello\r\n",
        b"\r\nhello\r\n",
        b"\r\n5\r\nhello\r\n",
        b"\xd9\xa5\r\nhello\r\n",
        b"\x005\r\nhello\r\n",
        b"5.0\r\nhello\r\n",
        b"5,5\r\nhello\r\n",
        b"0000000000000005\r\nhello\r\n",
        b"10000000000000005\r\nhello\r\n",
        b"ffffffffffffffff\r\nhello\r\n",
        b"5;\r\nhello\r\n",
        b"5;;a\r\nhello\r\n",
        b"5;=b\r\nhello\r\n",
        b"5;a=\r\nhello\r\n",
        b"5;a=b c\r\nhello\r\n",
        b'5;a="b\r\nhello\r\n',
        b'5;a="\x01"\r\nhello\r\n',
        b"5;a\rb\r\nhello\r\n",
        b"5 a\r\nhello\r\n",
        b"5\nhello\r\n",
        b"5\r\r\nhello\r\n",
        b"5;a\nhello\r\n",
        b"5;a\x00\r\nhello\r\n",
        b"2;\nxx\r\n3b\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n",
        b"5\r\nhello0\r\n",
        b"5\r\nhello\n0\r\n",
        b"5\r\nhello\r0\r\n",
        b"5\r\nhello\n\r0\r\n",
        b"5\r\nhello\rX",
        b"4\r\nhello\r\n",
        b"0;\r\n\r\n",
    ],
)
def test_broken_framing_is_refused_whole_and_byte_by_byte(body: bytes) -> None:
    for before in (b"", b"3\r\nabc\r\n"):
        assert refused(before + body + END)[1] is ErrorCode.BAD_REQUEST
        refused(*by_bytes(before + body + END))
        refused(before, body + END)


@pytest.mark.parametrize(
    "trailers",
    [
        b"X-A 1\r\n\r\n",
        b"X-A : 1\r\n\r\n",
        b": 1\r\n\r\n",
        b" X-A: 1\r\n\r\n",
        b"X-A: 1\r\n folded\r\n\r\n",
        b"X-A: 1\nX-B: 2\r\n\r\n",
        b"X-A: \x00\r\n\r\n",
        b"\nGET / HTTP/1.1\r\n\r\n",
        b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_malformed_trailers_are_refused(trailers: bytes) -> None:
    body = b"5\r\nhello\r\n0\r\n" + trailers
    refused(body)
    refused(*by_bytes(body))


def test_a_body_that_is_cut_off_never_ends() -> None:
    body = b"5;a=b\r\nhello\r\n0\r\nX-A: 1\r\n\r\n"
    for cut in range(len(body)):
        assert decode(body[:cut])[1:] == (False, b"")


def test_a_chunk_line_is_bounded() -> None:
    longest = b"5;" + b"a" * (MAX_CHUNK_LINE - 4) + b"\r\n"
    assert len(longest) == MAX_CHUNK_LINE
    for reads in ([longest + b"hello\r\n" + END], by_bytes(longest + b"hello\r\n" + END)):
        assert decode(*reads) == (b"hello", True, b"")
    too_long = b"5;a" + longest[2:] + b"hello\r\n" + END
    assert refused(too_long)[0] == "chunk_line"
    assert refused(*by_bytes(too_long))[0] == "chunk_line"


def test_a_chunk_line_that_never_ends_is_refused_at_the_bound() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"5;" + b"a" * (MAX_CHUNK_LINE - 3))
    with pytest.raises(ProtocolError):
        decoder.feed(b"a")


def test_all_extensions_of_a_body_together_are_bounded() -> None:
    chunk = b"1;" + b"a" * 1023 + b"\r\nx\r\n"
    most = MAX_EXTENSIONS // 1024
    assert decode(chunk * most + END) == (b"x" * most, True, b"")
    assert refused(chunk * (most + 1) + END)[0] == "chunk_extensions"
    assert refused(*[chunk] * (most + 1))[0] == "chunk_extensions"


def test_trailers_are_bounded_while_they_come() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"0\r\n")
    for _ in range(MAX_TRAILERS // 8):
        decoder.feed(b"X-T: a\r\n")
    with pytest.raises(ProtocolError) as error:
        decoder.feed(b"X-T: a\r\n")
    assert error.value.code is ErrorCode.HEAD_TOO_LARGE


def test_trailers_that_come_at_once_are_bounded() -> None:
    body = b"0\r\n" + b"X-T: a\r\n" * (MAX_TRAILERS // 8 + 1) + b"\r\n"
    assert refused(body) == ("trailers", ErrorCode.HEAD_TOO_LARGE)


@pytest.mark.parametrize("over", range(-4, 3))
def test_trailers_near_the_bound_are_judged_alike_however_they_come(over: int) -> None:
    body = b"0\r\nX: " + b"a" * (MAX_TRAILERS - 3 + over) + b"\r\n\r\n"

    def outcome(*reads: bytes) -> bool:
        try:
            return decode(*reads)[1]
        except ProtocolError:
            return False

    assert outcome(body) == outcome(*by_bytes(body))


def test_a_huge_chunk_is_passed_on_as_it_comes() -> None:
    decoder = ChunkedDecoder()
    piece = b"x" * 65_536
    assert decoder.feed(b"100000000\r\n" + piece) == piece
    for _ in range(20):
        assert decoder.feed(piece) == piece


@pytest.mark.parametrize(
    "read",
    [
        b"5\r\nhello\r\n",
        b"005\r\nhello\r\n",
        b"1\r\na\r\n2\r\nbc\r\n",
        frame_chunk(b"x" * 70_000),
        frame_chunk(b"\r\n"),
    ],
)
def test_whole_plain_chunks_may_be_sent_on_as_they_came(read: bytes) -> None:
    decoder = ChunkedDecoder()
    for _ in range(3):
        decoder.feed(read)
        assert decoder.whole


@pytest.mark.parametrize(
    "read",
    [
        b"5;a\r\nhello\r\n",
        b"1\r\na\r\n1;a\r\nb\r\n",
        b"1;a\r\na\r\n1\r\nb\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n",
        b"0\r\n\r\n",
        b"0\r\n",
        b"5\r\nhello\r",
        b"5\r\nhello",
        b"5\r\nhel",
        b"5\r\n",
        b"5",
        b"5\r\nhello\r\n1",
        b"5\r\nhello\r\n1\r\n",
    ],
)
def test_anything_else_may_not_be_sent_on_as_it_came(read: bytes) -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"1\r\na\r\n")
    decoder.feed(read)
    assert not decoder.whole


def test_a_read_that_begins_within_a_chunk_may_not_be_sent_on_as_it_came() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"d\r\n01234")
    # By itself it looks like a whole chunk.
    assert decoder.feed(b"1\r\na\r\n\r\n\r\n") == b"1\r\na\r\n\r\n"
    assert not decoder.whole


def test_chunks_behind_one_with_an_extension_may_be_sent_on_again() -> None:
    decoder = ChunkedDecoder()
    decoder.feed(b"1;a=b\r\na\r\n")
    assert not decoder.whole
    decoder.feed(b"1\r\nb\r\n")
    assert decoder.whole


def test_a_payload_is_framed_as_one_chunk() -> None:
    assert frame_chunk(b"hello") == b"5\r\nhello\r\n"
    assert frame_chunk(b"x" * 255).startswith(b"ff\r\n")
    assert decode(frame_chunk(b"0\r\n\r\n") + frame_chunk(b"x") + END) == (
        b"0\r\n\r\nx",
        True,
        b"",
    )
