"""The access log: one JSON object a line, for each exchange that is worth one.

Modes: `off`, `sampled`, `all`; failures and refusals are always written unless the mode is off
for a whole class (`errors` is on in every mode).  Lines are collected in the loop and written by
a thread, so a slow disk or pipe never holds up a request: what does not fit in the bounded queue
is dropped and counted.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Final

import msgspec
import orjson

from router.telemetry.recorder import WorkerRecorder

_MAX_QUEUED: Final = 10_000
_MAX_BATCH: Final = 500

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
            self._recorder.log_dropped += 1

    def close(self) -> None:
        """Write what is queued and end the writer."""
        if self._writer is not None:
            self._lines.put(None)
            self._writer.join(timeout=2.0)

    def _run(self) -> None:
        out = (
            sys.stderr.fileno()
            if self._path is None
            else os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        )
        ended = False
        while not ended:
            batch = [self._lines.get()]
            while len(batch) < _MAX_BATCH and not self._lines.empty():
                batch.append(self._lines.get_nowait())
            ended = batch[-1] is None
            _write_all(out, b"".join(line for line in batch if line is not None))


def _write_all(out: int, data: bytes) -> None:
    while data:
        data = data[os.write(out, data) :]
