"""`inference-router demo`, as `make demo` runs it."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from router.demo import CANARY, Scenario, StartError
from router.demo.scenario import Version
from router.demo.stage import staged

DEADLINE_S = 60.0
STARTED = "/api/v1/routes"
"""In the last of the lines that say what to try."""


class Demo:
    """The demo as a process, with a folder for temporary files of its own."""

    def __init__(self, folder: Path, *options: str, stdout: int | None = None) -> None:
        self.folder = folder
        self.out, self.err = folder / "out", folder / "err"
        (folder / "tmp").mkdir()
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "router", "demo", *options],
                env={**os.environ, "TMPDIR": str(folder / "tmp"), "DEMO_SECONDS": ""},
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=err,
            )

    @property
    def said(self) -> str:
        return self.out.read_text()

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def wait_started(self) -> None:
        self.wait_until(lambda: STARTED in self.said)

    def descendants(self) -> list[psutil.Process]:
        """Two engines, the supervisor, control and two workers, once it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_ended(self) -> int:
        return self.process.wait(DEADLINE_S)

    def left_files(self) -> list[str]:
        return [path.name for path in (self.folder / "tmp").iterdir()]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def running_demo(*options: str, stdout: int | None = None) -> Iterator[Demo]:
    # Not pytest's folder: the link's socket below it must fit into 107 bytes (unix(7)).
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        demo = Demo(Path(folder), *options, stdout=stdout)
        try:
            yield demo
        finally:
            demo.close()


def alive(processes: list[psutil.Process], within_s: float = 0.0) -> list[psutil.Process]:
    _, left = psutil.wait_procs(processes, timeout=within_s)
    return left


def test_it_ends_by_itself_with_a_summary_and_leaves_nothing() -> None:
    with running_demo("--seconds", "4") as demo:
        demo.wait_started()
        children = demo.descendants()
        assert demo.wait_ended() == 0, demo.err.read_text()
        assert len(children) == 6
        assert alive(children) == []
        assert demo.left_files() == []
        assert demo.err.read_text() == ""
        summary = demo.said.partition("Summary of ")[2]
    for row in (
        r"v1 stable +95 % +\d\d\.\d\d % +\d+ +0 +",
        r"v2 canary +5 % +\d+\.\d\d % +\d+ +0 +",
    ):
        assert re.search(row + r"\d+ ms +\d+ ms +\d+ ms +\d+\n", summary), summary
    assert re.search(r"split: \d+ of \d+ requests outside .* expected: exact\n", summary), summary
    assert "each stayed on its version" in summary
    counts = re.search(r"clients: (\d+) sent, 0 open, 0 failed; the router counted (\d+)", summary)
    assert counts is not None, summary
    assert counts[1] == counts[2]
    assert int(counts[1]) > 100


def test_ctrl_c_pressed_twice_ends_it_as_well_as_once() -> None:
    with running_demo() as demo:
        demo.wait_started()
        children = demo.descendants()
        time.sleep(1)  # so that there is something to sum up
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait_ended() == 0
        assert "0 failed; the router counted" in demo.said
        assert alive(children) == []
        assert demo.left_files() == []


def test_ctrl_c_while_it_starts_leaves_nothing() -> None:
    with running_demo() as demo:
        demo.wait_until(lambda: len(demo.descendants()) == 2)
        children = demo.descendants()
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait_ended() == 0
        assert alive(children) == []
        assert demo.left_files() == []
        assert (demo.said, demo.err.read_text()) == ("", "")


def test_its_children_end_when_it_is_killed() -> None:
    with running_demo() as demo:
        demo.wait_started()
        children = demo.descendants()
        demo.process.kill()
        assert alive(children, within_s=15.0) == []


def test_a_router_that_ends_is_one_clear_line_and_exit_1() -> None:
    with running_demo() as demo:
        demo.wait_started()
        children = demo.descendants()
        (router,) = (child for child in children if "serve" in child.cmdline())
        router.kill()
        assert demo.wait_ended() == 1
        assert demo.err.read_text().startswith("demo: router ended with -9")
        assert demo.err.read_text().count("\n") == 1
        assert alive(children, within_s=15.0) == []
        assert demo.left_files() == []


def test_on_a_terminal_it_draws_a_table() -> None:
    ours, theirs = pty.openpty()
    with running_demo("--seconds", "2", stdout=theirs) as demo:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b"")).decode()
        assert demo.wait_ended() == 0
    os.close(ours)
    drawn, _, summary = shown.partition("Summary of ")
    assert "\x1b[" in drawn
    assert "v2 canary" in drawn
    assert "expected: exact" in summary


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # EIO: everyone has closed the other side (pty(7))
        return b""


@pytest.mark.parametrize(
    ("scenario", "line"),
    [
        (
            Scenario((Version("v1", 95), Version("v2", 5, {"no-such-option": 1}))),
            "v2 ended with 2: .*unrecognized arguments: --no-such-option=1",
        ),
        (Scenario(CANARY.versions, route="not a name"), "router ended with 1: .*not a name"),
    ],
)
def test_what_cannot_start_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, scenario: Scenario, line: str
) -> None:
    async def start() -> None:
        async with staged(scenario, tmp_path):
            raise AssertionError("it started")

    with pytest.raises(StartError, match=line) as raised:
        asyncio.run(start())
    assert "\n" not in str(raised.value)
    assert psutil.Process().children() == []
