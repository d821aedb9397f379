"""Which key keeps a conversation on one version."""

from __future__ import annotations

import pytest

from router.http1.request import RequestHead, parse_request
from router.routing.sticky import StickyKey
from router.snapshot import StickyKind, StickySource


def head(*fields: bytes) -> RequestHead:
    lines = (b"POST /v1/x HTTP/1.1", b"Host: a", *fields)
    return parse_request(b"\r\n".join(lines) + b"\r\n\r\n")


class Body:
    """The wanted fields of a body."""

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def get(self, name: str) -> object:
        return self._fields.get(name)


def source(kind: StickyKind, name: str = "") -> StickySource:
    return StickySource(kind=kind, name=name)


def key(
    *sources: StickySource, fields: tuple[bytes, ...] = (), body: Body | None = None
) -> bytes | None:
    return StickyKey(sources).find(head(*fields), body or Body())


HEADER = source(StickyKind.HEADER, "X-User")
COOKIE = source(StickyKind.COOKIE, "session")
USER = source(StickyKind.BODY, "user")
API_KEY = source(StickyKind.API_KEY)


def test_a_header_is_a_key_whatever_its_case() -> None:
    assert key(HEADER, fields=(b"x-USER: Ann",)) == b"Ann"


@pytest.mark.parametrize(
    ("cookie", "found"),
    [
        (b"session=s1", b"s1"),
        (b"a=b; session=s1; c=d", b"s1"),
        (b"a=b;session=s1", b"s1"),
        (b"session= s1 ; a=b", b"s1"),
        (b"session=s=1", b"s=1"),
        (b'session="s1"', b'"s1"'),
        (b"xsession=s1", None),
        (b"session2=s1", None),
        (b"Session=s1", None),
        (b"a=session=s1", None),
        (b"session", None),
        (b"session=", None),
        (b"session=;session=s1", None),
        (b"", None),
    ],
)
def test_a_cookie_is_a_key_by_its_exact_name(cookie: bytes, found: bytes | None) -> None:
    assert key(COOKIE, fields=(b"Cookie: " + cookie,)) == found


def test_the_name_of_a_cookie_is_no_pattern() -> None:
    dotted = source(StickyKind.COOKIE, "a.b*")
    assert key(dotted, fields=(b"Cookie: axbb=1; a.b*=2",)) == b"2"


@pytest.mark.parametrize(
    ("value", "found"),
    [("ann", b"ann"), ("é", "é".encode()), (7, b"7"), (0, b"0"), ("", None), (None, None),
     (1.5, None), (["a"], None), ({"a": 1}, None)],
)  # fmt: skip
def test_a_text_or_a_whole_number_in_the_body_is_a_key(value: object, found: bytes | None) -> None:
    assert key(USER, body=Body(user=value)) == found


@pytest.mark.parametrize(
    "field", [b"Authorization: Bearer k1", b"X-Api-Key: k1", b"Api-Key: k1", b"AUTHORIZATION: k1"]
)
def test_an_api_key_is_a_key(field: bytes) -> None:
    assert key(API_KEY, fields=(field,)) == field.partition(b": ")[2]


def test_the_first_source_that_has_a_value_wins() -> None:
    sources = HEADER, COOKIE, USER, API_KEY
    fields = b"X-User: h", b"Cookie: session=c", b"Authorization: a"
    body = Body(user="b")
    assert key(*sources, fields=fields, body=body) == b"h"
    assert key(*sources, fields=fields[1:], body=body) == b"c"
    assert key(*sources, fields=fields[2:], body=body) == b"b"
    assert key(*sources, fields=fields[2:]) == b"a"
    assert key(*sources) is None
    assert key(*reversed(sources), fields=fields, body=body) == b"a"


def test_an_empty_value_lets_the_next_source_try() -> None:
    assert key(HEADER, USER, fields=(b"X-User:",), body=Body(user="b")) == b"b"
    assert key(HEADER, USER, fields=(b"X-User:  ",), body=Body(user="b")) == b"b"


def test_a_long_key_is_cut_off_alike_every_time() -> None:
    long = b"k" * 10_000
    found = key(HEADER, fields=(b"X-User: " + long,))
    assert found is not None
    assert 0 < len(found) < len(long)
    assert found == key(HEADER, fields=(b"X-User: " + long + b"x",))


def test_the_body_fields_to_read_are_named() -> None:
    sticky = StickyKey((HEADER, USER, source(StickyKind.BODY, "conversation")))
    assert tuple(sticky.body_fields) == ("user", "conversation")
    assert tuple(StickyKey((HEADER, COOKIE, API_KEY)).body_fields) == ()
