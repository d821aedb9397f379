"""A validator's complaint in the words that a person will read."""

from types import UnionType
from typing import Annotated, Any, Final, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from router.config.contradictions import suggestion
from router.config.fields import Section
from router.config.problems import Finding, Path

_LONGEST: Final = 80
_TEMPLATES: Final = {
    "missing": "is required",
    "greater_than_equal": "must be at least {ge}, not {given}",
    "greater_than": "must be more than {gt}, not {given}",
    "less_than_equal": "must be at most {le}, not {given}",
    "less_than": "must be less than {lt}, not {given}",
    "literal_error": "must be {expected}, not {given}",
    "enum": "must be {expected}, not {given}",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "string_too_long": "is longer than {max_length} characters",
    "decimal_max_places": "{given} has more than {decimal_places} decimals",
    "finite_number": "must be a finite number, not {given}",
    "value_error": "{error}",
}
_EXPECTED: Final = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "string": "text",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
}


_STRUCTURES: Final = ("a list", "a mapping")
"""What stands in their place may be anything, a secret too, and refusals are kept for ever."""


def findings(model: type[BaseModel], error: ValidationError) -> list[Finding]:
    """Say every complaint of `model`'s validators in our own words."""
    errors = error.errors(include_url=False)
    paths = [_path(item) for item in errors]
    return [
        Finding(path, _message(model, item))
        for path, item in zip(paths, errors, strict=True)
        # A list whose items are all wrong is not "empty" as well.
        if item["type"] != "too_short" or not any(_inside(path, other) for other in paths)
    ]


def _inside(outer: Path, path: Path) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _path(error: ErrorDetails) -> Path:
    return tuple(part for part in error["loc"] if part != "[key]")


def _message(model: type[BaseModel], error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(model, _path(error))
    if (template := _TEMPLATES.get(kind)) is not None:
        return template.format(given=_shown(error["input"]), **context)
    expected = _EXPECTED.get(kind.partition("_")[0])
    if expected is None or kind == "mapping_type":
        expected = _EXPECTED.get(kind.removesuffix("_type"))
    if expected in _STRUCTURES:
        return f"must be {expected}, not {_kind(error['input'])}"
    return f"must be {expected}, not {_shown(error['input'])}" if expected else error["msg"]


def _unknown_field(model: type[BaseModel], path: Path) -> str:
    key = str(path[-1])
    section = _section_at(model, path[:-1])
    if section is None:
        return "unknown field"
    if (hint := section.hints.get(key)) is not None:
        return hint
    known = [field.alias or name for name, field in section.model_fields.items()]
    return f'unknown field "{key}"{suggestion(key, known)}'


def _section_at(model: type[BaseModel], path: Path) -> type[Section] | None:
    """Follow a path through the models' annotations."""
    at: Any = model
    for part in path:
        at = _child(_unwrapped(at), part)
    at = _unwrapped(at)
    return at if _is_section(at) else None


def _child(annotation: Any, part: str | int) -> Any:
    if _is_section(annotation):
        fields = annotation.model_fields.items()
        return next((field.annotation for name, field in fields if field.alias == part), None)
    arguments = get_args(annotation)  # of a tuple or a mapping
    return arguments and (arguments[0] if arguments[-1] is Ellipsis else arguments[-1])


def _unwrapped(annotation: Any) -> Any:
    """The type inside `Annotated` and `… | None`."""
    if get_origin(annotation) in (Annotated, Union, UnionType):
        return _unwrapped(get_args(annotation)[0])
    return annotation


def _is_section(annotation: Any) -> TypeGuard[type[Section]]:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return "a text" if isinstance(value, str) else "a single value"


def _shown(value: object) -> str:
    if value is None or isinstance(value, (dict, list, tuple)):
        return _kind(value)
    text = str(value)
    return f'"{text[:_LONGEST]}…"' if len(text) > _LONGEST else f'"{text}"'
