"""A signal that comes while a process is being started is neither lost nor early."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[3]
STORY = """
    import os, signal, subprocess, sys
    from loadtests.scenarios.child import start

    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.{name}))
    try:  # a child that would outlive the test, if it is not ended
        start([sys.executable, "-c", "import time; time.sleep(60)"])
    except KeyboardInterrupt:
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("interrupted, and nothing is left")
"""
MASK = """
    import subprocess, sys
    from loadtests.scenarios.child import start

    asks = "import signal; print(signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    start([sys.executable, "-c", asks]).wait()
"""


def said(script: str) -> str:
    command = [sys.executable, "-c", dedent(script)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_in_the_middle_of_a_start_ends_the_run_and_the_process(name: str) -> None:
    assert said(STORY.format(name=name)) == "interrupted, and nothing is left\n"


def test_a_started_process_waits_for_no_signal() -> None:
    assert said(MASK) == "set()\n"
