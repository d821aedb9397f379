"""A disk that is full and a pipe that nobody reads cost lines, never the worker."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.dataplane import accesslog
from router.dataplane.accesslog import AccessLog, AccessLogSettings
from router.telemetry.recorder import WorkerRecorder

DEADLINE_S = 10.0
QUEUED = 100


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue that is soon full, lines written one by one, and a short farewell."""
    monkeypatch.setattr(accesslog, "_MAX_QUEUED", QUEUED)
    monkeypatch.setattr(accesslog, "_MAX_BATCH", 1)
    monkeypatch.setattr(accesslog, "_FAREWELL_S", 0.05, raising=False)


@pytest.fixture
def recorder() -> WorkerRecorder:
    return WorkerRecorder("w0")


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    os.mkfifo(path)
    return path


@pytest.fixture
def full_pipe(fifo: Path) -> Iterator[Path]:
    """A pipe with room for nothing more; it is emptied when the test is over."""
    # Open for both, or there would be no reader and so an error at once.
    end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        while True:
            os.write(end, bytes(4096))
    except BlockingIOError:
        yield fifo
    deadline = time.monotonic() + DEADLINE_S
    while threads() and time.monotonic() < deadline:
        drain(end)
    os.close(end)
    assert not threads()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "access-log"]


def drain(end: int) -> bytes:
    try:
        return os.read(end, 1 << 20)
    except BlockingIOError:
        time.sleep(0.005)
        return b""


def new_log(path: Path | str, recorder: WorkerRecorder) -> AccessLog:
    return AccessLog(AccessLogSettings("all", 1.0, str(path)), recorder, lambda: 0.0)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def wait_dropped(recorder: WorkerRecorder, number: int) -> None:
    wait_until(lambda: recorder.log_dropped == number)


def fill(log: AccessLog) -> None:
    """Write until one line is in the writer's hands and no further one fits the queue."""
    log.write({"a": 1})
    wait_until(log._lines.empty)
    for _ in range(3 * QUEUED):
        log.write({"a": 1})


def assert_closes(log: AccessLog) -> None:
    closing = threading.Thread(target=log.close, daemon=True)
    closing.start()
    closing.join(DEADLINE_S)
    assert not closing.is_alive()


def test_lines_that_find_the_disk_full_are_dropped_and_counted(recorder: WorkerRecorder) -> None:
    log = new_log("/dev/full", recorder)
    for written in range(1, 6):
        log.write({"number": written})
        wait_dropped(recorder, written)
    for _ in range(3 * QUEUED):
        log.write({})
    wait_dropped(recorder, 5 + 3 * QUEUED)
    assert_closes(log)
    assert not threads()


def test_a_log_that_cannot_be_written_is_told_once_and_not_for_every_line(
    recorder: WorkerRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    log = new_log("/dev/full", recorder)
    for written in range(1, 6):
        log.write({})
        wait_dropped(recorder, written)
    assert_closes(log)
    (record,) = caplog.records
    assert "/dev/full" in record.getMessage()
    assert "No space left" in record.getMessage()


def test_a_pipe_that_nobody_reads_holds_up_neither_requests_nor_the_end(
    full_pipe: Path, recorder: WorkerRecorder
) -> None:
    log = new_log(full_pipe, recorder)
    fill(log)
    assert recorder.log_dropped == 2 * QUEUED
    assert_closes(log)


def test_lines_are_written_again_when_the_pipe_has_a_reader_again(
    fifo: Path, recorder: WorkerRecorder
) -> None:
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = new_log(fifo, recorder)
    log.write({"a": 1})
    wait_until(lambda: drain(reader) == b'{"a":1}\n')
    os.close(reader)
    log.write({"a": 2})
    wait_dropped(recorder, 1)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log.write({"a": 3})
    wait_until(lambda: drain(reader) == b'{"a":3}\n')
    assert_closes(log)
    os.close(reader)
    assert recorder.log_dropped == 1


def test_a_log_that_cannot_be_opened_yet_is_opened_when_it_can(
    tmp_path: Path, recorder: WorkerRecorder
) -> None:
    path = tmp_path / "later" / "log"
    log = new_log(path, recorder)
    log.write({"a": 1})
    wait_dropped(recorder, 1)
    path.parent.mkdir()
    log.write({"a": 2})
    assert_closes(log)
    wait_until(lambda: not threads())
    assert path.read_bytes() == b'{"a":2}\n'


def test_a_line_that_was_cut_off_does_not_spoil_the_next(
    tmp_path: Path, recorder: WorkerRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    write = os.write
    outcomes = ["cut off", "full"]

    def fill_up(out: int, line: bytes) -> int:
        match outcomes.pop(0) if outcomes else "room":
            case "cut off":
                return write(out, line[:3])
            case "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            case _:
                return write(out, line)

    monkeypatch.setattr(os, "write", fill_up)
    log = new_log(path, recorder)
    log.write({"a": 1})
    wait_dropped(recorder, 1)
    log.write({"a": 2})
    assert_closes(log)
    wait_until(lambda: not threads())
    assert path.read_bytes().splitlines() == [b'{"a', b'{"a":2}']


def test_what_waits_in_a_full_queue_is_written_before_the_writer_ends(
    full_pipe: Path, recorder: WorkerRecorder
) -> None:
    log = new_log(full_pipe, recorder)
    fill(log)
    assert_closes(log)
    end = os.open(full_pipe, os.O_RDONLY | os.O_NONBLOCK)
    told = b""
    while threads():
        told += drain(end)
    told += drain(end)
    os.close(end)
    assert told.count(b'{"a":1}\n') == 1 + QUEUED
