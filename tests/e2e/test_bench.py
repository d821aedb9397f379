"""The benchmark runs from end to end; what it measures is nobody's pass or fail."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_benchmark_measures_both_doors_beside_nginx(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    run = subprocess.run(
        [sys.executable, "-m", "loadtests.bench", "--smoke", "--json", str(figures)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    text = json.dumps(json.loads(figures.read_text()))
    for proxy in ("nginx", "native", "asgi"):
        assert proxy in text
