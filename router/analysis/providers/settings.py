"""What the providers' settings have in common: how they are read, and what is said about them.

No message shows a value: settings may hold secrets.  At configuration time the places of
arguments (`{{args.x}}`) are still unfilled; what stands in such a place is not judged yet.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from router.analysis.durations import parse_duration
from router.analysis.findings import format_path
from router.analysis.providers.base import ProviderError

MAX_TIMEOUT_S: Final = 300.0

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}", re.ASCII)  # RFC 9110 §5.6.2
_FIELD_VALUE: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")  # RFC 9110 §5.5
# What httpx writes itself, from the body.
_FRAMING: Final = frozenset(("content-length", "transfer-encoding"))
_UNFILLED: Final = "{{"


class Settings(BaseModel):
    """Base of every provider's settings: closed, camelCase, silent about values."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
        coerce_numbers_to_str=True,
    )

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return []


def _check_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError("is no http:// or https:// URL")
    return text


def _check_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("is no header name")
    if name.lower() in _FRAMING:
        raise ValueError(f"{name} follows from the body and cannot be set")
    return name


def _check_header_value(value: SecretStr) -> SecretStr:
    if not _FIELD_VALUE.fullmatch(value.get_secret_value().strip()):
        raise ValueError("has a line break or another control character")
    return value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=65_536)]
Url = Annotated[Text, AfterValidator(_check_url)]
Seconds = Annotated[float, BeforeValidator(parse_duration), Field(gt=0)]
"""Seconds; `30`, `30s` or `1m30s` in a template."""
Timeout = Annotated[Seconds, Field(le=MAX_TIMEOUT_S)]


class Header(Settings):
    """One request header; what it says may be a secret."""

    key: Annotated[str, AfterValidator(_check_header_name)]
    value: Annotated[SecretStr, AfterValidator(_check_header_value)]


AnySettings = TypeVar("AnySettings", bound=Settings)


def read_settings(model: type[AnySettings], settings: Mapping[str, Any]) -> AnySettings:
    """Make a value of settings whose arguments are filled in.

    Raises:
        ProviderError: something is missing, unknown or wrong; all of it is said.
    """
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ProviderError("; ".join(_texts(error))) from None


def find_problems(model: type[Settings], settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with settings in which arguments may still be unfilled."""
    try:
        model.model_validate(dict(settings))
    except ValidationError as error:
        return list(_texts(error, unless_unfilled=settings))
    return []


def _texts(
    error: ValidationError, *, unless_unfilled: Mapping[str, Any] | None = None
) -> list[str]:
    return [
        _text(problem["type"], problem["loc"], problem["msg"])
        for problem in error.errors(include_input=False, include_context=False)
        if unless_unfilled is None or not _is_unfilled(unless_unfilled, problem["loc"])
    ]


def _text(kind: str, path: tuple[str | int, ...], message: str) -> str:
    place = format_path(path)
    if kind == "missing":
        return f"{place} is missing"
    if kind == "extra_forbidden":
        return f"{place} is not a field of this provider"
    message = message.removeprefix("Value error, ")
    return f"{place}: {message[:1].lower()}{message[1:]}" if place else message


def _is_unfilled(settings: Any, path: tuple[str | int, ...]) -> bool:
    value = settings
    for part in path:
        try:
            value = value[part]
        except (LookupError, TypeError):
            return False
    return isinstance(value, str) and _UNFILLED in value
