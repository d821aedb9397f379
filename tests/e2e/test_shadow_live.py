"""A shadow on real sockets: the candidate proves itself on real requests before it has a user."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import httpx
import pytest

from router.rollouts.effects import Action
from tests.support.load import load
from tests.support.routers import Document
from tests.support.stages import Stage, stage

pytestmark = pytest.mark.anyio

TEXT: Final = "all is well in the house and in the garden"
SAYS_THE_SAME: Final[Document] = {
    "metadata": {"name": "says-the-same"},
    "spec": {
        "metrics": [
            {
                "name": "beyond-noise",
                "interval": "500ms",
                "count": 1,
                # 30 points beyond 10 % of noise, by 200 pairs with a twin: 6 standard deviations.
                "successCondition": "result[0] < 0.15",
                "provider": {
                    "shadow": {"metric": "mismatchBeyondNoise", "minPairs": 200, "minTwins": 200}
                },
            }
        ]
    },
}
STEPS: Final = [
    {"setShadow": {"percent": 100}},
    {"analysis": {"templates": [{"templateName": "says-the-same"}]}},
    {"setWeight": 50},
    {"pause": {"duration": "1s"}},
]


def candidate(tmp_path: Path, *, changed: float) -> AbstractAsyncContextManager[Stage]:
    """v1 says a text, and one time in twenty another one; v2 does so for a share `changed`."""
    return stage(
        tmp_path,
        {"canary": {"steps": STEPS}},
        templates=[SAYS_THE_SAME],
        engines={"text": TEXT, "changed_share": 0.05},
        v2={"changed_share": changed},
        shadow={"noise": {"percent": 100}, "maxPairsPerSecond": 1_000},
    )


async def report(run: Stage) -> Document:
    answer = await run.admin.get("/routes/chat/shadow/report")
    found: Document = answer.raise_for_status().json()
    return found


async def wait_pairs(run: Stage, number: int) -> Document:
    async with asyncio.timeout(60):
        while True:
            try:
                found = await report(run)
            except httpx.HTTPError:
                found = {"pairs": 0}
            if found["pairs"] >= number:
                return found
            await asyncio.sleep(0.05)


async def test_a_candidate_that_says_the_same_has_answered_real_requests_before_its_first_user(
    tmp_path: Path,
) -> None:
    async with candidate(tmp_path, changed=0.05) as run:
        async with load(run.router.traffic, connections=4, pause_s=0.01) as clients:
            await clients.wait_answers(20)
            run.release()
            over = await run.wait_over()
        assert over["stable"] == "v2"
        assert clients.failures == []
        trail = {entry["action"]: entry for entry in reversed(await run.trail())}
        assert trail[Action.SHADOW_SET]["sequence"] < trail[Action.WEIGHT_SET]["sequence"]
        weighed = trail[Action.WEIGHT_SET]["generation"]
        firsts = {each.generation for each in clients.answers if each.version == "v2"}
        assert firsts
        assert min(firsts) >= weighed
        # The copies ended with the first user: a version with traffic is nobody's shadow.
        row = 'router_shadow_sampled_total{route="chat",version="v2"}'
        assert 200 <= run.router.metric(row) < len(clients.answers)


async def test_a_candidate_that_says_something_else_never_has_a_user(tmp_path: Path) -> None:
    async with candidate(tmp_path, changed=0.40) as run:
        async with load(run.router.traffic, connections=4, pause_s=0.01) as clients:
            await clients.wait_answers(20)
            run.release()
            over = await run.wait_over()
        assert (over["stable"], over["phase"]) == ("v1", "Degraded")
        assert clients.failures == []
        assert {each.version for each in clients.answers} == {"v1"}
        ended = [entry for entry in await run.trail() if entry["action"] == Action.ABORTED]
        assert "beyond-noise" in str(ended[0]["evidence"])


async def test_every_copy_is_accounted_for_and_every_client_answered_whatever_the_shadow_does(
    tmp_path: Path,
) -> None:
    shadow = {"version": "v2", "percent": 100, "maxConcurrency": 8, "maxQueue": 8, "timeout": "1s"}
    faults = {"error_rate": 0.2, "reset_rate": 0.2, "stall_rate": 0.2, "truncate_rate": 0.2}
    async with (
        stage(tmp_path, {"canary": {"steps": []}}, v2=faults, release="v1", shadow=shadow) as run,
        load(run.router.traffic, connections=8, pause_s=0.02) as clients,
    ):
        await clients.wait_answers(800)
        clients.stop()
        family = "model_shadow_requests_total"

        def outcomes() -> dict[str, float]:
            named = ("answered", "error", "timeout", "dropped_queue", "dropped_unhealthy")
            rows = {n: f'{family}{{outcome="{n}",route="chat",version="v2"}}' for n in named}
            return {name: run.router.metric(row) for name, row in rows.items()}

        def settled() -> bool:
            row = 'router_shadow_sampled_total{route="chat",version="v2"}'
            sampled = run.router.metric(row)
            return sampled >= 800 and sampled == sum(outcomes().values())

        await asyncio.to_thread(run.router.wait_until, settled, 20.0)
        assert clients.failures == []
        assert {each.status for each in clients.answers} == {200}
        assert {each.version for each in clients.answers} == {"v1"}
        found = outcomes()
        assert all(found[name] > 0 for name in ("answered", "error", "timeout", "dropped_queue"))


async def test_what_was_found_outlives_control_and_comparing_goes_on(tmp_path: Path) -> None:
    shadow = {"version": "v2", "percent": 100, "redact": {"paths": ["$.messages"]}}
    engines = {"text": TEXT}
    v2, steps = {"changed_share": 0.3}, {"canary": {"steps": []}}
    async with stage(tmp_path, steps, engines=engines, v2=v2, release="v1", shadow=shadow) as run:
        async with load(run.router.traffic, connections=2, pause_s=0.02) as clients:
            before = await wait_pairs(run, 200)
            await asyncio.sleep(1.5)  # a batch is written once a second
            run.router.kill("control")
            after = await wait_pairs(run, before["pairs"] + 200)
        assert clients.failures == []
        assert after["since"] == before["since"]
        page = (await run.admin.get("/routes/chat/shadow/comparisons?verdict=mismatch")).json()
        first = page["comparisons"][0]["id"]
        pair = (await run.admin.get(f"/routes/chat/shadow/comparisons/{first}")).json()
        assert pair["request"]["body"]["json"]["messages"] == "[redacted]"
        assert TEXT[:20] in str(pair["primary"]["body"])
        export = await run.admin.get("/routes/chat/shadow/export?verdict=mismatch")
        assert len(export.text.splitlines()) >= len(page["comparisons"])
