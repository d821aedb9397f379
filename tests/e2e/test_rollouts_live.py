"""Releases on real sockets: good ones become stable, bad ones are caught, no client notices."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import running_engine
from tests.support.load import load
from tests.support.prometheus import running_prometheus
from tests.support.routers import Document, document, route, running_router
from tests.support.stages import Stage, stage

pytestmark = pytest.mark.anyio

QUALITY: Document = {
    "metadata": {"name": "quality"},
    "spec": {
        "metrics": [
            {
                "name": "errors",
                "interval": "500ms",
                "count": 3,
                "successCondition": "result[0] < 0.05",
                "provider": {"router": {"metric": "errorRatio", "window": "3s", "minRequests": 5}},
            }
        ]
    },
}
WATCH: Document = {
    "metadata": {"name": "watch"},
    "spec": {
        "metrics": [
            {
                "name": "errors",
                "interval": "1s",
                "failureLimit": 1,
                "successCondition": "result[0] < 0.05",
                "provider": {"router": {"metric": "errorRatio", "window": "5s", "minRequests": 10}},
            }
        ]
    },
}


def strategy(*steps: Document, **more: Any) -> Document:
    return {"canary": {"steps": list(steps), **more}}


def analysis(name: str) -> Document:
    return {"templates": [{"templateName": name}]}


def walking(tmp_path: Path, walk: Document, **faults: Any) -> AbstractAsyncContextManager[Stage]:
    """v1 is stable; v2 suffers these faults, and is not released yet."""
    return stage(tmp_path, walk, templates=[QUALITY, WATCH], v2=faults)


async def test_a_good_version_walks_to_all_traffic_and_becomes_stable(tmp_path: Path) -> None:
    walk = strategy(
        {"setWeight": 20},
        {"pause": {"duration": "1s"}},
        {"analysis": analysis("quality")},
        {"setWeight": 60},
        analysis=analysis("watch"),
    )
    async with walking(tmp_path, walk) as run:
        async with load(run.router.traffic, connections=6, pause_s=0.01) as running:
            run.release()
            over = await run.wait_over()
            assert (over["phase"], over["reason"], over["stable"]) == ("Healthy", "Promoted", "v2")
            assert await run.weights() == {"v1": 0, "v2": 100}
        assert running.failures == []
        given = [
            e["evidence"]["weight_bp"]
            for e in await run.trail()
            if e["action"] == "rollout.weightSet"
        ]
        assert given == [2000, 6000]
        passed = next(e for e in await run.trail() if e["action"] == "rollout.analysisPassed")
        values = passed["evidence"]["metrics"]["errors"]["measurements"]
        judged = [each["phase"] for each in values if each["phase"] != "NoData"]
        assert judged == ["Successful"] * 3, values


async def test_a_version_that_always_fails_is_out_by_the_breaker_and_no_client_notices(
    tmp_path: Path,
) -> None:
    async with walking(tmp_path, strategy({"setWeight": 20}, {"pause": {}}), error_rate=1.0) as run:
        async with load(run.router.traffic, connections=6, pause_s=0.005) as running:
            run.release()
            over = await run.wait_over()
            assert (over["phase"], over["reason"]) == ("Degraded", "BreakerTripped")
            assert await run.weights() == {"v1": 100, "v2": 0}
            seen = len(run.engines["v2"].requests("/v1/chat/completions"))
            await running.wait_answers(len(running.answers) + 200)
            assert len(run.engines["v2"].requests("/v1/chat/completions")) == seen
        assert running.failures == []
        assert {answer.version for answer in running.answers} == {"v1"}


async def test_a_version_that_sometimes_fails_is_caught_by_its_error_ratio(tmp_path: Path) -> None:
    walk = strategy({"setWeight": 30}, {"pause": {}}, analysis=analysis("watch"))
    async with walking(tmp_path, walk, error_rate=0.2) as run:
        async with load(run.router.traffic, connections=6, pause_s=0.01) as running:
            run.release()
            over = await run.wait_over()
            assert (over["phase"], over["reason"]) == ("Degraded", "AnalysisFailed")
            assert await run.weights() == {"v1": 100, "v2": 0}
        assert running.failures == []
        aborted = next(e for e in await run.trail() if e["action"] == "rollout.aborted")
        assert aborted["actor"] == {"name": "controller", "role": "system", "address": ""}
        (errors,) = aborted["evidence"]["metrics"].values()
        assert errors["phase"] == "Failed"
        assert errors["measurements"]


async def test_control_killed_again_and_again_walks_on_and_does_nothing_twice(
    tmp_path: Path,
) -> None:
    walk = strategy(
        {"setWeight": 10},
        {"analysis": analysis("quality")},
        {"setWeight": 20},
        {"pause": {"duration": "2s"}},
        {"setWeight": 40},
        {"analysis": analysis("quality")},
        {"setWeight": 80},
        analysis=analysis("watch"),
    )
    async with walking(tmp_path, walk) as run:
        async with load(run.router.traffic, connections=6, pause_s=0.01) as running:
            run.release()
            await run.wait(lambda now: now["step"] is not None)
            for kill in range(5):
                await asyncio.sleep(0.6 + 0.7 * (kill % 4))  # in another state each time
                await asyncio.to_thread(run.router.kill, "control")
                await run.wait(lambda _: True)
            now = await run.wait_over()
            assert (now["phase"], now["stable"]) == ("Healthy", "v2")
        assert running.failures == []
        trail = await run.trail()
        given = [e["evidence"]["weight_bp"] for e in trail if e["action"] == "rollout.weightSet"]
        assert given == [1000, 2000, 4000, 8000]
        begun = [e["evidence"]["run"] for e in trail if e["action"] == "rollout.analysisStarted"]
        assert len(begun) == len(set(begun)) == 3
        assert (await run.admin.get("/audit/verify")).json()["ok"] is True


async def test_a_persons_words_reach_the_rollout_and_the_trail(tmp_path: Path) -> None:
    async with walking(tmp_path, strategy({"setWeight": 20}, {"pause": {}})) as run:
        run.release()
        await run.wait(lambda now: now["reason"] == "CanaryPauseStep")
        for command, phase in (("abort", "Degraded"), ("retry", "Progressing")):
            path = f"/routes/chat/rollout/{command}"
            answer = await run.admin.post(path, json={"reason": f"because {command}"})
            assert answer.status_code == 200, answer.text
            if command == "abort":
                assert (await run.rollout())["phase"] == phase
                assert await run.weights() == {"v1": 100, "v2": 0}
        await run.wait(lambda now: now["reason"] == "CanaryPauseStep")
        await run.admin.post("/routes/chat/rollout/resume", json={"reason": "looks good"})
        over = await run.wait_over()
        assert (over["phase"], over["stable"]) == ("Healthy", "v2")
        back = await run.admin.post("/routes/chat/rollback", json={"reason": "it is not"})
        assert back.status_code == 200, back.text
        assert await run.weights() == {"v1": 100, "v2": 0}
        said = {(e["actor"]["name"], e["action"]) for e in await run.trail()}
        assert {("local", "rollout.aborted"), ("local", "rollout.rolledBack")} <= said
        again = await run.admin.post("/routes/chat/rollout/resume", json={"reason": "x"})
        assert again.status_code == 409
        assert "retry" in again.json()["detail"]


# -- with a real Prometheus --------------------------------------------------------------------

ROLLOUT = """\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: model-serving
  namespace: ai-production
