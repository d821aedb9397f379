"""One slot of the supervisor: the process that is in it now, and who comes after it.

Guarantees (each is a test in tests/unit/app/test_supervisor.py or test_succession.py):
  * a process that dies is started again, at first after 50 ms, then ever later up to 5 s;
  * a successor takes the slot only when it serves; until then, and if it does not come up, the
    slot is its predecessor's, which never stopped serving;
  * who has left the slot is waited for, and killed when its time to drain is over.
"""

import asyncio
import logging
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from router.app.tether import Tether, TornError, Word
from router.errors import RouterError
from router.link.backoff import Backoff

log: Final = logging.getLogger(__name__)

EXIT_REFUSED: Final = 2
"""A child's way to say: what I was told to do cannot be done, trying again is pointless."""

FIRST_RESTART_S: Final = 0.05
SLOWEST_RESTART_S: Final = 5.0
HEALTHY_AFTER_S: Final = 30.0
STARTED_AFTER_S: Final = 5.0
"""A child that lived this long had started; one that ends earlier, by itself, had not."""

SLOW_START_S: Final = 60.0
"""A child may read for so long before it refuses: on a busy machine even a small file takes 6 s."""

FAILED_STARTS: Final = 5
COMES_UP_S: Final = 30.0
"""A successor boots and serves within it, or is given up; on a busy machine it takes 2 s."""

MAKES_ROOM_S: Final = 5.0
DIES_S: Final = 1.0
LEAVES_S: Final = 5.0
"""What a process may take to end that has nothing to finish."""


class SuccessionError(RouterError):
    """No successor came up; whoever was in the slot is there still."""


@dataclass(frozen=True, slots=True)
class Birth:
    """What differs from one process of a slot to the next.

    `first`: none before it is known to have started.  `successor`: it replaces one that serves,
    and waits to be told to join.
    """

    tether_fd: int
    first: bool
    successor: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A process and the line to it."""

    process: Process
    tether: Tether

    @property
    def pid(self) -> int:
        """Its id, also when it has ended."""
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal, if there is somebody to get it."""
        if self.alive:
            with suppress(ProcessLookupError):
                self.process.send_signal(number)


