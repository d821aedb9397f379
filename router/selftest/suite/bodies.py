"""The request's body: which framing counts, and chunks."""

from typing import Final

from router.selftest.case import (
    Abandoned,
    AwaitUpstream,
    Case,
    Expectation,
    Forwarded,
    Group,
    HalfClose,
    Leave,
    Refused,
    Send,
    Step,
)
from router.selftest.suite.said import CHUNKED, HIDDEN, Row, chunks, message, post, sends, sized

_REFUSED: Final = Refused()
_UNKNOWN: Final = Refused(statuses=(400, 501))
_BROKEN: Final = Refused(begun=True)
_LAST: Final = b"0\r\n\r\n"


def _lengths(*values: bytes) -> bytes:
    return post(*(b"Content-Length: " + value for value in values), body=b"12345")


def _coded(*values: bytes, length: bytes | None = b"5") -> bytes:
    fields = [b"Transfer-Encoding: " + value for value in values]
    if length is not None:
        fields.append(b"Content-Length: " + length)
    return post(*fields, body=_LAST)


_FRAMING: Final[tuple[Row, ...]] = (
    *(
        (f"a length of {what}", "RFC 9110 §8.6", _lengths(value), _REFUSED)
        for what, value in (
            ("-5", b"-5"), ("+5", b"+5"), ("0x5", b"0x5"), ("5_0", b"5_0"), ("5e0", b"5e0"),
            ("nothing", b""), ("a word", b"five"), ("5 and a space", b"5 5"), ("5;", b"5;"),
            ("5.", b"5."), ("5 in quotes", b'"5"'), ("Arabic digits", b"\xd9\xa5"),
            ("more than 64 bits", b"36893488147419103233"), ("a hundred digits", b"9" * 100),
            ("a list that differs", b"5, 6"), ("a NUL", b"5\x00"),
        )
    ),
    ("a list of equal lengths", "RFC 9110 §8.6", _lengths(b"5, 5"),
     Forwarded(method=b"POST", body=b"12345", or_refused=(400,))),
    ("two equal lengths", "RFC 9110 §8.6", _lengths(b"5", b"5"),
     Forwarded(method=b"POST", body=b"12345", fields=((b"content-length", (b"5",)),),
               or_refused=(400,))),
    ("two lengths that differ", "RFC 9112 §6.3", _lengths(b"5", b"0"), _REFUSED),
    ("a length with zeros before it", "RFC 9110 §8.6", _lengths(b"0005"),
     Forwarded(method=b"POST", body=b"12345", or_refused=(400,))),
    ("a length in another name's clothes", "RFC 9110 §5.1",
     post(b"Content-Length: 5", b"Content-Length\x0b: 0", body=b"12345"), _REFUSED),
    ("both framings", "RFC 9112 §6.3",
     post(b"Content-Length: 3", CHUNKED, body=b"2\r\nok\r\n" + _LAST),
     Forwarded(method=b"POST", body=b"ok", closes=True, absent=(b"content-length",),
               or_refused=(400,))),
    ("a request behind the shorter framing", "RFC 9112 §6.3",
     post(b"Content-Length: %d" % len(_LAST + HIDDEN), CHUNKED, body=_LAST + HIDDEN),
     Forwarded(method=b"POST", closes=True, or_refused=(400,))),
    ("a request behind the shorter length", "RFC 9112 §6.3",
     post(CHUNKED, b"Content-Length: 4",
          body=b"%x\r\n%b\r\n" % (len(HIDDEN), HIDDEN) + _LAST),
     Forwarded(method=b"POST", body=HIDDEN, closes=True, or_refused=(400,))),
    ("chunked is not the last coding", "RFC 9112 §6.3", _coded(b"chunked, gzip"), _UNKNOWN),
    ("chunked twice in a list", "RFC 9112 §6.1", _coded(b"chunked, chunked"), _REFUSED),
    ("chunked twice in two fields", "RFC 9112 §6.1", _coded(b"chunked", b"chunked"), _REFUSED),
    ("a comma before chunked", "RFC 9112 §6.1", _coded(b", chunked"), _REFUSED),
    ("a comma behind chunked", "RFC 9112 §6.1", _coded(b"chunked ,"), _REFUSED),
    ("an unknown coding alone", "RFC 9112 §6.1", _coded(b"deflate", length=None), _UNKNOWN),
    ("identity", "RFC 9112 §6.1", _coded(b"identity"), _UNKNOWN),
    ("an unknown coding before chunked", "RFC 9112 §6.1", _coded(b"br, chunked"), _UNKNOWN),
    ("an empty coding", "RFC 9112 §6.1", _coded(b""), _UNKNOWN),
    ("a coding with a parameter", "RFC 9112 §6.1", _coded(b"chunked;x=1"), _UNKNOWN),
    ("a coding in quotes", "RFC 9112 §6.1", _coded(b'"chunked"'), _UNKNOWN),
    ("a coding behind a vertical tab", "RFC 9110 §5.5", _coded(b"\x0bchunked"), _REFUSED),
    ("a coding with a byte above ASCII", "RFC 9112 §6.1", _coded(b"chunked\xa0"), _UNKNOWN),
    ("half a word of a coding", "RFC 9112 §6.1", _coded(b"chunke"), _UNKNOWN),
    ("a tab before the coding's colon", "RFC 9112 §5.1",
     post(b"Transfer-Encoding\t: chunked", b"Content-Length: 5", body=_LAST), _REFUSED),
    ("a coding's name with a letter too many", "RFC 9110 §5.1",
     post(b"Transfer-Encodings: chunked", b"Content-Length: 5", body=_LAST),
     Forwarded(method=b"POST", body=_LAST)),
    ("chunks in HTTP/1.0", "RFC 9112 §6.1",
     message(b"POST /case HTTP/1.0", CHUNKED, body=_LAST), _REFUSED),
    ("a byte behind an empty body", "RFC 9112 §6.3", post(b"Content-Length: 0", body=b"!\r\n\r\n"),
     Forwarded(method=b"POST", then=(400,), closes=True, or_refused=(400,))),
)  # fmt: skip

