"""The way of a configuration to the workers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from router.config import Config
from router.controller.fleet import Fleet
from router.controller.plane import ControlPlane
from router.errors import ConfigError
from router.link.server import Applied
from router.telemetry.exposition import render
from router.telemetry.merge import Incarnation
from tests.support.planes import WorkersInMemory

pytestmark = pytest.mark.anyio


def config(*, canary: int = 5, port: int = 8000, workers: int = 2, routes: int = 1) -> Config:
    return Config.model_validate(
        {
            "server": {"workers": workers},
            "routes": [
                {
                    "name": f"r{number}",
                    "match": [{"path": f"/r{number}"}],
                    "release": "v2",
                    "versions": {
                        "v1": {"endpoints": [f"http://127.0.0.1:{port}"]},
                        "v2": {"endpoints": [f"http://127.0.0.1:{port + 1}"]},
                    },
                    "initialWeights": {"v1": 100 - canary, "v2": canary},
                }
                for number in range(routes)
            ],
        }
    )


class File:
    """A configuration file whose content the test replaces."""

    def __init__(self, content: Config | ConfigError) -> None:
        self.content = content

    def load(self) -> Config:
        if isinstance(self.content, ConfigError):
            raise self.content
        return self.content


class Control:
    def __init__(self, content: Config | ConfigError) -> None:
        self.file = File(content)
        self.fleet = Fleet()
        self.plane = ControlPlane(self.file.load, self.fleet)
        self.workers = WorkersInMemory(self.fleet, "w0", "w1")

    async def start(self) -> None:
        await self.plane.start(self.workers)

    def metric(self, line: str) -> str:
        text = render(self.plane.scrape())[0].decode()
        return next(each.split()[-1] for each in text.splitlines() if each.startswith(line))


@pytest.fixture
async def control() -> Control:
    control = Control(config())
    await control.start()
    return control


async def test_the_first_configuration_is_generation_1(control: Control) -> None:
    assert [each.generation for each in control.workers.published] == [1]
    assert control.plane.readiness().ready
    assert await control.plane.wait_applied(1.0) == Applied(("w0", "w1"))


async def test_a_first_configuration_that_cannot_be_used_is_raised() -> None:
    control = Control(ConfigError("no"))
    with pytest.raises(ConfigError):
        await control.start()
    assert control.workers.published == []


async def test_a_changed_configuration_becomes_the_next_generation(control: Control) -> None:
    control.file.content = config(port=9000)
    reloaded = await control.plane.reload()
    assert (reloaded.generation, reloaded.problem) == (2, None)
    endpoints = [v.endpoints[0].port for v in control.workers.published[-1].routes[0].versions]
    assert endpoints == [9001, 9000]


async def test_initial_weights_mean_nothing_once_a_route_has_begun(control: Control) -> None:
    control.file.content = config(canary=10)
    assert (await control.plane.reload()).generation == 1


async def test_a_configuration_that_changes_no_route_makes_no_generation(control: Control) -> None:
    control.file.content = config()
    assert (await control.plane.reload()).generation == 1
    assert len(control.workers.published) == 1
    assert control.plane.config is control.file.content


async def test_a_bad_configuration_is_refused_whole_and_the_old_one_keeps_serving(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    before = control.plane.config
    control.file.content = ConfigError("router.yaml:3 routes[0].versions: is required")
    reloaded = await control.plane.reload()
    assert reloaded.problem == "router.yaml:3 routes[0].versions: is required"
    assert control.plane.config is before
    assert len(control.workers.published) == 1
    assert "refused, the old one keeps serving:\nrouter.yaml:3" in caplog.text
    assert control.metric('router_config_reloads_total{result="refused"}') == "1.0"
    assert control.metric('router_config_reloads_total{result="ok"}') == "1.0"


async def test_a_configuration_that_does_not_fit_the_recorded_state_is_refused_too(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ConfigError("version v1 has 95 % of the traffic")

    monkeypatch.setattr("router.controller.plane.compile_snapshot", refuse)
    before = control.plane.config
    control.file.content = config(port=9000)
    assert (await control.plane.reload()).problem == "version v1 has 95 % of the traffic"
    assert control.plane.config is before


async def test_what_needs_a_restart_is_said(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    control.file.content = config(workers=8)
    with caplog.at_level(logging.WARNING):
        await control.plane.reload()
    assert "server.workers has changed: that needs a restart" in caplog.text


async def test_reloads_at_the_same_time_come_one_after_the_other(control: Control) -> None:
    control.file.content = config(port=9000)
    await asyncio.gather(*(control.plane.reload() for _ in range(5)))
    assert [each.generation for each in control.workers.published] == [1, 2]


async def test_control_numbers_on_above_a_worker_that_is_ahead(control: Control) -> None:
    control.fleet.on_ahead(41)
    control.fleet.on_ahead(41)  # two workers of the same dead control
    await until(lambda: control.plane.snapshot.generation > 1)
    assert control.plane.snapshot.generation == 42
    assert control.workers.published[-1].routes == control.workers.published[0].routes


async def test_not_ready_until_the_workers_follow(control: Control) -> None:
    control.workers.following = False
    control.file.content = config(port=9000)
    await control.plane.reload()
    assert control.plane.readiness().reasons == (
        "worker w0 serves generation 1, not generation 2",
        "worker w1 serves generation 1, not generation 2",
    )


async def test_series_of_a_removed_route_disappear_and_those_of_a_new_one_appear() -> None:
    control = Control(config(routes=2))
    await control.start()
    assert control.metric('model_requests_in_flight{route="r1",version="v1"}') == "0.0"
    control.file.content = config(routes=1)
    await control.plane.reload()
    with pytest.raises(StopIteration):
        control.metric('model_requests_in_flight{route="r1",version="v1"}')


async def test_endpoint_health_is_the_share_of_live_workers_that_hold_it_healthy(
    control: Control,
) -> None:
    line = 'router_endpoint_healthy{endpoint="http://127.0.0.1:8000",route="r0",version="v1"}'
    assert control.metric(line) == "1.0"
    control.workers.report_health("w1", healthy=False, reason="refused")
    assert control.metric(line) == "0.5"
    control.workers.leave("w1")
    assert control.metric(line) == "1.0"


async def test_a_restarted_worker_is_counted(control: Control) -> None:
    control.workers.leave("w1")
    assert control.metric("router_worker_restarts_total") == "0.0"
    WorkersInMemory(control.fleet, "w1")  # of another pid
    assert control.metric("router_worker_restarts_total") == "1.0"


async def test_a_draining_worker_is_not_live(control: Control) -> None:
    control.workers.drain("w0")
    control.fleet.on_applied(Incarnation("w0", 1), 1)  # was under way
    assert set(control.fleet.workers) == {"w1"}
    control.workers.drain("w1")
    assert control.plane.readiness().reasons[0] == "draining"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nothing tells that a background task is done
            await asyncio.sleep(0.001)
