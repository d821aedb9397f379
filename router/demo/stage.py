"""The processes of a scenario: engines, and the router in front of them.

A release is what it is in production: another word in the configuration file.

Guarantees (tests in tests/e2e/test_demo.py):
  * leaving the block ends every process that was started, however it is left;
  * a signal meant for the demo never reaches them past it: each has a session of its own;
  * they end by themselves when the demo is killed (on Linux).
"""

from __future__ import annotations

import asyncio
import ctypes
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from router.demo.errors import StartError
from router.demo.scenario import Scenario, Version

START_DEADLINE_S: Final = 30.0
END_DEADLINE_S: Final = 15.0
"""Longer than the router's own: it drains for 5 s and gives its children 5 s more."""

_ENGINE_READY: Final = re.compile(r"listening on (http://\S+)")
_ROUTER_READY: Final = re.compile(
    r"inference-router ready: traffic (http://\S+), admin (http://\S+),"
)
_PR_SET_PDEATHSIG: Final = 1  # prctl(2)


@dataclass(frozen=True, slots=True)
class Stage:
    """A router that serves, and where."""

    traffic_url: str
    admin_url: str
    router: Child
    configuration: Configuration

    async def wait_fallen(self) -> StartError:
        """Wait for the router to end; what it gives says why."""
        code = await self.router.process.wait()
        return self.router.failure(f"ended with {code}")


@asynccontextmanager
async def staged(scenario: Scenario, folder: Path) -> AsyncIterator[Stage]:
    """Start the scenario's processes for the time of the block; logs and state go to `folder`.

    Raises:
        StartError: one of them did not start; the others are ended.
    """
    async with AsyncExitStack() as stack:
        engines = [
            await stack.enter_async_context(_running(version.name, _engine(version), folder))
            for version in scenario.versions
        ]
        endpoints = {engine.name: (await engine.wait_said(_ENGINE_READY))[1] for engine in engines}
        configuration = Configuration(scenario, endpoints, folder)
        configuration.write(scenario.first.name)
        command = ("serve", "-c", str(configuration.file))
        router = await stack.enter_async_context(_running("router", command, folder))
        said = await router.wait_said(_ROUTER_READY)
        yield Stage(said[1], said[2], router, configuration)


def _engine(version: Version) -> Sequence[str]:
    options = [f"--{name}={value}" for name, value in version.engine.items()]
    return ("mock-engine", "--name", version.name, *options)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The router's file."""

    scenario: Scenario
    endpoints: Mapping[str, str]
    folder: Path

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.folder / "router.yaml"

    def write(self, release: str) -> None:
        """Write it with this release: whole or not at all, as a checkout does."""
        document = self.scenario.configuration(self.endpoints, self.folder, release)
        draft = self.file.with_suffix(".new")
        draft.write_text(yaml.safe_dump(document, sort_keys=False))
        draft.replace(self.file)


@dataclass(frozen=True, slots=True)
class Child:
    """A process that says on its standard output when it is ready."""

    name: str
    process: Process
    log: Path

    async def wait_said(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait for the first line, which must match."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                line = (await self.process.stdout.readline()).decode()
        except TimeoutError:
            raise self.failure(f"is not ready after {START_DEADLINE_S:.0f} s") from None
        if not line:
            raise self.failure(f"ended with {await self.process.wait()}")
        found = pattern.search(line)
        if found is None:
            raise StartError(f"{self.name} says: {line.strip()}")
        return found

    def failure(self, what: str) -> StartError:
        """What happened, and the last that the process said about it."""
        said = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
        return StartError(f"{self.name} {what}" + (f": {said}" if said else ""))


@asynccontextmanager
async def _running(name: str, command: Sequence[str], folder: Path) -> AsyncIterator[Child]:
    log = folder / f"{name}.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "router",
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
            start_new_session=True,
            preexec_fn=_ending_with_us(),
        )
    try:
        yield Child(name, process, log)
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(END_DEADLINE_S):
            await process.wait()
    except TimeoutError:
        process.kill()  # the router's own children notice that it is gone
        await process.wait()


def _ending_with_us() -> Callable[[], Any] | None:
    """What a child calls first: end me when my parent dies.

    The library is loaded here, for little is safe to do between fork and exec.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
