"""The fields of a document that nobody has checked yet: typed, or reported.

A reader asks for every field that it knows; what is wrong is an error with the field's path and
counts as left out, what nobody asked for is a warning.  Nothing is raised: a person is told about
all mistakes at once.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from router.analysis.durations import parse_duration
from router.analysis.findings import Finding, Path

Choice = TypeVar("Choice", bound=StrEnum)
Document = Mapping[str, Any]

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)


class Report:
    """Findings about one template; `path` is where its document stands in what people wrote."""

    def __init__(self, template: str = "", path: Path = ()) -> None:
        self.template: Final = template
        self.path: Final = path
        self.errors: list[Finding] = []
        self.warnings: list[Finding] = []

    def error(self, path: Path, text: str) -> None:
        """Something with which no run can be made."""
        self.errors.append(Finding(self.template, (*self.path, *path), text))

    def warn(self, path: Path, text: str) -> None:
        """Something that means nothing, or not what it seems to."""
        self.warnings.append(Finding(self.template, (*self.path, *path), text))

    def add(self, other: "Report") -> None:
        """Take over what another report has found."""
        self.errors += other.errors
        self.warnings += other.warnings


class Fields:
    """One mapping, read field by field; a field that is null counts as left out."""

    def __init__(self, document: object, path: Path, report: Report) -> None:
        self._path: Final = path
        self._report: Final = report
        self._asked: Final = set[str]()
        if not isinstance(document, Mapping):
            report.error(path, "must be a mapping")
            document = {}
        self._document: Final = document

    def raw(self, key: str) -> Any:
        """The field as it stands, None if it is left out."""
        self._asked.add(key)
        return self._document.get(key)

    def error(self, key: str, text: str) -> None:
        """Say what is wrong with a field."""
        self._report.error((*self._path, key), text)

    def text(self, key: str) -> str | None:
        """A text; an empty one counts as left out."""
        value = self.raw(key)
        if value is not None and not isinstance(value, str):
            self.error(key, "must be text")
            return None
        return value or None

    def integer(self, key: str) -> int | None:
        """A whole number, also written as text."""
        value = self.raw(key)
        if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
            return int(value)
        if value is None or (isinstance(value, int) and not isinstance(value, bool)):
            return value
        self.error(key, f"must be a whole number, not {value!r}"[:200])
        return None

    def duration(self, key: str) -> float | None:
        """A duration in seconds; an empty one counts as left out."""
        value = self.raw(key)
        if value is None or value == "":
            return None
        try:
            return parse_duration(value)
        except ValueError as error:
            self.error(key, f"{error} (write 30s, 5m, 1h30m or seconds)")
            return None

    def choice(self, key: str, choices: type[Choice]) -> Choice | None:
        """One of a few words."""
        value = self.raw(key)
        if value is None:
            return None
        try:
            return choices(value)
        except ValueError:
            self.error(key, f"must be one of {', '.join(choices)}")
            return None

    def items(self, key: str) -> list["Fields"]:
        """The mappings of a list."""
        value = self.raw(key)
        if value is None:
            return []
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.error(key, "must be a list")
            return []
        return [
            Fields(item, (*self._path, key, index), self._report)
            for index, item in enumerate(value)
        ]

    def warn_of_others(self) -> None:
        """Report every field that nobody has asked for."""
        for key in self._document:
            if key not in self._asked:
                self._report.warn((*self._path, str(key)), "means nothing here and is ignored")
