"""All providers behind one door: what is bounded there, and what becomes of failures."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.registry import Providers
from router.telemetry.windows import History

pytestmark = pytest.mark.anyio

SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=60.0)


class Gate:
    """A provider that holds every measurement until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.entered = asyncio.Semaphore(0)
        self.running = 0
        self.most = 0

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        return []

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        self.running += 1
        self.most = max(self.most, self.running)
        self.entered.release()
        try:
            await self.opened.wait()
        finally:
            self.running -= 1
        return Reading(value=1.0)


class Failing:
    """A provider that raises what it is given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def check(self, settings: Mapping[str, Any]) -> list[str]:
        return ["never works"]

    async def measure(self, settings: Mapping[str, Any], subject: Subject) -> Reading:
        raise self.error


async def test_measurements_of_one_kind_are_bounded_and_hold_up_no_other() -> None:
    slow, quick = Gate(), Gate()
    quick.opened.set()
    providers = Providers({"slow": slow, "quick": quick}, concurrency=2)
    running = [asyncio.create_task(providers.measure("slow", {}, SUBJECT)) for _ in range(5)]
    for _ in range(2):
        await slow.entered.acquire()
    assert (await providers.measure("quick", {}, SUBJECT)).value == 1.0
    slow.opened.set()
    assert [reading.value for reading in await asyncio.gather(*running)] == [1.0] * 5
    assert slow.most == 2


async def test_a_measurement_ends_within_the_deadline_also_if_it_never_began() -> None:
    gate = Gate()
    providers = Providers({"slow": gate}, concurrency=1, deadline_s=0.05)
    results = await asyncio.gather(
        *(providers.measure("slow", {}, SUBJECT) for _ in range(2)), return_exceptions=True
    )
    assert [str(result) for result in results] == ["slow: no value in 0.05 s"] * 2
    assert gate.running == 0


async def test_a_cancelled_measurement_gives_its_place_back() -> None:
    gate = Gate()
    providers = Providers({"slow": gate}, concurrency=1)
    first = asyncio.create_task(providers.measure("slow", {}, SUBJECT))
    await gate.entered.acquire()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert first.cancelled()
    gate.opened.set()
    assert (await providers.measure("slow", {}, SUBJECT)).value == 1.0


async def test_an_error_names_the_kind() -> None:
    providers = Providers({"x": Failing(ProviderError("is away"))})
    with pytest.raises(ProviderError, match=r"^x: is away$"):
        await providers.measure("x", {}, SUBJECT)


async def test_a_defect_is_an_error_that_does_not_quote_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    providers = Providers({"x": Failing(ValueError("s3cr3t"))})
    with caplog.at_level(logging.ERROR), pytest.raises(ProviderError) as caught:
        await providers.measure("x", {}, SUBJECT)
    assert str(caught.value) == "x: a defect (ValueError)"
    assert "provider x has a defect: ValueError" in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_an_unknown_kind_is_answered_with_those_that_there_are() -> None:
    providers = Providers.standard(History())
    known = 'there is no provider "datadog": there are router, shadow, prometheus, web'
    assert providers.check("datadog", {}) == [known]
    with pytest.raises(ProviderError) as caught:
        await providers.measure("datadog", {}, SUBJECT)
    assert str(caught.value) == known
    await providers.aclose()


async def test_each_kind_checks_its_own_settings() -> None:
    providers = Providers.standard(History(), {"address": "http://prometheus:9090"})
    assert providers.check("prometheus", {"query": "up"}) == []
    assert providers.check("web", {}) == ["url is missing"]
    assert providers.check("router", {}) == ["metric is missing"]
