"""The request's head: line, target, syntax, Host."""

from typing import Final

from router.selftest.case import TARGET, Case, Forwarded, Group, Refused, Send, Wait
from router.selftest.suite.said import CHUNKED, HIDDEN, HOST, Row, get, message, post, sends, sized

_REFUSED: Final = Refused()
_UNSPOKEN: Final = Refused(statuses=(400, 501, 505))


def _line(line: bytes) -> bytes:
    return message(line, HOST)


_BASELINE: Final[tuple[Row, ...]] = (
    ("a plain GET", "RFC 9110 §9.3.1", get(), Forwarded()),
    ("a POST of known length", "RFC 9112 §6.2", sized(b"seven b"),
     Forwarded(method=b"POST", body=b"seven b")),
    ("a POST without a body", "RFC 9112 §6.3", post(), Forwarded(method=b"POST")),
    ("a POST of length 0", "RFC 9112 §6.3", post(b"Content-Length: 0"), Forwarded(method=b"POST")),
    ("a GET with a body", "RFC 9110 §9.3.1",
     message(b"GET %b HTTP/1.1" % TARGET, HOST, b"Content-Length: 3", body=b"abc"),
     Forwarded(body=b"abc")),
    ("a POST in chunks", "RFC 9112 §7.1",
     post(CHUNKED, body=b"3\r\none\r\nA\r\nand twenty\r\n0\r\n\r\n"),
     Forwarded(method=b"POST", body=b"oneand twenty")),
    ("chunk sizes with leading zeros", "RFC 9112 §7.1",
     post(CHUNKED, body=b"0003\r\none\r\n000\r\n\r\n"), Forwarded(method=b"POST", body=b"one")),
    ("a DELETE", "RFC 9110 §9.3.5", _line(b"DELETE %b HTTP/1.1" % TARGET),
     Forwarded(method=b"DELETE")),
    ("an empty value", "RFC 9110 §5.5", get(b"X-Nothing:"),
     Forwarded(fields=((b"x-nothing", (b"",)),))),
    ("white space around a value", "RFC 9112 §5.1", get(b"X-Padded: \t of tabs\t "),
     Forwarded(fields=((b"x-padded", (b"of tabs",)),))),
    ("bytes above ASCII in a value", "RFC 9110 §5.5", get(b"X-Name: caf\xc3\xa9"),
     Forwarded(fields=((b"x-name", (b"caf\xc3\xa9",)),))),
    ("two values of one field", "RFC 9110 §5.3", get(b"X-Each: 1", b"X-Other: 2", b"x-each: 3"),
     Forwarded(fields=((b"x-each", (b"1", b"3")),))),
    ("names in any case", "RFC 9110 §5.1",
     message(b"POST %b HTTP/1.1" % TARGET, b"hOST: a.example", b"tRANSFER-eNCODING: Chunked",
             body=b"1\r\nx\r\n0\r\n\r\n"), Forwarded(method=b"POST", body=b"x")),
    ("a request of HTTP/1.0", "RFC 9112 §2.3", message(b"GET %b HTTP/1.0" % TARGET, HOST),
     Forwarded(closes=True)),
    ("two requests in one write", "RFC 9112 §9.3.2", get() + get(), Forwarded(count=2)),
    ("a request behind a body", "RFC 9112 §9.3.2", sized(b"tail") + get(),
     Forwarded(method=b"POST", body=b"tail", count=2)),
    ("a request behind chunks", "RFC 9112 §9.3.2",
     post(CHUNKED, body=b"4\r\ntail\r\n0\r\n\r\n") + get(),
     Forwarded(method=b"POST", body=b"tail", count=2)),
    ("a client that closes", "RFC 9112 §9.6", get(b"Connection: Close"), Forwarded(closes=True)),
    ("authorization goes through", "RFC 9110 §11.6.2", get(b"Authorization: Bearer of-the-client"),
     Forwarded(fields=((b"authorization", (b"Bearer of-the-client",)),))),
)  # fmt: skip

