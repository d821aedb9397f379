"""Blue-green on real sockets: all traffic moves at once, no client notices, one call goes back."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest

from tests.support.engines import EngineProcess, running_engine
from tests.support.load import PATH, Load, load
from tests.support.routers import Document
from tests.support.stages import Stage, stage

pytestmark = pytest.mark.anyio

STREAMS: Final = 20
STREAM_TOKENS: Final = 60
STEP_S: Final = 0.02
"""A token takes so long: an answer of one token 20 ms, a stream 1.2 s."""
SWITCHES: Final = 10

CHAT: Final = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
WARMUP: Final = {"path": PATH, "requests": 2, "body": {**CHAT, "max_tokens": 1}}
ERRORS: Final[Document] = {
    "metadata": {"name": "errors"},
    "spec": {
        "metrics": [
            {
                "name": "errors",
                "interval": "500ms",
                "count": 20,
                "successCondition": "result[0] < 0.05",
                "provider": {"router": {"metric": "errorRatio", "window": "3s", "minRequests": 5}},
            }
        ]
    },
}


def sides(
    tmp_path: Path, *more_of_v2: str, bad: float = 0.0, **strategy: Any
) -> AbstractAsyncContextManager[Stage]:
    """v1 is stable; v2 fails a share `bad` of its requests, and is not released yet."""
    return stage(
        tmp_path,
        {"blueGreen": strategy},
        templates=[ERRORS],
        engines={"time_scale": 1.0, "step_seconds": STEP_S, "default_output_tokens": 1},
        v2={"error_rate": bad},
        more_of_v2=more_of_v2,
        health={"interval": "200ms", "unhealthyAfter": 1, "healthyAfter": 1},
        breaker="off",  # it would be faster than the analysis now and then
    )


# -- streams that live through switches --------------------------------------------------------


class Stream(NamedTuple):
    """One stream that came to its end."""

    sent_at: float
    ended_at: float
    version: str


class Streams:
    """Clients that read one stream after the other."""

    def __init__(self) -> None:
        self.ended: list[Stream] = []
        self.broken: list[str] = []
        self.stopping = False

    async def read_again_and_again(self, client: httpx.AsyncClient) -> None:
        while not self.stopping:
            try:
                await self._read(client)
            except httpx.HTTPError as error:
                self.broken.append(repr(error))

    async def _read(self, client: httpx.AsyncClient) -> None:
        body = {**CHAT, "stream": True, "max_tokens": STREAM_TOKENS}
        sent_at = time.monotonic()
        async with client.stream("POST", PATH, json=body) as response:
            text = (await response.aread()).decode()
        events = [line for line in text.splitlines() if line.startswith("data: ")]
        version = response.headers.get("x-model-version", "")
        tokens = sum('"content"' in each and json_has_content(each) for each in events)
        if response.status_code != 200 or events[-1:] != ["data: [DONE]"] or not tokens:
            self.broken.append(f"{response.status_code} from {version}: …{text[-200:]!r}")
        self.ended.append(Stream(sent_at, time.monotonic(), version))


def json_has_content(event: str) -> bool:
    """Whether an event of a chat stream carries a token."""
    if event == "data: [DONE]":
        return False
    choices = json.loads(event.removeprefix("data: "))["choices"]
    return any(choice["delta"].get("content") for choice in choices)


@asynccontextmanager
async def streams(url: str) -> AsyncIterator[Streams]:
    """Open streams for the time of the block; each is read to its end."""
    running = Streams()
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        tasks = [asyncio.create_task(running.read_again_and_again(client)) for _ in range(STREAMS)]
        try:
            yield running
        finally:
            running.stopping = True
            await asyncio.gather(*tasks)


class Switched(NamedTuple):
    """One call that moved all traffic: when it was made and answered, and to which version."""

    called_at: float
    answered_at: float
    to: str


def strays(switched: list[Switched], running: Load, opened: Streams) -> list[str]:
    """Requests that were sent after a switch was answered and were served by the other side."""
    found = []
    sent = [(each.sent_at, each.answered_at, each.version) for each in running.answers]
    sent += [(each.sent_at, each.ended_at, each.version) for each in opened.ended]
    ends = [each.called_at for each in switched[1:]] + [float("inf")]
    for one, end in zip(switched, ends, strict=True):
        found += [
            f"{version} {at - one.answered_at:.3f} s after the switch to {one.to}"
            for at, answered_at, version in sent
            # What is on its way when the next call is made may be decided on either side of it.
            if one.answered_at < at and answered_at < end and version != one.to
        ]
    return found


async def test_a_release_and_ten_switches_under_load_lose_no_request_and_cut_no_stream(
    tmp_path: Path,
) -> None:
    async with sides(tmp_path, warmup=WARMUP) as run:
        switched: list[Switched] = []
        async with (
            load(run.router.traffic, connections=6, pause_s=0.01) as running,
            streams(run.router.traffic) as opened,
        ):
            await running.wait_answers(50)
            run.release()
            over = await run.wait_over()
            now = time.monotonic()
            assert (over["phase"], over["reason"], over["stable"]) == ("Healthy", "Promoted", "v2")
            switched.append(Switched(now, now, "v2"))
            for to in itertools.islice(itertools.cycle(["v1", "v2"]), SWITCHES):
                await running.wait_answers(len(running.answers) + 60)
                called_at = time.monotonic()
                answer = await run.switch(to)
                switched.append(Switched(called_at, time.monotonic(), to))
                assert answer.status_code == 200, answer.text
                assert answer.json()["applied"] == {"workers": ["w0", "w1"]}
            await running.wait_answers(len(running.answers) + 60)
            await wait_idle(run.engines["v1"])
            served = run.engines["v1"].stats()["by_path"][PATH]
            await running.wait_answers(len(running.answers) + 100)
            # As the old side's own server has counted.
            assert run.engines["v1"].stats()["by_path"][PATH] == served
        assert running.failures == []
        assert opened.broken == []
        assert strays(switched, running, opened) == []
        for one in switched:
            through = [s for s in opened.ended if s.sent_at < one.called_at < s.ended_at]
            assert through, "no stream was open while traffic moved"
        trail = await run.actions()
        assert trail.index("rollout.warmedUp") < trail.index("rollout.switched")
        assert trail.count("switched") == SWITCHES


async def wait_idle(engine: EngineProcess) -> None:
    """Wait until an engine has answered what it was sent before the switch."""
    async with asyncio.timeout(15):
        while (await asyncio.to_thread(engine.stats))["active"]:  # noqa: ASYNC110  # a process
            await asyncio.sleep(0.05)


async def test_every_endpoint_is_warmed_up_before_the_first_client_comes(tmp_path: Path) -> None:
    async with sides(tmp_path, warmup={**WARMUP, "requests": 5, "requireModel": True}) as run:
        run.config["routes"][0]["versions"]["v2"]["model"] = "v2"
        run.release()
        over = await run.wait_over()
        assert over["stable"] == "v2", over
        assert len(run.engines["v2"].requests(PATH)) == 5
        assert run.engines["v1"].requests(PATH) == []


async def test_a_side_with_too_few_healthy_endpoints_gets_no_traffic_and_says_which_fails(
    tmp_path: Path,
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        missing = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with sides(tmp_path, missing, minHealthyEndpoints=2) as run:
            async with load(run.router.traffic, connections=3, pause_s=0.01) as running:
                run.release()
                now = await run.wait(lambda now: now["stage"] == "health" and now["message"])
                await running.wait_answers(len(running.answers) + 100)
                now = await run.rollout()
                assert (now["phase"], now["stage"]) == ("Progressing", "health")
                assert missing in now["message"], now
                refused = await run.switch("v2")
                assert refused.status_code == 409
                (failing,) = refused.json()["endpoints"]
                assert failing["url"] == missing
                assert "/health" in failing["reason"], failing
                assert await run.weights() == {"v1": 100, "v2": 0}
                taken.close()
                with running_engine("v2", int(missing.rpartition(":")[2])):
                    over = await run.wait_over()
                    assert (over["phase"], over["stable"]) == ("Healthy", "v2"), over
                    running.stop()
            assert running.failures == []


async def test_a_side_that_fails_its_analysis_after_the_switch_gives_the_traffic_back(
    tmp_path: Path,
) -> None:
    after = {"templates": [{"templateName": "errors"}]}
    async with sides(tmp_path, bad=0.3, postPromotionAnalysis=after) as run:
        async with load(run.router.traffic, connections=6, pause_s=0.01) as running:
            run.release()
            await run.wait(lambda now: now["stage"] == "postPromotionAnalysis")
            assert await run.weights() == {"v1": 0, "v2": 100}
            over = await run.wait_over()
            assert (over["phase"], over["reason"]) == ("Degraded", "AnalysisFailed"), over
            assert (over["stable"], await run.weights()) == ("v1", {"v1": 100, "v2": 0})
            done_at, failed = time.monotonic(), len(running.failures)
            await running.wait_answers(len(running.answers) + failed + 100)
        # Only what v2 itself has answered: after a switch nothing is tried on the old side.
        assert all("injected by the mock engine" in failure for failure in running.failures)
        assert len(running.failures) - failed <= 6  # one for each connection was under way
        assert {each.version for each in running.answers if each.sent_at > done_at} == {"v1"}
