"""docs/shadow.md: its configurations load, and what it calls a default is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from router.config import check, load
from router.config.models import Shadow

Write = Callable[..., str]

PAGE = (Path(__file__).parents[3] / "docs" / "shadow.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROUTE = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
    v3: {endpoints: [http://10.0.0.3:8000]}
"""
INSIDE = "  shadow:\n    version: v3\n"
GIVEN = {"version", "percent", "match", "max_per_hour", "credentials", "noise"}
"""What the page shows a value of its own for."""


@pytest.mark.parametrize("block", BLOCKS)
def test_every_configuration_on_the_page_loads(block: str, write: Write) -> None:
    inside = "" if block.startswith("  ") and not block.startswith("    ") else INSIDE
    (report,) = check([write(ROUTE + inside + block)]).files
    assert report.problems == ()


def test_the_example_of_a_candidate_has_nothing_to_warn_about(write: Write) -> None:
    (example,) = (block for block in BLOCKS if block.startswith("  release"))
    (report,) = check([write(ROUTE + example)]).files
    assert report.warnings == ()


def test_the_page_shows_every_field_and_its_default(write: Write) -> None:
    shadow = load(write(ROUTE + BLOCKS[-1])).routes[0].shadow
    assert shadow is not None
    assert shadow.model_fields_set == set(Shadow.model_fields)
    shown, default = shadow.model_dump(), Shadow(version="v3").model_dump()
    assert {name: shown[name] for name in shown.keys() - GIVEN} == {
        name: default[name] for name in default.keys() - GIVEN
    }
