"""A scenario from the first process to the summary.

One task leads: signals only set `stop`, nothing is cancelled from outside, so the way out is the
same after a second, after an hour, and after Ctrl-C pressed twice.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import httpx
from rich.console import Console

from router.demo.readings import Reading, fetch
from router.demo.scenario import Scenario
from router.demo.stage import Stage, staged
from router.demo.traffic import Traffic
from router.demo.view import Moment, View, view_for
from router.demo.words import print_addresses, print_summary

READ_EVERY_S: Final = 1.0
"""As often as workers tell control what they counted."""

RECENT_READINGS: Final = 11
CATCH_UP_S: Final = 3.0

T = TypeVar("T")


def run(scenario: Scenario, seconds: float | None, console: Console) -> None:
    """Play for so long, or until SIGINT, SIGTERM or SIGHUP.

    Raises:
        StartError: a process did not start, or the router ended too early. Nothing is left.
    """
    asyncio.run(_run(scenario, seconds, console))


async def _run(scenario: Scenario, seconds: float | None, console: Console) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="inference-router-demo-") as folder:
        async with AsyncExitStack() as stack:
            starting = stack.enter_async_context(staged(scenario, Path(folder)))
            stage = await _unless(stop, starting)
            if stage is None:
                return
            print_addresses(console, scenario, stage)
            await _Play(scenario, stage, console, stop).run(seconds)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What `work` gives; None when `stop` came first, and `work` has cleaned up."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not working.done():
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        return None
    return await working


class _Play:
    """The time between the start of the traffic and the summary."""

    def __init__(
        self, scenario: Scenario, stage: Stage, console: Console, stop: asyncio.Event
    ) -> None:
        self._scenario: Final = scenario
        self._stage: Final = stage
        self._console: Final = console
        self._stop: Final = stop
        # Not seeded: which conversations meet the new version is chance, as it is for real ones.
        random = Random()  # noqa: S311  # no secrets
        self._traffic: Final = Traffic(scenario, stage.traffic_url, random)
        self._metrics: Final = httpx.AsyncClient(base_url=stage.admin_url, trust_env=False)
        self._began: Final = time.monotonic()
        self._readings: Final[deque[tuple[float, Reading]]] = deque(maxlen=RECENT_READINGS)
        self._readings.append((0.0, Reading()))

    async def run(self, seconds: float | None) -> None:
        """Play until `stop`, and say what came of it.

        Raises:
            StartError: the router ended too early.
        """
        fallen = asyncio.create_task(self._stage.wait_fallen())
        fallen.add_done_callback(lambda _: self._stop.set())
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._stop.set)
        try:
            elapsed_s = await self._send_and_show()
            if fallen.done():
                raise fallen.result()
            total = await self._read_to_the_end()
        finally:
            fallen.cancel()
            await self._metrics.aclose()
        print_summary(self._console, self._scenario, total, self._traffic.tally, elapsed_s)

    async def _send_and_show(self) -> float:
        sending = asyncio.create_task(self._traffic.run(self._stop))
        try:
            with view_for(self._console) as view:
                while not self._stop.is_set():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._stop.wait(), READ_EVERY_S)
                    await self._read()
                    self._show(view)
            return time.monotonic() - self._began
        finally:
            self._stop.set()
            await sending

    async def _read(self) -> Reading:
        """The newest numbers; the last ones while control is away."""
        reading = await fetch(self._metrics, self._scenario.route)
        if reading is not None:
            self._readings.append((time.monotonic() - self._began, reading))
        return self._readings[-1][1]

    async def _read_to_the_end(self) -> Reading:
        """The numbers that hold everything the clients sent, or those after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                # Only the other side of /metrics knows: there is nothing to await.
                while (await self._read()).requests < self._traffic.tally.sent:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        return self._readings[-1][1]

    def _show(self, view: View) -> None:
        (began_s, first), (ended_s, last) = self._readings[0], self._readings[-1]
        view.show(
            Moment(
                elapsed_s=time.monotonic() - self._began,
                total=last,
                recent=last.since(first),
                recent_s=ended_s - began_s,
                tally=self._traffic.tally,
            )
        )
