"""The router's own numbers as a provider, over a history that a test tells."""

from __future__ import annotations

import math
from typing import Any

import pytest

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.router import RouterMetrics
from router.errors import FailureReason
from router.telemetry.merge import Incarnation, Merger
from router.telemetry.recorder import VersionRecorder, WorkerRecorder
from router.telemetry.windows import History

pytestmark = pytest.mark.anyio

LIVE = {("chat", "v1"), ("chat", "v2"), ("chat", "v3")}
END = 100.0


class Traffic:
    """One worker's recorder, and a history that sees it at 90 s and at 100 s."""

    def __init__(self) -> None:
        self.recorder = WorkerRecorder("w0")
        self.merger = Merger()
        self.who = Incarnation("w0", 1)
        self.merger.joined(self.who)
        self.history = History()
        self.history.add(END - 10, self.merger.view(), LIVE)

    def version(self, name: str) -> VersionRecorder:
        return self.recorder.version("chat", name)

    def answers(self, name: str, requests: int, errors: int = 0) -> None:
        self.version(name).changed = True
        role = self.version(name).role("canary")
        role.requests[200] += requests - errors
        role.requests[500] += errors
        role.errors[FailureReason.UPSTREAM_5XX] += errors

    def seen(self) -> RouterMetrics:
        self.merger.update(self.who, self.recorder.series())
        self.history.add(END, self.merger.view(), LIVE)
        return RouterMetrics(self.history)

    async def measure(self, now: float = END, **settings: Any) -> Reading:
        subject = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=now)
        return await self.seen().measure(settings, subject)


async def test_the_value_is_a_list_of_one_number() -> None:
    traffic = Traffic()
    traffic.answers("v2", 50, errors=1)
    assert await traffic.measure(metric="errorRatio") == Reading(value=[0.02], samples=50)


@pytest.mark.parametrize(("metric", "value"), [("requestRate", 5.0), ("requests", 50.0)])
async def test_requests_are_counted_or_rated(metric: str, value: float) -> None:
    traffic = Traffic()
    traffic.answers("v2", 50)
    assert (await traffic.measure(metric=metric)).value == [value]


async def test_tokens_are_those_of_completions() -> None:
    traffic = Traffic()
    traffic.answers("v2", 1)
    traffic.version("v2").completion_tokens = 300
    traffic.version("v2").prompt_tokens = 7
    assert (await traffic.measure(metric="tokensPerSecond")).value == [30.0]


@pytest.mark.parametrize(
    ("metric", "histogram"),
    [
        ("durationQuantile", "duration"),
        ("timeToFirstTokenQuantile", "first_token"),
        ("timeToFirstByteQuantile", "first_byte"),
        ("interChunkQuantile", "inter_chunk"),
    ],
)
async def test_each_quantile_is_that_of_its_histogram(metric: str, histogram: str) -> None:
    traffic = Traffic()
    traffic.answers("v2", 4)
    getattr(traffic.version("v2"), histogram).observe(0.9)
    reading = await traffic.measure(metric=metric, quantile=1)
    assert reading.value == [1.0]
    assert reading.samples == 4


async def test_a_quantile_that_was_never_measured_is_no_data() -> None:
    traffic = Traffic()
    traffic.answers("v2", 4)
    reading = await traffic.measure(metric="interChunkQuantile", quantile=0.5)
    assert reading == Reading(value=[], no_data=True, samples=4)


@pytest.mark.parametrize("metric", ["errorRatio", "requests", "requestRate", "tokensPerSecond"])
async def test_no_request_is_no_data(metric: str) -> None:
    assert await Traffic().measure(metric=metric) == Reading(value=[], no_data=True, samples=0)


@pytest.mark.parametrize(("wanted", "no_data"), [(50, False), (51, True), (0, False)])
async def test_fewer_requests_than_wanted_are_no_data(wanted: int, no_data: bool) -> None:
    traffic = Traffic()
    traffic.answers("v2", 50, errors=50)
    reading = await traffic.measure(metric="errorRatio", minRequests=wanted)
    assert (reading.no_data, reading.samples) == (no_data, 50)


