"""Each cell of the edge's benchmark runs, small, from end to end; its timings are not judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from loadtests.edge.__main__ import CELLS

ROOT: Final = Path(__file__).parents[2]
COUNTED: Final = {
    "gone": ("native, stream, RST: p99", "asgi, body, FIN: p99"),
    "overload": ("goodput at 3 x", "never answered"),
    "many": ("connections that the worker holds", "idle connections answered at the end"),
}
EXACT: Final = {
    "connections that the worker holds",
    "idle connections answered at the end",
    "connections dropped",
}
"""Counts that no busy machine changes: these bars are met."""


# The two that take half a minute each are left to `make bench-edge`: what they measure has tests of
# its own (test_rolling_restart.py, conformance/test_wire_stalled_readers.py).
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in ("slow", "restarts")])
def test_a_cell_measures_its_figures_and_says_which_bars_they_meet(
    cell: str, tmp_path: Path
) -> None:
    document, said = run(cell, tmp_path / "figures.json")
    found = {each["what"]: each for each in document["figures"]}
    assert set(COUNTED[cell]) <= set(found)
    assert all(each["cell"] == cell for each in document["figures"])
    met = sum(each["met"] is True for each in document["figures"])
    bars = sum(each["met"] is not None for each in document["figures"])
    assert f"{met} of {bars} bars met" in said
    for what in EXACT & set(found):
        assert found[what]["met"], found[what]


def run(cell: str, figures: Path) -> tuple[dict[str, Any], str]:
    """What was written, and what was printed."""
    command = ["-m", "loadtests.edge", "--only", cell, "--smoke", "--json", str(figures)]
    ran = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    document: dict[str, Any] = json.loads(figures.read_text())
    return document, ran.stdout
