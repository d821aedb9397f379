"""A process takes another one's slot, or does not come up; the slot is never without a server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from router.app import child
from router.app.child import Birth, Child, SuccessionError
from router.app.rolling import Rolling
from router.app.tether import MAX_LINE_BYTES, Tether, TornError, Word
from router.controller.restart import Restart, Stage, Wish

pytestmark = pytest.mark.anyio

DEADLINE_S = 15.0

PROGRAM = """
import os, signal, socket, sys, time

fd, role, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
line = socket.socket(fileno=fd)
notes = open(sys.argv[4], "a", buffering=1)

def say(word):
    line.sendall(word.encode() + b"\\n")

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if role == "successor":
    if kind == "broken":
        sys.exit(3)
    say("booted")
else:
    say("serving")
buffer = b""
while True:
    data = line.recv(1024)
    if not data:
        break
    *words, buffer = (buffer + data).split(b"\\n")
    for word in words:
        word = word.decode()
        notes.write(f"{os.getpid()} {word}\\n")
        if word == "make room":
            say("made room")
        elif word == "join":
            if kind == "mute":
                time.sleep(60)
            if kind == "dies":
                sys.exit(4)
            say("serving")
        elif word == "leave" and kind != "lingers":
            sys.exit(0)
"""


class Theatre:
    """Workers that speak the words of `tether`, and note what they hear."""

    def __init__(self, directory: Path) -> None:
        self.notes = directory / "notes"
        self.notes.touch()
        (directory / "speaker.py").write_text(PROGRAM)
        self.keepers: dict[Child, asyncio.Task[None]] = {}

    def heard(self, pid: int | None) -> list[str]:
        """What one process was told."""
        lines = self.notes.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{pid} ")]

    async def start(self, name: str, kind: str = "fine", leave_s: float = 5.0) -> Child:
        def command(birth: Birth) -> Sequence[str]:
            role = "successor" if birth.successor else "first"
            return ("speaker", str(birth.tether_fd), role, kind, str(self.notes))

        started = Child(name, command, (), leave_s=leave_s)
        self.keepers[started] = asyncio.create_task(started.keep_running())
        async with asyncio.timeout(DEADLINE_S):
            while started.pid is None:  # noqa: ASYNC110  # another process
                await asyncio.sleep(0.01)
        return started

    async def close(self) -> None:
        for started in self.keepers:
            started.stop()
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*self.keepers.values())


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Theatre]:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    stage = Theatre(tmp_path)
    yield stage
    await stage.close()


async def gone(pid: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(0.01)


# -- one slot ----------------------------------------------------------------------------------


async def test_the_old_one_is_told_to_leave_only_when_the_new_one_serves(stage: Theatre) -> None:
    worker = await stage.start("w0")
    old = worker.pid
    new = await worker.succeed()
    assert worker.pid == new != old
    assert stage.heard(new) == ["join"]
    await gone(old or 0)
    assert stage.heard(old) == ["make room", "leave"]


async def test_who_succeeded_is_started_again_when_it_dies_though_the_old_one_drains(
    stage: Theatre,
) -> None:
    worker = await stage.start("w0", "lingers")
    old = worker.pid
    new = await worker.succeed()
    os.kill(new, signal.SIGKILL)
    async with asyncio.timeout(DEADLINE_S):
        while worker.pid in (None, new):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)
    os.kill(old or 0, 0)  # it drains still


async def test_who_does_not_leave_in_its_time_is_killed(stage: Theatre) -> None:
    worker = await stage.start("w0", "lingers", leave_s=0.1)
    old = worker.pid
    left: list[int] = []
    worker.when_left = left.append
    await worker.succeed()
    await gone(old or 0)
    async with asyncio.timeout(DEADLINE_S):
        while left != [old]:  # noqa: ASYNC110  # told a moment later
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("kind", "why", "heard"),
    [
        ("broken", r"did not come up \(exit code 3\)", ["take back"]),
        ("dies", r"did not come up \(exit code 4\)", ["make room", "take back"]),
        ("mute", "did not come up within 0.5 s", ["make room", "take back"]),
    ],
)
async def test_where_no_successor_comes_up_the_old_one_keeps_its_place(
    stage: Theatre, monkeypatch: pytest.MonkeyPatch, kind: str, why: str, heard: list[str]
) -> None:
    if kind == "mute":
        monkeypatch.setattr(child, "COMES_UP_S", 0.5)
        monkeypatch.setattr(child, "LEAVES_S", 0.1)
    worker = await stage.start("w0", kind)
    old = worker.pid
    if kind == "mute":
        await asyncio.sleep(0.3)  # the machine has warmed up to starting interpreters
    with pytest.raises(SuccessionError, match=why):
        await worker.succeed()
    assert worker.pid == old
    async with asyncio.timeout(DEADLINE_S):
        while stage.heard(old) != heard:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.01)


async def test_nobody_succeeds_where_nobody_is(stage: Theatre) -> None:
    with pytest.raises(SuccessionError, match="worker w9 is down"):
        await Child("w9", lambda _birth: ("speaker",), ()).succeed()


async def test_an_old_one_that_dies_at_the_handover_is_not_started_again_beside_its_successor(
    stage: Theatre,
) -> None:
    worker = await stage.start("w0")
    succeeding = asyncio.create_task(worker.succeed())
    await asyncio.sleep(0)
    os.kill(worker.pid or 0, signal.SIGKILL)
    new = await succeeding
    await asyncio.sleep(0.3)  # longer than the first back-off
    assert worker.pid == new


# -- all slots ---------------------------------------------------------------------------------


async def ended(rolling: Rolling) -> Restart:
    async with asyncio.timeout(DEADLINE_S):
        while rolling.newest.stage in (Stage.STARTING, Stage.DRAINING):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return rolling.newest


async def test_one_after_the_other_is_replaced_and_each_step_is_told(stage: Theatre) -> None:
    workers = [await stage.start("w0"), await stage.start("w1")]
    old = [worker.pid for worker in workers]
    told: list[Restart] = []
    rolling = Rolling(workers, told.append)
    rolling.begin(Wish(id="1", by="ci", reason="memory"))
    newest = await ended(rolling)
    assert (newest.stage, newest.by, newest.reason) == (Stage.DONE, "ci", "memory")
    assert [(each.stage, each.old_pid, each.new_pid) for each in newest.workers] == [
        (Stage.DONE, before, worker.pid) for before, worker in zip(old, workers, strict=True)
    ]
    assert told[-1] == newest
    # The second one's turn came only when the first one's successor served.
    for each in told:
        if each.workers[1].stage is not Stage.WAITING:
            assert each.workers[0].stage in (Stage.DRAINING, Stage.DONE)


async def test_the_first_that_does_not_come_up_ends_it_and_the_rest_is_not_touched(
    stage: Theatre,
) -> None:
    workers = [await stage.start("w0"), await stage.start("w1", "broken"), await stage.start("w2")]
    old = [worker.pid for worker in workers]
    rolling = Rolling(workers, lambda _newest: None)
    rolling.begin(Wish(id="1", by="ci", reason=""))
    newest = await ended(rolling)
    assert newest.stage is Stage.FAILED
    assert newest.problem.endswith("(exit code 3); the old ones keep serving: w1, w2")
    assert [worker.pid == before for worker, before in zip(workers, old, strict=True)] == [
        False,
        True,
        True,
    ]


async def test_a_second_one_waits_until_the_old_workers_have_left(stage: Theatre) -> None:
    worker = await stage.start("w0", "lingers")
    old = worker.pid
    told: list[Restart] = []
    rolling = Rolling([worker], told.append)
    rolling.begin(Wish(id="1", by="ci", reason=""))
    rolling.begin(Wish(id="2", by="ci", reason=""))
    await rolling.wait_ended()
    assert rolling.newest.stage is Stage.DRAINING
    rolling.begin(Wish(id="3", by="ci", reason=""))
    assert {each.id for each in told} == {"1"}
    assert told[-1] == rolling.newest  # who asked is told how it stands
    os.kill(old or 0, signal.SIGTERM)
    assert (await ended(rolling)).stage is Stage.DONE
    rolling.begin(Wish(id="4", by="ci", reason=""))
    await rolling.wait_ended()
    assert rolling.newest.id == "4"
    os.kill(rolling.newest.workers[0].old_pid or 0, signal.SIGTERM)


# -- the line ----------------------------------------------------------------------------------


async def test_what_was_said_before_the_word_is_old_news() -> None:
    ours, theirs = socket.socketpair()
    one, other = await Tether.of(ours), await Tether.of(theirs)
    for word in (Word.SERVING, Word.MADE_ROOM):
        one.tell(word)
    await other.wait_for(Word.MADE_ROOM)
    one.close()
    with pytest.raises(TornError):
        await other.wait_for(Word.MADE_ROOM)
    other.tell("nobody is there")
    other.close()
    other.tell("nor here")


async def test_a_line_without_an_end_tears_the_line() -> None:
    ours, theirs = socket.socketpair()
    one, other = await Tether.of(ours), await Tether.of(theirs)
    one.tell("x" * 2 * MAX_LINE_BYTES)
    with pytest.raises(TornError):
        await other.hear()
    one.close()
    other.close()
