"""Arguments: what fills the `{{args.x}}` of a template, by Argo Rollouts' rules.

A template declares its arguments; whoever refers to it gives values; what it does not declare is
dropped.  `BUILT_IN` arguments are declared by every template without being named, and known to
the router: a given value or a declared default goes before them.

An argument with a `valueFrom` that names a secret (`secretKeyRef`, or ours: `env`, `file`) has no
value here.  Its place stays `{{args.x}}` in everything that is recorded; `fill` takes its value
only on the way to a provider.

Rules and texts: `utils/template/template.go`, `utils/analysis/helpers.go` (`MergeArgs`,
`flattenArgs`) of argo-rollouts; `valyala/fasttemplate` for the tags.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from router.analysis.providers.base import Subject
from router.errors import RouterError

BUILT_IN: Final = ("route", "canary-version", "stable-version")
SECRET_SOURCES: Final = ("secretKeyRef", "env", "file")

_OPEN: Final = "{{"
_CLOSE: Final = "}}"
_SHOWN: Final = 300
"""Characters of a template that an error text repeats."""


class ArgumentError(RouterError):
    """Arguments that do not fit a template."""


class Argument(msgspec.Struct, frozen=True, omit_defaults=True):
    """An argument as a template declares it or a reference gives it."""

    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None

    @property
    def is_set(self) -> bool:
        """Whether it says where its value comes from."""
        return self.value is not None or self.value_from is not None


class Values(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the arguments of a run are: texts, and where secrets are found (never their values)."""

    texts: dict[str, str] = {}
    secret_sources: dict[str, dict[str, Any]] = {}

    @property
    def recorded(self) -> dict[str, str]:
        """Every argument as records may show it."""
        return self.texts | {name: placeholder(name) for name in self.secret_sources}


def placeholder(name: str) -> str:
    """How a template writes an argument's place."""
    return f"{_OPEN}args.{name}{_CLOSE}"


def flatten_arguments(declared: Iterable[Sequence[Argument]]) -> tuple[Argument, ...]:
    """Join the declarations of several templates.

    Raises:
        ArgumentError: two of them have different defaults.
    """
    joined: dict[str, Argument] = {}
    for argument in (argument for of_template in declared for argument in of_template):
        known = joined.setdefault(argument.name, argument)
        if None not in (known.value, argument.value) and known.value != argument.value:
            raise ArgumentError(
                f"Argument `{argument.name}` specified multiple times with different values: "
                f"'{known.value}', '{argument.value}'"
            )
        if known.value is None and argument.is_set:
            joined[argument.name] = argument
    return tuple(joined.values())


def merge_arguments(
    given: Iterable[Argument], declared: Iterable[Argument]
) -> tuple[Argument, ...]:
    """Give declared arguments the values that a reference has for them.

    Raises:
        ArgumentError: one has neither a given value nor a default.
    """
    merged = {argument.name: argument for argument in declared}
    merged |= {a.name: a for a in given if a.is_set and a.name in merged}
    for argument in merged.values():
        if not argument.is_set:
            raise ArgumentError(f"args.{argument.name} was not resolved")
    return tuple(merged.values())


def with_built_in(declared: Sequence[Argument], subject: Subject) -> tuple[Argument, ...]:
    """Declare what the router knows by itself, as a default."""
    known = dict(zip(BUILT_IN, (subject.route, subject.canary, subject.stable), strict=True))
    complete = [a if a.is_set else Argument(a.name, known.get(a.name)) for a in declared]
    names = {argument.name for argument in declared}
    return (*complete, *(Argument(n, value) for n, value in known.items() if n not in names))


def evaluate(arguments: Iterable[Argument], subject: Subject) -> Values:
    """Find the arguments' values, except the secret ones.

    Raises:
        ArgumentError: a `valueFrom` names a source that is not known here.
    """
    texts: dict[str, str] = {}
    sources: dict[str, dict[str, Any]] = {}
    for argument in arguments:
        if argument.value is not None:
            texts[argument.name] = argument.value
        elif is_secret(argument):
            sources[argument.name] = dict(argument.value_from or {})
        else:
            texts[argument.name] = _known_source(argument, subject)
    return Values(texts, sources)


def is_secret(argument: Argument) -> bool:
    """Whether its value is found outside, and kept out of every record."""
    source = argument.value_from or {}
    return len(source) == 1 and next(iter(source)) in SECRET_SOURCES


def _known_source(argument: Argument, subject: Subject) -> str:
    """A version for Argo's hash of a pod template, the route for the Rollout's name."""
    match argument.value_from:
        case {"podTemplateHashValue": "Latest", **rest} if not rest:
            return subject.canary
        case {"podTemplateHashValue": "Stable", **rest} if not rest:
            return subject.stable
        case {"fieldRef": {"fieldPath": "metadata.name"}, **rest} if not rest:
            return subject.route
    raise ArgumentError(
        f"args.{argument.name}: this valueFrom is not known here; it takes one of "
        f"{', '.join(SECRET_SOURCES)}, podTemplateHashValue (Latest, Stable), "
        "or fieldRef metadata.name; otherwise give a value"
    )


def fill(document: Any, values: Mapping[str, str]) -> Any:
    """Fill every text of a JSON document, keys included; its shape stays as it is.

    Like Argo by way of the document's JSON text, in one pass: a value that looks like a place
    itself stays text.  The answer shares nothing with `document`.

    Raises:
        ArgumentError: a place without a value, an open `{{`, or a value with a control character
            that Go's quoting writes in a way that JSON does not know.
    """
    text = json.dumps(document, ensure_ascii=False)
    try:
        return json.loads(resolve_quoted(text, values))
    except json.JSONDecodeError:
        raise ArgumentError("an argument's value has a control character; remove it") from None


def resolve(template: str, values: Mapping[str, str]) -> str:
    """Fill the places of a text.

    Raises:
        ArgumentError: a place without a value, or an open `{{`.
    """
    return _substitute(template, values, str)


def resolve_quoted(template: str, values: Mapping[str, str]) -> str:
    """Fill the places of a JSON text: values are escaped as Go's `strconv.Quote` does."""
    return _substitute(template, values, _go_escaped)


def _substitute(template: str, values: Mapping[str, str], write: Callable[[str], str]) -> str:
    parts: list[str] = []
    unresolved: str | None = None
    position = 0
    while (start := template.find(_OPEN, position)) >= 0:
        begin = start + len(_OPEN)
        if (end := template.find(_CLOSE, begin)) < 0:
            raise ArgumentError(
                f'Cannot find end tag="{_CLOSE}" in the template="{template[:_SHOWN]}" '
                f'starting from "{template[begin : begin + _SHOWN]}"'
            )
        tag = template[begin:end]
        value = values.get(tag.strip().removeprefix("args.")) if _is_argument(tag) else None
        unresolved = tag if value is None else unresolved
        parts += (template[position:start], write(value or ""))
        position = end + len(_CLOSE)
    if unresolved is not None:
        raise ArgumentError(f"failed to resolve {_OPEN}{unresolved[:_SHOWN]}{_CLOSE}")
    return "".join((*parts, template[position:]))


def _is_argument(tag: str) -> bool:
    return tag.strip().startswith("args.")


_GO_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def _go_escaped(text: str) -> str:
    return "".join(_go_escaped_character(character) for character in text)


def _go_escaped_character(character: str) -> str:
    if character in _GO_ESCAPES:
        return _GO_ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
