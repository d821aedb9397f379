"""The application under other ASGI servers, which give no transport."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from router.mock_engine import EngineSettings, Faults, create_app, serve

pytestmark = pytest.mark.anyio

ASK = {"inputs": "hi"}


def client_of(**settings: Any) -> httpx.AsyncClient:
    app = create_app(EngineSettings(time_scale=0, **settings))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine")


async def test_the_application_answers_under_any_asgi_server() -> None:
    async with client_of(name="v1", default_output_tokens=2) as client:
        response = await client.post("/generate", json=ASK)
    assert response.json() == {"generated_text": "v1 the"}


async def test_without_a_transport_a_reset_breaks_out_of_the_application() -> None:
    async with client_of(faults=Faults(reset_rate=1)) as client:
        with pytest.raises(ConnectionError):
            await client.post("/generate", json=ASK)


async def test_the_lifespan_is_answered() -> None:
    sent: list[str] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await create_app(EngineSettings())({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_serve_tells_its_address_and_closes_it_on_the_way_out() -> None:
    heard: list[str] = []

    def on_ready(running: Any) -> None:
        heard.append(running.url)
        raise KeyError  # stands for any reason to leave

    with pytest.raises(KeyError):
        await serve(EngineSettings(), ready_callback=on_ready)
    assert heard[0].startswith("http://127.0.0.1:")
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(heard[0])
