"""The access log: one JSON object a line, for each exchange that is worth one.

Modes: `off`, `sampled`, `all`; failures and refusals are always written unless the mode is off
for a whole class (`errors` is on in every mode).  Lines are collected in the loop and written by
a thread, so a slow disk or pipe never holds up a request: what does not fit in the bounded queue
is dropped and counted.

Guarantees (tests/unit/dataplane/test_access_log.py):
  * nothing here waits for a disk or a pipe, but `close`, and that for at most `_FAREWELL_S`;
  * what cannot be written is dropped and counted, and later lines are tried again.
"""

import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
import orjson

from router.telemetry.recorder import WorkerRecorder

log: Final = logging.getLogger(__name__)

_MAX_QUEUED: Final = 10_000
_MAX_BATCH: Final = 500
_FAREWELL_S: Final = 2.0

Draw = Callable[[], float]


class AccessLogSettings(msgspec.Struct, frozen=True):
    """`mode` is off, sampled or all; `path` None is standard error."""

    mode: str = "off"
    sample_ratio: float = 0.01
    path: str | None = None


class AccessLog:
    """Decides which exchanges get a line, and hands lines to the writer."""

    def __init__(self, settings: AccessLogSettings, recorder: WorkerRecorder, draw: Draw) -> None:
        self._ratio = {"off": 0.0, "sampled": settings.sample_ratio, "all": 1.0}[settings.mode]
        self._draw = draw
        self._recorder = recorder
        self._path = settings.path
        self._lines: queue.Queue[bytes | None] = queue.Queue(_MAX_QUEUED)
        self._writer: threading.Thread | None = None
        self._closing = False
        self._counting: Final = threading.Lock()  # the loop and the writer both drop lines
        self.silent: Final = self._ratio == 0.0

    def wants(self, *, failed: bool) -> bool:
        """Whether this exchange gets a line."""
        if failed or self._ratio >= 1.0:
            return True
        return self._ratio > 0.0 and self._draw() < self._ratio

    def write(self, entry: dict[str, object]) -> None:
        """Queue one line; never blocks."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._run, name="access-log", daemon=True)
            self._writer.start()
        try:
            self._lines.put_nowait(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
        except queue.Full:
            self._count_dropped(1)

    def close(self) -> None:
        """Write what is queued and end the writer; one that is stuck is left, as a daemon."""
        self._closing = True
        if self._writer is not None:
            with suppress(queue.Full):  # then it need not be woken
                self._lines.put_nowait(None)
            self._writer.join(_FAREWELL_S)

    def _count_dropped(self, lines: int) -> None:
        with self._counting:
            self._recorder.log_dropped += lines

    def _run(self) -> None:
        output = _Output(self._path)
        ended = False
        while not ended:
            batch = [self._lines.get()]
            while len(batch) < _MAX_BATCH and not self._lines.empty():
                batch.append(self._lines.get_nowait())
            ended = batch[-1] is None or (self._closing and self._lines.empty())
            lines = b"".join(line for line in batch if line is not None)
            if dropped := output.write(lines):
                self._count_dropped(dropped)
        output.close()


class _Output:
    """Where the lines go; while it cannot be opened or written, they are lost."""

    def __init__(self, path: str | None) -> None:
        self._path: Final = path
        self._out: int | None = None
        self._torn = False  # what was written last ends within a line
        self._failing = False

    def write(self, lines: bytes) -> int:
        """Write whole lines; how many could not be."""
        # A broken line and not two: the next one begins on its own.
        left = b"\n" + lines if self._torn and lines else lines
        try:
            out = self._out = self._open() if self._out is None else self._out
            while left:
                written = os.write(out, left)
                self._torn = left[written - 1 : written] != b"\n"
                left = left[written:]
        except OSError as error:
            self._tell(error)
            return min(left.count(b"\n"), lines.count(b"\n"))
        if lines:
            self._failing = False
        return 0

    def close(self) -> None:
        """Let go of the file."""
        if self._out is not None and self._path is not None:
            os.close(self._out)

    def _open(self) -> int:
        if self._path is None:
            return sys.stderr.fileno()
        return os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)

    def _tell(self, error: OSError) -> None:
        if not self._failing:  # once, not for every line
            place = self._path or "standard error"
            log.warning(
                "access log: %s: %s; lines are dropped until it works", place, error.strerror
            )
        self._failing = True
