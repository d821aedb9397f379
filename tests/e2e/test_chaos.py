"""The chaos run, in short: whatever one endpoint does, every answer is a client's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DEADLINE_S: Final = 240.0
LOAD: Final = ("--seconds", "10", "--rate", "40", "--streams", "15", "--seed", "1")


def test_one_endpoint_that_breaks_at_random_costs_no_request_that_had_not_begun(
    tmp_path: Path,
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "loadtests.chaos", *LOAD, "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    figures = json.loads((tmp_path / "chaos.json").read_text())
    assert figures["seed"] == 1
    assert figures["flaws"] == []
    assert not any("error of the router" in end for end in figures["ends"])
    own = {end.split(" / ")[0] for end in figures["ends"] if end.endswith("own answer, whole")}
    assert own == {"chat", "echo", "stream"}
    assert set(figures["gauges"].values()) == {0}
    assert figures["faults"]["exchanges"] > sum(figures["faults"]["counts"].values()) > 0
    assert "MISSED" not in run.stdout
