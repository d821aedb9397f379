"""A rolling restart: every worker gets a successor, one after the other.

Pure bookkeeping around `Child.succeed`: how far it is stands in one value (`newest`), and whoever
listens is told each of its changes.  One restart at a time; the first successor that does not come
up ends it, because the next one would not either, and what serves goes on serving.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from router.app.child import Child, SuccessionError
from router.controller.restart import Replacement, Restart, Stage, Wish, why_not_now

log: Final = logging.getLogger(__name__)


class Rolling:
    """The restarts of one supervisor; `tell` is called with every change."""

    def __init__(self, workers: Sequence[Child], tell: Callable[[Restart], None]) -> None:
        self.newest = Restart()
        self._workers: Final = workers
        self._tell: Final = tell
        self._task: asyncio.Task[None] | None = None
        for worker in workers:
            worker.when_left = self._on_left

    def begin(self, wish: Wish) -> None:
        """Begin, unless a restart is under way or its old workers are not gone; tells either."""
        if (why := why_not_now(self.newest)) is not None:
            log.warning("no restart: %s", why)
            self._tell(self.newest)
            return
        log.info("restart of all workers, asked for by %s: %s", wish.by, wish.reason)
        self._set(
            Restart(
                id=wish.id,
                stage=Stage.STARTING,
                by=wish.by,
                reason=wish.reason,
                workers=tuple(Replacement(each.name, old_pid=each.pid) for each in self._workers),
            )
        )
        self._task = asyncio.get_running_loop().create_task(self._replace_all())

    async def wait_ended(self) -> None:
        """Wait until no successor is coming any more."""
        if self._task is not None:
            await self._task

    async def _replace_all(self) -> None:
        for place, worker in enumerate(self._workers):
            self._note(place, stage=Stage.STARTING, old_pid=worker.pid)
            try:
                pid = await worker.succeed()
            except SuccessionError as error:
                self._fail(place, str(error))
                return
            log.info("%s: pid %d serves, its predecessor drains", worker.name, pid)
            self._note(place, stage=Stage.DRAINING, new_pid=pid)
        self._settle()

    def _fail(self, place: int, why: str) -> None:
        left = ", ".join(each.name for each in self._workers[place:])
        problem = f"{why}; the old ones keep serving: {left}"
        log.error("restart given up: %s", problem)
        self._note(place, stage=Stage.FAILED)
        self._set(msgspec.structs.replace(self.newest, stage=Stage.FAILED, problem=problem))

    def _on_left(self, pid: int) -> None:
        for place, each in enumerate(self.newest.workers):
            if each.old_pid == pid and each.stage is Stage.DRAINING:
                self._note(place, stage=Stage.DONE)
        self._settle()

    def _settle(self) -> None:
        """When every successor serves, the rest is draining."""
        stages = {each.stage for each in self.newest.workers}
        if stages <= {Stage.DRAINING, Stage.DONE} and stages:
            stage = Stage.DRAINING if Stage.DRAINING in stages else Stage.DONE
            self._set(msgspec.structs.replace(self.newest, stage=stage))

    def _note(self, place: int, **changed: Any) -> None:
        workers = list(self.newest.workers)
        workers[place] = msgspec.structs.replace(workers[place], **changed)
        self._set(msgspec.structs.replace(self.newest, workers=tuple(workers)))

    def _set(self, newest: Restart) -> None:
        if newest != self.newest:
            self.newest = newest
            self._tell(newest)