class Child:
    """See the module; `leave_s` is the time that a replaced process has to finish what runs."""

    def __init__(
        self,
        name: str,
        command: Callable[[Birth], Sequence[str]],
        inherited: tuple[int, ...],
        *,
        leave_s: float = LEAVES_S,
    ) -> None:
        self.name: Final = name
        self.when_started: Callable[[Running], None] = lambda _running: None
        self.when_left: Callable[[int], None] = lambda _pid: None
        self.ended_well = True
        self._command: Final = command
        self._inherited: Final = inherited
        self._leave_s: Final = leave_s
        self._backoff: Final = Backoff(FIRST_RESTART_S, SLOWEST_RESTART_S)
        self._stopping: Final = asyncio.Event()
        self._replaced: Final = asyncio.Event()
        self._succession: Final = asyncio.Lock()
        self._running: Running | None = None
        self._coming: Running | None = None
        self._leaving: Final[dict[Running, asyncio.Task[None]]] = {}
        self._started = False
        self._failed_starts = 0

    @property
    def pid(self) -> int | None:
        """Who is in the slot now; None while nobody is."""
        return self._running.pid if self._running is not None and self._running.alive else None

    async def keep_running(self) -> None:
        """Start it, and again whenever it dies; until `stop`, or until it cannot start at all."""
        try:
            await self._keep_running()
        finally:
            if self._leaving:
                await asyncio.wait(self._leaving.values())

    def stop(self) -> None:
        """Ask it to end; it is not started again."""
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send a signal to every process of the slot."""
        for running in self._everybody():
            running.signal(number)

    async def succeed(self) -> int:
        """Let a new process take the slot while the old one serves; returns the new one's id.

        Raises:
            SuccessionError: it did not come up; the old one keeps the slot.
        """
        async with self._succession:
            old = self._running
            if old is None or not old.alive:
                raise SuccessionError(
                    f"worker {self.name} is down, and is started again anyway: look at the log"
                )
            new = await self._bring_up(old)
            self._running = new
            self._replaced.set()
            old.tether.tell(Word.LEAVE)
            self._see_off(old, self._leave_s)
            return new.pid

    # -- the life of a slot --------------------------------------------------------------------

    async def _keep_running(self) -> None:
        while True:
            began = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                self.ended_well = code in (0, -signal.SIGTERM)
                return
            lived_s = time.monotonic() - began
            if self._gives_up(code, lived_s):
                log.error("%s cannot start (%s)", self.name, how(code))
                self.ended_well = False
                return
            if lived_s > HEALTHY_AFTER_S:
                self._backoff.reset()
            wait_s = self._backoff.next_s()
            log.warning("%s ended (%s); the next one in %.2f s", self.name, how(code), wait_s)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)
                return

    async def _run_once(self) -> int:
        try:
            self._running = await self._start()
        except OSError as error:
            log.error("%s cannot be started: %s", self.name, error)
            return 1
        self.when_started(self._running)
        if self._stopping.is_set():
            self.signal(signal.SIGTERM)
        return await self._wait_empty()

    async def _wait_empty(self) -> int:
        """Wait until whoever is in the slot has died and nobody succeeds it; the exit code."""
        while True:
            running = self._running
            assert running is not None
            self._replaced.clear()
            ended = asyncio.ensure_future(running.process.wait())
            replaced = asyncio.ensure_future(self._replaced.wait())
            await asyncio.wait((ended, replaced), return_when=asyncio.FIRST_COMPLETED)
            replaced.cancel()
            ended.cancel()
            # It may have died of its age, with its successor at the door.
            async with self._succession:
                if running is self._running and running.process.returncode is not None:
                    running.tether.close()
                    return running.process.returncode

    def _gives_up(self, code: int, lived_s: float) -> bool:
        killed = code in (-signal.SIGKILL, -signal.SIGTERM)  # by somebody: no fault of its own
        refused = code == EXIT_REFUSED
        self._started = self._started or lived_s > (SLOW_START_S if refused else STARTED_AFTER_S)
        self._failed_starts += not killed
        if self._started:
            return False
        return refused or self._failed_starts >= FAILED_STARTS

    async def _start(self, *, successor: bool = False) -> Running:
        ours, theirs = socket.socketpair()
        birth = Birth(theirs.fileno(), first=not self._started, successor=successor)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-O",  # asserts state invariants for readers and tests; the hot path has no time
                "-m",
                *self._command(birth),
                stdin=DEVNULL,
                pass_fds=(*self._inherited, birth.tether_fd),
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which then drains
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return Running(process, await Tether.of(ours))

    # -- succession ----------------------------------------------------------------------------

    async def _bring_up(self, old: Running) -> Running:
        """A process that serves beside `old`.

        Raises:
            SuccessionError: there is none, and `old` is as it was.
        """
        if self._stopping.is_set():
            raise SuccessionError("the router is about to end")
        try:
            new = self._coming = await self._start(successor=True)
        except OSError as error:
            raise SuccessionError(f"a new worker {self.name} cannot be started: {error}") from None
        try:
            async with asyncio.timeout(COMES_UP_S):
                await new.tether.wait_for(Word.BOOTED)
                await _make_room(old)
                new.tether.tell(Word.JOIN)
                await new.tether.wait_for(Word.SERVING)
        except (TimeoutError, TornError) as error:
            old.tether.tell(Word.TAKE_BACK)
            if isinstance(error, TornError):
                await _wait_dying(new)
            new.signal(signal.SIGTERM)
            self._see_off(new, LEAVES_S)
            raise SuccessionError(self._why_not(new)) from None
        finally:
            self._coming = None
        return new

    def _why_not(self, new: Running) -> str:
        if self._stopping.is_set():
            return "the router is about to end"
        code = new.process.returncode
        why = f"within {COMES_UP_S:g} s" if code is None else f"({how(code)})"
        return f"the new worker {self.name} (pid {new.pid}) did not come up {why}"

    def _see_off(self, running: Running, deadline_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._wait_gone(running, deadline_s))
        self._leaving[running] = task

    async def _wait_gone(self, running: Running, deadline_s: float) -> None:
        try:
            async with asyncio.timeout(deadline_s):
                await running.process.wait()
        except TimeoutError:
            log.error("killing an old %s that did not end within %.0f s", self.name, deadline_s)
            running.signal(signal.SIGKILL)
            await running.process.wait()
        running.tether.close()
        del self._leaving[running]
        self.when_left(running.pid)

    def _everybody(self) -> Iterator[Running]:
        yield from (each for each in (self._running, self._coming) if each is not None)
        yield from tuple(self._leaving)


async def _wait_dying(torn: Running) -> None:
    """The line is torn a moment before the process is known to have ended.

    A signal in between would take its exit code away: `Popen.send_signal` collects it first.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(DIES_S):
            await torn.process.wait()


async def _make_room(old: Running) -> None:
    """Have the old worker give its place with control to its successor; a dead one has."""
    old.tether.tell(Word.MAKE_ROOM)
    with suppress(TornError):
        async with asyncio.timeout(MAKES_ROOM_S):
            await old.tether.wait_for(Word.MADE_ROOM)


def how(code: int) -> str:
    """What an exit code says."""
    return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
