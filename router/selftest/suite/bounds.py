"""Sizes and deadlines, as the router under test is configured."""

from collections.abc import Iterator
from typing import Final

from router.http1.rules import ClientRules
from router.selftest.case import (
    AwaitUpstream,
    Case,
    Expectation,
    Forwarded,
    Group,
    Refused,
    Send,
    Step,
    Wait,
)
from router.selftest.suite.said import HOST, chunks, get, message, sends

_LONGER_S: Final = 2.0
"""A deadline is looked at once a second."""

_WINDOWS_S: Final = 6.0
"""Longer than one window in which a body's pace is judged."""

_TOO_LARGE: Final = Refused(statuses=(400, 431))
_BODY_TOO_LARGE: Final = Refused(statuses=(400, 413, 431), begun=True)


def bounds(rules: ClientRules, head_timeout_s: float) -> tuple[Case, ...]:
    """The cases at and beyond each limit; those that wait are the last ones."""
    return (*_sizes(rules), *_paces(rules, head_timeout_s))


def _sizes(rules: ClientRules) -> Iterator[Case]:
    def case(name: str, rule: str, raw: bytes, expect: Expectation) -> Case:
        return Case(name=name, group=Group.LIMITS, rule=rule, steps=sends(raw), expect=expect)

    longest = b"/case" + b"x" * (rules.max_target_bytes - 5)
    head_room = rules.max_head_bytes
    if len(longest) + 100 < head_room:
        yield case("a target as long as allowed", "RFC 9110 §4.1", get(target=longest),
                   Forwarded(target=longest))  # fmt: skip
        yield case("a target a byte too long", "RFC 9110 §15.5.15", get(target=longest + b"x"),
                   Refused(statuses=(414,)))  # fmt: skip
    most = get(*(b"X-%d: 1" % number for number in range(rules.max_fields - 1)))
    if len(most) < head_room:
        yield case("as many fields as allowed", "RFC 6585 §5", most, Forwarded())
        yield case("a field too many", "RFC 6585 §5",
                   get(*(b"X-%d: 1" % number for number in range(rules.max_fields))),
                   Refused(statuses=(431,)))  # fmt: skip
    yield case("ten thousand fields", "RFC 6585 §5", get(*[b"X-A: 1"] * 10_000), _TOO_LARGE)
    full = b"X-Fill: " + b"f" * (head_room - len(get(b"X-Fill: ")))
    yield case("a head as large as allowed", "RFC 6585 §5", get(full), Forwarded())
    yield case("a head a byte too large", "RFC 6585 §5", get(full + b"f"),
               Refused(statuses=(431,)))  # fmt: skip
    yield case("a field without an end", "RFC 6585 §5",
               message(b"GET /case HTTP/1.1", HOST)[:-2] + b"X-A: " + b"a" * 2 * head_room,
               _TOO_LARGE)  # fmt: skip
    yield case("a request line without an end", "RFC 9112 §3",
               b"GET /case" + b"a" * 2 * head_room, Refused(statuses=(400, 414, 431)))  # fmt: skip
    yield case("a name without an end", "RFC 6585 §5",
               message(b"GET /case HTTP/1.1", HOST)[:-2] + b"a" * 2 * head_room,
               _TOO_LARGE)  # fmt: skip
    line = rules.max_chunk_line_bytes
    yield case("a chunk's line as long as allowed", "RFC 9112 §7.1.1",
               chunks(b"5;" + b"a" * (line - 4) + b"\r\nhello\r\n0\r\n\r\n"),
               Forwarded(method=b"POST", body=b"hello"))  # fmt: skip
    yield case("a chunk's line too long", "RFC 9112 §7.1.1",
               chunks(b"5;" + b"a" * (line - 3) + b"\r\nhello\r\n0\r\n\r\n"),
               _BODY_TOO_LARGE)  # fmt: skip
    yield case("a chunk's line without an end", "RFC 9112 §7.1.1",
               chunks(b"5;" + b"a" * 3 * line), _BODY_TOO_LARGE)  # fmt: skip
    yield case("extensions on each of many chunks", "RFC 9112 §7.1.1",
               chunks(b"1;ext=1234567890123456789012345\r\nx\r\n" * 1000 + b"0\r\n\r\n"),
               _BODY_TOO_LARGE)  # fmt: skip
    trailer = b"X-T: " + b"t" * rules.max_trailer_bytes + b"\r\n"
    yield case("trailers too large", "RFC 9110 §6.5.2", chunks(b"0\r\n" + trailer + b"\r\n"),
               _BODY_TOO_LARGE)  # fmt: skip
    yield case("trailers without an end", "RFC 9110 §6.5.2", chunks(b"0\r\n" + trailer * 2),
               _BODY_TOO_LARGE)  # fmt: skip


def _paces(rules: ClientRules, head_timeout_s: float) -> Iterator[Case]:
    def case(name: str, expect: Expectation, *steps: Step) -> Case:
        return Case(name=name, group=Group.PACE, rule="RFC 9110 §15.5.9", steps=steps,
                    expect=expect)  # fmt: skip

    yield case(
        "a head that never ends",
        Refused(statuses=(408,)),
        Send(raw=get()[:-2]),
        Wait(seconds=head_timeout_s + _LONGER_S),
    )
    if not rules.min_body_bytes_per_s:
        return
    for what, raw in (
        ("a body", message(b"POST /case HTTP/1.1", HOST, b"Content-Length: 90", body=b"slow")),
        ("a body in chunks", chunks(b"4\r\nslow\r\n")),
    ):
        yield case(
            f"{what} that dribbles in",
            Refused(statuses=(408,), begun=True),
            Send(raw=raw),
            AwaitUpstream(),
            Wait(seconds=_WINDOWS_S + _LONGER_S),
        )
