"""What is wrong with a file, said so that a person finds the place at once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.errors import ConfigError

Path = tuple[str | int, ...]
"""The way from a document's root to one of its values: keys and list indexes."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one value, before anyone knows in which file and line it stands."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about one place in a file; `line` counts from 1, 0 is the file as a whole."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place} {self.field}: {self.message}" if self.field else f"{place}: {self.message}"


class ConfigProblems(ConfigError):  # noqa: N818  # it holds several, none is the error
    """Every problem of a configuration at once; its text has one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


def format_path(path: Path) -> str:
    """Write a path as people do: `routes[0].versions.v2.endpoints[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
