"""A process of a run: it says when it is ready, and ends with us.

Guarantee (tests/e2e/test_loadtest.py): leaving the block ends it, however the block is left.
"""

from __future__ import annotations

import ctypes
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from loadtests.scenarios.errors import LoadTestError

START_DEADLINE_S: Final = 120.0
"""Two cores that were busy with other work took 10 to 19 s."""

END_DEADLINE_S: Final = 20.0
"""Longer than the router's own: it drains for 5 s and gives its children 5 s more."""

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that says on its standard output when it is ready."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_said(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait for the first line, which must match.

        Raises:
            LoadTestError: it ended, says something else, or says nothing for too long.
        """
        line = self._wait_line().decode(errors="replace")
        found = pattern.search(line)
        if found is None:
            raise self._failure(f"says: {line.strip()}")
        return found

    def _wait_line(self) -> bytes:
        output = _output(self.process)
        deadline, line = time.monotonic() + START_DEADLINE_S, b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise self._failure(f"is not ready after {START_DEADLINE_S:.0f} s")
                read = output.read(1)
                if not read:
                    raise self._failure(f"ended with {self.process.wait()}")
                line += read
        return line

    def _failure(self, what: str) -> LoadTestError:
        said = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
        return LoadTestError(f"{self.name} {what}" + (f": {said}" if said else ""))


@contextmanager
def running(
    name: str, command: Sequence[str], folder: Path, stdin: int = subprocess.DEVNULL
) -> Iterator[Child]:
    """Run `python -m command` for the time of the block; its errors go to `folder`."""
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        process = start(
            [sys.executable, "-m", *command],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,  # a line is read byte by byte, nothing may be held back
        )
    try:
        yield Child(name, process, log)
    finally:
        end(process)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def start(command: Sequence[str], **how: Any) -> subprocess.Popen[bytes]:
    """Start a process that ends when we die; `how` is for `Popen`.

    Ctrl-C and SIGTERM wait until it is there.  Around a fork Python runs hooks, and what a signal's
    handler raises in one of them is printed and forgotten: we would run on.
    """
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    process: subprocess.Popen[bytes] | None = None
    try:
        process = subprocess.Popen(
            command,
            start_new_session=True,  # Ctrl-C is ours to handle, and ends it through `end`
            preexec_fn=_beginning(waiting),
            **how,
        )
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, waiting)  # raises what has waited
        except KeyboardInterrupt:
            if process is not None:
                end(process)
            raise
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End it by SIGTERM, or by force where that is not enough."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(END_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()  # the router's own children notice that it is gone
        process.wait()


def _beginning(mask: Iterable[int]) -> Callable[[], None]:
    """What a child does first: wait for signals as we did, and end when its parent dies."""
    # Loaded here: little is safe to do between fork and exec.
    prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None

    def begin() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return begin


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout
