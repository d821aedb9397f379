"""The list of what the asgi door cannot promise names real tests, each with a reason."""

from __future__ import annotations

import re
from pathlib import Path

from tests.conformance.exemptions import NATIVE_ONLY


def test_every_exemption_names_a_test_and_a_reason() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parent.glob("test_wire_*.py"))
    names = set(re.findall(r"^async def (test_\w+)\(", sources, re.MULTILINE))
    assert {name.partition("[")[0] for name in NATIVE_ONLY} <= names
    cases = [name.partition("[")[2].rstrip("]") for name in NATIVE_ONLY if "[" in name]
    assert all(f'"{case}"' in sources for case in cases)
    assert all(NATIVE_ONLY.values())
