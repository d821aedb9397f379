"""YAML text with its line numbers, read so that nothing surprises the person who wrote it.

A scalar without quotes stays text here (`Plain`): the field that takes it knows whether it wants
a number, and so `release: 1.10` stays "1.10", `on:` stays a key, `accessLog: off` stays "off", a
digest of digits stays a digest.  `resolve` gives such text its YAML 1.2 type, for documents whose
fields we do not know.

Promises, each a test:
  * a key written twice, a merge of something else than a mapping, or a foreign tag is a problem;
  * nesting, size and the expansion of aliases are bounded before anything is built from them;
  * `locate` finds the line of every value, also through aliases and merges.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

import yaml

from router.config.problems import ConfigProblems, Path, Problem, format_path

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 3_000_000
"""Values of one file after its aliases are expanded; 10 000 full routes have about a million."""

_NULLS: Final = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True}
_BOOLEANS_FALSE: Final = {"false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?[0-9]{1,4000}", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_SPECIAL: Final = {".inf": "inf", "-.inf": "-inf", "+.inf": "inf", ".nan": "nan"}
_MERGE: Final = "<<"
_OPEN: Final = object()
_CORE_TAGS: Final = frozenset(
    f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")
)


class Plain(str):
    """A scalar that was written without quotes."""

    __slots__ = ()


class _Shape:
    """What a composer asks: no tag is guessed, and nesting is bounded.

    The bound stands here because the C composer recurses on the C stack: 100 000 open brackets
    kill the process (measured with PyYAML 6.0.3) where the Python one raises RecursionError.
    """

    _depth = 0

    def descend_resolver(self, parent: yaml.Node | None, _index: object) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = parent.start_mark if parent is not None else None
            raise yaml.MarkedYAMLError(
                problem=f"nested more than {MAX_DEPTH} levels deep", problem_mark=mark
            )

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, _kind: type[yaml.Node], _value: object, _implicit: object) -> str:
        return ""


class PythonComposer(
    _Shape,
    yaml.reader.Reader,
    yaml.scanner.Scanner,
    yaml.parser.Parser,
    yaml.composer.Composer,
):
    """PyYAML's own parser, for installations without libyaml."""

    def __init__(self, stream: str) -> None:
        yaml.reader.Reader.__init__(self, stream)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)
        yaml.composer.Composer.__init__(self)


_Composer: type = PythonComposer
if yaml.__with_libyaml__:
    from yaml._yaml import CParser

    class LibyamlComposer(_Shape, CParser):
        """libyaml's parser, about ten times as fast."""

    _Composer = LibyamlComposer


@dataclass(slots=True)
class Source:
    """One YAML document: its value, and where each part of it stands."""

    file: str
    root: yaml.Node
    value: Any
    problems: list[Problem] = field(default_factory=list)
    _known: "dict[int, _Fields]" = field(default_factory=dict, repr=False, compare=False)

    def problem(self, path: Path, message: str) -> Problem:
        """Say something about the value at `path`."""
        line, known = self.locate(path)
        return Problem(self.file, line, format_path(known), message)

    def locate(self, path: Path) -> tuple[int, Path]:
        """Find a line, and as much of `path` as makes sense in this document.

        The line of a missing field is that of the mapping that lacks it.  What a validator says
        about the inside of a scalar is said about the scalar.
        """
        node = self.root
        line = _line(node)
        for depth, part in enumerate(path):
            if isinstance(node, yaml.ScalarNode):
                return line, path[:depth]
            if (found := self._child(node, part)) is None:
                return line, path
            line, node = found
        return line, path

    def _child(self, node: yaml.Node, part: str | int) -> "_Found | None":
        if isinstance(node, yaml.SequenceNode):
            if isinstance(part, int) and part < len(node.value):
                return _line(node.value[part]), node.value[part]
            return None
        # Each mapping once: aliases can merge one into another in 2^60 ways.
        seen: set[int] = set()
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if not isinstance(one, yaml.MappingNode) or id(one) in seen:
                continue
            seen.add(id(one))
            fields = self._fields_of(one)
            if part in fields.own:
                return fields.own[part]
            waiting += reversed(fields.merged)
        return None

    def _fields_of(self, node: yaml.MappingNode) -> "_Fields":
        # Made once: a mapping with 8 000 unknown keys took 11 s to search for each of them.
        if (known := self._known.get(id(node))) is None:
            known = self._known[id(node)] = _Fields(node)
        return known


def read_source(file: str) -> Source:
    """Read the only document of a file.

    Raises:
        ConfigProblems: it cannot be read or is not YAML.  A key that stands twice is not raised:
            it is in `Source.problems`, beside what validation finds.
    """
    sources = read_sources(file)
    if len(sources) > 1:
        line = _line(sources[1].root)
        raise ConfigProblems(
            [Problem(file, line, "", "a second document begins here; only one is allowed")]
        )
    return sources[0]


def read_sources(file: str) -> list[Source]:
    """Read every document of a file, at least one; raises like `read_source`."""
    text = _read_text(file)
    with _as_problems(file, text):
        roots = [node for node in _compose_all(text) if node is not None]
        if not roots:
            raise ConfigProblems([Problem(file, 0, "", "is empty")])
        return [_Builder(file).build(root) for root in roots]


