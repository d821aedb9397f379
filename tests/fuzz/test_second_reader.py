"""The second reader is strict: what smuggles requests, it refuses or reads in one way."""

from __future__ import annotations

import pytest

from tests.fuzz import second_reader as second

HOST = b"POST /a HTTP/1.1\r\nHost: a\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        pytest.param(b"GET /a HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(HOST + b"Host: b\r\n\r\n", id="two hosts"),
        pytest.param(HOST + b"X : 1\r\n\r\n", id="blank before a colon"),
        pytest.param(HOST + b"X: 1\r\n 2\r\n\r\n", id="folded"),
        pytest.param(HOST + b"X: 1\n\r\n", id="bare LF"),
        pytest.param(HOST + b"X: 1\rY: 2\r\n\r\n", id="bare CR"),
        pytest.param(HOST + b"X: \x00\r\n\r\n", id="NUL"),
        pytest.param(HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", id="lengths"),
        pytest.param(HOST + b"Content-Length: +1\r\n\r\na", id="sign"),
        pytest.param(HOST + b"Content-Length: 1_0\r\n\r\n", id="underscore"),
        pytest.param(HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", id="coding"),
        pytest.param(CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n", id="chunked twice"),
        pytest.param(CHUNKED.replace(b"/1.1", b"/1.0") + b"\r\n", id="chunks in 1.0"),
        pytest.param(CHUNKED + b"\r\n0x1\r\na\r\n", id="size"),
        pytest.param(CHUNKED + b"\r\n1\na\r\n", id="bare LF behind a size"),
        pytest.param(CHUNKED + b"\r\n1\r\nab\r\n", id="long chunk"),
        pytest.param(CHUNKED + b"\r\n1;\r\na\r\n", id="extension without a name"),
        pytest.param(CHUNKED + b'\r\n1;a="b\r\na\r\n', id="open quotes"),
        pytest.param(CHUNKED + b"\r\n0\r\nX : 1\r\n\r\n", id="trailer"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", id="connect"),
        pytest.param(b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", id="target"),
        pytest.param(b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", id="two blanks"),
        pytest.param(b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", id="two empty lines"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(wire: bytes) -> None:
    assert second.read_requests(wire) == second.Requests([], "refused")


def test_requests_stand_one_behind_the_other() -> None:
    one = HOST + b"Content-Length: 2\r\n\r\nhi"
    two = CHUNKED + b'\r\n1;a="\\""\r\nx\r\n0\r\nX: 1\r\n\r\n'
    three = b"GET http://b?q HTTP/1.0\r\n\r\n"
    read = second.read_requests(one + b"\r\n" + two + three + b"ignored")
    assert [each.told for each in read.whole] == [
        (b"POST", b"/a", b"hi"), (b"POST", b"/a", b"x"), (b"GET", b"/?q", b"")
    ]  # fmt: skip
    assert read.end == "last"


def test_every_beginning_of_a_request_is_incomplete() -> None:
    wire = CHUNKED + b"\r\n2;a=b\r\nhi\r\n0\r\nX: 1\r\n\r\n"
    for size in range(1, len(wire)):
        assert second.read_requests(wire[:size]) == second.Requests([], "begun"), wire[:size]
    assert second.read_requests(wire).end == "whole"


def test_chunks_win_over_a_length_and_nothing_may_follow() -> None:
    read = second.read_requests(CHUNKED + b"Content-Length: 9\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n")
    assert (read.end, [each.body for each in read.whole]) == ("last", [b""])


@pytest.mark.parametrize(
    "wire",
    [b"HTTP/1.1 99 x\r\n\r\n", b"HTTP/2 200 x\r\n\r\n", b"HTTP/1.1 101 x\r\n\r\n",
     b"HTTP/1.1 200 x\r\nContent-Length: a\r\n\r\n", b"HTTP/1.1 200 x\r\n: 1\r\n\r\n"],
)  # fmt: skip
def test_a_broken_answer_is_refused(wire: bytes) -> None:
    with pytest.raises(second.Refused):
        second.read_response(wire, b"GET", closed=True)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    wire = b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nbody"
    with pytest.raises(second.Incomplete) as begun:
        second.read_response(wire, b"GET", closed=False)
    assert begun.value.body == b"body"
    answer, end = second.read_response(wire, b"GET", closed=True)
    assert (answer.status, answer.body, answer.last, end) == (200, b"body", True, len(wire))