_REQUEST_LINE: Final[tuple[Row, ...]] = (
    ("no request at all", "RFC 9112 §3", b"hello there\r\n\r\n", _REFUSED),
    ("a TLS handshake", "RFC 9112 §3", b"\x16\x03\x03\x00\x2f\x01\x00\x00\r\n\r\n", _REFUSED),
    ("no version", "RFC 9112 §3", _line(b"GET %b" % TARGET), _REFUSED),
    ("two spaces behind the method", "RFC 9112 §3", _line(b"GET  %b HTTP/1.1" % TARGET), _REFUSED),
    ("two spaces before the version", "RFC 9112 §3", _line(b"GET %b  HTTP/1.1" % TARGET), _REFUSED),
    ("a space at the end", "RFC 9112 §3", _line(b"GET %b HTTP/1.1 " % TARGET), _REFUSED),
    ("a space at the beginning", "RFC 9112 §3", _line(b" GET %b HTTP/1.1" % TARGET), _REFUSED),
    ("tabs for spaces", "RFC 9112 §3", _line(b"GET\t%b\tHTTP/1.1" % TARGET), _REFUSED),
    ("a form feed for a space", "RFC 9112 §3", _line(b"GET\x0c%b HTTP/1.1" % TARGET), _REFUSED),
    ("a version in small letters", "RFC 9112 §2.3", _line(b"GET %b Http/1.1" % TARGET), _REFUSED),
    ("a version without a point", "RFC 9112 §2.3", _line(b"GET %b HTTP/11" % TARGET), _REFUSED),
    ("a version of three digits", "RFC 9112 §2.3", _line(b"GET %b HTTP/1.11" % TARGET), _REFUSED),
    ("another protocol's version", "RFC 9112 §2.3", _line(b"GET %b RTSP/1.0" % TARGET), _REFUSED),
    ("version 0.9", "RFC 9112 §2.3", _line(b"GET %b HTTP/0.9" % TARGET), _UNSPOKEN),
    ("version 3.0", "RFC 9110 §15.6.6", _line(b"GET %b HTTP/3.0" % TARGET), _UNSPOKEN),
    ("the preface of HTTP/2", "RFC 9113 §3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", _UNSPOKEN),
    ("a method with a slash", "RFC 9110 §9.1", _line(b"GE/T %b HTTP/1.1" % TARGET), _REFUSED),
    ("a method with a colon", "RFC 9110 §9.1", _line(b"GET: %b HTTP/1.1" % TARGET), _REFUSED),
    ("CONNECT", "RFC 9110 §9.3.6", _line(b"CONNECT db.example:5432 HTTP/1.1"), _UNSPOKEN),
    ("an unknown method", "RFC 9110 §9.1", _line(b"REBUILD %b HTTP/1.1" % TARGET),
     Forwarded(method=b"REBUILD")),
    ("one empty line before it", "RFC 9112 §2.2", b"\r\n" + get(), Forwarded()),
    ("a bare LF before it", "RFC 9112 §2.2", b"\n" + get(), Forwarded(or_refused=(400,))),
)  # fmt: skip

