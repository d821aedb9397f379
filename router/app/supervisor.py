"""The process that starts the others and outlives them; it serves nothing itself.

Guarantees (each is a test in tests/e2e/test_processes.py):
  * a child that dies is started again, at first after 50 ms, then ever later up to 5 s;
  * the listening sockets stay open here, so a connection that waits for a dead worker is
    answered by its successor;
  * SIGTERM and SIGINT drain and end with 0, a second one kills; SIGHUP goes to control;
  * a child that never starts ends everything, with 1;
  * children notice when the supervisor is gone, however it went: the lifeline is a pipe whose
    writing end only the supervisor holds.
"""

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from router.app.settings import AccessLog, ControlSettings, WorkerSettings, to_argument
from router.app.sockets import Listening, listen
from router.errors import ConfigError
from router.link.backoff import Backoff

log: Final = logging.getLogger(__name__)

EXIT_REFUSED: Final = 2
"""A child's way to say: what I was told to do cannot be done, trying again is pointless."""

FIRST_RESTART_S: Final = 0.05
SLOWEST_RESTART_S: Final = 5.0
HEALTHY_AFTER_S: Final = 30.0
STARTED_AFTER_S: Final = 5.0
"""A child that lived this long had started; one that ends earlier, by itself, had not."""

FAILED_STARTS: Final = 5
CONTROL_EXIT_S: Final = 5.0
DRAIN_GRACE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Launch:
    """What `serve` runs: plain values out of the configuration's `server` section."""

    config: Path
    listen: tuple[str, int]
    admin: tuple[str, int]
    workers: int
    door: str
    drain_s: float
    drain_delay_s: float
    head_timeout_s: float
    keep_alive_s: float
    access_log: AccessLog
    log_format: str = "text"


def run(launch: Launch) -> int:
    """Serve until told to stop; returns the exit code.

    Raises:
        ConfigError: an address cannot be listened on; nothing was started.
    """
    traffic = listen("server.listen", *launch.listen, count=launch.workers)
    admin = listen("server.admin", *launch.admin)
    directory = _private_directory()
    lifeline, held_end = os.pipe()

    def release() -> None:
        traffic.close()
        admin.close()

    try:
        supervisor = Supervisor(
            control=_control(launch, traffic, admin, directory, lifeline),
            workers=_workers(launch, traffic, directory, lifeline),
            release=release,
            drain_s=launch.drain_delay_s + launch.drain_s + DRAIN_GRACE_S,
        )
        return asyncio.run(supervisor.run())
    finally:
        os.close(held_end)
        os.close(lifeline)
        release()
        shutil.rmtree(directory, ignore_errors=True)


def _private_directory() -> Path:
    """A place that only we can enter, for the link's socket."""
    try:
        return Path(tempfile.mkdtemp(prefix="inference-router-"))
    except OSError as error:
        raise ConfigError(f"no place for the link's socket: {error}") from None


def _names(launch: Launch) -> tuple[str, ...]:
    return tuple(f"w{slot}" for slot in range(launch.workers))


def _control(
    launch: Launch, traffic: Listening, admin: Listening, directory: Path, lifeline: int
) -> "Child":
    settings = ControlSettings(
        config=str(launch.config),
        link=str(directory / "control.sock"),
        workers=_names(launch),
        admin_fd=admin.sockets[0].fileno(),
        lifeline_fd=lifeline,
        traffic_url=traffic.url,
        admin_url=admin.url,
        log_format=launch.log_format,
    )

    def command(started_before: bool) -> Sequence[str]:
        told = msgspec.structs.replace(settings, announce=not started_before)
        return ("router.app.control", to_argument(told))

    return Child("control", command, (settings.admin_fd, lifeline))


def _workers(
    launch: Launch, traffic: Listening, directory: Path, lifeline: int
) -> "tuple[Child, ...]":
    children = []
    for name, sock in zip(_names(launch), traffic.sockets, strict=True):
        settings = WorkerSettings(
            worker=name,
            link=str(directory / "control.sock"),
            listener_fd=sock.fileno(),
            lifeline_fd=lifeline,
            door=launch.door,
            drain_s=launch.drain_s,
            drain_delay_s=launch.drain_delay_s,
            head_timeout_s=launch.head_timeout_s,
            keep_alive_s=launch.keep_alive_s,
            access_log=launch.access_log,
            log_format=launch.log_format,
        )
        command = ("router.app.worker", to_argument(settings))
        children.append(Child(name, _always(command), (settings.listener_fd, lifeline)))
    return tuple(children)


