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

from router.demo.errors import StoryError
from router.demo.readings import Reading, fetch
from router.demo.rollout import Progress, fetch_entries, fetch_progress, fetch_shadow_report
from router.demo.scenario import Act, Scenario
from router.demo.stage import Stage, staged
from router.demo.story import Chapter, Story
from router.demo.table import clock
from router.demo.telling import ends_shadow_phase, told
from router.demo.traffic import Traffic
from router.demo.view import Moment, View, say, view_for
from router.demo.words import (
    print_addresses,
    print_end,
    print_outlook,
    print_summary,
    print_verdict,
)

READ_EVERY_S: Final = 1.0
"""As often as workers tell control what they counted."""

LOOK_EVERY_S: Final = 0.25
REST_S: Final = 3.0
"""Between two acts, so that what is stable is seen, and counted to the end."""

STORY_S: Final = 60.0
"""Who gives it so long sees all of it, or the demo has failed.  It takes 30 to 40 s."""

RECENT_READINGS: Final = 6
CATCH_UP_S: Final = 3.0

T = TypeVar("T")


def run(scenario: Scenario, seconds: float | None, console: Console) -> None:
    """Play for so long, or until SIGINT, SIGTERM or SIGHUP.

    Raises:
        StartError: a process did not start, or the router ended too early. Nothing is left.
        StoryError: what happened is not what should have.
    """
    shortfalls = asyncio.run(_run(scenario, seconds, console))
    if shortfalls:
        raise StoryError("; ".join(shortfalls))


async def _run(scenario: Scenario, seconds: float | None, console: Console) -> list[str]:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with tempfile.TemporaryDirectory(prefix="inference-router-demo-") as folder:
        async with AsyncExitStack() as stack:
            starting = stack.enter_async_context(staged(scenario, Path(folder)))
            stage = await _unless(stop, starting)
            if stage is None:
                return []
            print_addresses(console, scenario, stage)
            return await _Play(scenario, stage, console, stop).run(seconds)


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
        self._admin: Final = httpx.AsyncClient(base_url=stage.admin_url, trust_env=False)
        self._story: Final = Story(scenario)
        self._told = 0
        self._time_up = False
        self._shortfalls: list[str] | None = None
        self._progress = Progress()
        self._began: Final = time.monotonic()
        self._readings: Final[deque[tuple[float, Reading]]] = deque(maxlen=RECENT_READINGS)
        self._readings.append((0.0, Reading()))

    async def run(self, seconds: float | None) -> list[str]:
        """Play until `stop`, and say what came of it; what of it was not as it should be.

        Raises:
            StartError: the router ended too early.
        """
        fallen = asyncio.create_task(self._stage.wait_fallen())
        fallen.add_done_callback(lambda _: self._stop.set())
        if seconds is not None:
            asyncio.get_running_loop().call_later(seconds, self._on_time_up, seconds)
        try:
            await self._send_and_show()
            if fallen.done():
                raise fallen.result()
            total = await self._read_to_the_end()
        finally:
            fallen.cancel()
            await self._admin.aclose()
        if self._shortfalls is None:
            self._sum_up(whole=self._time_up)
        print_end(self._console, total, self._traffic.tally)
        return self._shortfalls or []

    def _on_time_up(self, seconds: float) -> None:
        self._time_up = seconds >= STORY_S
        self._stop.set()

    async def _send_and_show(self) -> None:
        sending = asyncio.create_task(self._traffic.run(self._stop))
        telling = asyncio.create_task(self._tell())
        telling.add_done_callback(self._on_told)
        try:
            with view_for(self._console) as view:
                while not await self._is_stopped_within(READ_EVERY_S):
                    await self._read()
                    self._show(view)
                await telling  # it may have something to say: above the table
        finally:
            self._stop.set()
            await asyncio.gather(sending, telling)

    def _on_told(self, telling: asyncio.Task[None]) -> None:
        """Do not go on for hours when the story has met a fault; `await` raises it."""
        if telling.cancelled() or telling.exception() is not None:
            self._stop.set()

    async def _is_stopped_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
        return self._stop.is_set()

    # -- the story -----------------------------------------------------------------------------

    async def _tell(self) -> None:
        """Play one act after the other, as long as they go as they should; then sum up."""
        for act in self._scenario.acts:
            if await self._is_stopped_within(REST_S):
                return
            await self._tell_the_rest()
            chapter = self._begin(act)
            await self._follow(chapter)
            if self._stop.is_set():
                return
            if any(chapter.shortfalls(self._scenario.walk)):
                break
        if not await self._is_stopped_within(REST_S):
            await self._read()
            self._sum_up(whole=True)
            print_outlook(self._console, self._scenario, self._stage)

    def _begin(self, act: Act) -> Chapter:
        self._say(f"> release: {act.release} is written into the configuration file")
        self._stage.configuration.write(act.release)
        return self._story.begin(act)

    async def _follow(self, chapter: Chapter) -> None:
        """Tell what the router writes down, until the act is over, or `stop`, or its time is up."""
        deadline = time.monotonic() + self._scenario.limit_s
        while chapter.ending is None and time.monotonic() < deadline:
            if await self._is_stopped_within(LOOK_EVERY_S):
                return
            await self._take_entries(chapter)

    async def _tell_the_rest(self) -> None:
        """What came after an act is no part of the next one."""
        for chapter in self._story.chapters[-1:]:
            await self._take_entries(chapter)

    async def _take_entries(self, chapter: Chapter) -> None:
        for entry in await fetch_entries(self._admin, self._scenario.route, self._told):
            self._told = entry.sequence
            chapter.entries.append(entry)
            if (line := told(entry)) is not None:
                self._say(f"> {line}")
            if ends_shadow_phase(entry, chapter):
                for sentence in await fetch_shadow_report(self._admin, self._scenario.route):
                    say(self._console, f"      | {sentence}")

    def _say(self, line: str) -> None:
        say(self._console, f"{clock(time.monotonic() - self._began)} {line}")

    def _sum_up(self, *, whole: bool) -> None:
        tally, (_, total) = self._traffic.tally, self._readings[-1]
        self._story.failed_requests = tally.failed
        self._shortfalls = self._story.shortfalls(whole=whole)
        print_summary(self._console, self._story, total, tally, time.monotonic() - self._began)
        print_verdict(self._console, self._story, self._shortfalls)

    # -- the numbers ---------------------------------------------------------------------------

    async def _read(self) -> Reading:
        """The newest numbers; the last ones while control is away."""
        reading = await fetch(self._admin, self._scenario.route)
        if reading is not None:
            self._readings.append((time.monotonic() - self._began, reading))
        self._progress = await fetch_progress(self._admin, self._scenario.route) or self._progress
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
                progress=self._progress,
            )
        )
