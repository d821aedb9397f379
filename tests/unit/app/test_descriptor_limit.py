"""A process takes as many descriptors as it may have, and says so where they are few.

In processes of their own: a hard limit that was lowered cannot be raised again.
"""

import subprocess
import sys

import pytest

_PROGRAM = """
import logging, resource, sys
from router.app.process import raise_descriptor_limit
logging.basicConfig(format="%(message)s")
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
raise_descriptor_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def limits_after(soft: int, hard: int) -> tuple[str, str]:
    """(the limits that hold afterwards, what was logged)."""
    command = [sys.executable, "-c", _PROGRAM, str(soft), str(hard)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return run.stdout.strip(), run.stderr.strip()


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert limits_after(256, 9000) == ("9000 9000", "")


@pytest.mark.parametrize("soft", [256, 1024])
def test_a_low_hard_limit_is_told_with_what_it_allows_and_the_remedy(soft: int) -> None:
    holds, said = limits_after(soft, 1024)
    assert holds == "1024 1024"
    assert said.startswith("only 1024 file descriptors are allowed: about 512 clients at a time")
    assert "LimitNOFILE" in said
    assert said.endswith("to 8192 or more")
