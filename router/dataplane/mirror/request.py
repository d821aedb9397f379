"""What a copy carries: the request as its client sent it, but for names and credentials."""

import logging
import os
import re
from pathlib import Path
from typing import Final

from router.dataplane.decide import Plan, Refusal, upstream_body
from router.dataplane.table import LiveRoute, LiveVersion
from router.dataplane.upstream.endpoint import EndpointState
from router.http1.grammar import VALUE
from router.http1.request import RequestHead, request_start
from router.link.messages import Fields
from router.routing.body import BodyFields, model_of_prefix
from router.routing.mirror import Sampler
from router.snapshot import CredentialMode, Credentials

log: Final = logging.getLogger(__name__)

_MARK: Final = b"x-shadow: true\r\n"
_MAX_STARTS: Final = 4
_VALUE: Final = re.compile(VALUE + rb"+")

Place = tuple[bytes, bytes]


class Carried:
    """The credentials that copies carry to the shadow; `broken` where they cannot be had.

    The value is read once, when the shadow is installed, from this process's environment or a
    file: it stands in no snapshot, and only this module ever holds it.
    """

    __slots__ = ("_line", "broken", "header")

    def __init__(self, credentials: Credentials) -> None:
        keeps = credentials.mode is CredentialMode.KEEP
        self.header: Final = None if keeps else credentials.header.encode()
        self._line = b""
        self.broken = False
        if credentials.mode is CredentialMode.REPLACE:
            self._read(credentials)

    def _read(self, credentials: Credentials) -> None:
        try:
            value = _read_value(credentials)
        except (OSError, KeyError):
            value = b""
        if _VALUE.fullmatch(value):
            self._line = b"%b: %b\r\n" % (credentials.header.encode(), value)
        else:
            self.broken = True
            place = f"environment variable {credentials.env}" if credentials.env else "file"
            log.error("no copies: the %s with their credentials holds no header value", place)

    def __repr__(self) -> str:
        return f"<Carried {self.header!r}>"

    def swap(self, head: RequestHead, without: tuple[bytes, ...]) -> bytes:
        """The field lines of a request, its credentials replaced and some fields left out."""
        if self.header is not None:
            without = (*without, self.header)
        kept = head.kept_without(without) if without else head.kept
        return kept + self._line


def _read_value(credentials: Credentials) -> bytes:
    if credentials.env is not None:
        return os.environb[credentials.env.encode()].strip()
    assert credentials.file is not None
    return Path(credentials.file).read_bytes().strip()


class CopiedHead:
    """What one request head means to one shadow: worked out once, kept with the head's plan."""

    __slots__ = ("_fields", "_head", "_models", "_plan", "_starts", "sampler")

    def __init__(self, sampler: Sampler, plan: Plan, head: RequestHead) -> None:
        self.sampler: Final = sampler
        self._head: Final = head
        self._plan: Final = plan
        self._models: Final = sampler.models(head.method, head.path, head)
        self._fields: Fields | None = None
        self._starts: dict[tuple[LiveVersion, Place, bool], bytes] = {}

    def fits(self, fields: BodyFields, body: bytes) -> bool:
        """Whether a request with this head may be copied; `body` is what is there of it."""
        if not self._models or not self.sampler.may_copy(self._head.path, body):
            return False
        return None in self._models or self._model(fields, body) in self._models

    def _model(self, fields: BodyFields, body: bytes) -> str | None:
        if self._plan.in_path is not None:
            return self._plan.in_path[0]
        model = fields.model
        return model if isinstance(model, str) else model_of_prefix(body)

    @property
    def fields(self) -> Fields:
        """The request's fields, for the record."""
        if self._fields is None:
            self._fields = read_fields(self._head.fields)
        return self._fields

    def start(
        self,
        route: LiveRoute,
        version: LiveVersion,
        endpoint: EndpointState,
        forwarded: bytes,
        carried: Carried | None,
    ) -> bytes:
        """The head of a copy up to its request id and framing; a twin has no `carried`."""
        key = (version, endpoint.place, carried is None)
        start = self._starts.get(key)
        if start is None:
            if len(self._starts) >= _MAX_STARTS:
                self._starts.clear()
            head, steering = self._head, route.steering
            if carried is not None:
                kept = carried.swap(head, steering)
            else:
                kept = head.kept_without(steering) if steering else head.kept
            start = self._starts[key] = request_start(
                head,
                target=self._plan.target(head, version, endpoint.base_path),
                authority=endpoint.authority or head.host or endpoint.origin.authority,
                kept=kept,
                extra=forwarded + _MARK + b"x-request-id: ",
            )
        return start

    def body(self, version: LiveVersion, body: bytes) -> bytes | None:
        """The body for a version's model servers; None: its model cannot be named in it."""
        if version.spec.model is None:
            return body
        try:
            return upstream_body(self._plan, version, body, complete=True)
        except Refusal:
            return None


def read_fields(lines: bytes) -> Fields:
    """Field lines as names and values; `lines` begins and ends as `RequestHead.fields` does."""
    fields = []
    for line in lines.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields.append((name.lower(), value.strip(" \t")))
    return fields
