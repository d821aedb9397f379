"""The types of configuration fields: how each is read, what is refused, how it is described.

A field's validator raises ValueError with the words that a person will read.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from router.config.address import Address, EndpointUrl, parse_address, parse_endpoint
from router.config.descriptions import describe
from router.config.source import resolve
from router.config.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration,
    parse_percent,
    parse_size,
)
from router.pattern import PatternError, bytes_pattern

BASE: Final = "base"
"""Key of the validation context: the folder that relative file names start from."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)  # RFC 9110 §5.6.2
_NAME_PATTERN: Final = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
_NAME: Final = re.compile(_NAME_PATTERN, re.ASCII)
_HEX_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_SHA256_OF_NOTHING: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_JSON_PATH: Final = re.compile(
    r"\$(\.\.?[A-Za-z_][A-Za-z0-9_-]*|\.\*|\[[0-9]{1,9}\]|\[\*\]|\['[^']*'\])*", re.ASCII
)


class Section(BaseModel):
    """Base of every part of the configuration: immutable, closed, camelCase in the file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        allow_inf_nan=False,
        # Built when first used: most processes and commands use few of them (0.5 s at each start).
        defer_build=True,
    )

    hints: ClassVar[Mapping[str, str]] = {}
    """What to say instead of "unknown field" about a field that people may well try."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        described = handler(schema)
        properties = handler.resolve_ref_schema(described).get("properties", {})
        for name, text in describe(cls).items():
            field = cls.model_fields.get(name)
            # A field whose type was not known yet when its class was made has no alias.
            known = field and properties.get(field.alias or to_camel(name))
            if known:
                known["description"] = text
        return described


def is_token(text: str) -> bool:
    """Tell whether `text` may be a method's or a header field's name (RFC 9110 §5.6.2)."""
    return _TOKEN.fullmatch(text) is not None


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f'not a name: "{text}" (1 to 63 letters, digits, ".", "_" or "-", '
            "a letter or digit at each end)"
        )
    return text


def _check_header_name(text: str) -> str:
    if not is_token(text):
        raise ValueError(f'not a header name: "{text}"')
    return text.lower()


def _check_method(text: str) -> str:
    if not is_token(text):
        raise ValueError(f'not a method: "{text}"')
    return text.upper()


def _check_path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f'a path begins with "/": "{text}"')
    if set(text) & set("?# \t\r\n\0"):
        raise ValueError(f'a path has no query, fragment or white space: "{text}"')
    return text


def _check_regex(text: str) -> str:
    try:
        bytes_pattern(text)  # as the data plane does
    except PatternError as error:
        raise ValueError(f'not a regular expression (RE2): "{text}" ({error})') from None
    return text


def _check_digest(text: str) -> str:
    digest = text.lower().removeprefix("sha256:")
    if not _HEX_DIGEST.fullmatch(digest):
        raise ValueError("not a SHA-256 digest (64 hexadecimal digits)")
    if digest == _SHA256_OF_NOTHING:
        raise ValueError("is the SHA-256 of nothing at all: was the variable empty?")
    return digest


def _check_json_path(text: str) -> str:
    if not _JSON_PATH.fullmatch(text):
        raise ValueError(f'not a JSON path: "{text}" (like $.messages[*].content)')
    return text


def _read_weight(value: object) -> object:
    # `5 %` and the like reach Decimal as they are and are refused there.
    return str(value) if isinstance(value, float) else value


def absolute(text: str, info: ValidationInfo) -> str:
    """Let a relative file name start from the folder of the file that names it."""
    if not text or "\0" in text:
        raise ValueError("must be the name of a file")
    base = (info.context or {}).get(BASE)
    return text if base is None else str(Path(base) / text)


def _as_list(value: object) -> object:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _string_or_number(pattern: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number", "minimum": 0}]}
    )


def _check_true(value: bool) -> bool:
    if not value:
        raise ValueError("can only be true; leave it out otherwise")
    return value


Text = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
Name = Annotated[
    str, AfterValidator(_check_name), WithJsonSchema({"type": "string", "pattern": _NAME_PATTERN})
]
HeaderName = Annotated[str, AfterValidator(_check_header_name)]
Method = Annotated[str, AfterValidator(_check_method)]
UrlPath = Annotated[str, AfterValidator(_check_path)]
Regex = Annotated[str, AfterValidator(_check_regex), Field(json_schema_extra={"format": "regex"})]
Digest = Annotated[str, AfterValidator(_check_digest)]
JsonPath = Annotated[str, AfterValidator(_check_json_path)]
OnlyTrue = Annotated[bool, AfterValidator(_check_true), WithJsonSchema({"const": True})]
LocalFile = Annotated[str, AfterValidator(absolute)]
"""A file's name; a relative one starts from the folder of the file that names it."""

Duration = Annotated[
    float,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    _string_or_number(DURATION_PATTERN),
]
"""Seconds; `250ms`, `30s`, `1h30m` or a number in the file."""

Size = Annotated[
    int,
    PlainValidator(parse_size),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    _string_or_number(SIZE_PATTERN),
]
"""Bytes; `64MiB`, `8MB` or a number in the file."""


def _check_not_zero(value: float) -> float:
    if not value:
        raise ValueError("must be more than 0")
    return value


PositiveDuration = Annotated[
    float,
    PlainValidator(lambda value: _check_not_zero(parse_duration(value))),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    _string_or_number(DURATION_PATTERN),
]
"""A duration that cannot be zero, because something repeats or ends after it."""

Share = Annotated[
    int,
    PlainValidator(parse_percent),
    PlainSerializer(lambda value: value / 100, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100}),
]
"""Basis points; a percentage with at most two decimals in the file."""

TrafficWeight = Annotated[
    Decimal,
    BeforeValidator(_read_weight),
    Field(ge=0, decimal_places=2),
    WithJsonSchema({"type": "number", "minimum": 0}),
]
"""A share as steps write it: out of 100, or out of the strategy's `maxTrafficWeight`."""

ListenAddress = Annotated[
    Address,
    PlainValidator(parse_address),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^.+:[0-9]{1,5}$"}),
]
Endpoint = Annotated[
    EndpointUrl,
    PlainValidator(parse_endpoint),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^(http|https|dns)://[^/?#@]+(/[^?#]*)?$"}),
]
AnyValue = Annotated[Any, BeforeValidator(resolve)]
Document = Annotated[Mapping[str, Any], BeforeValidator(resolve)]
"""A mapping whose inside we do not know; unquoted scalars get their YAML type."""

OneOrMore = BeforeValidator(_as_list)
"""Lets people write `200` where a list of one is meant."""


def only_one(section: Section, *names: str) -> None:
    """Refuse a section unless it gives exactly one of these fields."""
    given = [name for name in names if name in section.model_fields_set]
    given = [name for name in given if getattr(section, name) is not None]
    if len(given) == 1:
        return
    aliases = [type(section).model_fields[name].alias or name for name in names]
    listed = ", ".join(aliases)
    found = ", ".join(type(section).model_fields[name].alias or name for name in given)
    raise ValueError(f"takes exactly one of {listed}" + (f", not {found}" if found else ""))
