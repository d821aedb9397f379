"""The types of parameters and of bodies' fields: how each is read, refused and described.

A validator raises ValueError with the words that a person will read.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import core_schema

from router.config.fields import Section, is_token
from router.config.units import MAX_DURATION_S, parse_percent
from router.controller.changes import Seen

MAX_REASON: Final = 500
MAX_KEY: Final = 255
MAX_WAIT_S: Final = 60
MAX_PERCENT_DIGITS: Final = 20
"""A Decimal computes with 28 digits; a percentage needs five."""
MAX_SAFE: Final = 2**53 - 1
"""Integers up to here are the same in every JSON reader (RFC 8259 §6)."""


class Document(Section):
    """A body: types are taken as they are, `"5"` is no number and `true` none either."""

    model_config = ConfigDict(strict=True)


class Parameters(Section):
    """Everything of a request beside its body, as text.

    A field that the path names stands there, one with `InHeader` in that header, any other in
    the query.
    """


@dataclass(frozen=True, slots=True)
class InHeader:
    """Marks a parameter that is a header."""

    name: str


# -- bodies ------------------------------------------------------------------------------------

# Control characters, line and paragraph separators, and what turns the direction of writing:
# in a terminal they could make an audit entry look like another one.
_CATEGORIES_REFUSED: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# The same for the description of the API.
_REFUSED: Final = r"\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_REASON_PATTERN: Final = rf"^[^{_REFUSED}]*[^{_REFUSED}\s][^{_REFUSED}]*$"
_WORD_PATTERN: Final = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$"


def _check_reason(text: str) -> str:
    if any(c in _BIDI or unicodedata.category(c) in _CATEGORIES_REFUSED for c in text):
        raise ValueError("must be one line without control characters")
    if not text.strip():
        raise ValueError("must say why")
    return text.strip()


def _read_percent(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("must be a number of percent")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"must be a finite number, not {value}")
    if value < 0:
        raise ValueError("is less than 0")
    if value > 100:
        raise ValueError("is more than 100")
    if isinstance(value, Decimal) and len(value.as_tuple().digits) > MAX_PERCENT_DIGITS:
        raise ValueError("has more than two decimals")  # arithmetic would round them away
    return parse_percent(value)


def _read_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        raise ValueError("must be a number of seconds")
    if isinstance(value, Decimal) and not value.is_finite():
        raise ValueError(f"must be a finite number, not {value}")
    if not 1 <= value <= MAX_DURATION_S:
        raise ValueError(f"must be between 1 and {MAX_DURATION_S} seconds")
    return float(value)


def _check_path(text: str) -> str:
    if not text.startswith("/") or any(c.isspace() or ord(c) < 0x20 for c in text):
        raise ValueError('must begin with "/" and have no white space')
    return text


def _check_method(text: str) -> str:
    if not is_token(text):
        raise ValueError("is not a method")
    return text


def _check_headers(headers: dict[str, str]) -> dict[str, str]:
    # Never the value: it may be a secret.
    for name in headers:
        if not is_token(name):
            raise ValueError(f"not a header name: {name[:80]!r}")
    return headers


Reason = Annotated[
    str,
    Field(min_length=1, max_length=MAX_REASON),
    AfterValidator(_check_reason),
    Field(
        json_schema_extra={
            "pattern": _REASON_PATTERN,
            "examples": ["canary v2 answers too slowly"],
        }
    ),
]
Percent = Annotated[
    int,
    PlainValidator(_read_percent),
    WithJsonSchema(
        {"type": "number", "minimum": 0, "maximum": 100, "description": "At most two decimals."}
    ),
]
"""Read as basis points."""
Seconds = Annotated[
    float,
    PlainValidator(_read_seconds),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": MAX_DURATION_S}),
]
RequestPath = Annotated[
    str,
    Field(max_length=8_192, json_schema_extra={"pattern": r"^/[^\s\u0000-\u001f]*$"}),
    AfterValidator(_check_path),
]
Method = Annotated[
    str,
    Field(json_schema_extra={"pattern": _WORD_PATTERN}),
    AfterValidator(_check_method),
]
Headers = Annotated[
    dict[str, str],
    AfterValidator(_check_headers),
    Field(
        json_schema_extra={
            "propertyNames": {"pattern": _WORD_PATTERN},
        }
    ),
]


# -- parameters --------------------------------------------------------------------------------

_WHOLE: Final = re.compile("[0-9]{1,16}", re.ASCII)
_DECIMAL: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_SEEN_TAG: Final = r"[0-9]{1,16}(?:-[0-9a-f]{12})?"
_SEEN_ONE: Final = rf'(?:(?:W/)?"{_SEEN_TAG}"|{_SEEN_TAG})'
_SEEN_PATTERN: Final = rf"^(?:\*|{_SEEN_ONE}(?: ?, ?{_SEEN_ONE})*)$"
_SEEN: Final = re.compile(_SEEN_PATTERN, re.ASCII)
_KEY_PATTERN: Final = rf"^[!-~]{{1,{MAX_KEY}}}$"
_KEY: Final = re.compile(_KEY_PATTERN, re.ASCII)


def _read_flag(value: object) -> bool:
    if value not in ("true", "false"):
        raise ValueError("must be true or false")
    return value == "true"


def _read_wait(value: object) -> float:
    text = str(value)
    if not _DECIMAL.fullmatch(text) or float(text) > MAX_WAIT_S:
        raise ValueError(f"must be between 0 and {MAX_WAIT_S} seconds")
    return float(text)


def _read_seen(value: object) -> Seen | None:
    """If-Match (RFC 9110 §13.1.1); the newest of several generations counts.

    A generation, or a dry run's `tag`, which knows the rollout's state as well.

    A weak tag is taken too: proxies weaken tags when they compress, and a generation stays the
    same whatever its bytes.
    """
    text = str(value)
    if not _SEEN.fullmatch(text):
        raise ValueError('must name a generation that you have seen, like "7", or be *')
    tags = (tag.partition("-") for tag in re.findall(_SEEN_TAG, text))
    seen = (Seen(int(generation), state or None) for generation, _, state in tags)
    return max(seen, key=lambda one: one.generation, default=None)


def _read_key(value: object) -> str:
    text = str(value)
    if not _KEY.fullmatch(text):
        raise ValueError(f"must be 1 to {MAX_KEY} visible ASCII characters")
    return text


@dataclass(frozen=True, slots=True)
class Whole:
    """Marks a whole number from `low` to `high`, in digits."""

    low: int
    high: int = MAX_SAFE

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(
        self, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def _read(self, value: object) -> int:
        text = str(value)
        if not _WHOLE.fullmatch(text) or not self.low <= int(text) <= self.high:
            raise ValueError(f"must be a whole number from {self.low} to {self.high}")
        return int(text)


Flag = Annotated[bool, PlainValidator(_read_flag), WithJsonSchema({"type": "boolean"})]
Wait = Annotated[
    float,
    PlainValidator(_read_wait),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_WAIT_S}),
]
IfMatch = Annotated[
    Seen | None,
    PlainValidator(_read_seen),
    WithJsonSchema({"type": "string", "pattern": _SEEN_PATTERN}),
]
Key = Annotated[
    str,
    PlainValidator(_read_key),
    WithJsonSchema({"type": "string", "pattern": _KEY_PATTERN}),
]
