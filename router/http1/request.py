"""The head of a request: read strictly, forwarded with recomputed framing.

Guarantees (tests/unit/http1/test_request.py, tests/conformance/):
  * a head is accepted only if it has one reading under RFC 9112;
  * method, path and query are forwarded as the bytes that came;
  * hop-by-hop fields, control fields of the router, forged forwarding fields and the cookie of the
    router's console are never forwarded; Host, framing and forwarding fields are written anew.
"""

import re
from typing import Final

from router.errors import ErrorCode
from router.http1.grammar import (
    FIELD_LINES,
    MAX_CONNECTION_OPTIONS,
    TOKEN,
    ProtocolError,
    connection_options,
    content_length,
    field_value,
    field_values,
    lines_of,
    special_fields,
    without_lines,
)
from router.http1.rules import RULES, ClientRules

_HEAD: Final = re.compile(
    rb"(" + TOKEN + rb"{1,32}+) ([\x21-\x7e]++) HTTP/1\.([01])(\r\n" + FIELD_LINES + rb")\r\n"
)
_SPECIAL: Final = special_fields(
    "connection content-length cookie expect forwarded host keep-alive proxy-* te trailer"
    " transfer-encoding upgrade via x-forwarded-* x-model-version x-request-id"
    " x-router-* x-shadow"
)
SESSION_COOKIE: Final = "inference_router_session"
"""The console's (`router.admin.session`): a browser sends it to every port of that host."""

