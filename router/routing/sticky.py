"""Find the key that keeps a client or a conversation on one version.

The first source that has a value wins.  The key is used only as digest input, so any bytes will
do; it is never logged and never a label.
"""

import re
from collections.abc import Callable
from typing import Final

from router.routing.body import BodyFields
from router.routing.match import Fields
from router.snapshot import StickyKind, StickySource

Source = Callable[[Fields, BodyFields], bytes | None]

_MAX_KEY: Final = 4096


def _header(name: bytes) -> Source:
    return lambda fields, _: fields.field(name)


def _cookie(name: bytes) -> Source:
    pattern = re.compile(rb"(?:^|;)[ \t]*" + re.escape(name) + rb"=([^;]*)")

    def find(fields: Fields, _: BodyFields) -> bytes | None:
        match = pattern.search(fields.field(b"cookie") or b"")
        return match[1].strip() if match else None

    return find


def _body(name: str) -> Source:
    def find(_: Fields, body: BodyFields) -> bytes | None:
        value = body.get(name)
        if isinstance(value, str):
            return value.encode()
        return str(value).encode() if isinstance(value, int) else None

    return find


def _api_key(fields: Fields, _: BodyFields) -> bytes | None:
    """OpenAI's bearer token, or Anthropic's and Azure's header."""
    return fields.field(b"authorization") or fields.field(b"x-api-key") or fields.field(b"api-key")


def _source(source: StickySource) -> Source:
    match source.kind:
        case StickyKind.HEADER:
            return _header(source.name.lower().encode())
        case StickyKind.COOKIE:
            return _cookie(source.name.encode())
        case StickyKind.BODY:
            return _body(source.name)
        case StickyKind.API_KEY:
            return _api_key


class StickyKey:
    """The sticky rule of one route, compiled."""

    __slots__ = ("_sources", "body_fields", "head_only")

    def __init__(self, sources: tuple[StickySource, ...]) -> None:
        self._sources: Final = tuple(_source(source) for source in sources)
        self.head_only: Final = all(s.kind is not StickyKind.BODY for s in sources)
        self.body_fields: Final = tuple(s.name for s in sources if s.kind is StickyKind.BODY)

    def find(self, fields: Fields, body: BodyFields) -> bytes | None:
        """The request's key, or None if it has none."""
        for source in self._sources:
            value = source(fields, body)
            if value:
                return value[:_MAX_KEY]
        return None
