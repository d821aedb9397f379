"""How a case says what is sent: bytes as they stand, nothing added."""

from router.selftest.case import SMUGGLED, TARGET, Expectation, Send, Step

HOST = b"Host: selftest.example"
CHUNKED = b"Transfer-Encoding: chunked"


def message(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """Lines that end in CRLF, an empty one, a body."""
    return b"".join(each + b"\r\n" for each in (line, *fields, b"")) + body


def get(*fields: bytes, target: bytes = TARGET, host: bytes = HOST) -> bytes:
    """A request without a body."""
    return message(b"GET %b HTTP/1.1" % target, host, *fields)


def post(*fields: bytes, body: bytes = b"") -> bytes:
    """A request whose framing is told by `fields`."""
    return message(b"POST %b HTTP/1.1" % TARGET, HOST, *fields, body=body)


def chunks(body: bytes) -> bytes:
    """A request with a body of chunks, as they stand here."""
    return post(CHUNKED, body=body)


def sized(body: bytes, *fields: bytes) -> bytes:
    """A request with a body of known length."""
    return post(b"Content-Length: %d" % len(body), *fields, body=body)


def sends(raw: bytes) -> tuple[Step, ...]:
    """A client that says all at once."""
    return (Send(raw=raw),)


HIDDEN = get(target=SMUGGLED)
"""What a smuggler would have the model server see."""

Row = tuple[str, str, bytes, Expectation]
"""A case's name, its rule, what is sent, what must come of it."""
