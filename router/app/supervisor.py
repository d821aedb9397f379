"""The process that starts the others and outlives them; it serves nothing itself.

Guarantees (each is a test in tests/e2e/test_processes.py):
  * a child that dies is started again, at first after 50 ms, then ever later up to 5 s;
  * the listening sockets stay open here, so a connection that waits for a dead worker is
    answered by its successor;
  * SIGTERM and SIGINT drain and end with 0, a second one kills; SIGHUP goes to control;
  * SIGUSR2, or control when it is asked to, has every worker replaced, one by one;
  * a child that never starts ends everything, with 1;
  * children notice when the supervisor is gone, however it went: the lifeline is a pipe whose
    writing end only the supervisor holds.
"""

import asyncio
import itertools
import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from router.app.child import Birth, Child, Running
from router.app.rolling import Rolling
from router.app.settings import AccessLog, ControlSettings, WorkerSettings, to_argument
from router.app.sockets import Listening, listen
from router.app.tether import TornError
from router.controller.restart import SIGNAL, Restart, Wish
from router.errors import ConfigError
from router.http1.rules import ClientRules
from router.tls import ServerTls

log: Final = logging.getLogger(__name__)

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
    body_timeout_s: float
    write_timeout_s: float
    upstream_idle_s: float
    tls: ServerTls | None
    shed_delay_s: float
    rules: ClientRules
    access_log: AccessLog
    log_format: str = "text"


def run(launch: Launch) -> int:
    """Serve until told to stop; returns the exit code.

    Raises:
        ConfigError: an address cannot be listened on; nothing was started.
    """
    traffic = listen(
        "server.listen",
        *launch.listen,
        count=launch.workers,
        write_timeout_s=launch.write_timeout_s,
    )
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
) -> Child:
    settings = ControlSettings(
        config=str(launch.config),
        link=str(directory / "control.sock"),
        workers=_names(launch),
        admin_fd=admin.sockets[0].fileno(),
        lifeline_fd=lifeline,
        traffic_url=traffic.url if launch.tls is None else traffic.secure_url,
        admin_url=admin.url,
        log_format=launch.log_format,
    )

    def command(birth: Birth) -> Sequence[str]:
        told = msgspec.structs.replace(settings, announce=birth.first, tether_fd=birth.tether_fd)
        return ("router.app.control", to_argument(told))

    return Child("control", command, (settings.admin_fd, lifeline))


def _workers(
    launch: Launch, traffic: Listening, directory: Path, lifeline: int
) -> tuple[Child, ...]:
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
            body_timeout_s=launch.body_timeout_s,
            write_timeout_s=launch.write_timeout_s,
            upstream_idle_s=launch.upstream_idle_s,
            tls=launch.tls,
            shed_delay_s=launch.shed_delay_s,
            rules=launch.rules,
            access_log=launch.access_log,
            log_format=launch.log_format,
        )
        inherited = (settings.listener_fd, lifeline)
        leave_s = launch.drain_s + DRAIN_GRACE_S
        children.append(Child(name, _worker_command(settings), inherited, leave_s=leave_s))
    return tuple(children)


def _worker_command(settings: WorkerSettings) -> Callable[[Birth], Sequence[str]]:
    def command(birth: Birth) -> Sequence[str]:
        told = msgspec.structs.replace(
            settings, tether_fd=birth.tether_fd, successor=birth.successor
        )
        return ("router.app.worker", to_argument(told))

    return command


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
        self._control_runs: Running | None = None
        self._listening: Final[set[asyncio.Task[None]]] = set()
        self._rolling: Final = Rolling(workers, self._tell_control)
        self._signals: Final = itertools.count(1)
        control.when_started = self._on_control

    async def run(self) -> int:
        """Returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._control.signal, signal.SIGHUP)
        loop.add_signal_handler(signal.SIGUSR2, self._on_restart_signal)
        children = (self._control, *self._workers)
        keepers = {child: asyncio.create_task(child.keep_running()) for child in children}
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((stopping, *keepers.values()), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        self._release()
        # Control goes last: it shows the drain, and takes the workers' last counts.
        await _end({worker: keepers[worker] for worker in self._workers}, self._drain_s)
        await self._rolling.wait_ended()
        await _end({self._control: keepers[self._control]}, CONTROL_EXIT_S)
        return 0 if all(child.ended_well for child in children) else 1

    def stop(self) -> None:
        """Drain and end; asked a second time, do not wait."""
        if self._stopping.is_set():
            for child in (self._control, *self._workers):
                child.stop()
                child.signal(signal.SIGKILL)
        self._stopping.set()

    # -- restarts ------------------------------------------------------------------------------

    def _on_restart_signal(self) -> None:
        self._begin(Wish(id=f"{SIGNAL}-{next(self._signals)}", by=SIGNAL, reason=""))

    def _begin(self, wish: Wish) -> None:
        if not self._stopping.is_set():
            self._rolling.begin(wish)

    def _on_control(self, running: Running) -> None:
        """A control has been started: tell it how far a restart is, and hear what it wants."""
        self._control_runs = running
        self._tell_control(self._rolling.newest)
        task = asyncio.get_running_loop().create_task(self._listen(running))
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)

    def _tell_control(self, newest: Restart) -> None:
        if self._control_runs is not None:
            self._control_runs.tether.tell(msgspec.json.encode(newest).decode())

    async def _listen(self, running: Running) -> None:
        try:
            while True:
                self._begin(msgspec.json.decode(await running.tether.hear(), type=Wish))
        except TornError:
            pass  # its successor is told everything
        except msgspec.DecodeError as error:
            log.error("control says what is no wish: %s", error)


async def _end(keepers: dict[Child, asyncio.Task[None]], deadline_s: float) -> None:
    for child in keepers:
        child.stop()
    _, running = await asyncio.wait(keepers.values(), timeout=deadline_s)
    if running:
        log.error("killing what did not end within %.0f s", deadline_s)
        for child in keepers:
            child.signal(signal.SIGKILL)
        await asyncio.wait(running)
