"""Every alert of the chart, in a real Prometheus, over real misbehaviour of a real router."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
import psutil
import pytest

from tests.chart.charts import Document, ci_values, only, render
from tests.chart.watched import DEADLINE_S, SELECTOR, Prometheus, running
from tests.support.certificates import Authority
from tests.support.engines import EngineProcess, running_engine
from tests.support.load import Load
from tests.support.routers import RouterProcess, document, route, running_router

pytestmark = pytest.mark.anyio

DOCS: Final = Path(__file__).parents[2] / "docs"
PREFIX: Final = "InferenceRouter"
ALERTS: Final = {
    "VersionErrors",
    "RolloutDegraded",
    "NoHealthyEndpoint",
    "GenerationLag",
    "ShadowDrops",
    "VersionPanic",
    "EventLoopDelay",
    "LoadShed",
    "ConfigRefused",
    "StoreFailures",
}
OF_CERTIFICATES: Final = {"CertificateExpiry", "CertificateRefused"}
SWITCHES: Final = {"VersionErrors": "versionErrorRatio"}
"""Of alerts whose value has another name than they have."""
PATHS: Final = ("/v1/chat/completions", "/down", "/release", "/copied")
MACHINE: Final = {"EventLoopDelay", "LoadShed"}
"""What a busy machine makes fire all by itself."""
SHED_ABOVE: Final = "100ms"
"""A worker that is stopped again and again is later than this on average."""
STOPPED_S: Final = 0.6
"""So late are the timers of a worker that is stopped; the alert's threshold is 0.25 s."""
CONNECTIONS: Final = 3
"""For each path: one that waits for a worker that stands still must not be the only one."""


def test_each_alert_says_what_it_is_and_how_bad() -> None:
    (group,) = only(render(ci_values("monitoring")), "PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"].removeprefix(PREFIX) for rule in group["rules"]}
    assert alerts == ALERTS - {"ShadowDrops"}  # which that example leaves out
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["labels"]["team"] == "serving"
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert 'job="test-inference-router-metrics", namespace="models"' in rule["expr"]


def test_alerts_of_certificates_are_there_where_there_are_certificates() -> None:
    (group,) = only(render(ci_values("tls")), "PrometheusRule")["spec"]["groups"]
    alerts = {rule["alert"].removeprefix(PREFIX): rule for rule in group["rules"]}
    assert alerts.keys() == ALERTS | OF_CERTIFICATES
    assert "< 21 * 86400" in alerts["CertificateExpiry"]["expr"]


def test_a_certificate_is_told_of_two_weeks_before_it_ends_unless_said_otherwise() -> None:
    spec = rules("tls", certificateExpiry={})
    (rule,) = [each for each in spec["groups"][0]["rules"] if "Expiry" in each["alert"]]
    assert "< 14 * 86400" in rule["expr"]


