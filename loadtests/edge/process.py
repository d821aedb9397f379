"""Small programs of the cells: started, heard until they are ready, always ended by their id."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

from loadtests.bench.process import BenchError


@contextlib.contextmanager
def program(module: str, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A module that runs, and the first line that it has said.

    Raises:
        BenchError: it ended before it said one.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        if not line:
            raise BenchError(f"{module} ended with {process.wait()} before it was ready")
        yield process, line
    finally:
        process.kill()
        process.communicate()
