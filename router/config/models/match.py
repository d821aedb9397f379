"""Which requests are meant: by path, method, model and headers."""

from typing import Self

from pydantic import Field, model_validator

from router.config.fields import (
    HeaderName,
    Method,
    OnlyTrue,
    Regex,
    Section,
    Text,
    UrlPath,
    only_one,
)
from router.snapshot import HeaderMatch


class HeaderTest(Section):
    """How a header's value is compared: exactly one of these."""

    exact: str | None = None
    """The whole value."""
    prefix: Text | None = None
    """How the value begins."""
    regex: Regex | None = None
    """A regular expression of the value."""
    present: OnlyTrue | None = None
    """Any value at all."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, "exact", "prefix", "regex", "present")
        return self

    @property
    def comparison(self) -> tuple[HeaderMatch, str]:
        """How to compare, and with what."""
        for kind in (HeaderMatch.EXACT, HeaderMatch.PREFIX, HeaderMatch.REGEX):
            value: str | None = getattr(self, kind.value)
            if value is not None:
                return kind, value
        return HeaderMatch.PRESENT, ""


class HeaderCondition(HeaderTest):
    """One header that must be there with such a value."""

    name: HeaderName
    """The header's name."""


class MatchRule(Section):
    """One rule; every part that is given must hold."""

    path: UrlPath | None = None
    """The whole path."""
    path_prefix: UrlPath | None = None
    """Whole segments at the path's beginning: `/v1` means `/v1` and `/v1/x`, not `/v1x`."""
    model: Text | None = None
    """The body's top-level `model`, or the model in a KServe path."""
    method: Method | None = None
    """One method."""
    methods: tuple[Method, ...] = Field(default=())
    """One of several methods."""
    headers: tuple[HeaderCondition, ...] = ()
    """Headers, all of which must match."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path is not None and self.path_prefix is not None:
            raise ValueError("takes path or pathPrefix, not both")
        if self.method is not None and self.methods:
            raise ValueError("takes method or methods, not both")
        if not self.model_fields_set:
            raise ValueError("says nothing; write pathPrefix: / to mean every request")
        return self

    @property
    def all_methods(self) -> tuple[str, ...]:
        """The methods, sorted and each once; empty means any."""
        return (self.method,) if self.method is not None else tuple(sorted(set(self.methods)))

    @property
    def prefix(self) -> str | None:
        """The path prefix without a slash at its end, except for the root."""
        if self.path_prefix is None:
            return None
        return self.path_prefix.rstrip("/") or "/"

    @property
    def meaning(self) -> tuple[object, ...]:
        """Equal for two rules that match the very same requests for the same reason."""
        headers = frozenset((header.name, header.comparison) for header in self.headers)
        return self.path, self.prefix, self.model, self.all_methods, headers
