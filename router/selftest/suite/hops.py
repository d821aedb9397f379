"""What is between two hops only, and who called."""

from typing import Final

from router.selftest.case import Case, Forwarded, Group, Refused
from router.selftest.suite.said import HIDDEN, Row, get, sends, sized

_REFUSED: Final = Refused()
_PEER: Final = b"127.0.0.1"

_HOP: Final[tuple[Row, ...]] = (
    ("fields that Connection names", "RFC 9110 §7.6.1",
     get(b"Connection: X-Secret, x-other", b"X-Secret: 1", b"X-Other: 2", b"X-Kept: 3"),
     Forwarded(absent=(b"x-secret", b"x-other", b"connection"), fields=((b"x-kept", (b"3",)),))),
    ("every line of a field that Connection names", "RFC 9110 §7.6.1",
     get(b"X-Secret: 1", b"Connection: x-secret", b"x-SECRET: 2"),
     Forwarded(absent=(b"x-secret",))),
    ("Connection names it in a second line", "RFC 9110 §7.6.1",
     get(b"Connection: keep-alive", b"X-Secret: 1", b"Connection: X-Secret"),
     Forwarded(absent=(b"x-secret",))),
    ("hop-by-hop fields that nobody names", "RFC 9110 §7.6.1",
     get(b"Keep-Alive: timeout=9", b"Proxy-Connection: keep-alive", b"Trailer: X-T",
         b"Proxy-Authorization: Basic Zm9yZ2Vk"),
     Forwarded(absent=(b"keep-alive", b"proxy-connection", b"trailer", b"proxy-authorization"))),
    ("Connection with empty parts", "RFC 9110 §5.6.1", get(b"Connection: , ,keep-alive,"),
     Forwarded()),
    *(
        (f"Connection names {name.decode()}", "RFC 9110 §7.6.1",
         sized(b"12345", b"Connection: " + name), _REFUSED)
        for name in (b"Content-Length", b"Host", b"Transfer-Encoding", b"x-forwarded-for",
                     b"X-Forwarded-Proto", b"Authorization", b"close, host")
    ),
    ("Connection names eleven fields", "RFC 9110 §7.6.1",
     get(b"Connection: " + b", ".join(b"X-%d" % number for number in range(11))), _REFUSED),
    ("Connection names eleven fields in two lines", "RFC 9110 §7.6.1",
     get(*(b"Connection: " + b",".join(b"X-%d-%d" % (line, number) for number in range(6))
           for line in range(2))), _REFUSED),
    ("Connection names no token", "RFC 9110 §7.6.1", get(b"Connection: x(y)"), _REFUSED),
    ("TE asks for no coding", "RFC 9110 §10.1.4",
     get(b"Connection: TE", b"TE: gzip, trailers;q=0.5"), Forwarded(absent=(b"te",))),
    ("an upgrade to h2c", "RFC 9110 §7.8",
     get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
     Forwarded(absent=(b"upgrade", b"http2-settings", b"connection"))),
    ("an upgrade to a websocket", "RFC 9110 §7.8",
     get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
     Forwarded(absent=(b"upgrade", b"connection"))),
)  # fmt: skip

_FORGED: Final = (
    b"X-Forwarded-For: 203.0.113.9, 198.51.100.4",
    b"X-Forwarded-Proto: gopher",
    b"X-Forwarded-Host: other.example",
    b"X-Forwarded-Client-Cert: Subject=root",
    b"Forwarded: for=203.0.113.9;host=other.example",
)


def _identity(trusted: int) -> tuple[Row, ...]:
    told = [b"203.0.113.9", b"198.51.100.4"][max(0, 2 - trusted) :] if trusted else []
    seen = b", ".join([*told, _PEER])
    return (
        ("who called is replaced but for the word of trusted proxies", "RFC 7239 §8",
         get(*_FORGED),
         Forwarded(fields=((b"x-forwarded-for", (seen,)), (b"x-forwarded-proto", (b"http",))),
                   absent=(b"x-forwarded-host", b"x-forwarded-client-cert", b"forwarded"))),
        ("what is no address is nobody's word", "RFC 7239 §8",
         get(b"X-Forwarded-For: <script>"), Forwarded(fields=((b"x-forwarded-for", (_PEER,)),))),
        ("a router's control fields from outside", "RFC 9110 §3.7",
         get(b"X-Router-Route: other", b"X-Model-Version: v9", b"X-Shadow: 1"),
         Forwarded(absent=(b"x-router-route", b"x-model-version", b"x-shadow"))),
        ("an address in the path is not called", "RFC 9110 §17.1",
         get(target=b"//192.0.2.1:9/case"), Forwarded(target=b"//192.0.2.1:9/case")),
        ("an address in a field is not called", "RFC 9110 §17.1",
         get(b"X-Original-URL: http://192.0.2.1:9/", b"X-Real-IP: 192.0.2.1"), Forwarded()),
    )  # fmt: skip


def hops(trusted: int) -> tuple[Case, ...]:
    """The cases, for a router behind so many trusted proxies."""
    rows = [(Group.HOP, row) for row in _HOP] + [
        (Group.IDENTITY, row) for row in _identity(trusted)
    ]
    return tuple(
        Case(
            name=name,
            group=group,
            rule=rule,
            steps=sends(raw + HIDDEN if isinstance(expect, Refused) else raw),
            expect=expect,
        )
        for group, (name, rule, raw, expect) in rows
    )
