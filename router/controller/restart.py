"""A rolling restart as people and programs see it: wished for, under way, over.

The supervisor replaces the workers one by one (`router.app.rolling`) and tells how far it is;
this module asks it, refuses a second one, tells everybody and writes the audit trail.  The
supervisor outlives control, so a control that comes back knows again how far a restart is.

Light on purpose: the supervisor imports it for its documents.
"""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from router.audit.entry import SYSTEM, Actor, Draft
from router.errors import RouterError

if TYPE_CHECKING:
    from router.controller.plane import ControlPlane

log: Final = logging.getLogger(__name__)

ANSWER_DEADLINE_S: Final = 5.0
SIGNAL: Final = "SIGUSR2"


class Action(StrEnum):
    """Words of the audit trail, beside those of `router.controller.changes.Action`."""

    WORKERS_RESTART = "workers.restart"
    WORKERS_RESTARTED = "workers.restarted"
    WORKERS_NOT_RESTARTED = "workers.notRestarted"


class Stage(StrEnum):
    """How far a worker, or the whole restart, is.

    Of a worker: `waiting` for its turn; `starting`: the new process comes up, the old one serves;
    `draining`: the new one serves, the old one finishes what it has begun; `done`: the old one has
    ended; `failed`: the new one did not come up, the old one serves.  The restart as a whole is
    `starting` until the last new process serves.
    """

    NONE = "none"
    WAITING = "waiting"
    STARTING = "starting"
    DRAINING = "draining"
    DONE = "done"
    FAILED = "failed"


class Replacement(msgspec.Struct, frozen=True, rename="camel"):
    """One worker: the process that it had, and the one that takes over."""

    worker: str
    stage: Stage = Stage.WAITING
    old_pid: int | None = None
    new_pid: int | None = None


class Restart(msgspec.Struct, frozen=True, kw_only=True):
    """How far the newest restart is; `problem` says why it ended early, and what serves now."""

    id: str = ""
    stage: Stage = Stage.NONE
    by: str = ""
    reason: str = ""
    workers: tuple[Replacement, ...] = ()
    problem: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What control asks of the supervisor; `id` is found again in the restart that comes of it."""

    id: str
    by: str
    reason: str


class RestartRefusedError(RouterError):
    """There will be no restart now; nothing was done."""


class NoSupervisorError(RouterError):
    """The supervisor did not answer: a restart may or may not have begun."""


def told_restart(restart: Restart) -> dict[str, Any]:
    """A restart as people and programs read it."""
    document: dict[str, Any] = msgspec.to_builtins(restart)
    return document


def why_not_now(newest: Restart) -> str | None:
    """Why another restart must wait, if it must.

    At most two processes of a worker live at a time: each has its own memory and connections.
    """
    if newest.stage is Stage.STARTING:
        done = sum(each.stage in (Stage.DRAINING, Stage.DONE) for each in newest.workers)
        return (
            f"a restart is under way (by {newest.by}, {done} of {len(newest.workers)} workers "
            "replaced): follow it with GET /restart, or wait"
        )
    drain = [each for each in newest.workers if each.stage is Stage.DRAINING]
    if not drain:
        return None
    named = ", ".join(f"{each.worker} (pid {each.old_pid})" for each in drain)
    return (
        f"old workers still finish what they have begun: {named}; "
        "wait, at most for server.drainSeconds"
    )


class Restarts:
    """Control's side of the supervisor's restarts; `ask` sends a wish, `take` gets what is told."""

    def __init__(self, plane: "ControlPlane", ask: Callable[[Wish], None]) -> None:
        self._plane: Final = plane
        self._ask: Final = ask
        self._newest = Restart()
        self._heard: Final = asyncio.Event()
        self._told = False
        self._ids: Final = (f"{os.getpid()}-{number}" for number in itertools.count(1))
        self._asking: Final = asyncio.Lock()
        self._audited = ""
        self._notes: Final[set[asyncio.Task[None]]] = set()

    @property
    def newest(self) -> Restart:
        """How far the newest restart is."""
        return self._newest

    async def begin(self, actor: Actor, reason: str) -> Restart:
        """Replace every worker, one by one; returns when it has begun.

        Raises:
            RestartRefusedError: one is under way, or what it left behind.
            StoreError: it cannot be written down, so it is not done.
            NoSupervisorError: nobody can tell whether it has begun.
        """
        async with self._asking:
            if (why := why_not_now(self._newest)) is not None:
                raise RestartRefusedError(why)
            wish = Wish(id=next(self._ids), by=actor.name, reason=reason)
            await self._plane.note(self._draft(Action.WORKERS_RESTART, actor, reason))
            self._audited = wish.id
            return await self._wait_begun(wish)

    async def _wait_begun(self, wish: Wish) -> Restart:
        self._ask(wish)
        try:
            async with asyncio.timeout(ANSWER_DEADLINE_S):
                while self._newest.id != wish.id:
                    if (why := why_not_now(self._newest)) is not None:  # a signal was faster
                        raise RestartRefusedError(why)
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise NoSupervisorError(
                "the supervisor did not answer: look with GET /restart whether one has begun"
            ) from None
        return self._newest

    def take(self, newest: Restart) -> None:
        """The supervisor has told how far it is; the first time, what was before this control."""
        before, self._newest = self._newest, newest
        told, self._told = self._told, True
        self._heard.set()
        if newest == before or (not told and newest.stage is not Stage.STARTING):
            return
        self._plane.events.tell("restart", **told_restart(newest))
        if told and newest.id != before.id and newest.id != self._audited:
            self._note(Action.WORKERS_RESTART, Actor(newest.by, "system"), newest)
        if newest.stage is not Stage.STARTING and before.stage is Stage.STARTING:
            ended_well = newest.stage is not Stage.FAILED
            action = Action.WORKERS_RESTARTED if ended_well else Action.WORKERS_NOT_RESTARTED
            self._note(action, SYSTEM, newest)

    def _note(self, action: Action, actor: Actor, newest: Restart) -> None:
        """Write it down beside everything else: what has happened does not wait for the store."""
        entry = self._draft(action, actor, newest.reason, newest)
        task = asyncio.get_running_loop().create_task(self._write(entry))
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def _write(self, entry: Draft) -> None:
        try:
            await self._plane.note(entry)
        except RouterError as error:
            log.error("%s is not in the audit trail: %s", entry.action, error)

    def _draft(
        self, action: Action, actor: Actor, reason: str, newest: Restart | None = None
    ) -> Draft:
        return Draft(
            time_s=self._plane.clock.wall(),
            actor=actor,
            action=action,
            reason=reason,
            evidence=None if newest is None else _evidence(newest),
        )


def _evidence(newest: Restart) -> dict[str, object]:
    replaced = [each.worker for each in newest.workers if each.new_pid is not None]
    told: dict[str, object] = {"by": newest.by, "replaced": replaced}
    return told | ({"problem": newest.problem} if newest.problem else {})
