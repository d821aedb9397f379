"""A side without traffic that is kept ready for it: what its probes keep alive."""

from __future__ import annotations

from typing import Any

import pytest

from router.snapshot import Health, Route
from tests.support.dataplanes import RunningDataPlane, canary, route, version
from tests.support.raw import RawClient, get, wait_until
from tests.support.upstreams import Upstream, Upstreams

PROBED = Health(interval_s=60.0)


def all_to(name: str, v1: Upstream, v2: Upstream, **more: Any) -> Route:
    """All traffic to one side."""
    sides = (canary("v1", v1, weight=0), version("v2", v2))
    if name == "v1":
        sides = (version("v1", v1), canary("v2", v2, weight=0))
    return route("chat", *sides, **more)


async def test_a_probe_leaves_its_connection_to_the_first_request_after_a_switch_back(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(all_to("v2", v1, v2, health=PROBED))
    await wait_until(lambda: router.upstream_connections("idle") == 2)
    router.install(all_to("v1", v1, v2, health=PROBED))
    answer = await client.ask(get("/after-the-switch"))
    assert (answer.status, answer.field("x-model-version")) == (200, "v1")
    assert len(v1.connections) == 1
    assert [request.target for request in v1.requests] == ["/health", "/after-the-switch"]


async def test_a_side_that_nobody_probes_has_no_connection_until_it_has_traffic(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(all_to("v2", v1, v2))
    assert (await client.ask(get())).status == 200
    assert len(v1.connections) == 0


@pytest.mark.parametrize("weight_first", ["v1", "v2"])
async def test_a_side_is_probed_with_and_without_traffic(
    router: RunningDataPlane, upstreams: Upstreams, weight_first: str
) -> None:
    v1, v2 = await upstreams.named("v1"), await upstreams.named("v2")
    router.install(all_to(weight_first, v1, v2, health=Health(interval_s=0.05)))
    await wait_until(lambda: min(len(v1.requests), len(v2.requests)) >= 3)
    assert {request.target for request in [*v1.requests, *v2.requests]} == {"/health"}
