"""Who called: only what trusted proxies wrote is believed; and how fast a body must come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from router.dataplane.frontends.bodypace import WINDOW_S, BodyPace
from router.http1.caller import calling_addresses, calling_scheme, via
from router.http1.request import RequestHead, parse_request

PEER = b"192.0.2.200"
ADDRESSES = st.lists(st.sampled_from([b"192.0.2.1", b"2001:db8::1", b"[::1]:80", b"unknown"]))


def head(*fields: bytes) -> RequestHead:
    return parse_request(b"\r\n".join((b"GET / HTTP/1.1", b"Host: a", *fields, b"", b"")))


def forwarded_for(entries: list[bytes]) -> RequestHead:
    return head(b"X-Forwarded-For: " + b", ".join(entries))


@given(ADDRESSES, ADDRESSES, st.integers(0, 4))
def test_what_a_client_writes_before_the_trusted_entries_changes_nothing(
    forged: list[bytes], told: list[bytes], trusted: int
) -> None:
    told = (told + [b"192.0.2.7"] * trusted)[:trusted]
    plain = calling_addresses(forwarded_for(told), PEER, trusted)
    assert calling_addresses(forwarded_for(forged + told), PEER, trusted) == plain
    assert plain == [*told, PEER]


@given(st.lists(st.binary(max_size=12).filter(lambda b: not set(b) & set(b"\r\n\0")), max_size=5),
       st.integers(0, 5))  # fmt: skip
def test_every_address_that_is_told_is_one(said: list[bytes], trusted: int) -> None:
    entries = [bytes(c for c in each if 0x20 <= c < 0x7F or c >= 0x80) for each in said]
    addresses = calling_addresses(forwarded_for(entries), PEER, trusted)
    assert addresses[-1] == PEER
    assert len(addresses) <= trusted + 1
    assert all(address and not set(address) & set(b" ,;\"'<>()\t") for address in addresses)


def test_several_fields_are_one_list() -> None:
    several = head(b"X-Forwarded-For: 192.0.2.1, 192.0.2.2", b"x-forwarded-for: 192.0.2.3")
    assert calling_addresses(several, PEER, 2) == [b"192.0.2.2", b"192.0.2.3", PEER]


def test_nothing_left_of_what_is_no_address_is_believed() -> None:
    assert calling_addresses(forwarded_for([b"192.0.2.1", b"a b", b"192.0.2.3"]), PEER, 3) == [
        b"192.0.2.3",
        PEER,
    ]


def test_the_scheme_is_the_nearest_trusted_proxys_word() -> None:
    told = head(b"X-Forwarded-Proto: http, HTTPS")
    assert calling_scheme(told, b"http", 1) == b"https"
    assert calling_scheme(told, b"http", 0) == b"http"
    assert calling_scheme(head(b"X-Forwarded-Proto: gopher"), b"http", 1) == b"http"
    assert calling_scheme(head(), b"https", 1) == b"https"


def test_via_keeps_what_came_and_adds_this_router() -> None:
    assert via(head(b"Via: 1.0 One", b"via: 1.1 two"), b"me") == b"1.0 One, 1.1 two, 1.1 me"
    assert via(head(), b"me") == b"1.1 me"


# -- a body's pace -------------------------------------------------------------------------------


@given(st.integers(1, 1000), st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_a_body_is_too_slow_in_the_windows_that_have_too_little(
    least: int, windows: list[int]
) -> None:
    pace, now = BodyPace(0.0, least), 0.0
    for share in windows:
        pace.received += round(least * WINDOW_S) * share // 2
        now = pace.due
        assert pace.too_slow(now) is (share < 2)
        assert pace.due == now + WINDOW_S


def test_an_excused_window_is_not_judged_and_the_next_one_is() -> None:
    pace = BodyPace(0.0, 240)
    pace.excuse()
    assert not pace.too_slow(5.0)
    assert pace.too_slow(10.0)


def test_an_early_burst_pays_for_no_later_window() -> None:
    pace = BodyPace(0.0, 240)
    pace.received += 1_000_000
    assert not pace.too_slow(5.0)
    assert pace.too_slow(10.0)
