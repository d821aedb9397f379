"""Children that die, cannot start or do not end, and a supervisor that deals with them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from router.app import child
from router.app.child import Birth, Child
from router.app.supervisor import Supervisor

pytestmark = pytest.mark.anyio

DEADLINE_S = 15.0

PROGRAMS = {
    "obedient": """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        note("started")
        time.sleep(60)
    """,
    "stubborn": """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("started")
        time.sleep(60)
    """,
    "broken": """
        note("started")
        sys.exit(3)
    """,
    "refusing": """
        note("started")
        sys.exit(2)
    """,
}


class Stage:
    """Where programs note what they do; each is a module that a child runs with `-m`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name, body in PROGRAMS.items():
            lines = "\n".join(line.strip() for line in body.strip().splitlines())
            (directory / f"{name}.py").write_text(
                "import os, pathlib, signal, sys, time\n"
                "def note(text):\n"
                f"    with open({str(directory / 'notes')!r}, 'a') as notes:\n"
                "        notes.write(f'{sys.argv[1]} {text} {os.getpid()} {time.time()}\\n')\n"
                f"{lines}\n"
            )

    def notes(self, child: str = "") -> list[list[str]]:
        file = self.directory / "notes"
        text = file.read_text() if file.exists() else ""
        return [line.split() for line in text.splitlines() if line.startswith(child)]

    def child(self, name: str, program: str) -> Child:
        def command(_birth: Birth) -> Sequence[str]:
            return (program, name)

        return Child(name, command, ())

    def supervisor(self, control: str, *workers: str, drain_s: float = 10.0) -> Supervisor:
        return Supervisor(
            self.child("control", control),
            tuple(self.child(f"w{slot}", program) for slot, program in enumerate(workers)),
            release=lambda: (self.directory / "released").touch(),
            drain_s=drain_s,
        )

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110  # other processes do what is waited for
                await asyncio.sleep(0.01)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Stage(tmp_path)


async def end(running: asyncio.Task[int], supervisor: Supervisor) -> int:
    supervisor.stop()
    async with asyncio.timeout(DEADLINE_S):
        return await running


async def test_everything_ends_well_when_told_to(stage: Stage) -> None:
    family = stage.supervisor("obedient", "obedient", "obedient")
    running = asyncio.create_task(family.run())
    await stage.wait_until(lambda: len(stage.notes()) == 3)
    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(DEADLINE_S):
        assert await running == 0
    assert (stage.directory / "released").exists()


async def test_a_dead_child_is_started_again_soon_and_then_ever_later(stage: Stage) -> None:
    family = stage.supervisor("obedient", "obedient")
    running = asyncio.create_task(family.run())
    died: list[float] = []
    for number in range(1, 5):
        await stage.wait_until(lambda number=number: len(stage.notes("w0")) == number)
        os.kill(int(stage.notes("w0")[-1][2]), signal.SIGKILL)
        died.append(time.time())
    await stage.wait_until(lambda: len(stage.notes("w0")) == 5)
    waits = [float(note[3]) - at for note, at in zip(stage.notes("w0")[1:], died, strict=True)]
    for wait, least in zip(waits, [0.05, 0.1, 0.2, 0.4], strict=True):
        assert wait >= least
    assert len(stage.notes("control")) == 1
    assert await end(running, family) == 0


async def test_a_child_that_never_starts_ends_everything_with_1(stage: Stage) -> None:
    family = stage.supervisor("obedient", "obedient", "broken")
    async with asyncio.timeout(DEADLINE_S):
        assert await family.run() == 1
    assert len(stage.notes("w1")) == child.FAILED_STARTS


async def test_a_child_that_refuses_its_orders_ends_everything_at_once(stage: Stage) -> None:
    family = stage.supervisor("refusing", "obedient")
    async with asyncio.timeout(DEADLINE_S):
        assert await family.run() == 1
    assert len(stage.notes("control")) == 1


async def test_a_child_that_takes_long_to_refuse_its_orders_ends_everything_as_well(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STARTED_AFTER_S", 0.0)  # a busy machine: it is long over
    family = stage.supervisor("refusing", "obedient")
    async with asyncio.timeout(DEADLINE_S):
        assert await family.run() == 1
    assert len(stage.notes("control")) == 1


async def test_a_child_that_had_started_is_never_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "STARTED_AFTER_S", 0.0)
    monkeypatch.setattr(child, "SLOW_START_S", 0.0)
    monkeypatch.setattr(child, "SLOWEST_RESTART_S", 0.05)
    family = stage.supervisor("refusing", "obedient")
    running = asyncio.create_task(family.run())
    await stage.wait_until(lambda: len(stage.notes("control")) > child.FAILED_STARTS + 2)
    await end(running, family)


async def test_a_child_that_does_not_end_in_time_is_killed(stage: Stage) -> None:
    family = stage.supervisor("obedient", "stubborn", drain_s=0.2)
    running = asyncio.create_task(family.run())
    await stage.wait_until(lambda: len(stage.notes()) == 2)
    assert await end(running, family) == 1


async def test_a_second_signal_kills_what_still_drains(stage: Stage) -> None:
    family = stage.supervisor("obedient", "stubborn", drain_s=60.0)
    running = asyncio.create_task(family.run())
    await stage.wait_until(lambda: len(stage.notes()) == 2)
    family.stop()
    await asyncio.sleep(0.2)
    assert not running.done()
    assert await end(running, family) == 1


async def test_a_program_that_cannot_be_run_at_all_counts_as_one_that_never_starts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    family = stage.supervisor("obedient", "obedient")
    async with asyncio.timeout(DEADLINE_S):
        assert await family.run() == 1