_SESSION: Final = f"{SESSION_COOKIE}=".encode()
_HOST: Final = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+;=%\-]+)(?::[0-9]{0,5})?|")
_ABSOLUTE: Final = re.compile(rb"https?://([^/?#]*)(/[^#]*|\?[^#]*)?", re.IGNORECASE)
_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestHead:
    """One request's head.

    `target` is in origin form, exactly as it came; `path` is it without the query.  `fields` is
    the block of field lines, each ended by CRLF and the first one begun by one, as it came.
    `kept` is what of it is forwarded.

    `plain` requests need no Connection field in their answer.  `plan` is room for what a reader
    of the head makes of it, to find it there the next time.

    Shared between the requests of a connection that differ only in Content-Length (see
    `HeadReader`), so nothing else may change once it is read.
    """

    __slots__ = (
        "_cuts",
        "chunked",
        "content_length",
        "expects_continue",
        "fields",
        "host",
        "keep_alive",
        "kept",
        "lowered",
        "method",
        "minor",
        "path",
        "plain",
        "plan",
        "request_id",
        "target",
        "via",
    )

    def __init__(self, method: bytes, target: bytes, minor: int, fields: bytes) -> None:
        self.method = method
        self.target = target
        query = target.find(b"?")
        self.path = target if query < 0 else target[:query]
        self.minor = minor
        self.fields = fields
        self.lowered = fields.lower()
        self.host: bytes | None = None
        self.content_length: int | None = None
        self.chunked = False
        self.keep_alive = minor == 1
        self.expects_continue = False
        self.request_id: bytes | None = None
        self.via: bytes | None = None
        self.plan: object = None
        self._cuts: list[tuple[int, int]] = []
        self._read_special_fields()
        self.plain = self.keep_alive and minor == 1
        self.kept = without_lines(fields, self._cuts)

    def field(self, name: bytes) -> bytes | None:
        """The value of a field by its lower-case name."""
        return field_value(self.fields, self.lowered, name)

    def values(self, name: bytes) -> list[bytes]:
        """Every value of a field by its lower-case name."""
        return field_values(self.fields, self.lowered, name)

    @property
    def has_body(self) -> bool:
        """Whether a body followed the head when it was first read (RFC 9112 §6.3)."""
        return self.chunked or bool(self.content_length)

    def kept_without(self, names: tuple[bytes, ...]) -> bytes:
        """What is forwarded, less these fields (lower-case names) as well."""
        spans = set(self._cuts)
        for name in names:
            spans.update(lines_of(self.lowered, name))
        return without_lines(self.fields, sorted(spans))

    def _read_special_fields(self) -> None:
        options: list[bytes] = []
        coding: bytes | None = None
        lowered = self.lowered
        for match in _SPECIAL.finditer(lowered):
            start = match.start() + 1
            end = lowered.index(b"\r", start)
            name = match[1]
            if name == b"cookie":
                if lowered.find(_SESSION, match.end(), end) >= 0:
                    self._cuts += _session_cuts(lowered, start, match.end(), end)
                continue
            self._cuts.append((start, end + 2))
            value = lowered[match.end() : end].strip(b" \t")
            if name == b"host":
                self._read_host(self.fields[match.end() : end].strip(b" \t"))
            elif name == b"content-length":
                length = content_length(value)
                if self.content_length not in (None, length):
                    raise ProtocolError("content_length", "two Content-Length fields differ")
                self.content_length = length
            elif name == b"transfer-encoding":
                if coding is not None:
                    raise ProtocolError("transfer_encoding", "two Transfer-Encoding fields")
                coding = value
            elif name == b"connection":
                options += connection_options(value)
            elif name == b"x-request-id":
                given = self.fields[match.end() : end].strip(b" \t")
                if _REQUEST_ID.fullmatch(given):
                    self.request_id = given
            elif name == b"expect":
                self._read_expect(value)
            elif name == b"via":
                self.via = value if self.via is None else self.via + b"," + value
        if coding is not None:
            self._read_coding(coding)
        if options:
            self._read_connection(options)
        if self.host is None and self.minor == 1:
            raise ProtocolError("host", "an HTTP/1.1 request needs exactly one Host field")

    def _read_host(self, value: bytes) -> None:
        if self.host is not None:
            raise ProtocolError("host", "a request has only one Host field")
        if not _HOST.fullmatch(value):
            raise ProtocolError("host", "Host is not a host and port")
        self.host = value

    def _read_expect(self, value: bytes) -> None:
        if value != b"100-continue":
            raise ProtocolError("expect", "unknown expectation", ErrorCode.EXPECTATION_FAILED)
        # RFC 9110 §10.1.1: an expectation of an HTTP/1.0 client is ignored.
        self.expects_continue = self.minor == 1

    def _read_coding(self, coding: bytes) -> None:
        if self.minor == 0:
            # RFC 9112 §6.1: the framing of such a message is faulty.
            raise ProtocolError("transfer_encoding", "Transfer-Encoding in an HTTP/1.0 request")
        if coding != b"chunked":
            codings = [part.strip(b" \t") for part in coding.split(b",")]
            if codings[-1] != b"chunked" or codings.count(b"chunked") > 1 or b"" in codings:
                raise ProtocolError("transfer_encoding", "chunked must be the last coding, once")
            raise ProtocolError(
                "transfer_encoding", "unknown transfer coding", ErrorCode.NOT_IMPLEMENTED
            )
        self.chunked = True
        if self.content_length is not None:
            # RFC 9112 §6.3: Transfer-Encoding overrides, and the answer closes the connection.
            self.content_length = None
            self.keep_alive = False

    def _read_connection(self, options: list[bytes]) -> None:
        if len(options) > MAX_CONNECTION_OPTIONS:
            raise ProtocolError("connection", "Connection names too many fields")
        if b"close" in options:
            self.keep_alive = False
        elif b"keep-alive" in options and self.minor == 0:
            self.keep_alive = True
        for option in options:
            if option not in (b"close", b"keep-alive", b"te", b"upgrade", b"http2-settings"):
                self._leave_out(option)
        if b"http2-settings" in options:
            self._leave_out(b"http2-settings")

    def _leave_out(self, name: bytes) -> None:
        spans = set(self._cuts)
        spans.update(lines_of(self.lowered, name))
        self._cuts = sorted(spans)