_TARGET: Final[tuple[Row, ...]] = (
    *(
        (f"{what} as it came", "RFC 9110 §4.2.3", get(target=target), Forwarded(target=target))
        for what, target in (
            ("a query", b"/case?a=1&b=%20"),
            ("a lone question mark", b"/case?"),
            ("question marks in a query", b"/case?is=it?or=not?"),
            ("two slashes", b"//case//twice"),
            ("dots", b"/case/a/../b/./c"),
            ("encoded dots", b"/case/%2E%2e/x"),
            ("an encoded slash", b"/case%2Fx%5c"),
            ("a percent sign without digits", b"/case%zz"),
            ("semicolons", b"/case;v=1;w=2?x;y"),
            ("characters that need no escape", b"/case/~a!$&'()*+,=:@"),
            ("a backslash", b"/case\\x"),
        )
    ),
    ("a fragment", "RFC 9112 §3.2", get(target=b"/case#part"), _REFUSED),
    ("a target without a slash", "RFC 9112 §3.2", get(target=b"case"), _REFUSED),
    ("an empty target", "RFC 9112 §3.2", _line(b"GET HTTP/1.1"), _REFUSED),
    ("a space in the target", "RFC 9112 §3.2", get(target=b"/case and more"), _REFUSED),
    ("a NUL in the target", "RFC 9112 §3.2", get(target=b"/case\x00x"), _REFUSED),
    ("a DEL in the target", "RFC 9112 §3.2", get(target=b"/case\x7f"), _REFUSED),
    ("a bare CR in the target", "RFC 9112 §2.2", get(target=b"/case\rX: 1"), _REFUSED),
    ("a byte above ASCII in the target", "RFC 9112 §3.2", get(target=b"/caf\xe9"), _REFUSED),
    ("an asterisk with GET", "RFC 9112 §3.2.4", get(target=b"*"), _REFUSED),
    ("only an authority", "RFC 9112 §3.2.3", get(target=b"selftest.example:80"), _REFUSED),
    ("an absolute target", "RFC 9112 §3.2.2", get(target=b"http://selftest.example/case?x"),
     Forwarded(target=b"/case?x")),
    ("another scheme", "RFC 9112 §3.2.2", get(target=b"ftp://selftest.example/case"), _REFUSED),
    ("an absolute target with a user", "RFC 9110 §4.2.4", get(target=b"http://me@a.example/case"),
     _REFUSED),
    ("an absolute target without a host", "RFC 9110 §4.2.1", get(target=b"http:///case"), _REFUSED),
)  # fmt: skip

_SYNTAX: Final[tuple[Row, ...]] = (
    ("LF for CRLF everywhere", "RFC 9112 §2.2", get().replace(b"\r\n", b"\n"), _REFUSED),
    ("LF behind the request line", "RFC 9112 §2.2",
     b"GET /case HTTP/1.1\nHost: a.example\r\n\r\n", _REFUSED),
    ("LF behind a field", "RFC 9112 §2.2",
     b"GET /case HTTP/1.1\r\nHost: a.example\nX-A: 1\r\n\r\n", _REFUSED),
    ("LF for the empty line", "RFC 9112 §2.2",
     b"GET /case HTTP/1.1\r\nHost: a.example\r\n\n", _REFUSED),
    ("CR for CRLF", "RFC 9112 §2.2", b"GET /case HTTP/1.1\rHost: a.example\r\r\r\n\r\n", _REFUSED),
    ("a CR in a value", "RFC 9110 §5.5", get(b"X-A: 1\rContent-Length: 9"), _REFUSED),
    ("a CR before a name", "RFC 9110 §5.1", get(b"\rX-A: 1"), _REFUSED),
    ("a NUL in a value", "RFC 9110 §5.5", get(b"X-A: 1\x002"), _REFUSED),
    ("a NUL in a name", "RFC 9110 §5.1", get(b"X-\x00A: 1"), _REFUSED),
    ("a bell in a value", "RFC 9110 §5.5", get(b"X-A: \x07"), _REFUSED),
    ("a folded value", "RFC 9112 §5.2", get(b"X-A: 1", b"   and more"), _REFUSED),
    ("a value folded by a tab", "RFC 9112 §5.2", get(b"X-A: 1", b"\tand more"), _REFUSED),
    ("a folded coding", "RFC 9112 §5.2",
     message(b"POST /case HTTP/1.1", HOST, b"Transfer-Encoding:", b" chunked",
             body=b"0\r\n\r\n"), _REFUSED),
    ("a space before the first field", "RFC 9112 §2.2",
     message(b"GET /case HTTP/1.1", b" " + HOST, b"X-A: 1"), _REFUSED),
    ("a space before a colon", "RFC 9112 §5.1", get(b"X-A : 1"), _REFUSED),
    ("a space before Host's colon", "RFC 9112 §5.1", get(host=b"Host : a.example"), _REFUSED),
    ("a field without a colon", "RFC 9112 §5", get(b"X-A"), _REFUSED),
    ("a field without a name", "RFC 9110 §5.1", get(b": 1"), _REFUSED),
    *(
        (f"a name with {what}", "RFC 9110 §5.1", get(b"X%bA: 1" % char), _REFUSED)
        for what, char in (
            ("a space", b" "), ("parentheses", b"(1)"), ("an at sign", b"@"), ("a quote", b'"'),
            ("brackets", b"[0]"), ("a comma", b","), ("an equals sign", b"="),
            ("a byte above ASCII", b"\xa0"), ("a backslash", b"\\"),
        )
    ),
)  # fmt: skip

