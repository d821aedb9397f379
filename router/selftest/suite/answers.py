"""The model server's answer: what is relayed, what is answered for, what must look broken."""

from typing import Final

from router.selftest.case import Case, End, Expectation, Failed, Group, Relayed, Say, Truncated
from router.selftest.suite.said import CHUNKED, HOST, get, message, sends, sized

_OK: Final = b"HTTP/1.1 200 OK"
_UNSAFE: Final = b"unsafe"
"""The body of what must not be passed on."""
_SIX: Final = b"Content-Length: 6"
_FAILED: Final = Failed()

_Row = tuple[str, str, bytes, Expectation]


def _broken(line: bytes = _OK, *fields: bytes) -> bytes:
    return message(line, *fields, _SIX, body=_UNSAFE)


_WHOLE: Final[tuple[_Row, ...]] = (
    ("an answer of known length", "RFC 9112 §6.3", message(_OK, b"Content-Length: 4", body=b"done"),
     Relayed(body=b"done")),
    ("an answer in chunks", "RFC 9112 §7.1",
     message(_OK, CHUNKED, body=b"4\r\ndone\r\n1;x=y\r\n!\r\n0\r\nX-T: 1\r\n\r\n"),
     Relayed(body=b"done!", absent=(b"x-t",))),
    ("an answer without a body", "RFC 9112 §6.3", message(_OK, b"Content-Length: 0"), Relayed()),
    ("a status without words", "RFC 9112 §4",
     message(b"HTTP/1.1 200 ", b"Content-Length: 2", body=b"ok"), Relayed(body=b"ok")),
    ("a status of one's own", "RFC 9110 §15", message(b"HTTP/1.1 299 Nearly", b"Content-Length: 0"),
     Relayed(status=299)),
    ("204 has no body", "RFC 9112 §6.3", message(b"HTTP/1.1 204 No Content"),
     Relayed(status=204, absent=(b"transfer-encoding", b"content-length"))),
    ("304 has no body", "RFC 9112 §6.3",
     message(b"HTTP/1.1 304 Not Modified", b"ETag: \"a\""), Relayed(status=304)),
    ("interim answers come first", "RFC 9110 §15.2",
     message(b"HTTP/1.1 102 Processing") + message(b"HTTP/1.1 103 Early Hints", b"Link: </a>") * 3
     + message(_OK, b"Content-Length: 4", body=b"last"), Relayed(body=b"last")),
    ("equal lengths are one", "RFC 9110 §8.6",
     message(_OK, b"Content-Length: 4", b"Content-Length: 4", body=b"same"),
     Relayed(body=b"same", fields=((b"content-length", (b"4",)),))),
    ("both framings", "RFC 9112 §6.3",
     message(_OK, b"Content-Length: 1", CHUNKED, body=b"4\r\nread\r\n0\r\n\r\n"),
     Relayed(body=b"read")),
    ("fields that its Connection names", "RFC 9110 §7.6.1",
     message(_OK, b"Connection: X-Inner", b"X-Inner: 1", b"Keep-Alive: timeout=1", b"X-Outer: 2",
             b"Content-Length: 0"),
     Relayed(absent=(b"x-inner", b"keep-alive"), fields=((b"x-outer", (b"2",)),))),
    ("two cookies stay two fields", "RFC 6265 §3",
     message(_OK, b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 0"),
     Relayed(fields=((b"set-cookie", (b"a=1", b"b=2")),))),
    ("more than the answer is not the next answer", "RFC 9112 §6.3",
     message(_OK, b"Content-Length: 4", body=b"mine")
     + message(_OK, b"Content-Length: 6", body=_UNSAFE), Relayed(body=b"mine")),
    ("bytes behind the last chunk are not the next answer", "RFC 9112 §7.1",
     message(_OK, CHUNKED, body=b"4\r\nmine\r\n0\r\n\r\n")
     + message(_OK, b"Content-Length: 6", body=_UNSAFE), Relayed(body=b"mine")),
    ("a body behind 204 is not the next answer", "RFC 9112 §6.3",
     message(b"HTTP/1.1 204 No Content", body=_UNSAFE), Relayed(status=204)),
)  # fmt: skip

_BROKEN: Final[tuple[_Row, ...]] = (
    ("lengths that differ", "RFC 9112 §6.3", _broken(_OK, b"Content-Length: 3"), _FAILED),
    *(
        (f"its length is {what}", "RFC 9110 §8.6",
         message(_OK, b"Content-Length: " + value, body=_UNSAFE), _FAILED)
        for what, value in (
            ("negative", b"-6"), ("with a plus", b"+6"), ("no number", b"six"), ("missing", b""),
            ("hexadecimal", b"0x6"), ("a list that differs", b"6, 5"),
            ("beyond 64 bits", b"9" * 30),
        )
    ),
    ("an unknown coding", "RFC 9112 §6.3",
     message(_OK, b"Transfer-Encoding: br", body=_UNSAFE), _FAILED),
    ("chunked twice", "RFC 9112 §6.1",
     message(_OK, CHUNKED, CHUNKED, body=b"6\r\nunsafe\r\n0\r\n\r\n"), _FAILED),
    ("no status line", "RFC 9112 §4", b"unsafe words\r\n\r\n", _FAILED),
    ("another protocol", "RFC 9112 §4", b"220 mail.example ESMTP unsafe\r\n", _FAILED),
    ("a status of two digits", "RFC 9112 §4", _broken(b"HTTP/1.1 99 Few"), _FAILED),
    ("a status of five digits", "RFC 9112 §4", _broken(b"HTTP/1.1 20000 Many"), _FAILED),
    ("a status of letters", "RFC 9112 §4", _broken(b"HTTP/1.1 ABC OK"), _FAILED),
    ("version 2 in its status line", "RFC 9112 §4", _broken(b"HTTP/2 200 OK"), _FAILED),
    ("a bare CR in its field", "RFC 9112 §2.2", _broken(_OK, b"X-A: 1\rX-B: 2"), _FAILED),
    ("LF for CRLF", "RFC 9112 §2.2", _broken().replace(b"\r\n", b"\n"), _FAILED),
    ("a NUL in its field", "RFC 9110 §5.5", _broken(_OK, b"X-A: 1\x002"), _FAILED),
    ("a folded field", "RFC 9112 §5.2", _broken(_OK, b"X-A: 1", b"  2"), _FAILED),
    ("a field without a name", "RFC 9110 §5.1", _broken(_OK, b": 2"), _FAILED),
    ("a space before its colon", "RFC 9112 §5.1", _broken(_OK, b"X-A : 2"), _FAILED),
    ("a switch of protocols that nobody asked for", "RFC 9110 §15.2.2",
     message(b"HTTP/1.1 101 Switching Protocols", b"Upgrade: h2c", b"Connection: upgrade",
             body=_UNSAFE), _FAILED),
)  # fmt: skip

_CUT: Final[tuple[tuple[str, bytes, End, Expectation], ...]] = (
    ("closed before its length", message(_OK, b"Content-Length: 60", body=b"too little"),
     End.CLOSE, Truncated()),
    ("reset before its length", message(_OK, b"Content-Length: 60", body=b"too little"),
     End.RESET, Truncated()),
    ("closed within a chunk", message(_OK, CHUNKED, body=b"60\r\ntoo little"), End.CLOSE,
     Truncated()),
    ("closed before the last chunk", message(_OK, CHUNKED, body=b"4\r\nsome\r\n"), End.CLOSE,
     Truncated()),
    ("closed within the last chunk", message(_OK, CHUNKED, body=b"4\r\nsome\r\n0\r\n"), End.CLOSE,
     Truncated()),
    ("a broken chunk behind a whole one", message(_OK, CHUNKED, body=b"4\r\nsome\r\nzz\r\n"),
     End.KEEP, Truncated()),
    ("reset without a length", message(_OK, b"Content-Type: text/plain", body=b"some"), End.RESET,
     Truncated()),
    ("closed within its head", b"HTTP/1.1 200 OK\r\nContent-Le", End.CLOSE, _FAILED),
    ("closed without a word", b"", End.CLOSE, _FAILED),
    ("a body that ends with the connection",
     message(_OK, b"Connection: close", body=b"to the end"), End.CLOSE,
     Relayed(body=b"to the end")),
)  # fmt: skip


def _case(name: str, rule: str, answer: Say, expect: Expectation, raw: bytes | None = None) -> Case:
    # A POST: it is sent once, so what its answer does cannot be mended by a second try.
    return Case(
        name=f"answer: {name}",
        group=Group.RESPONSE,
        rule=rule,
        steps=sends(sized(b"once") if raw is None else raw),
        answer=answer,
        expect=expect,
    )


_HEAD_REQUEST: Final = message(b"HEAD /case HTTP/1.1", HOST)

_SPECIAL: Final = (
    Case(
        name="answer: one of HEAD has a length and no body",
        group=Group.RESPONSE,
        rule="RFC 9110 §9.3.2",
        steps=sends(_HEAD_REQUEST),
        method=b"HEAD",
        answer=Say(raw=message(_OK, b"Content-Length: 600")),
        expect=Relayed(),
    ),
    Case(
        name="answer: a body behind that of HEAD is not the next answer",
        group=Group.RESPONSE,
        rule="RFC 9110 §9.3.2",
        steps=sends(_HEAD_REQUEST),
        method=b"HEAD",
        answer=Say(raw=message(_OK, b"Content-Length: 6", body=_UNSAFE)),
        expect=Relayed(),
    ),
    Case(
        name="answer: it comes before the request has ended",
        group=Group.RESPONSE,
        rule="RFC 9112 §9.6",
        steps=sends(sized(b"x" * 200)[:-100]),
        answer=Say(
            raw=message(b"HTTP/1.1 403 Forbidden", b"Content-Length: 2", body=b"no"), early=True
        ),
        expect=Relayed(status=403, body=b"no", attempts=0),
    ),
    _case(
        "to a GET, closed without a word",
        "RFC 9112 §9.3.1",
        Say(raw=b"", end=End.CLOSE),
        Failed(attempts=3),
        get(),
    ),
)

ANSWERS: Final = (
    *(_case(name, rule, Say(raw=raw), expect) for name, rule, raw, expect in (*_WHOLE, *_BROKEN)),
    *(_case(name, "RFC 9112 §8", Say(raw=raw, end=end), expect) for name, raw, end, expect in _CUT),
    *_SPECIAL,
)
