"""A worker's end of the link: it follows control while there is one, and never waits for it.

Control may be away for any time: the worker keeps serving what it has and tries again with
back-off and jitter.  Telemetry carries absolute values, so a report that could not be sent costs
nothing; the next one makes up for it.

Guarantees (each is a test in tests/unit/link/test_link.py):
  * a worker never goes back a generation;
  * nothing here blocks the worker: memory for outgoing messages is bounded, and a control that
    does not read is left waiting;
  * after a reconnect control knows everything again: generation, health, every count;
  * a report that cannot be made ends the connection, never the reports: the link begins anew.
"""

import asyncio
import logging
import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, assert_never

from router import __version__
from router.link.backoff import Backoff
from router.link.framing import READ_BUFFER_BYTES, LinkError, encode, frames_down
from router.link.messages import (
    Ack,
    Change,
    Down,
    Drain,
    Draining,
    Health,
    Hello,
    Install,
    Pair,
    Resync,
    Telemetry,
    Up,
)
from router.snapshot import Snapshot, SnapshotChange
from router.telemetry.recorder import Series

log: Final = logging.getLogger(__name__)

TELEMETRY_INTERVAL_S: Final = 1.0
HEALTH_GAP_S: Final = 0.05
PAIR_GAP_S: Final = 0.02
SERIES_PER_MESSAGE: Final = 1_000
"""Bounds what one encoding takes from the worker's loop: 0.15 ms."""

MAX_UNSENT_BYTES: Final = 1024 * 1024
FAREWELL_S: Final = 1.0
FAULT_PAUSE_S: Final = 1.0
"""After a fault of our own: what failed will likely fail again."""


class Table(Protocol):
    """What the link needs of a data plane."""

    @property
    def generation(self) -> int:
        """The generation that is served, 0 before the first."""

    def install(self, snapshot: Snapshot) -> None:
        """Serve this table from the next decision on."""

    def change(self, change: SnapshotChange) -> bool:
        """Serve what the change makes of the table; False, and nothing done, if it fits not."""


class Reporter(Protocol):
    """What a worker has to tell."""

    def series(self, *, everything: bool = False) -> list[Series]:
        """Absolute values of what changed since the last call."""

    def health(self) -> Health:
        """Every endpoint and every breaker that has tripped."""