async def test_a_version_is_a_role_or_a_name() -> None:
    traffic = Traffic()
    for name, requests in (("v1", 10), ("v2", 20), ("v3", 30)):
        traffic.answers(name, requests)
    for version, requests in (("stable", 10), ("canary", 20), ("v3", 30)):
        assert (await traffic.measure(metric="requests", version=version)).value == [requests]


async def test_a_version_that_the_route_has_not_is_an_error() -> None:
    with pytest.raises(ProviderError, match="route chat has no version v9"):
        await Traffic().measure(metric="requests", version="v9")


@pytest.mark.parametrize(
    ("compare", "canary", "stable", "value"),
    [
        ("difference", 3, 1, 0.02),
        ("ratio", 3, 1, 3.0),
        ("ratio", 3, 0, math.inf),
        ("ratio", 0, 0, 1.0),
        ("difference", 0, 2, -0.02),
    ],
)
async def test_a_canary_is_compared_with_stable(
    compare: str, canary: int, stable: int, value: float
) -> None:
    traffic = Traffic()
    traffic.answers("v2", 100, errors=canary)
    traffic.answers("v1", 100, errors=stable)
    reading = await traffic.measure(metric="errorRatio", compare=compare)
    assert reading.value == [pytest.approx(value)]
    assert reading.samples == 100


async def test_a_comparison_needs_enough_of_both() -> None:
    traffic = Traffic()
    traffic.answers("v2", 100)
    assert (await traffic.measure(metric="errorRatio", compare="ratio")).no_data


async def test_a_ratio_of_what_was_never_measured_is_no_data() -> None:
    traffic = Traffic()
    traffic.answers("v2", 10)
    traffic.answers("v1", 10)
    reading = await traffic.measure(metric="durationQuantile", quantile=0.5, compare="ratio")
    assert reading.no_data


async def test_the_window_is_a_minute_unless_it_is_given() -> None:
    traffic = Traffic()
    traffic.answers("v2", 10)
    traffic.seen()
    traffic.answers("v2", 1)
    traffic.merger.update(traffic.who, traffic.recorder.series())
    traffic.history.add(END + 20, traffic.merger.view(), LIVE)
    subject = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=END + 20)
    provider = RouterMetrics(traffic.history)
    assert (await provider.measure({"metric": "requests"}, subject)).value == [11.0]
    settings = {"metric": "requests", "window": "15s"}
    assert (await provider.measure(settings, subject)).value == [1.0]


async def test_numbers_that_are_old_are_an_error() -> None:
    traffic = Traffic()
    traffic.answers("v2", 10)
    with pytest.raises(ProviderError, match="31 s old"):
        await traffic.measure(now=END + 31, metric="requests")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "metric is missing"),
        ({"metric": "latency"}, "metric: input should be 'requestRate'"),
        ({"metric": "durationQuantile"}, "durationQuantile needs a quantile"),
        ({"metric": "requests", "quantile": 0.5}, "requests has no quantile"),
        ({"metric": "durationQuantile", "quantile": 99}, "quantile: input should be less"),
        ({"metric": "requests", "window": "7h"}, "window: input should be less"),
        ({"metric": "requests", "window": 0}, "window: input should be greater"),
        ({"metric": "requests", "minRequests": -1}, "minRequests: "),
        ({"metric": "requests", "compare": "percent"}, "compare: "),
        ({"metric": "requests", "compare": "ratio", "version": "stable"}, "other than stable"),
        ({"metric": "requests", "query": "up"}, "query is not a field of this provider"),
    ],
)
def test_what_is_wrong_with_settings_is_known_before_any_measurement(
    settings: dict[str, Any], problem: str
) -> None:
    assert any(problem in each for each in RouterMetrics(History()).check(settings))


def test_arguments_may_stand_anywhere() -> None:
    settings = {
        "metric": "durationQuantile",
        "quantile": "{{args.q}}",
        "window": "{{args.window}}",
        "version": "{{args.canary-version}}",
        "minRequests": "{{args.least}}",
    }
    assert RouterMetrics(History()).check(settings) == []