_HOST: Final[tuple[Row, ...]] = (
    ("no Host", "RFC 9112 §3.2", message(b"GET /case HTTP/1.1", b"X-A: 1"), _REFUSED),
    ("Host twice", "RFC 9112 §3.2", get(HOST), _REFUSED),
    ("two different Hosts", "RFC 9112 §3.2", get(b"Host: other.example"), _REFUSED),
    ("two Hosts in HTTP/1.0", "RFC 9112 §3.2",
     message(b"GET /case HTTP/1.0", HOST, b"host: other.example"), _REFUSED),
    *(
        (f"a Host with {what}", "RFC 9110 §7.2", get(host=b"Host: " + host), _REFUSED)
        for what, host in (
            ("a path", b"a.example/x"), ("a user", b"root@a.example"), ("a list", b"a.a, b.b"),
            ("a space", b"a example"), ("a port of letters", b"a.example:http"),
            ("a scheme", b"http://a.example"), ("a query", b"a.example?x"),
            ("an open bracket", b"[::1"), ("two ports", b"a.example:1:2"),
        )
    ),
    *(
        (f"Host is {what}", "RFC 9110 §7.2", get(host=b"Host: " + host), Forwarded())
        for what, host in (
            ("a name with a port", b"a.example:8080"), ("an IPv6 address", b"[2001:db8::1]:80"),
            ("an IPv4 address", b"192.0.2.7"),
        )
    ),
    ("an absolute target overrides Host", "RFC 9112 §3.2.2",
     get(target=b"http://real.example/case"),
     Forwarded(fields=((b"host", (b"real.example",)),))),
    ("no Host in HTTP/1.0", "RFC 9112 §3.2", message(b"GET /case HTTP/1.0"),
     Forwarded(closes=True)),
)  # fmt: skip

_LENIENT: Final = frozenset(
    ("two spaces behind the method", "two spaces before the version", "version 0.9", "version 3.0",
     "an unknown method", "one empty line before it", "a bare LF before it", "a fragment",
     "a bell in a value", "LF for CRLF everywhere", "LF behind the request line",
     "LF behind a field", "LF for the empty line", "tabs for spaces", "a backslash as it came",
     "a percent sign without digits as it came", "a byte above ASCII in the target")
)  # fmt: skip
"""Where RFC 9112 lets a recipient choose; the router has chosen the strict way."""


def _cases(group: Group, rows: tuple[Row, ...]) -> tuple[Case, ...]:
    return tuple(
        Case(
            name=name,
            group=group,
            rule=rule,
            # What stands behind a refused message must never be taken for a request.
            steps=sends(raw + HIDDEN if isinstance(expect, Refused) else raw),
            expect=expect,
            strict=name not in _LENIENT,
        )
        for name, rule, raw, expect in rows
    )


_SPLIT: Final = (
    Case(
        name="a head in three reads, split within its line ends",
        group=Group.PACE,
        rule="RFC 9112 §2.2",
        steps=(
            Send(raw=b"GET /case HTTP/1.1\r"), Wait(seconds=0.05),
            Send(raw=b"\nHost: a.example\r\n\r"), Wait(seconds=0.05), Send(raw=b"\n"),
        ),
        expect=Forwarded(),
    ),
    Case(
        name="a head byte by byte",
        group=Group.PACE,
        rule="RFC 9112 §2.2",
        steps=tuple(
            step
            for byte in get()
            for step in (Send(raw=bytes((byte,))), Wait(seconds=0.001))
        ),
        expect=Forwarded(),
    ),
)  # fmt: skip

HEADS: Final = (
    *_cases(Group.BASELINE, _BASELINE),
    *_cases(Group.REQUEST_LINE, _REQUEST_LINE),
    *_cases(Group.TARGET, _TARGET),
    *_cases(Group.SYNTAX, _SYNTAX),
    *_cases(Group.HOST, _HOST),
    *_SPLIT,
)
