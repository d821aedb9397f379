"""What is wrong with a template, or only strange, and where."""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from router.errors import RouterError

Path = tuple[str | int, ...]
"""The way from a template's root to one of its values: keys and list indexes."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Finding(msgspec.Struct, frozen=True):
    """Something about one value of a template (or of a reference to one: `template` is "")."""

    template: str
    path: Path
    text: str

    def __str__(self) -> str:
        place = format_path(self.path)
        where = f"{self.template}: {place}" if self.template and place else self.template or place
        return f"{where}: {self.text}" if where else self.text


class AnalysisSpecError(RouterError):
    """Templates or references from which no run can be made; nothing was started."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("; ".join(map(str, self.findings)))


def format_path(path: Path) -> str:
    """Write a path as people do: `spec.metrics[0].provider.prometheus`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{part}"]'
    return text
