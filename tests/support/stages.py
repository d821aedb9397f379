"""A stage for releases: real model servers, a real router in front of them, and its admin API.

    async with stage(tmp_path, {"blueGreen": {}}) as run:
        run.release()
        assert (await run.wait_over())["stable"] == "v2"

v1 is stable; v2 is not released yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.engines import EngineProcess, running_engine
from tests.support.routers import Document, RouterProcess, document, route, running_router


class Stage:
    """A router, the model servers behind its route `chat`, and its admin API."""

    def __init__(
        self, router: RouterProcess, engines: dict[str, EngineProcess], config: Document
    ) -> None:
        self.router = router
        self.engines = engines
        self.config = config
        self.admin = httpx.AsyncClient(
            base_url=f"{router.admin}/api/v1", timeout=15, trust_env=False
        )

    def release(self, version: str = "v2") -> None:
        """Commit a version."""
        self.config["routes"][0]["release"] = version
        self.router.write_config(self.config)

    async def rollout(self) -> Document:
        """How the newest rollout is doing."""
        answer: Document = (await self.admin.get("/routes/chat/rollout")).json()
        return answer

    async def route(self) -> Document:
        """How the route is doing."""
        answer: Document = (await self.admin.get("/routes/chat")).json()
        return answer

    async def weights(self) -> dict[str, float]:
        """The shares in force, in percent."""
        return {version["name"]: version["weight"] for version in (await self.route())["versions"]}

    async def trail(self) -> list[Document]:
        """The route's audit entries, the oldest first."""
        page = await self.admin.get("/audit?route=chat&limit=1000&after=0")
        entries: list[Document] = page.json()["entries"]
        return entries

    async def actions(self) -> list[str]:
        """What was done, the oldest first."""
        return [entry["action"] for entry in await self.trail()]

    async def switch(self, to: str) -> httpx.Response:
        """All traffic to a version at once."""
        body = {"to": to, "reason": f"a test of {to}"}
        return await self.admin.post("/routes/chat/switch", json=body)

    async def wait(
        self, condition: Callable[[Document], bool], deadline_s: float = 60.0
    ) -> Document:
        """Wait until the rollout is as wanted; control may be away meanwhile."""
        now: Document = {}
        async with asyncio.timeout(deadline_s):
            while not (now and condition(now)):
                await asyncio.sleep(0.02)
                try:
                    now = await self.rollout()
                except (httpx.TransportError, ValueError):
                    now = {}
        return now

    async def wait_over(self, deadline_s: float = 60.0) -> Document:
        """Wait until the rollout has ended."""
        return await self.wait(lambda now: now["finished"] is not None, deadline_s)


@asynccontextmanager
async def stage(
    directory: Path,
    strategy: Document,
    *,
    templates: Sequence[Document] = (),
    engines: Mapping[str, Any] | None = None,
    v2: Mapping[str, Any] | None = None,
    more_of_v2: Sequence[str] = (),
    **more: Any,
) -> AsyncIterator[Stage]:
    """Play it with `engines` as options of both servers, `v2` as more of the second one's.

    `more_of_v2` are further endpoints, `more` are further fields of the route.
    """
    with ExitStack() as stack:
        both = dict(engines or {})
        options = {"v1": both, "v2": {**both, **(v2 or {})}}
        running = {
            name: stack.enter_context(running_engine(name, **options[name])) for name in options
        }
        chat = {
            **route(**{name: engine.url for name, engine in running.items()}),
            "strategy": strategy,
            **more,
        }
        chat["versions"]["v2"]["endpoints"] += more_of_v2
        config = {**document(chat, workers=2), "analysisTemplates": list(templates)}
        router = stack.enter_context(running_router(directory, config))
        found = Stage(router, running, config)
        async with found.admin:
            yield found
