"""The admin API keeps to its own description: the calls of api_calls.py, made by each role."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from router.admin.table import OPERATIONS

ROOT: Final = Path(__file__).parents[2]
CALLS: Final = "tests/fuzz/api_calls.py"
TIMEOUT_S: Final = 240
ROLES: Final = 3
LEFT_OUT: Final = 3
"""Operations that api_calls.py leaves to other tests: events, and the two of a restart."""


def test_every_call_of_every_role_is_answered_as_described() -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:xdist", CALLS]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"^(\d+) passed", ran.stdout, re.MULTILINE)
    assert passed
    assert int(passed[1]) == ROLES * (len(OPERATIONS) - LEFT_OUT)
