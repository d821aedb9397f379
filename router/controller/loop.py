"""What control does by itself: it measures, looks at every rollout, and does what follows.

Level-triggered: it looks at what is recorded and seen, and does what is due; nothing is
remembered here, so a restart changes nothing.  It wakes at once when a worker has acknowledged,
a breaker has tripped, a run has a verdict, a gate has answered, or somebody has changed something.
"""

import asyncio
import logging
import math
from contextlib import suppress
from typing import Final

from router.controller.plane import ControlPlane
from router.errors import RouterError

log: Final = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""How late anything is at most: a due time is compared with the wall clock, which may jump."""

AFTER_FAILURE_S: Final = 5.0
SAMPLE_S: Final = 1.0


class ControlLoop:
    """Runs beside the admin port until it is cancelled."""

    def __init__(
        self,
        plane: ControlPlane,
        *,
        rest_s: float = LOOK_S,
        after_failure_s: float = AFTER_FAILURE_S,
    ) -> None:
        self._plane: Final = plane
        self._rest_s: Final = rest_s
        self._after_failure_s: Final = after_failure_s
        self._wake: Final = asyncio.Event()
        self._sampled_at = -math.inf
        plane.when_changed = self._wake.set
        plane.fleet.when_applied = self._wake.set
        plane.fleet.when_tripped = self._wake.set
        plane.outside.warmups.on_outcome = lambda _route: self._wake.set()
        plane.outside.runs.on_outcome = lambda _route: self._wake.set()
        plane.outside.gates.on_answer = self._wake.set

    async def run(self) -> None:
        """Do what is due, again and again."""
        # Beside the turns: what the console draws has no gap where the store does not answer.
        chronicling = asyncio.create_task(self._plane.chronicler.run())
        try:
            while True:
                rest_s = await self._turn()
                with suppress(TimeoutError):
                    async with asyncio.timeout(rest_s):
                        await self._wake.wait()
        finally:
            chronicling.cancel()

    async def _turn(self) -> float:
        """One look; returns how long to rest."""
        self._wake.clear()
        plane = self._plane
        try:
            self._sample()
            plane.outside.runs.turn()
            await plane.reconcile()
        except RouterError as error:
            log.error("control loop: %s", error)
            return self._after_failure_s
        except Exception:
            log.exception("control loop: a fault; it goes on")
            return self._after_failure_s
        return self._rest_s

    def _sample(self) -> None:
        now = self._plane.clock.monotonic()
        if now - self._sampled_at >= SAMPLE_S:
            self._sampled_at = now
            self._plane.sample()
