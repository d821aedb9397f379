"""Files to read, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from router.config import Config, ConfigProblems, Problem, load

Write = Callable[..., str]
Refusals = Callable[[str], list[Problem]]
Loads = Callable[[str], Config]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file into a folder of this test; its name comes back."""

    def write(text: str, name: str = "router.yaml") -> str:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
        return str(file)

    return write


@pytest.fixture
def refusals(write: Write) -> Refusals:
    """Load a text that must be refused; its problems come back."""

    def refusals(text: str) -> list[Problem]:
        with pytest.raises(ConfigProblems) as refused:
            load(write(text))
        return list(refused.value.problems)

    return refusals


@pytest.fixture
def loads(write: Write) -> Loads:
    """Load a text that is right."""
    return lambda text: load(write(text))
