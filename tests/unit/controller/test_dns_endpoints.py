"""Every address behind a `dns://` endpoint is an endpoint of its own to control, as long as the
name resolves to it: a data plane with a resolver that changes, and control that listens to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from router.config import Config, compile_snapshot
from router.controller.fleet import Fleet
from router.dataplane.server import DataPlane, DataPlaneSettings
from router.link.messages import Health
from router.telemetry import families
from router.telemetry.merge import Incarnation
from tests.support.names import Names, Pods, resolving, started_pods
from tests.support.raw import wait_until

pytestmark = pytest.mark.anyio

NAME = "models.example"
WHO = Incarnation("w0", 1)
PROBES = {"path": "/health", "interval": "0.05s", "timeout": "1s", "unhealthyAfter": 1}


class Stage:
    """One worker's data plane, three pods behind a name, and the fleet that control keeps."""

    def __init__(self, names: Names, pods: Pods) -> None:
        self.names, self.pods = names, pods
        self.url = f"dns://{NAME}:{pods.port}"
        self.fleet = Fleet()
        self.plane = DataPlane(DataPlaneSettings())
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.fewest = 99
        """The fewest endpoints that control has known of at once, after the first one."""
        self.fleet.on_joined(WHO)
        self.fleet.tell = lambda kind, route=None, **content: self.events.append((kind, content))
        self.plane.on_health = self._hear

    def install(self, generation: int = 1, **more: Any) -> None:
        versions = {"v1": {"endpoints": [self.url]}}
        chat = {"name": "chat", "match": [{"path": "/"}], "versions": versions, **more}
        self.snapshot = compile_snapshot(Config.model_validate({"routes": [chat]}), generation)
        self.plane.install(self.snapshot)
        self.fleet.on_applied(WHO, generation)
        self.fleet.on_health(WHO, self.plane.health())

    def _hear(self, health: Health) -> None:
        self.fleet.on_health(WHO, health)
        self.fewest = min(self.fewest, len(self.known))

    @property
    def known(self) -> dict[str, bool]:
        """What control knows: every endpoint, and whether it is healthy."""
        said = self.fleet.endpoints("chat", "v1")
        return {label: all(one.healthy for one in each) for label, each in said.items()}

    def label(self, address: str) -> str:
        return f"{self.url} ({address})"

    def labels(self, *addresses: str) -> set[str]:
        return {self.label(address) for address in addresses}

    def values(self, family: str) -> dict[tuple[str, ...], float]:
        """What control itself exports."""
        rows = (row for row in self.fleet.series() if row.family == family)
        return {row.labels: row.value for row in rows}


