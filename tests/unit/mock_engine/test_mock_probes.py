"""Health and metrics over a real socket."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.engines import EngineInLoop, StartEngine

pytestmark = pytest.mark.anyio

HEALTH_PATHS = ["/health", "/v2/health/ready", "/v2/models/m/ready"]
CHAT = "/v1/chat/completions"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}


async def samples(started: EngineInLoop) -> dict[str, float]:
    """Each sample by its name, and the finished_reason where it has one."""
    text = (await started.client.get("/metrics")).text
    return {
        " ".join([sample.name, *sorted(set(sample.labels.values()) - {"m"})]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("path", HEALTH_PATHS)
async def test_health_follows_the_fault(start_engine: StartEngine, path: str) -> None:
    client = (await start_engine()).client
    assert (await client.get(path)).status_code == 200
    await client.put("/_mock/faults", json={"health": "refuse"})
    assert (await client.get(path)).status_code == 503
    assert (await client.get("/v2/health/live")).status_code == 200
    await client.put("/_mock/faults", json={})
    assert (await client.get(path)).status_code == 200


async def test_a_stalled_health_check_gets_no_answer(start_engine: StartEngine) -> None:
    started = await start_engine()
    await started.client.put("/_mock/faults", json={"health": "stall"})
    with pytest.raises(httpx.ReadTimeout):
        await started.client.get("/health", timeout=0.05)


async def test_an_idle_engine_shows_every_metric_of_vllm(start_engine: StartEngine) -> None:
    shown = await samples(await start_engine(models=("m",)))
    assert shown == {
        "vllm:num_requests_running": 0,
        "vllm:num_requests_waiting": 0,
        "vllm:kv_cache_usage_perc": 0,
        "vllm:prompt_tokens_total": 0,
        "vllm:generation_tokens_total": 0,
        "vllm:request_success_total stop": 0,
        "vllm:request_success_total length": 0,
        "vllm:request_success_total abort": 0,
    }


async def test_answers_are_counted_by_tokens_and_reason(start_engine: StartEngine) -> None:
    started = await start_engine(models=("m",))
    await started.client.post(CHAT, json=HELLO)
    shown = await samples(started)
    assert shown["vllm:prompt_tokens_total"] == 5
    assert shown["vllm:generation_tokens_total"] == 3
    assert shown["vllm:request_success_total length"] == 1


async def test_running_and_waiting_requests_are_shown(start_engine: StartEngine) -> None:
    started = await start_engine(models=("m",), max_running=1, kv_tokens=80)
    await started.client.put("/_mock/faults", json={"stall_rate": 1})
    calls = [asyncio.create_task(started.client.post(CHAT, json=HELLO)) for _ in range(2)]
    async with asyncio.timeout(5):
        while started.engine.statistics().waiting < 1:  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0)
    shown = await samples(started)
    assert shown["vllm:num_requests_running"] == 1
    assert shown["vllm:num_requests_waiting"] == 1
    assert shown["vllm:kv_cache_usage_perc"] == 0.1
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
