"""From configuration and state to the table that the data plane serves."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from router import snapshot
from router.config import Config, compile_snapshot, initial_state
from router.errors import ConfigError
from router.rollouts.rollout import Rollout
from router.rollouts.stage import Stage
from router.rollouts.state import Override, RouteState
from router.snapshot import Balance, HeaderMatch, Role, StickyKind

Loads = Callable[[str], Config]

THREE = """\
routes:
- name: chat
  match: [{path: /v1/chat/completions}]
  versions:
    v1: {endpoints: [http://10.0.0.1:8000]}
    v2: {endpoints: [http://10.0.0.2:8000]}
    v3: {endpoints: [http://10.0.0.3:8000]}
"""


def versions(table: snapshot.Snapshot) -> list[tuple[str, str, int]]:
    return [(item.name, item.role.value, item.weight_bp) for item in table.routes[0].versions]


def test_without_release_and_weights_the_first_version_has_everything(loads: Loads) -> None:
    assert versions(compile_snapshot(loads(THREE), 1)) == [
        ("v3", "preview", 0),
        ("v2", "preview", 0),
        ("v1", "stable", 10_000),
    ]


def test_a_route_without_a_past_starts_with_its_release(loads: Loads) -> None:
    assert versions(compile_snapshot(loads(THREE + "  release: v2\n"), 1)) == [
        ("v3", "preview", 0),
        ("v1", "preview", 0),
        ("v2", "stable", 10_000),
    ]


def test_the_largest_initial_weight_is_stable_and_smaller_ones_are_canaries(loads: Loads) -> None:
    config = loads(THREE + "  release: v2\n  initialWeights: {v1: 94.75, v2: 5.25}\n")
    assert versions(compile_snapshot(config, 1)) == [
        ("v2", "canary", 525),
        ("v3", "preview", 0),
        ("v1", "stable", 9475),
    ]


def test_of_equal_initial_weights_the_first_declared_is_stable(loads: Loads) -> None:
    config = loads(THREE + "  initialWeights: {v3: 40, v2: 40, v1: 20}\n")
    assert versions(compile_snapshot(config, 1)) == [
        ("v3", "canary", 4000),
        ("v1", "canary", 2000),
        ("v2", "stable", 4000),
    ]


def test_the_shadow_is_never_the_version_that_a_route_starts_with(loads: Loads) -> None:
    config = loads(THREE + "  shadow: {version: v1}\n")
    assert versions(compile_snapshot(config, 1)) == [
        ("v3", "preview", 0),
        ("v1", "shadow", 0),
        ("v2", "stable", 10_000),
    ]


def test_a_stored_state_wins_over_the_file_and_new_versions_are_previews(loads: Loads) -> None:
    state = RouteState(stable="v1", weights={"v1": 9000, "v2": 1000})
    config = loads(THREE + "  release: v2\n  initialWeights: {v3: 100}\n")
    table = compile_snapshot(config, 7, {"chat": state})
    assert table.generation == 7
    assert versions(table) == [("v2", "canary", 1000), ("v3", "preview", 0), ("v1", "stable", 9000)]


def test_a_version_with_traffic_cannot_leave_the_configuration(loads: Loads) -> None:
    state = RouteState(stable="v1", weights={"v0": 2500, "v1": 7500})
    with pytest.raises(ConfigError, match="route chat: version v0 has 25 % of the traffic"):
        compile_snapshot(loads(THREE), 2, {"chat": state})


def test_a_version_without_traffic_may_leave_the_configuration(loads: Loads) -> None:
    state = RouteState(stable="v1", weights={"v0": 0, "v1": 10_000})
    table = compile_snapshot(loads(THREE), 2, {"chat": state})
    assert [name for name, _, _ in versions(table)] == ["v3", "v2", "v1"]


def test_the_stable_version_cannot_leave_the_configuration_even_while_a_person_gave_it_nothing(
    loads: Loads,
) -> None:
    held = Override(weights={"v1": 10_000}, holder="ann", reason="a test", since_s=0)
    state = RouteState(stable="v0", weights={"v0": 10_000}, override=held)
    with pytest.raises(ConfigError, match="version v0 is stable and cannot leave"):
        compile_snapshot(loads(THREE), 2, {"chat": state})


def test_a_version_with_traffic_cannot_become_the_shadow(loads: Loads) -> None:
    state = RouteState(stable="v1", weights={"v2": 2500, "v1": 7500})
    with pytest.raises(ConfigError, match=r"version v2 has 25 % .* cannot be its shadow"):
        compile_snapshot(loads(THREE + "  shadow: {version: v2}\n"), 2, {"chat": state})


def test_a_persons_weights_replace_the_controllers(loads: Loads) -> None:
    held = Override(weights={"v1": 4000, "v2": 6000}, holder="ann", reason="a test", since_s=0)
    state = RouteState(stable="v1", weights={"v1": 10_000}, override=held)
    table = compile_snapshot(loads(THREE), 2, {"chat": state})
    assert versions(table) == [("v2", "canary", 6000), ("v3", "preview", 0), ("v1", "stable", 4000)]


def test_a_routes_lineage_is_recorded_as_it_is_declared(loads: Loads) -> None:
    text = THREE.replace("v1: {", "v1: {lineage: {registry: 'models:/m/7', codeCommit: 9f1}, ", 1)
    state = initial_state(loads(text).routes[0])
    assert state.lineage == {"v1": {"registry": "models:/m/7", "codeCommit": "9f1"}}


def test_every_part_of_a_route_reaches_the_table(loads: Loads) -> None:
    config = loads(
        """\
        routes:
        - name: chat
          match:
          - path: /v1/chat/completions
            model: llama
            methods: [post, GET]
            headers: [{name: X-Tenant, prefix: a}, {name: x-b, present: true}]
          - pathPrefix: /v1/
            method: POST
          versions:
            v1:
              endpoints: ["https://[::1]:8443/base/", dns://llm.svc:8000]
              model: llama-0901
              tls: {caFile: ca.pem, verify: false, serverName: llama}
          sticky: {by: [{header: X-Session}, {cookie: c}, {body: user}, {apiKey: true}]}
          headerRoutes: [{header: X-Canary, regex: "a+", version: v1}]
          balance: p2c
          timeouts: {connect: 250ms, firstByte: 5m, idle: 1h}
          retry:
            attempts: 3
            on: [503, 502, connect]
            budgetPercent: 7.5
            canaryFallback: false
            methods: [get]
          health:
            path: /ok
            interval: 1s
            timeout: 500ms
            unhealthyAfter: 5
            healthyAfter: 1
            expectedStatus: [200, 204]
          limits:
            maxInFlight: 1
            maxQueue: 2
            queueTimeout: 3s
            maxBodyBytes: 4KiB
            maxReplayBytes: 5
            maxInspectBytes: 6MB
        """
    )
    (route,) = compile_snapshot(config, 1).routes
    tls = route.versions[0].endpoints[0].tls
    assert tls.ca_file is not None
    assert tls.ca_file.endswith("/ca.pem")
    assert route == snapshot.Route(
        name="chat",
        order=0,
        rules=(
            snapshot.Rule(
                path="/v1/chat/completions",
                model="llama",
                methods=("GET", "POST"),
                headers=(
                    snapshot.HeaderCondition(name="x-tenant", match=HeaderMatch.PREFIX, value="a"),
                    snapshot.HeaderCondition(name="x-b", match=HeaderMatch.PRESENT),
                ),
            ),
            snapshot.Rule(path_prefix="/v1", methods=("POST",)),
        ),
        versions=(
            snapshot.Version(
                name="v1",
                role=Role.STABLE,
                weight_bp=10_000,
                model="llama-0901",
                endpoints=(
                    snapshot.Endpoint(
                        url="https://[::1]:8443/base/",
                        host="::1",
                        port=8443,
                        https=True,
                        base_path="/base",
                        tls=snapshot.Tls(verify=False, ca_file=tls.ca_file, server_name="llama"),
                    ),
                    snapshot.Endpoint(
                        url="dns://llm.svc:8000", host="llm.svc", port=8000, dns=True, tls=tls
                    ),
                ),
            ),
        ),
        sticky=(
            snapshot.StickySource(kind=StickyKind.HEADER, name="x-session"),
            snapshot.StickySource(kind=StickyKind.COOKIE, name="c"),
            snapshot.StickySource(kind=StickyKind.BODY, name="user"),
            snapshot.StickySource(kind=StickyKind.API_KEY),
        ),
        header_routes=(
            snapshot.HeaderRoute(
                conditions=(
                    snapshot.HeaderCondition(name="x-canary", match=HeaderMatch.REGEX, value="a+"),
                ),
                version="v1",
            ),
        ),
        balance=Balance.P2C,
        timeouts=snapshot.Timeouts(connect_s=0.25, first_byte_s=300.0, idle_s=3600.0),
        retry=snapshot.Retry(
            attempts=3,
            on_connect=True,
            on_reset=False,
            statuses=(502, 503),
            budget_percent=7.5,
            canary_fallback=False,
            methods=("GET",),
        ),
        health=snapshot.Health(
            path="/ok",
            interval_s=1.0,
            timeout_s=0.5,
            unhealthy_after=5,
            healthy_after=1,
            statuses=(200, 204),
        ),
        limits=snapshot.Limits(
            max_in_flight=1,
            max_queue=2,
            queue_timeout_s=3.0,
            max_body_bytes=4096,
            max_replay_bytes=5,
            max_inspect_bytes=6_000_000,
        ),
    )


def test_what_the_file_leaves_out_is_what_the_snapshot_leaves_out(loads: Loads) -> None:
    text = "routes:\n- {name: a, match: [{path: /x}], versions: {v1: {endpoints: ['http://a']}}}\n"
    (route,) = compile_snapshot(loads(text), 1).routes
    assert route == snapshot.Route(
        name="a",
        order=0,
        rules=(snapshot.Rule(path="/x"),),
        versions=(
            snapshot.Version(
                name="v1",
                role=Role.STABLE,
                weight_bp=10_000,
                endpoints=(snapshot.Endpoint(url="http://a", host="a", port=80),),
            ),
        ),
    )


def test_a_probes_defaults_are_the_snapshots(loads: Loads) -> None:
    (route,) = compile_snapshot(loads(THREE + "  health: {}\n"), 1).routes
    assert route.health == snapshot.Health()


def test_the_same_input_gives_the_same_snapshot(loads: Loads) -> None:
    config = loads(THREE)
    states = {"chat": initial_state(config.routes[0])}
    assert compile_snapshot(config, 3) == compile_snapshot(config, 3, states)


def test_after_a_blue_green_switch_nothing_is_replayed_on_the_old_version(loads: Loads) -> None:
    rollout = Rollout(
        number=1,
        target="v2",
        release="v2",
        started_s=0,
        attempt_s=0,
        step_s=0,
        progress_s=0,
        steps_digest="",
        stage=Stage.SERVED,
    )
    state = RouteState(stable="v1", weights={"v2": 10_000}, rollout=rollout)
    table = compile_snapshot(loads(THREE), 2, {"chat": state})
    assert not table.routes[0].retry.canary_fallback
    before = msgspec.structs.replace(rollout, stage=Stage.HEALTH)
    state = RouteState(stable="v1", weights={"v1": 10_000}, rollout=before)
    assert compile_snapshot(loads(THREE), 2, {"chat": state}).routes[0].retry.canary_fallback


def test_slow_start_and_the_panic_threshold_reach_the_table_and_are_off_and_half_by_default(
    loads: Loads,
) -> None:
    (plain,) = compile_snapshot(loads(THREE), 1).routes
    assert plain.outlier is not None
    assert (plain.slow_start_s, plain.outlier.panic_percent) == (0.0, 50.0)
    text = THREE + "  slowStart: 1m\n  outlier: {panicPercent: 30}\n"
    (route,) = compile_snapshot(loads(text), 1).routes
    assert route.outlier is not None
    assert (route.slow_start_s, route.outlier.panic_percent) == (60.0, 30.0)
