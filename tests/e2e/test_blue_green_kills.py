"""Control dies in the middle of a blue-green release: it goes on, and no client notices."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.support.engines import running_engine
from tests.support.load import PATH, Load, load
from tests.support.routers import Document
from tests.support.stages import Stage, stage

pytestmark = pytest.mark.anyio

CHAT: Final = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
ERRORS: Final[Document] = {
    "metadata": {"name": "errors"},
    "spec": {
        "metrics": [
            {
                "name": "errors",
                "interval": "500ms",
                "count": 4,
                "successCondition": "result[0] < 0.05",
                "provider": {"router": {"metric": "errorRatio", "window": "3s", "minRequests": 5}},
            }
        ]
    },
}
KILLED_AFTER_S: Final = (0.0, 0.006, 0.014)
"""After the call was sent: before it is read, while it is decided and written, and after it."""


def sides(tmp_path: Path, **more: Any) -> AbstractAsyncContextManager[Stage]:
    """v1 is stable, v2 is not released yet; both are quick to be seen as healthy or not."""
    probes = {"interval": "200ms", "unhealthyAfter": 1, "healthyAfter": 1}
    strategy = {"blueGreen": more.pop("strategy", {})}
    return stage(tmp_path, strategy, templates=[ERRORS], health=probes, **more)


def light_load(run: Stage) -> AbstractAsyncContextManager[Load]:
    return load(run.router.traffic, connections=4, pause_s=0.02)


async def kill_control(run: Stage) -> None:
    """Kill it as a crash does; return when the next one answers."""
    died = await asyncio.to_thread(run.router.kill, "control")
    await wait_back(run, died)


async def wait_back(run: Stage, died: int) -> None:
    """Wait until another control answers, and every worker serves what it has found."""
    async with asyncio.timeout(30):
        while run.router.pid("control") in (None, died):  # noqa: ASYNC110  # processes tell nobody
            await asyncio.sleep(0.02)
    await run.wait(lambda _: True)
    await asyncio.to_thread(run.router.wait_ready)


async def wait_healthy(run: Stage) -> None:
    """Wait until both workers have told that every endpoint is healthy: no switch before that."""

    def healthy(version: Document) -> bool:
        return all(each["healthy"] and each["workers"] == 2 for each in version["endpoints"])

    async with asyncio.timeout(30):
        while not all(map(healthy, (await run.route())["versions"])):  # noqa: ASYNC110  # a view
            await asyncio.sleep(0.02)


async def test_a_release_goes_on_from_where_it_was_when_control_died(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        missing = f"http://127.0.0.1:{port}"
        proven = {
            "minHealthyEndpoints": 2,
            "healthCheckRetries": 100,
            "postPromotionAnalysis": {"templates": [{"templateName": "errors"}]},
        }
        async with sides(tmp_path, strategy=proven, more_of_v2=[missing]) as run:
            async with light_load(run) as running:
                run.release()
                await run.wait(lambda now: now["stage"] == "health" and missing in now["message"])
                await kill_control(run)
                now = await run.wait(lambda now: missing in now["message"])
                assert (now["phase"], now["stage"], now["number"]) == ("Progressing", "health", 1)
                assert await run.weights() == {"v1": 100, "v2": 0}
                taken.close()
                with running_engine("v2", port):
                    await _switched_and_killed_again(run)
                    running.stop()
            assert running.failures == []
            actions = await run.actions()
            for what in ("started", "switched", "analysisStarted", "analysisPassed", "promoted"):
                assert actions.count(f"rollout.{what}") == 1, (what, actions)


async def _switched_and_killed_again(run: Stage) -> None:
    await run.wait(lambda now: now["stage"] == "postPromotionAnalysis")
    await kill_control(run)
    now = await run.rollout()
    assert now["stage"] == "postPromotionAnalysis" or now["finished"] is not None, now
    assert await run.weights() == {"v1": 0, "v2": 100}
    over = await run.wait_over()
    assert (over["phase"], over["reason"], over["stable"]) == ("Healthy", "Promoted", "v2"), over


async def test_a_switch_whose_control_dies_is_done_whole_or_not_at_all_and_once(
    tmp_path: Path,
) -> None:
    async with sides(tmp_path) as run:
        async with light_load(run) as running:
            await wait_healthy(run)
            for number, delay_s in enumerate(KILLED_AFTER_S, 1):
                to = ("v1", "v2")[number % 2]
                await _switch_and_kill(run, to, f"switch-{number}", delay_s)
                before = (await run.route())["stable"]
                done = (await run.actions()).count("switched")
                assert (before == to) == (done == number), "a switch is in the state and the trail"
                await wait_healthy(run)
                again = await _switch(run, to, f"switch-{number}")
                assert again.status_code == 200, again.text
                assert again.json()["repeated"] == (before == to)
                assert again.json()["applied"] == {"workers": ["w0", "w1"]}
                sent = len(running.answers)
                await running.wait_answers(sent + 40)
                assert {each.version for each in running.answers[sent + 20 :]} == {to}
        assert running.failures == []
        assert (await run.actions()).count("switched") == len(KILLED_AFTER_S)
        assert (await run.admin.get("/audit/verify")).json()["ok"] is True


async def _switch(run: Stage, to: str, key: str) -> httpx.Response:
    body = {"to": to, "reason": "a test"}
    headers = {"idempotency-key": key}
    return await run.admin.post("/routes/chat/switch", json=body, headers=headers)


async def _switch_and_kill(run: Stage, to: str, key: str, delay_s: float) -> None:
    """Send the call and kill control so long after it; what is answered by then has to be true."""
    control = run.router.pid("control")
    assert control is not None
    call = asyncio.create_task(_switch(run, to, key))
    await asyncio.sleep(delay_s)
    os.kill(control, signal.SIGKILL)
    with suppress(httpx.TransportError):
        answer = await call
        assert answer.status_code == 200, answer.text
    await wait_back(run, control)
    if call.exception() is None:
        assert (await run.route())["stable"] == to, "it was answered, and it is not there"


async def test_the_deadline_of_the_old_side_holds_while_control_is_away(tmp_path: Path) -> None:
    slow = {"time_scale": 1.0, "step_seconds": 0.05}
    async with (
        sides(tmp_path, strategy={"drainSeconds": 2}, engines=slow) as run,
        httpx.AsyncClient(base_url=run.router.traffic, timeout=60, trust_env=False) as client,
    ):
        body = {**CHAT, "stream": True, "max_tokens": 2_000}  # 100 s
        async with client.stream("POST", PATH, json=body) as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("data: ")
            assert stream.headers["x-model-version"] == "v1"
            await wait_healthy(run)
            assert (await run.switch("v2")).status_code == 200
            await asyncio.to_thread(run.router.kill, "control")
            events = []
            with suppress(httpx.RemoteProtocolError):  # its end is an error on the wire, too
                async for line in lines:
                    events.append(line.removeprefix("data: "))  # noqa: PERF401  # kept as it breaks
        error = json.loads([event for event in events if event][-1])["error"]
        assert (error["code"], "version v1" in error["message"]) == ("draining", True)
