"""`inference-router demo`, as `make demo` runs it."""

from __future__ import annotations

import asyncio
import io
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
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from router.demo import CANARY, Scenario, StartError, StoryError, run
from router.demo.scenario import Act, Version
from router.demo.stage import staged
from router.rollouts.effects import Action

DEADLINE_S = 180.0
WHOLE_STORY = "150"
"""Seconds; half a minute is enough where nothing else runs."""
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
        """Poll: the demo writes to a file, and a file tells nobody that it has grown."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def wait_started(self) -> None:
        self.wait_until(lambda: STARTED in self.said)

    def descendants(self) -> list[psutil.Process]:
        """Three engines, the supervisor, control and two workers, once it has started."""
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


def children() -> set[psutil.Process]:
    """Ours: other tests of this process may keep theirs."""
    return set(psutil.Process().children())


def alive(processes: list[psutil.Process], within_s: float = 0.0) -> list[psutil.Process]:
    _, left = psutil.wait_procs(processes, timeout=within_s)
    return left


def test_a_good_version_becomes_stable_a_bad_one_goes_back_and_no_client_sees_it() -> None:
    with running_demo("--seconds", WHOLE_STORY) as demo:
        demo.wait_started()
        children = demo.descendants()
        demo.wait_until(lambda: "Ctrl-C ends it" in demo.said)
        demo.process.send_signal(signal.SIGINT)
        code = demo.wait_ended()
        assert code == 0, demo.said + demo.err.read_text()
        assert len(children) == 7
        assert alive(children) == []
        assert demo.left_files() == []
        assert demo.err.read_text() == ""
        told = demo.said
    assert "\x1b" not in told
    happened = re.findall(r"^\d\d:\d\d > ([\w ]+): (v\d gets [\d.]+ %|\w+ is|)", told, re.MULTILINE)
    shares = [what for _, what in happened if "gets" in what]
    assert shares[:4] == [f"v2 gets {percent} %" for percent in CANARY.walk]
    assert shares[4:] == [f"v3 gets {percent} %" for percent in CANARY.walk[: len(shares) - 4]]
    words = [word for word, _ in happened]
    assert words.index("PROMOTED") < words.index("ROLLED BACK")
    assert words.count("release") == 2
    reports = re.findall(r"\| (v\d) differs from (v\d) in [\d.]+ %", told)
    assert reports == [("v2", "v1"), ("v3", "v2")]  # before either had a user
    assert told.index("| v2 differs") < told.index("v2 gets 5 %")
    summary = told.partition("Summary of ")[2]
    assert re.search(r"v2 stable +100 % +\d+ +0 +0\.0 %", summary), summary
    assert re.search(r"v3 \w+ +0 % +\d+ +[1-9]\d* +", summary), summary
    assert "v2 became stable" in summary
    assert "v3 was rolled back" in summary
    exposure = re.search(r"(\d+) failed, of which stable answered (\d+) instead", summary)
    assert exposure is not None, summary
    assert exposure[1] == exposure[2]
    assert "Story: as it should be\n" in summary
    counts = re.search(r"clients: (\d+) sent, 0 open, 0 failed; the router counted (\d+)", summary)
    assert counts is not None, summary
    assert counts[1] == counts[2]


def test_a_short_one_ends_by_itself_and_says_what_it_has_not_shown() -> None:
    with running_demo("--seconds", "4") as demo:
        demo.wait_started()
        assert demo.wait_ended() == 0, demo.err.read_text()
        assert "not shown, it ended too early: v2 walks to 100 %" in demo.said
        assert "not shown, it ended too early: v3 is rolled back" in demo.said
        assert "Story: as it should be, as far as it went\n" in demo.said
        assert demo.left_files() == []


class _UntilTheVerdict(io.StringIO):
    """A reader who has seen enough then."""

    def write(self, text: str, /) -> int:
        if "Story:" in text:
            signal.raise_signal(signal.SIGINT)
        return super().write(text)


def test_a_story_that_goes_otherwise_is_an_error() -> None:
    bad = (Act("v2", Action.ABORTED), Act("v3", Action.ABORTED))  # but v2 is good
    scenario = replace(CANARY, acts=bad, walk=(50, 100))
    out = Console(file=_UntilTheVerdict(), width=80)
    others = children()
    with pytest.raises(StoryError, match=r"v2 ended with rollout\.promoted"):
        run(scenario, 120.0, out)
    assert isinstance(out.file, io.StringIO)
    assert "Story: NOT as it should be: v2 ended with rollout.promoted" in out.file.getvalue()
    assert "release: v3" not in out.file.getvalue()
    assert children() == others


def test_ctrl_c_pressed_twice_ends_it_as_well_as_once() -> None:
    with running_demo() as demo:
        demo.wait_started()
        children = demo.descendants()
        time.sleep(1)  # so that there is something to sum up
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.1)  # two signals at once would be one
        demo.process.send_signal(signal.SIGINT)
        assert demo.wait_ended() == 0
        assert "0 failed; the router counted" in demo.said
        assert alive(children) == []
        assert demo.left_files() == []


def test_ctrl_c_while_it_starts_leaves_nothing() -> None:
    with running_demo() as demo:
        demo.wait_until(lambda: len(demo.descendants()) == 3)
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
    assert "v1 stable" in drawn
    assert "Story: as it should be, as far as it went" in summary


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # EIO: everyone has closed the other side (pty(7))
        return b""


@pytest.mark.parametrize(
    ("scenario", "line"),
    [
        (
            Scenario((Version("v1"), Version("v2", {"no-such-option": 1})), ()),
            "v2 ended with 2: .*unrecognized arguments: --no-such-option=1",
        ),
        (replace(CANARY, route="not a name"), "router ended with 1: .*not a name"),
    ],
)
def test_what_cannot_start_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, scenario: Scenario, line: str
) -> None:
    others = children()

    async def start() -> None:
        async with staged(scenario, tmp_path):
            raise AssertionError("it started")

    with pytest.raises(StartError, match=line) as raised:
        asyncio.run(start())
    assert "\n" not in str(raised.value)
    assert children() == others