def _session_cuts(lowered: bytes, line: int, value: int, end: int) -> list[tuple[int, int]]:
    """Where the console's session stands in a Cookie line, or all of that if there is no other."""
    cuts, others = [], False
    at = value
    while at < end:
        stop = lowered.find(b";", at, end)
        following = end if stop < 0 else stop + 1
        pair = lowered[at:following].strip(b" \t;")
        if not pair.startswith(_SESSION):
            others = others or bool(pair)
        elif stop < 0 and at > value:
            cuts.append((at - 1, end))  # with the semicolon before it
        else:
            cuts.append((at, following))
        at = following
    return cuts if others else [(line, end + 2)]


def parse_request(head: bytes, rules: ClientRules = RULES) -> RequestHead:
    """Read a head that ends in an empty line; how long it may be is the caller's to say.

    Raises:
        ProtocolError: with the answer that the client gets.
    """
    match = _HEAD.fullmatch(head)
    if match is None:
        raise _why_not(head)
    method, target, minor, fields = match.groups()
    if len(target) > rules.max_target_bytes:
        raise ProtocolError("target_too_long", "request target too long", ErrorCode.TARGET_TOO_LONG)
    if fields.count(b"\n") > rules.max_fields + 1:
        raise ProtocolError("too_many_fields", "too many header fields", ErrorCode.HEAD_TOO_LARGE)
    if method == b"CONNECT":
        raise ProtocolError("connect", "CONNECT is not supported", ErrorCode.NOT_IMPLEMENTED)
    if target[0] == 0x2F:  # "/"
        if b"#" in target:
            raise ProtocolError("target", "a request target has no fragment")
        return RequestHead(method, target, 1 if minor == b"1" else 0, fields)
    return _other_form(method, target, 1 if minor == b"1" else 0, fields)


def _other_form(method: bytes, target: bytes, minor: int, fields: bytes) -> RequestHead:
    """Absolute form (its authority replaces Host) and asterisk form (RFC 9112 §3.2)."""
    if target == b"*" and method == b"OPTIONS":
        return RequestHead(method, target, minor, fields)
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not match[1] or not _HOST.fullmatch(match[1]):
        raise ProtocolError("target", "not a request target")
    rest = match[2] or b"/"
    head = RequestHead(method, rest if rest[:1] == b"/" else b"/" + rest, minor, fields)
    head.host = match[1]
    return head


def _why_not(head: bytes) -> ProtocolError:
    """Name the rule that a refused head broke; only ever runs for refused ones."""
    line, _, fields = head.partition(b"\r\n")
    if b"\n" in head.replace(b"\r\n", b"") or b"\r" in head.replace(b"\r\n", b""):
        return ProtocolError("bare_line_end", "a line ends in a bare CR or LF")
    parts = line.split(b" ")
    version = re.fullmatch(rb"HTTP/([0-9])\.([0-9])", parts[-1])
    if len(parts) == 3 and version and version[1] != b"1":
        return ProtocolError(
            "version", "only HTTP/1.0 and HTTP/1.1 are spoken here", ErrorCode.VERSION_NOT_SUPPORTED
        )
    if not re.fullmatch(TOKEN + rb"{1,32} [\x21-\x7e]+ HTTP/1\.[01]", line):
        return ProtocolError("request_line", "malformed request line")
    for field in fields.split(b"\r\n"):
        if field[:1] in (b" ", b"\t"):
            return ProtocolError("obs_fold", "a header line is folded")
        name, colon, _ = field.partition(b":")
        if field and (not colon or not re.fullmatch(TOKEN + rb"+", name)):
            return ProtocolError("field_name", "malformed header field name")
    return ProtocolError("field_value", "a header value has a control character")


def request_start(
    head: RequestHead, *, target: bytes, authority: bytes, kept: bytes, extra: bytes
) -> bytes:
    """Write the head that is forwarded, but for what differs between two requests of one head.

    `kept` and `extra` are whole field lines; framing fields and an empty line must follow.
    """
    return b"%b %b HTTP/1.1\r\nhost: %b%b%b" % (head.method, target, authority, kept, extra)


CHUNKED_FIELD: Final = b"transfer-encoding: chunked\r\n"
