"""Rollouts to versions behind `dns://` endpoints: each address counts, and one is not all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.config import Config
from router.rollouts.phases import Phase, Reason
from router.rollouts.stage import Stage
from router.store.memory import MemoryStore
from tests.unit.controller.test_reconcile import ANN, Control, Numbers, template

pytestmark = pytest.mark.anyio

OLD, NEW = "dns://v1.example:8000", "dns://v2.example:8000"
PODS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


def config(release: str, **strategy: Any) -> Config:
    chat = {
        "name": "chat",
        "match": [{"path": "/chat"}],
        "versions": {"v1": {"endpoints": [OLD]}, "v2": {"endpoints": [NEW]}},
        "release": release,
        "strategy": strategy,
    }
    post = template("post", count=30)
    return Config.model_validate({"routes": [chat], "analysisTemplates": [post]})


def blue_green(release: str, **more: Any) -> Config:
    looks = {"healthCheckRetries": 3, "healthCheckInterval": "5s"}
    return config(release, blueGreen={**looks, **more})


def canary(release: str) -> Config:
    steps = [{"setWeight": 20}, {"pause": {"duration": "1h"}}]
    return config(release, canary={"steps": steps})


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    made = Control(MemoryStore, numbers=Numbers())
    made.workers.addresses = {OLD: ("10.0.1.1",), NEW: PODS}
    yield made
    await made.close()


async def release(control: Control, first: Config, then: Config) -> None:
    await control.start(first)
    control.content = then
    assert (await control.plane.reload(ANN, "release")).problem is None
    await control.turns(4)


def kill(control: Control, *addresses: str) -> None:
    """These refuse from now on, and every worker has seen it."""
    control.workers.dead |= {*addresses}
    for worker in ("w0", "w1"):
        control.workers.report_health(worker, healthy=True)


async def test_three_healthy_addresses_are_three_healthy_endpoints(control: Control) -> None:
    least = {"minHealthyEndpoints": 3}
    await release(control, blue_green("v1", **least), blue_green("v2", **least))
    assert control.mood() == (Phase.HEALTHY, Reason.PROMOTED)
    assert control.weights() == {"v2": 10_000}


async def test_with_a_dead_address_the_others_are_counted_and_it_is_named(
    control: Control,
) -> None:
    control.workers.dead = {PODS[1]}
    least = {"minHealthyEndpoints": 3}
    await release(control, blue_green("v1", **least), blue_green("v2", **least))
    assert control.mood() == (Phase.DEGRADED, Reason.UNHEALTHY)
    assert control.rollout().message == (
        "given up after 3 looks: v2 has 2 healthy endpoints, it needs 3; "
        f"{NEW} (10.0.0.2) fails: refused"
    )


async def test_a_name_that_resolves_to_nothing_yet_is_no_endpoint_that_counts(
    control: Control,
) -> None:
    del control.workers.addresses[NEW]
    await release(control, blue_green("v1"), blue_green("v2"))
    assert control.mood() == (Phase.DEGRADED, Reason.UNHEALTHY)
    assert "nothing is known of the endpoints of v2" in control.rollout().message


@pytest.fixture
async def switched(control: Control) -> Control:
    """v2 has all traffic, and is watched for a while before it is stable."""
    watch = {"postPromotionAnalysis": {"templates": [{"templateName": "post"}]}}
    await release(control, blue_green("v1", **watch), blue_green("v2", **watch))
    assert (control.rollout().stage, control.weights()) == (Stage.POST_PROMOTION, {"v2": 10_000})
    return control


async def test_a_switch_is_not_taken_back_while_one_address_answers(switched: Control) -> None:
    kill(switched, PODS[0], PODS[2])
    await switched.turns(3)
    assert switched.rollout().phase is Phase.PROGRESSING
    assert switched.weights() == {"v2": 10_000}


async def test_a_switch_is_taken_back_when_no_address_answers(switched: Control) -> None:
    kill(switched, *PODS)
    await switched.turns(3)
    assert switched.mood() == (Phase.DEGRADED, Reason.UNHEALTHY)
    assert switched.weights() == {"v1": 10_000}


async def test_a_canary_keeps_its_share_while_one_address_answers(control: Control) -> None:
    await release(control, canary("v1"), canary("v2"))
    kill(control, PODS[0], PODS[2])
    await control.turns(3)
    assert control.weights() == {"v1": 8000, "v2": 2000}
    assert await control.actions("rollout.shareWithheld") == []
    kill(control, PODS[1])
    await control.turns(3)
    assert control.weights() == {"v1": 10_000}
    assert await control.actions("rollout.shareWithheld") == ["rollout.shareWithheld"]