_CHUNKS: Final[tuple[Row, ...]] = (
    *(
        (f"a chunk's size is {what}", "RFC 9112 §7.1", chunks(size + b"\r\nhello\r\n" + _LAST),
         _BROKEN)
        for what, size in (
            ("negative", b"-5"), ("with a plus", b"+5"), ("with a prefix", b"0x5"),
            ("with an underscore", b"0_5"), ("no number", b"five"), ("missing", b""),
            ("behind a space", b" 5"), ("before a space", b"5 "),
            ("of 17 digits", b"1" + b"0" * 16),
            ("of 100 zeros and a 5", b"0" * 100 + b"5"), ("before a NUL", b"5\x00"),
            ("before a comma", b"5,"), ("with a point", b"5.0"),
        )
    ),
    ("a chunk is longer than its size", "RFC 9112 §7.1", chunks(b"3\r\nhello\r\n" + _LAST),
     _BROKEN),
    ("a chunk is shorter than its size", "RFC 9112 §7.1", chunks(b"6\r\nhello\r\n" + _LAST),
     _BROKEN),
    ("no line end behind a chunk", "RFC 9112 §7.1", chunks(b"5\r\nhello" + _LAST), _BROKEN),
    ("LF behind a chunk", "RFC 9112 §7.1", chunks(b"5\r\nhello\n" + _LAST), _BROKEN),
    ("CR behind a chunk", "RFC 9112 §7.1", chunks(b"5\r\nhello\r" + _LAST), _BROKEN),
    ("LF behind a chunk's size", "RFC 9112 §7.1", chunks(b"5\nhello\r\n" + _LAST), _BROKEN),
    ("CR behind a chunk's size", "RFC 9112 §7.1", chunks(b"5\rhello\r\n" + _LAST), _BROKEN),
    ("LF in an extension", "RFC 9112 §7.1.1", chunks(b"5;a=b\nc\r\nhello\r\n" + _LAST), _BROKEN),
    ("CR in an extension", "RFC 9112 §7.1.1", chunks(b"5;a=b\rc\r\nhello\r\n" + _LAST), _BROKEN),
    ("NUL in an extension", "RFC 9112 §7.1.1", chunks(b"5;a\x00\r\nhello\r\n" + _LAST), _BROKEN),
    ("a request hidden in an extension's line end", "RFC 9112 §7.1.1",
     chunks(b"1;\nx\r\n%x\r\n0\r\n\r\n%b\r\n" % (len(HIDDEN) + 5, HIDDEN) + _LAST), _BROKEN),
    ("extensions are dropped", "RFC 9112 §7.1.1",
     chunks(b'5;signed=no;by="a;b\\"c"\r\nhello\r\n0;last\r\n\r\n'),
     Forwarded(method=b"POST", body=b"hello")),
    ("trailers are dropped", "RFC 9110 §6.5.1",
     chunks(b"5\r\nhello\r\n0\r\nX-Checksum: 1f\r\nAuthorization: Bearer forged\r\n\r\n"),
     Forwarded(method=b"POST", body=b"hello", absent=(b"authorization", b"x-checksum"))),
    ("a trailer tells no framing", "RFC 9110 §6.5.1",
     chunks(b"5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n"),
     Forwarded(method=b"POST", body=b"hello", absent=(b"content-length",), or_refused=(400,))),
    ("a trailer closes nothing", "RFC 9110 §6.5.1",
     chunks(b"5\r\nhello\r\n0\r\nConnection: close\r\nHost: other.example\r\n\r\n"),
     Forwarded(method=b"POST", body=b"hello")),
    ("a trailer without a colon", "RFC 9112 §7.1.2", chunks(b"0\r\nhello\r\n\r\n"), _BROKEN),
    ("a folded trailer", "RFC 9112 §7.1.2", chunks(b"0\r\nX-A: 1\r\n 2\r\n\r\n"), _BROKEN),
    ("LF behind the last chunk", "RFC 9112 §7.1", chunks(b"5\r\nhello\r\n0\n\n"), _BROKEN),
)  # fmt: skip

