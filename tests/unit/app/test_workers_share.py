"""What a worker costs, and how many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from router.app.settings import WorkerSettings, from_argument, to_argument
from router.cli.serve import usable_cpus

HEAVY = ("pydantic", "starlette", "prometheus_client", "yaml", "typer", "rich")


def test_a_worker_loads_none_of_controls_libraries() -> None:
    program = f"import sys, router.app.worker; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_settings_travel_as_one_argument() -> None:
    settings = WorkerSettings(
        worker="w0",
        link="/run/control.sock",
        listener_fd=3,
        lifeline_fd=4,
        door="native",
        drain_s=1.5,
        drain_delay_s=0.0,
        head_timeout_s=10.0,
        keep_alive_s=75.0,
    )
    assert from_argument(to_argument(settings), WorkerSettings) == settings


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [("max 100000", None), ("100000 100000", 1), ("50000 100000", 1), ("99999900000 100000", None)],
)
def test_there_are_as_many_workers_as_the_container_pays_for(
    tmp_path: Path, quota: str, cpus: int | None
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(f"{quota}\n")
    assert usable_cpus(file) == (cpus or len(os.sched_getaffinity(0)))
    assert usable_cpus(tmp_path / "none") == len(os.sched_getaffinity(0))
