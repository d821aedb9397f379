"""The Dockerfile as instructions, and .dockerignore as the builder reads it."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Instruction:
    """One line, with what it was continued by."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[str]:
        """The arguments of every instruction of this name."""
        return [each.arguments for each in self.instructions if each.name == name]

    def last(self, name: str) -> str:
        """Those of the one that is in force."""
        return self.all(name)[-1]


def read_stages(file: Path) -> list[Stage]:
    """Every stage in the file's order."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
    starts = [place for place, each in enumerate(found) if each.name == "FROM"]
    ends = [*starts[1:], len(found)]
    return [_stage(found[start:end]) for start, end in zip(starts, ends, strict=True)]


def sources(stage: Stage) -> list[str]:
    """What its COPY and ADD take from the folder that is built."""
    copies = [each.split() for each in stage.all("COPY") + stage.all("ADD")]
    return [
        word
        for words in copies
        if not any(word.startswith("--from=") for word in words)
        for word in words[:-1]
        if not word.startswith("--")
    ]


def is_left_out(file: Path, path: str) -> bool:
    """Whether .dockerignore keeps a path from the builder: the last pattern that matches decides.

    A pattern that matches a folder matches all that is in it.
    """
    parts = path.split("/")
    ancestors = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    left_out = False
    for line in file.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        if any(_matches(pattern, ancestor) for ancestor in ancestors):
            left_out = not line.startswith("!")
    return left_out


def _stage(instructions: list[Instruction]) -> Stage:
    base, *alias = instructions[0].arguments.split()
    return Stage(base, alias[1] if alias else "", tuple(instructions[1:]))


def _matches(pattern: str, path: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatch.fnmatch(path.rpartition("/")[2], pattern.removeprefix("**/"))
    return pattern.count("/") == path.count("/") and fnmatch.fnmatch(path, pattern)
