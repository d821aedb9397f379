"""`drainSeconds`: when what runs on a version that has lost its traffic ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from router.config import Config, Problem, compile_snapshot
from router.rollouts.state import RouteState
from router.snapshot import FULL

Loads = Callable[[str], Config]
Refusals = Callable[[str], list[Problem]]

BOUNDED = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
    v3: {endpoints: [http://10.0.0.3:8000]}
  strategy: {blueGreen: {drainSeconds: 30}}
"""


def ends(config: Config, state: RouteState) -> dict[str, float]:
    """When each version's drain ends, as the data plane is told."""
    (route,) = compile_snapshot(config, 2, {"chat": state}).routes
    return {
        version.name: version.drain_until_s
        for version in route.versions
        if version.drain_until_s is not None
    }


SWITCHED = RouteState(stable="v2", weights={"v2": FULL}, past=("v1",), left={"v1": 1_000.0})


def test_the_old_side_drains_so_long_from_the_moment_it_lost_its_traffic(loads: Loads) -> None:
    assert ends(loads(BOUNDED), SWITCHED) == {"v1": 1_030.0}


def test_without_a_bound_what_runs_on_the_old_side_runs_to_its_end(loads: Loads) -> None:
    assert ends(loads(BOUNDED.replace("drainSeconds: 30", "")), SWITCHED) == {}


@pytest.mark.parametrize("strategy", ["", "  strategy: {canary: {steps: [{setWeight: 5}]}}\n"])
def test_routes_of_other_strategies_bound_no_drain(loads: Loads, strategy: str) -> None:
    text = BOUNDED.replace("  strategy: {blueGreen: {drainSeconds: 30}}\n", strategy)
    assert ends(loads(text), SWITCHED) == {}


def test_a_version_with_traffic_does_not_drain_whatever_is_remembered_of_it(loads: Loads) -> None:
    back = RouteState(stable="v1", weights={"v1": FULL}, left={"v1": 1_000.0, "v2": 2_000.0})
    assert ends(loads(BOUNDED), back) == {"v2": 2_030.0}


@pytest.mark.parametrize("seconds", ["0", "-1"])
def test_a_drain_of_no_time_is_refused_with_its_place(refusals: Refusals, seconds: str) -> None:
    (problem,) = refusals(BOUNDED.replace("drainSeconds: 30", f"drainSeconds: {seconds}"))
    assert "drainSeconds" in str(problem)
