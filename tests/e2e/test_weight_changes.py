"""Weights are changed under load: no request fails, none is answered by a wrong version."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.engines import EngineProcess, running_engine
from tests.support.load import load
from tests.support.routers import RouterProcess, document, route, running_router

pytestmark = pytest.mark.anyio

WEIGHTS: Final = "/api/v1/routes/chat/weights"


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, EngineProcess]]:
    with running_engine("v1") as v1, running_engine("v2") as v2:
        yield {"v1": v1, "v2": v2}


@pytest.fixture
def router(tmp_path: Path, engines: dict[str, EngineProcess]) -> Iterator[RouterProcess]:
    urls = {name: engine.url for name, engine in engines.items()}
    with running_router(tmp_path, document(route(**urls), workers=2)) as router:
        yield router


@pytest.fixture
async def admin(router: RouterProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=router.admin, timeout=15, trust_env=False) as client:
        yield client


async def put(admin: httpx.AsyncClient, **weights: float) -> dict[str, Any]:
    """Set weights; the answer comes when every worker serves them."""
    answer = await admin.put(WEIGHTS, json={"weights": weights, "reason": "a test"})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_after_the_answer_not_one_request_reaches_the_other_version(
    router: RouterProcess, admin: httpx.AsyncClient
) -> None:
    flips: list[tuple[float, float, str]] = []
    async with load(router.traffic, connections=10) as running:
        while len(running.answers) < 20_000:
            version = "v2" if len(flips) % 2 == 0 else "v1"
            called = time.monotonic()
            assert (await put(admin, **{version: 100}))["applied"]["workers"] == ["w0", "w1"]
            flips.append((called, time.monotonic(), version))
            await running.wait_answers(len(running.answers) + 1_500)
    assert running.failures == []
    assert len(flips) > 10
    answers = sorted(running.answers)
    for (_, answered, version), (next_call, _, _) in itertools.pairwise(flips):
        # What is on its way when the next call is made may be decided on either side of it.
        served = {
            each.version
            for each in answers
            if answered < each.sent_at and each.answered_at < next_call
        }
        assert served == {version}


async def test_in_a_thousand_changes_every_answers_version_is_one_of_its_generation(
    router: RouterProcess, admin: httpx.AsyncClient
) -> None:
    shares: dict[int, dict[str, float]] = {1: {"v1": 100}}
    async with load(router.traffic, connections=6, pause_s=0.002) as running:
        for number in range(1, 1_001):
            weights = {"v1": 100.0 - number % 101, "v2": float(number % 101)}
            shares[(await put(admin, **weights))["generation"]] = weights
    assert running.failures == []
    assert len(shares) == 1_001
    assert len(running.answers) > 1_000
    for answer in running.answers:
        assert shares[answer.generation].get(answer.version)
    for connection in range(6):  # a connection is one worker's for life
        seen = [each.generation for each in running.answers if each.connection == connection]
        assert seen == sorted(seen)


async def test_a_killed_control_costs_no_request_and_comes_back_with_state_and_generation(
    router: RouterProcess, admin: httpx.AsyncClient
) -> None:
    weights = {"v1": 70.0, "v2": 30.0}
    generation = (await put(admin, **weights))["generation"]
    async with load(router.traffic, connections=4, pause_s=0.005) as running:
        for _ in range(3):
            router.kill("control")
            await running.wait_answers(len(running.answers) + 100)
            state = await asyncio.to_thread(router.wait_ready, generation)
            assert state["generation"] == generation
            chat = (await admin.get("/api/v1/routes/chat")).json()
            assert {v["name"]: v["weight"] for v in chat["versions"]} == weights
            assert chat["override"]["reason"] == "a test"
    assert running.failures == []
    assert {answer.generation for answer in running.answers} == {generation}
    assert (await admin.get("/api/v1/audit/verify")).json()["ok"] is True


async def test_an_override_ends_by_itself_and_the_controllers_weights_return(
    router: RouterProcess, admin: httpx.AsyncClient
) -> None:
    body = {"weights": {"v2": 100}, "reason": "a test", "expiresSeconds": 1}
    before = (await admin.put(WEIGHTS, json=body)).json()["generation"]
    await asyncio.to_thread(router.wait_ready, before + 1)
    chat = (await admin.get("/api/v1/routes/chat")).json()
    assert chat["override"] is None
    assert {v["name"]: v["weight"] for v in chat["versions"]} == {"v1": 100, "v2": 0}
    (entry,) = (await admin.get("/api/v1/audit?action=weights.expired")).json()["entries"]
    assert (entry["actor"]["name"], entry["route"]) == ("controller", "chat")


async def test_a_routers_restart_goes_on_where_it_was(
    tmp_path: Path, engines: dict[str, EngineProcess]
) -> None:
    urls = {name: engine.url for name, engine in engines.items()}
    config = document(route(**urls), workers=1)
    with running_router(tmp_path, config) as router:
        async with httpx.AsyncClient(base_url=router.admin, trust_env=False) as admin:
            generation = (await put(admin, v1=50, v2=50))["generation"]
    with running_router(tmp_path, config) as router:
        assert router.wait_ready()["generation"] == generation
        async with httpx.AsyncClient(base_url=router.admin, trust_env=False) as admin:
            chat = (await admin.get("/api/v1/routes/chat")).json()
    assert {v["name"]: v["weight"] for v in chat["versions"]} == {"v1": 50, "v2": 50}


async def test_a_second_router_on_the_same_store_is_refused(
    tmp_path: Path, router: RouterProcess
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    config = {**document(), "store": f"sqlite://{tmp_path}/inference-router.db"}
    with (
        pytest.raises(RuntimeError, match="is in use by process"),
        running_router(other, config),
    ):
        pass
