"""Workers replaced, configuration reloaded, control killed, under requests and open streams.

Counted are requests that failed and streams that broke, of those begun while it happened.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.control.traffic import traffic
from loadtests.edge.figure import Figure
from loadtests.edge.scale import Scale
from tests.support.engines import running_engine
from tests.support.routers import RouterProcess, document, route, running_router

_DEADLINE_S: Final = 90.0
_ENGINE: Final[dict[str, Any]] = {
    "time_scale": 1.0,
    "step_seconds": 0.05,
    "default_output_tokens": 1,
}


class Events:
    """What is done to one router; each returns when it is over."""

    def __init__(self, router: RouterProcess, config: dict[str, Any]) -> None:
        self._router = router
        self._config = config

    def restart(self) -> None:
        """Replace every worker."""
        before = self._workers()
        url = f"{self._router.admin}/api/v1/restart"
        httpx.post(url, json={"reason": "bench"}, timeout=10, trust_env=False).raise_for_status()
        self._wait(lambda: self._stage() in ("done", "failed"))
        if before & self._workers() or self._stage() == "failed":
            raise RuntimeError(f"the workers were not replaced: {self._router.log[-2000:]}")

    def reload(self) -> None:
        """Change the configuration and say so by SIGHUP."""
        generation = self._router.readiness()["generation"]
        self._config["routes"][0]["limits"] = {"maxQueue": 200 + generation}
        self._router.write_config(self._config)
        self._router.signal(signal.SIGHUP)
        self._router.wait_ready(generation + 1)

    def kill(self) -> None:
        """Kill control as a crash does."""
        gone = self._router.kill("control")
        self._wait(lambda: self._router.pid("control") not in (None, gone))
        self._wait(lambda: bool(self._router.readiness()["ready"]))

    def _stage(self) -> str:
        try:
            return str(self._router.get("/api/v1/restart")["stage"])
        except httpx.TransportError:
            return "away"

    def _workers(self) -> set[int]:
        children = self._router.children()
        return {child.pid for name, child in children.items() if name != "control"}

    def _wait(self, condition: Callable[[], bool]) -> None:
        self._router.wait_until(condition, _DEADLINE_S)


async def restarts(folder: Path, scale: Scale) -> list[Figure]:
    """One event after the other, each under traffic of its own."""
    figures = []
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine("v1", **_ENGINE))
        config = document(route(v1=engine.url), workers=2, drainSeconds=30)
        router = stack.enter_context(running_router(folder, config))
        events = Events(router, config)
        for name, event in (
            ("rolling restart", events.restart),
            ("SIGHUP", events.reload),
            ("kill -9 of control", events.kill),
        ):
            figures += _judge(name, await _under_traffic(router, event, scale))
    return figures


async def _under_traffic(
    router: RouterProcess, event: Callable[[], None], scale: Scale
) -> dict[str, Any]:
    with traffic(
        router.traffic,
        connections=scale.connections,
        pause_s=scale.pause_s,
        streams=scale.streams,
        warm=scale.connections * 5,
    ) as running:
        await asyncio.sleep(scale.settle_s)
        await asyncio.to_thread(event)
        await asyncio.sleep(scale.settle_s)
    return running.told


def _judge(name: str, told: dict[str, Any]) -> list[Figure]:
    return [
        Figure("restarts", f"{name}: requests", told["rate"], "requests/s"),
        Figure("restarts", f"{name}: requests that failed", len(told["failed"]), "", 0),
        Figure("restarts", f"{name}: streams ended well", told["whole"]),
        Figure("restarts", f"{name}: streams broken", len(told["broken"]), "", 0),
    ]
