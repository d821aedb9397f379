"""A dataclass field that is also an option: of the command line, of JSON.

The default value gives the type; the metadata gives the words. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import Field, field
from typing import Any, TypeVar

T = TypeVar("T")


def option(default: T, meaning: str, *, choices: tuple[str, ...] = ()) -> T:
    """A field with a default, a sentence for `--help` and perhaps a closed list of values."""
    # typeshed gives `field` the type of the default; what it returns is a Field.
    return field(default=default, metadata={"meaning": meaning, "choices": choices})


def flag_of(option_field: Field[Any]) -> str:
    """The field's command-line flag; a tuple's is given once for each of its values."""
    repeated = isinstance(option_field.default, tuple)
    name = option_field.name.removesuffix("s") if repeated else option_field.name
    return "--" + name.replace("_", "-")


def require_type(option_field: Field[Any], value: object) -> None:
    """Refuse a value that is not of its field's type.

    Raises:
        ValueError: it is not; the message names the field.
    """
    wanted: type = type(option_field.default)
    if wanted is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    else:
        fits = type(value) is wanted
    if not fits:
        raise ValueError(f"{option_field.name} must be of type {wanted.__name__}, not {value!r}")
    choices = option_field.metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{option_field.name} must be one of {', '.join(choices)}")


def require_at_least(minimum: float, named: Iterable[tuple[str, float]]) -> None:
    """Refuse a number below its minimum; the message names the field.

    Raises:
        ValueError: one is below.
    """
    for name, value in named:
        if not value >= minimum:  # written so that NaN is refused too
            raise ValueError(f"{name} must be at least {minimum:g}, not {value}")