class LinkClient:
    """Follows one control at one path; `run` ends with `close`."""

    def __init__(
        self,
        path: Path,
        worker: str,
        table: Table,
        reporter: Reporter,
        *,
        on_drain: Callable[[], None] = lambda: None,
        interval_s: float = TELEMETRY_INTERVAL_S,
    ) -> None:
        self._path: Final = path
        self._worker: Final = worker
        self._table: Final = table
        self._reporter: Final = reporter
        self._on_drain: Final = on_drain
        self._interval_s: Final = interval_s
        self._installed: Final = asyncio.Event()
        self._stream: asyncio.StreamWriter | None = None
        self._health_owed: Final = asyncio.Event()
        self._pairs: list[bytes] = []
        self._pairs_size = 0
        self._draining = False
        self._faulty = False
        self._closed = False

    async def run(self) -> None:
        """Connect, follow, reconnect; until `close`."""
        backoff = Backoff(first_s=0.05, limit_s=0.5)  # one connect() to a local socket costs 50 µs
        while not self._closed:
            try:
                reader, writer = await asyncio.open_unix_connection(
                    self._path, limit=READ_BUFFER_BYTES
                )
            except OSError:
                pass  # control is away; it is restarted by the supervisor, not by us
            else:
                await self._follow(reader, writer, backoff)
            pause_s = backoff.next_s(random.random())  # noqa: S311 - jitter
            await asyncio.sleep(max(pause_s, FAULT_PAUSE_S) if self._faulty else pause_s)

    async def wait_installed(self) -> None:
        """Wait for the first table; before it there is nothing to serve."""
        await self._installed.wait()

    def report_health(self, changed: Health) -> None:
        """Tell control at once what changed."""
        stream = self._stream
        if stream is None or stream.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._health_owed.set()  # all of it, with the next report that gets through
        else:
            self._send(changed)

    def report_pair(self, pair: Pair) -> bool:
        """Hand a pair to control; False, and nothing sent, if control is away or does not read."""
        stream = self._stream
        if stream is None or stream.is_closing():
            return False
        if stream.transport.get_write_buffer_size() + self._pairs_size > MAX_UNSENT_BYTES:
            return False
        frame = encode(pair)
        if not self._pairs:  # written together: each write costs two processes a turn
            asyncio.get_running_loop().call_later(PAIR_GAP_S, self._send_pairs)
        self._pairs.append(frame)
        self._pairs_size += len(frame)
        return True

    def _send_pairs(self) -> None:
        pairs, self._pairs, self._pairs_size = self._pairs, [], 0
        if self._stream is not None and not self._stream.is_closing():
            self._stream.writelines(pairs)

    def report_draining(self) -> None:
        """Tell control that this worker no longer counts as live."""
        self._draining = True
        self._send(Draining())

    async def close(self) -> None:
        """Send the last counts and hang up; at most a second is spent on it."""
        self._closed = True
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._send_series(stream, everything=False)
                stream.close()
                await stream.wait_closed()
        except (TimeoutError, OSError):
            stream.transport.abort()
        except Exception:
            log.exception("link: the last counts could not be told; what control has stays")
            stream.transport.abort()

    # -- one connection ------------------------------------------------------------------------

    async def _follow(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backoff: Backoff
    ) -> None:
        self._stream = writer
        self._faulty = False
        self._health_owed.set()
        hello = Hello(
            worker=self._worker,
            pid=os.getpid(),
            release=__version__,
            generation=self._table.generation,
        )
        writer.write(encode(hello))
        if self._draining:
            writer.write(encode(Draining()))
        reporting = asyncio.create_task(self._report(writer))
        frames = frames_down(reader)
        try:
            while (message := await frames.receive()) is not None:
                backoff.reset()
                self._take(message)
        except LinkError as error:
            log.error("link: %s", error)
        except Exception:
            # Whatever a table did to us, this worker has requests to serve.
            log.exception("link: generation %d could not be left", self._table.generation)
        finally:
            reporting.cancel()
            self._stream = None
            writer.close()

    def _take(self, message: Down) -> None:
        match message:
            case Install():
                self._install(message.snapshot)
            case Change():
                self._change(message.change)
            case Drain():
                self._on_drain()
            case _:
                assert_never(message)

    def _install(self, snapshot: Snapshot) -> None:
        serves = self._table.generation
        if snapshot.generation < serves:
            self._send(Resync(generation=serves))
            return
        if snapshot.generation > serves:
            self._table.install(snapshot)
        self._installed.set()
        self._acknowledge(snapshot.generation)

    def _change(self, change: SnapshotChange) -> None:
        if change.generation > self._table.generation and self._table.change(change):
            self._acknowledge(change.generation)
        else:
            self._send(Resync(generation=self._table.generation))

    def _acknowledge(self, generation: int) -> None:
        self._send(Ack(generation=generation))
        self._health_owed.set()  # the table may have other endpoints now

    async def _report(self, stream: asyncio.StreamWriter) -> None:
        try:
            await self._report_on(stream)
        except ConnectionError:
            pass  # the reading side ends the conversation
        except Exception:
            # A worker that no longer reports would look well for ever: the link begins anew.
            log.exception("link: a report could not be made; connecting again")
            self._faulty = True
            stream.close()

    async def _report_on(self, stream: asyncio.StreamWriter) -> None:
        everything = True
        while True:
            if self._health_owed.is_set():
                self._health_owed.clear()
                stream.write(encode(self._reporter.health()))
            await self._send_series(stream, everything=everything)
            everything = False
            await self._wait_report_due()

    async def _wait_report_due(self) -> None:
        # Many changes in a row shall not make as many reports of every endpoint.
        await asyncio.sleep(HEALTH_GAP_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._health_owed.wait(), self._interval_s)

    async def _send_series(self, stream: asyncio.StreamWriter, *, everything: bool) -> None:
        series = self._reporter.series(everything=everything)
        for start in range(0, len(series), SERIES_PER_MESSAGE):
            stream.write(encode(Telemetry(series=series[start : start + SERIES_PER_MESSAGE])))
            await stream.drain()
            await asyncio.sleep(0)  # drain() returns at once while there is room

    def _send(self, message: Up) -> None:
        # Unbounded is right for acknowledgements: control sends one state at a time.
        if self._stream is not None and not self._stream.is_closing():
            self._stream.write(encode(message))