def _always(command: Sequence[str]) -> Callable[[bool], Sequence[str]]:
    return lambda _started_before: command


class Child:
    """One slot: the process that is in it now, and when the next one may be."""

    def __init__(
        self,
        name: str,
        command: Callable[[bool], Sequence[str]],
        inherited: tuple[int, ...],
    ) -> None:
        self.name: Final = name
        self._command: Final = command
        self._inherited: Final = inherited
        self._backoff: Final = Backoff(FIRST_RESTART_S, SLOWEST_RESTART_S)
        self._stopping: Final = asyncio.Event()
        self._process: Process | None = None
        self._started = False
        self._failed_starts = 0
        self.ended_well = True

    async def keep_running(self) -> None:
        """Start it, and again whenever it dies; until `stop`, or until it cannot start at all."""
        while True:
            began = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                self.ended_well = code in (0, -signal.SIGTERM)
                return
            lived_s = time.monotonic() - began
            if self._gives_up(code, lived_s):
                log.error("%s cannot start (%s)", self.name, _how(code))
                self.ended_well = False
                return
            if lived_s > HEALTHY_AFTER_S:
                self._backoff.reset()
            wait_s = self._backoff.next_s()
            log.warning("%s ended (%s); the next one in %.2f s", self.name, _how(code), wait_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)
                return

    def stop(self) -> None:
        """Ask it to end; it is not started again."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal to the process that is in the slot now, if any."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _run_once(self) -> int:
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-O",  # asserts state invariants for readers and tests; the hot path has no time
                "-m",
                *self._command(self._started),
                stdin=DEVNULL,
                pass_fds=self._inherited,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then drains
            )
        except OSError as error:
            log.error("%s cannot be started: %s", self.name, error)
            return 1
        if self._stopping.is_set():
            self.signal(signal.SIGTERM)
        return await self._process.wait()

    def _gives_up(self, code: int, lived_s: float) -> bool:
        killed = code in (-signal.SIGKILL, -signal.SIGTERM)  # by somebody: no fault of its own
        self._started = self._started or lived_s > STARTED_AFTER_S
        self._failed_starts += not killed
        if self._started:
            return False
        return code == EXIT_REFUSED or self._failed_starts >= FAILED_STARTS


class Supervisor:
    """Keeps one control and its workers running until a signal says otherwise."""

    def __init__(
        self,
        control: Child,
        workers: tuple[Child, ...],
        *,
        release: Callable[[], None],
        drain_s: float,
    ) -> None:
        self._control: Final = control
        self._workers: Final = workers
        self._release: Final = release
        self._drain_s: Final = drain_s
        self._stopping: Final = asyncio.Event()

    async def run(self) -> int:
        """Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._control.signal, signal.SIGHUP)
        children = (self._control, *self._workers)
        keepers = {child: asyncio.create_task(child.keep_running()) for child in children}
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((stopping, *keepers.values()), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        self._release()
        # Control goes last: it shows the drain, and takes the workers' last counts.
        await _end({worker: keepers[worker] for worker in self._workers}, self._drain_s)
        await _end({self._control: keepers[self._control]}, CONTROL_EXIT_S)
        return 0 if all(child.ended_well for child in children) else 1

    def stop(self) -> None:
        """Drain and end; asked a second time, do not wait."""
        if self._stopping.is_set():
            for child in (self._control, *self._workers):
                child.stop()
                child.signal(signal.SIGKILL)
        self._stopping.set()


async def _end(keepers: dict[Child, asyncio.Task[None]], deadline_s: float) -> None:
    for child in keepers:
        child.stop()
    _, running = await asyncio.wait(keepers.values(), timeout=deadline_s)
    if running:
        log.error("killing what did not end within %.0f s", deadline_s)
        for child in keepers:
            child.signal(signal.SIGKILL)
        await asyncio.wait(running)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
