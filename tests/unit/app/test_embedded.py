"""Both planes in one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from router.app import create_app
from router.app.embedded import EmbeddedRouter
from router.config import Config
from tests.support.engines import engine_in_loop
from tests.support.routers import document, route

pytestmark = pytest.mark.anyio

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@asynccontextmanager
async def serving(app: EmbeddedRouter) -> AsyncIterator[httpx.AsyncClient]:
    """The app as an ASGI server runs it: lifespan around requests."""
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    living = asyncio.create_task(app({"type": "lifespan"}, told.get, said.put))
    await told.put({"type": "lifespan.startup"})
    started = await said.get()
    if started["type"] != "lifespan.startup.complete":
        await living
        raise RuntimeError(started["message"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        yield client
    await told.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await living


async def test_traffic_and_admin_are_one_application() -> None:
    async with engine_in_loop(name="v1") as engine:
        url = f"http://127.0.0.1:{engine.port}"
        config = Config.model_validate(document(route(v1=url)))
        async with serving(create_app(config)) as client:
            answer = await client.post("/v1/chat/completions", json=CHAT)
            assert answer.status_code == 200
            assert answer.headers["x-model-version"] == "v1"
            ready = await client.get("/-/readyz")
            assert ready.json()["workers"] == {"embedded": 1}
            assert (await client.get("/-/api/v1/routes/chat")).json()["name"] == "chat"
            links = (await client.get("/-/")).json()["links"]
            assert (await client.get(links["metrics"])).status_code == 200


async def test_an_embedded_router_counts_its_requests() -> None:
    async with engine_in_loop(name="v1") as engine:
        config = Config.model_validate(document(route(v1=f"http://127.0.0.1:{engine.port}")))
        async with serving(create_app(config)) as client:
            await client.post("/v1/chat/completions", json=CHAT)
            line = 'model_requests_total{code="200",role="stable",route="chat",version="v1"} 1.0'
            async with asyncio.timeout(5):
                while line not in (await client.get("/-/metrics")).text:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


async def test_the_admin_path_is_the_embedders_choice() -> None:
    config = Config.model_validate(document(route(v1="http://127.0.0.1:9")))
    async with serving(create_app(config, admin_path="/inside")) as client:
        assert (await client.get("/inside/livez")).status_code == 200
        assert (await client.get("/-/livez")).status_code == 404
        assert (await client.get("/insider/livez")).status_code == 404


async def test_a_file_is_read_and_reloaded(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(yaml.safe_dump(document(route(v1="http://127.0.0.1:9"))))
    app = create_app(file)
    async with serving(app) as client:
        other = route("other", "/other", v1="http://127.0.0.1:9")
        file.write_text(yaml.safe_dump(document(route(v1="http://127.0.0.1:9"), other)))
        await app.plane.reload()
        assert (await client.get("/-/readyz")).json()["workers"] == {"embedded": 2}


async def test_a_configuration_that_became_bad_fails_the_startup(tmp_path: Path) -> None:
    file = tmp_path / "router.yaml"
    file.write_text(yaml.safe_dump(document(route(v1="http://127.0.0.1:9"))))
    app = create_app(file)
    file.write_text("routs: []")
    with pytest.raises(RuntimeError, match="routs"):
        async with serving(app):
            pass