def resolve(value: Any) -> Any:
    """Give unquoted text the type that YAML 1.2's core schema gives it, all the way down."""
    if isinstance(value, dict):
        return {str(key): resolve(item) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item) for item in value]
    return _resolve_scalar(value) if isinstance(value, Plain) else value


def _resolve_scalar(text: Plain) -> bool | int | float | str:
    if text in _BOOLEANS or text in _BOOLEANS_FALSE:
        return text in _BOOLEANS
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(_SPECIAL[text.lower()]) if text.lower() in _SPECIAL else str(text)


_Found = tuple[int, yaml.Node]
"""A value, and the line that its key stands in."""


class _Fields:
    """The keys that a mapping writes itself, and the mappings that it merges."""

    __slots__ = ("merged", "own")

    def __init__(self, node: yaml.MappingNode) -> None:
        self.own: dict[str | int, _Found] = {}
        self.merged: list[yaml.Node] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            self.own.setdefault(key.value, (_line(key), value))
            if key.value == _MERGE:
                self.merged += value.value if isinstance(value, yaml.SequenceNode) else [value]


class _Builder:
    """Turns the nodes of one document into values; an alias is built once and shared."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._problems: list[Problem] = []
        self._built: dict[int, tuple[Any, int, int]] = {}  # by node: value, values in it, height
        self._count = 0
        self._deepest = 0

    def build(self, root: yaml.Node) -> Source:
        return Source(self._file, root, self._value(root, ()), self._problems)

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            self._grow(node, 1)
            return self._scalar(node, path)
        if (known := self._built.get(id(node))) is not None:
            value, size, height = known
            if value is _OPEN:
                raise self._fatal(node, "an alias stands inside what it stands for")
            self._grow(node, size)
            self._reach(node, len(path) + height)
            return value
        self._built[id(node)] = (_OPEN, 0, 0)
        before, deepest = self._count, self._deepest
        self._deepest = len(path)
        self._grow(node, 1)
        self._refuse_tag(node, path)
        value = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        )
        self._built[id(node)] = (value, self._count - before, self._deepest - len(path))
        self._reach(node, deepest)
        return value

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> str | None:
        if node.tag:
            self._refuse_tag(node, path)
            return str(node.value)
        if node.style:  # quoted or a block
            return str(node.value)
        return None if node.value in _NULLS else Plain(node.value)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(key_node, path, "a key must be a single word")
                continue
            key = str(key_node.value)
            value = self._value(value_node, (*path, key))
            if key == _MERGE and not key_node.style:
                merged = self._merge(value, key_node, path) | merged
            elif key in values:
                first = _line(next(k for k, _ in node.value if k.value == key))
                self._report(key_node, (*path, key), f"is written twice (first in line {first})")
            else:
                values[key] = value
        return merged | values

    def _merge(self, value: Any, key: yaml.Node, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                self._report(key, (*path, _MERGE), "can only merge mappings")
                continue
            merged = part | merged
        return merged

    def _refuse_tag(self, node: yaml.Node, path: Path) -> None:
        if node.tag and node.tag not in _CORE_TAGS and node.tag != "!":
            self._report(node, path, f"has the tag {node.tag}, which means nothing here")

    def _grow(self, node: yaml.Node, size: int) -> None:
        self._count += size
        if self._count > MAX_VALUES:
            raise self._fatal(node, f"more than {MAX_VALUES} values once aliases are expanded")

    def _reach(self, node: yaml.Node, depth: int) -> None:
        # Aliases of aliases can nest deeper than the text does.
        self._deepest = max(self._deepest, depth)
        if self._deepest > MAX_DEPTH:
            raise self._fatal(node, f"nested more than {MAX_DEPTH} levels deep")

    def _report(self, node: yaml.Node, path: Path, message: str) -> None:
        self._problems.append(Problem(self._file, _line(node), format_path(path), message))

    def _fatal(self, node: yaml.Node, message: str) -> ConfigProblems:
        return ConfigProblems([Problem(self._file, _line(node), "", message)])


def _read_text(file: str) -> str:
    try:
        with FilePath(file).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigProblems([Problem(file, 0, "", f"cannot be read: {reason}")]) from None
    if len(content) > MAX_BYTES:
        raise ConfigProblems([Problem(file, 0, "", f"is larger than {MAX_BYTES >> 20} MiB")])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigProblems([Problem(file, line, "", "is not UTF-8 text")]) from None


def _compose_all(text: str) -> Iterator[yaml.Node | None]:
    composer = _Composer(text)
    while composer.check_node():
        yield composer.get_node()


@contextlib.contextmanager
def _as_problems(file: str, text: str) -> Iterator[None]:
    try:
        yield
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"not valid YAML: {error.reason}"
        raise ConfigProblems([Problem(file, line, "", message)]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        begun = f", begun in line {error.context_mark.line + 1}" if error.context_mark else ""
        context = f" ({error.context}{begun})" if error.context else ""
        message = f"not valid YAML: {error.problem}{context}"
        raise ConfigProblems([Problem(file, line, "", message)]) from None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