_EXPECT: Final[tuple[Row, ...]] = (
    ("an expectation with its body at once", "RFC 9110 §10.1.1",
     sized(b"at once", b"Expect: 100-continue"), Forwarded(method=b"POST", body=b"at once")),
    ("an expectation in HTTP/1.0 is ignored", "RFC 9110 §10.1.1",
     message(b"POST /case HTTP/1.0", b"Expect: 100-continue", b"Content-Length: 2", body=b"ab"),
     Forwarded(method=b"POST", body=b"ab", closes=True)),
    ("an unknown expectation", "RFC 9110 §10.1.1", sized(b"ab", b"Expect: a-miracle"),
     Refused(statuses=(417,))),
)  # fmt: skip


def _steps(raw: bytes, expect: Expectation) -> tuple[Step, ...]:
    return sends(raw + HIDDEN if isinstance(expect, Refused) else raw)


def _cases(group: Group, rows: tuple[Row, ...]) -> tuple[Case, ...]:
    return tuple(
        Case(name=name, group=group, rule=rule, steps=_steps(raw, expect), expect=expect)
        for name, rule, raw, expect in rows
    )


def _unfinished(name: str, raw: bytes, ending: Step, expect: Expectation) -> Case:
    return Case(
        name=name,
        group=Group.PACE,
        rule="RFC 9112 §8",
        steps=(Send(raw=raw), AwaitUpstream(), ending),
        expect=expect,
    )


_UNFINISHED: Final = (
    _unfinished("a client that closes within its body", sized(b"x" * 50)[:-20], HalfClose(),
                Abandoned()),
    _unfinished("a client that closes within a chunk", chunks(b"20\r\nhello"), HalfClose(),
                Abandoned()),
    _unfinished("a client that closes before the last chunk", chunks(b"5\r\nhello\r\n"),
                HalfClose(), Abandoned()),
    _unfinished("a client that resets within its body", sized(b"x" * 50)[:-20], Leave(),
                Abandoned()),
    _unfinished("a client that resets within a chunk", chunks(b"20\r\nhello"), Leave(),
                Abandoned()),
    _unfinished("a body in two parts", sized(b"one and two")[:-4], Send(raw=b" two"),
                Forwarded(method=b"POST", body=b"one and two")),
    _unfinished("a chunk in two parts", chunks(b"B\r\none and"),
                Send(raw=b" two\r\n0\r\n\r\n"), Forwarded(method=b"POST", body=b"one and two")),
    _unfinished("a client that waits for 100",
                sized(b"asked", b"Expect: 100-continue")[:-5], Send(raw=b"asked"),
                Forwarded(method=b"POST", body=b"asked", interim=(100,))),
)  # fmt: skip

BODIES: Final = (
    *_cases(Group.FRAMING, _FRAMING),
    *_cases(Group.CHUNKS, _CHUNKS),
    *_cases(Group.EXPECT, _EXPECT),
    *_UNFINISHED,
)