@asynccontextmanager
async def staged(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with started_pods(3) as pods:
        names = resolving(monkeypatch)
        stage = Stage(names, pods)
        names[NAME] = pods.addresses
        try:
            yield stage
        finally:
            stage.plane.install(compile_snapshot(Config(), 99))
            await stage.plane.close()


@pytest.fixture
async def stage(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(monkeypatch) as stage:
        yield stage


async def test_each_address_is_told_with_its_own_health(stage: Stage) -> None:
    stage.install(health=PROBES)
    labels = stage.labels("127.0.0.1", "127.0.0.2", "127.0.0.3")
    await wait_until(lambda: stage.known == dict.fromkeys(labels, True))
    await stage.pods.stop("127.0.0.3")
    dead = stage.label("127.0.0.3")
    await wait_until(lambda: not stage.known[dead])
    assert stage.known == {**dict.fromkeys(labels, True), dead: False}
    (one,) = stage.fleet.endpoints("chat", "v1")[dead]
    assert one.reason.startswith("GET /health: ")
    assert stage.events[-1] == (
        "health",
        {
            "worker": "w0",
            "version": "v1",
            "endpoint": dead,
            "healthy": False,
            "reason": one.reason,
        },
    )


@pytest.mark.parametrize("dead", ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
async def test_a_router_is_ready_whichever_of_the_addresses_is_dead(
    stage: Stage, dead: str
) -> None:
    await stage.pods.stop(dead)
    stage.install(health=PROBES)
    await wait_until(lambda: sorted(stage.known.values()) == [False, True, True])
    readiness = stage.fleet.readiness(stage.snapshot)
    assert (readiness.ready, readiness.warnings) == (True, ())
    assert stage.fleet.workers["w0"].can_reach("chat", "v1")


async def test_a_router_is_not_ready_when_all_addresses_are_dead(stage: Stage) -> None:
    for address in stage.pods.addresses:
        await stage.pods.stop(address)
    stage.install(health=PROBES)
    await wait_until(lambda: list(stage.known.values()) == [False] * 3)
    readiness = stage.fleet.readiness(stage.snapshot)
    assert readiness.reasons == ("route chat: version v1 has no healthy endpoint",)


async def test_an_address_that_the_name_has_no_longer_is_forgotten_at_once(stage: Stage) -> None:
    stage.install()
    await wait_until(lambda: len(stage.known) == 3)
    stage.names[NAME] = ("127.0.0.2",)
    await wait_until(lambda: stage.known == {stage.label("127.0.0.2"): True})
    gone = [content for kind, content in stage.events if kind == "gone"]
    assert {content["endpoint"] for content in gone} == stage.labels("127.0.0.1", "127.0.0.3")
    assert {(content["worker"], content["version"]) for content in gone} == {("w0", "v1")}


async def test_a_look_up_that_fails_takes_no_address_away(stage: Stage) -> None:
    stage.install()
    await wait_until(lambda: len(stage.known) == 3)
    lost = stage.names[NAME]
    stage.names[NAME] = ()
    await stage.names.wait_looked_up()
    assert stage.known == dict.fromkeys(stage.labels(*lost), True)


async def test_control_never_knows_of_none_while_all_addresses_are_replaced(stage: Stage) -> None:
    stage.names[NAME] = ("127.0.0.1",)
    stage.install()
    await wait_until(lambda: len(stage.known) == 1)
    stage.fewest = 99
    for address in ("127.0.0.2", "127.0.0.3", "127.0.0.1"):
        stage.names[NAME] = (address,)
        await wait_until(lambda: set(stage.known) == stage.labels(address))  # noqa: B023
    assert stage.fewest == 1


async def test_nothing_grows_while_a_name_changes_for_days(stage: Stage) -> None:
    stage.install(health=PROBES)
    for number in range(4, 60):  # nobody listens there
        old, new = f"127.0.0.{number - 1}", f"127.0.0.{number}"
        stage.names[NAME] = (old, new)
        await wait_until(lambda: set(stage.known) == stage.labels(old, new))  # noqa: B023
        version = stage.plane.table.routes["chat"].versions["v1"]
        version.endpoints[-1].eject("refused")
        version.endpoints[-1].eject("")
    assert len(stage.fleet.workers["w0"].endpoints["chat", "v1"]) == 2
    endpoint = ("chat", "v1", stage.url)
    rows = stage.plane.recorder.series(everything=True)
    ejections = [row for row in rows if row.family == families.ENDPOINT_EJECTIONS.name]
    assert [row.labels for row in ejections] == [endpoint]
    assert ejections[0].value >= 56
    assert set(stage.values(families.ENDPOINT_HEALTHY.name)) == {endpoint}


async def test_a_names_health_is_measured_as_the_share_of_its_addresses(stage: Stage) -> None:
    stage.install(health=PROBES)
    await wait_until(lambda: sorted(stage.known.values()) == [True] * 3)
    measured = {("chat", "v1", stage.url): pytest.approx(1.0)}
    assert stage.values(families.ENDPOINT_HEALTHY.name) == measured
    await stage.pods.stop("127.0.0.3")
    await wait_until(lambda: sorted(stage.known.values()) == [False, True, True])
    measured = {("chat", "v1", stage.url): pytest.approx(2 / 3)}
    assert stage.values(families.ENDPOINT_HEALTHY.name) == measured
    stage.fleet.on_joined(Incarnation("w1", 2))  # it has not said anything yet
    measured = {("chat", "v1", stage.url): pytest.approx(1 / 3)}
    assert stage.values(families.ENDPOINT_HEALTHY.name) == measured


async def test_what_a_worker_tells_anew_is_what_it_has_told_bit_by_bit(stage: Stage) -> None:
    stage.install(health=PROBES)
    await wait_until(lambda: sorted(stage.known.values()) == [True] * 3)
    stage.names[NAME] = ("127.0.0.1", "127.0.0.3")
    await wait_until(lambda: set(stage.known) == stage.labels("127.0.0.1", "127.0.0.3"))
    bit_by_bit = stage.known
    stage.fleet.on_health(WHO, stage.plane.health())
    assert stage.known == bit_by_bit


async def test_a_table_without_the_name_leaves_none_of_its_addresses(stage: Stage) -> None:
    stage.install()
    await wait_until(lambda: len(stage.known) == 3)
    other = f"http://127.0.0.1:{stage.pods.port}"
    stage.install(2, versions={"v1": {"endpoints": [other]}})
    assert stage.known == {other: True}


async def test_a_panic_is_over_when_the_addresses_that_caused_it_are_gone(stage: Stage) -> None:
    stage.install(outlier={"panicPercent": 50})
    await wait_until(lambda: len(stage.known) == 3)
    for endpoint in stage.plane.table.routes["chat"].versions["v1"].endpoints[:2]:
        endpoint.leave_out("3 failures in a row", until=1e9)
    assert sorted(stage.known.values()) == [False, False, True]
    assert stage.fleet.panics() == {("chat", "v1")}
    stage.names[NAME] = ("127.0.0.3",)
    await wait_until(lambda: stage.known == {stage.label("127.0.0.3"): True})
    assert stage.fleet.panics() == set()