spec:
  replicas: 10
  strategy:
    canary:
      canaryService: model-serving-canary
      stableService: model-serving-stable
      trafficRouting:
        istio:
          virtualService:
            name: model-serving-vsvc
            routes:
              - primary
      steps:
        - setWeight: 5
        - pause: {duration: 4s}
        - analysis:
            templates:
              - templateName: model-quality-analysis
        - setWeight: 25
        - pause: {duration: 2s}
        - analysis:
            templates:
              - templateName: model-quality-analysis
        - setWeight: 50
        - pause: {duration: 2s}
        - setWeight: 100
      autoPromotionEnabled: false
      antiAffinity:
        requiredDuringSchedulingIgnoredDuringExecution: {}
"""
TEMPLATE = """\
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata:
  name: model-quality-analysis
spec:
  metrics:
    - name: error-rate
      interval: 1s
      successCondition: result[0] < 0.02   # < 2% error rate
      failureLimit: 3
      provider:
        prometheus:
          address: PROMETHEUS
          query: |
            sum(rate(model_errors_total{version="{{args.canary-version}}"}[8s]))
            / sum(rate(model_requests_total{version="{{args.canary-version}}"}[8s]))

    - name: p99-latency
      interval: 1s
      successCondition: result[0] < 2.5
      provider:
        prometheus:
          query: |
            histogram_quantile(0.99,
              rate(model_request_duration_seconds_bucket{version="{{args.canary-version}}"}[8s])
            )
"""


@pytest.mark.parametrize(
    ("error_rate", "phase", "stable"), [(0.0, "Healthy", "v2"), (0.2, "Degraded", "v1")]
)
async def test_argo_manifests_promote_a_good_version_and_abort_a_bad_one_by_prometheus(
    tmp_path: Path, error_rate: float, phase: str, stable: str
) -> None:
    with ExitStack() as stack:
        v1 = stack.enter_context(running_engine("v1"))
        v2 = stack.enter_context(running_engine("v2", error_rate=error_rate))
        router = stack.enter_context(
            running_router(tmp_path, document(route(v1=v1.url, v2=v2.url), workers=2))
        )
        prometheus = stack.enter_context(running_prometheus(tmp_path / "prom", router.admin))
        (tmp_path / "rollout.yaml").write_text(ROLLOUT)
        (tmp_path / "template.yaml").write_text(TEMPLATE.replace("PROMETHEUS", prometheus))
        chat = {**route(v1=v1.url, v2=v2.url), "strategy": {"fromManifest": "rollout.yaml"}}
        config = {
            **document(chat, workers=2),
            "analysisTemplates": ["template.yaml"],
            "providers": {"prometheus": {"address": prometheus}},
        }
        run = Stage(router, {"v1": v1, "v2": v2}, config)
        async with load(router.traffic, connections=8, pause_s=0.01) as running:
            run.release()
            over = await run.wait(lambda now: now["finished"] is not None, 90)
        assert (over["phase"], over["stable"]) == (phase, stable), over
        assert running.failures == []
        runs = (await run.admin.get("/analysis-runs?route=chat")).json()["runs"]
        measured = {m["name"]: m for m in runs[-1]["metrics"]}
        assert {m["provider"] for m in measured.values()} == {"prometheus"}
        assert measured["error-rate"]["measurements"]
        await run.admin.aclose()