def test_the_docs_list_every_alert() -> None:
    listed = re.findall(rf"^\| `{PREFIX}(\w+)`", (DOCS / "helm.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(ALERTS | OF_CERTIFICATES)


@pytest.mark.parametrize("alert", sorted(ALERTS | OF_CERTIFICATES))
def test_each_alert_can_be_switched_off_alone(alert: str) -> None:
    switch = SWITCHES.get(alert, alert[0].lower() + alert[1:])
    spec = rules("tls", **{switch: {"enabled": False}})
    left = {rule["alert"].removeprefix(PREFIX) for rule in spec["groups"][0]["rules"]}
    assert left == (ALERTS | OF_CERTIFICATES) - {alert}


async def test_a_certificate_that_ends_soon_and_one_that_is_refused_are_told(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", "127.0.0.1", lives=timedelta(days=8))
    tls = {"certificateFile": pair.certificate, "keyFile": pair.key}
    config = document(route(v1="http://127.0.0.1:9"), workers=1, tls=tls)
    with (
        running_router(tmp_path, config) as router,
        running(tmp_path / "prometheus", router.admin, rules("tls")) as prometheus,
    ):
        watch = Watch(router, prometheus)
        await watch.wait_firing("CertificateExpiry")
        assert not watch.firing() & {"CertificateRefused"}
        pair.key_file.write_bytes(b"")
        await watch.wait_firing("CertificateRefused")
        authority.issue("new", "127.0.0.1", lives=timedelta(days=90)).copy_to(pair)
        await watch.wait(lambda: not watch.firing() & OF_CERTIFICATES)


async def test_nothing_fires_while_all_is_well_and_then_every_misbehaviour_is_told(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(running_engine(name))
            for name in ("good", "flaky", "gone", "hangs")
        }
        config = configuration({name: engine.url for name, engine in engines.items()})
        router = stack.enter_context(running_router(tmp_path, config))
        prometheus = stack.enter_context(running(tmp_path / "prometheus", router.admin, rules()))
        watch = Watch(router, prometheus)
        async with calling(router.traffic):
            await watch.wait_traffic()
            assert watch.firing() <= MACHINE
            await misbehave(watch, engines, config)
            await watch.wait_firing("NoHealthyEndpoint", "ShadowDrops", "VersionPanic")
            await watch.wait(
                lambda: watch.failing().keys() >= {("chat", "flaky"), ("down", "gone")}
            )
        summary = r"chat: version flaky fails \d+(\.\d+)?% of its requests\."
        assert re.fullmatch(summary, watch.failing()["chat", "flaky"])
        assert "good" not in {version for _, version in watch.failing()}
        assert {rule["health"] for rule in prometheus.rules().values()} == {"ok"}
        assert prometheus.query("router_store_failures_total")  # watched, and 0


# -- the misbehaviour ----------------------------------------------------------------------------


def rules(example: str = "monitoring", **changed: Document) -> Document:
    """The chart's rules as they are, but for the series that they watch and how long they wait."""
    values = ci_values(example)
    before = values["prometheusRule"] if example != "monitoring" else {}
    watched = {"prometheusRule": {**before, "enabled": True, "selector": SELECTOR, **changed}}
    spec: Document = only(render({**values, **watched}), "PrometheusRule")["spec"]
    for rule in spec["groups"][0]["rules"]:
        rule["for"] = "0s"
    return spec


def configuration(urls: dict[str, str]) -> Document:
    """A version that will fail and be in panic, one that will be gone, a release, a shadow that
    will hang."""
    good, flaky = urls["good"], urls["flaky"]
    chat = route("chat", good=good, flaky=flaky)
    # One of its two endpoints is left alone at its first failure: half of them are too few.
    chat["versions"]["flaky"]["endpoints"].append(good)
    chat["outlier"] = {"consecutive": 1, "ejection": "10s", "panicPercent": 51}
    down = route("down", "/down", gone=urls["gone"])
    release = route("release", "/release", good=good, flaky=flaky)
    copied = route("copied", "/copied", good=good, hangs=urls["hangs"])
    return document(
        {**chat, "initialWeights": {"good": 50, "flaky": 50}, "breaker": "off"},
        {**down, "health": {"interval": "200ms", "unhealthyAfter": 1}},
        {**release, "strategy": {"canary": {"steps": [{"setWeight": 1}, {"pause": {}}]}}},
        {**copied, "shadow": {"version": "hangs", "maxConcurrency": 8, "maxQueue": 8}},
        shedding={"loopDelay": SHED_ABOVE},
    )


class Watch:
    """What Prometheus says of the router."""

    def __init__(self, router: RouterProcess, prometheus: Prometheus) -> None:
        self.router = router
        self.prometheus = prometheus

    def firing(self) -> set[str]:
        """The alerts that fire."""
        return {
            alert["labels"]["alertname"].removeprefix(PREFIX) for alert in self.prometheus.firing()
        }

    def failing(self) -> dict[tuple[str, str], str]:
        """What is told of failing versions, by route and version."""
        return {
            (alert["labels"]["route"], alert["labels"]["version"]): alert["annotations"]["summary"]
            for alert in self.prometheus.firing()
            if alert["labels"]["alertname"] == f"{PREFIX}VersionErrors"
        }

    async def wait_firing(self, *alerts: str) -> None:
        """Wait until they fire."""
        await self.wait(lambda: self.firing() >= set(alerts))

    async def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until Prometheus has seen it."""
        await asyncio.to_thread(
            self.prometheus.wait,
            condition,
            lambda: f"fires: {self.firing()} {self.failing()}; the router says {self.router.log}",
        )

    async def wait_traffic(self) -> None:
        """Wait until rates can be reckoned for every route."""
        query = "sum by (route) (rate(model_requests_total[5m])) > 0"
        await self.wait(lambda: len(self.prometheus.query(query)) == len(PATHS))


async def misbehave(watch: Watch, engines: dict[str, EngineProcess], config: Document) -> None:
    """Fail in every way that an alert tells of, but for a store that does not take changes."""
    router = watch.router
    engines["flaky"].faults(error_rate=0.3)
    engines["gone"].kill()
    engines["hangs"].freeze()
    pid = router.pid("w0")
    assert pid is not None
    with stopped(psutil.Process(pid)):
        config["routes"][2]["release"] = "flaky"
        router.write_config(config)
        await watch.wait_firing("GenerationLag")
    async with asyncio.timeout(DEADLINE_S):
        while not watch.firing() >= MACHINE:
            with stopped(psutil.Process(pid)):
                await asyncio.sleep(STOPPED_S)
            await asyncio.sleep(STOPPED_S / 4)  # in which it runs the timers that are late
    async with httpx.AsyncClient(base_url=router.admin, trust_env=False) as admin:
        abort = "/api/v1/routes/release/rollout/abort"
        said = await admin.post(abort, json={"reason": "a test"})
    assert said.status_code == 200, said.text
    await watch.wait_firing("RolloutDegraded")
    router.write_config({**config, "routes": [{"name": "chat"}]})
    await watch.wait_firing("ConfigRefused")


@contextmanager
def stopped(worker: psutil.Process) -> Iterator[None]:
    """It stands still, as on a machine that has no time for it."""
    worker.suspend()
    try:
        yield
    finally:
        worker.resume()


@asynccontextmanager
async def calling(url: str) -> AsyncIterator[None]:
    """Traffic for every route; that some of it fails is the point."""
    loads = [Load(url, path, pause_s=0.02) for path in PATHS]
    tasks = [
        asyncio.create_task(load.connection(number))
        for load in loads
        for number in range(CONNECTIONS)
    ]
    try:
        yield
    finally:
        for load in loads:
            load.stop()
        await asyncio.gather(*tasks)
