"""What `GET /routes` tells of endpoints that are not as always, and what `/metrics` does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.link.messages import EndpointHealth, Health, Panic
from router.telemetry.merge import Incarnation
from tests.support.admin import Admin, admin_port, configuration, plain_route

pytestmark = pytest.mark.anyio


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port(configuration(plain_route())) as admin:
        yield admin


def report(admin: Admin, worker: int, *panics: Panic, **what: Any) -> str:
    """Have a worker say this of the first endpoint of v1; its URL."""
    chat = admin.workers.published[-1].routes[0]
    url = next(each for each in chat.versions if each.name == "v1").endpoints[0].url
    name = list(admin.workers.fleet.workers)[worker]
    who = Incarnation(name, admin.workers.fleet.workers[name].pid)
    told = EndpointHealth("chat", "v1", url, what.pop("healthy", True), **what)
    admin.workers.fleet.on_health(who, Health(endpoints=[told], panics=list(panics)))
    return url


async def v1(admin: Admin) -> dict[str, Any]:
    """The version as the API tells it; both ways to ask say the same."""
    one = (await admin.call("GET", "/routes/chat")).json()["versions"]
    (every,) = (await admin.call("GET", "/routes")).json()["routes"]
    assert one == every["versions"]
    version: dict[str, Any] = next(each for each in one if each["name"] == "v1")
    return version


async def endpoint(admin: Admin) -> dict[str, Any]:
    told: dict[str, Any] = (await v1(admin))["endpoints"][0]
    return told


async def test_ejections_are_added_up_and_the_last_end_of_one_is_told_until_it_is_over(
    admin: Admin,
) -> None:
    now = admin.clock.wall()
    report(admin, 0, healthy=False, reason="3 failures", ejections=2, ejected_until_s=now + 5)
    assert (await endpoint(admin))["ejectedUntil"] == now + 5
    report(admin, 1, healthy=False, reason="3 failures", ejections=1, ejected_until_s=now + 9)
    told = await endpoint(admin)
    assert (told["ejections"], told["ejectedUntil"]) == (3, now + 9)
    admin.clock.advance(9)
    assert (await endpoint(admin))["ejectedUntil"] is None


async def test_the_share_of_a_warming_endpoint_grows_while_no_worker_says_anything(
    admin: Admin,
) -> None:
    now = admin.clock.wall()
    assert (await endpoint(admin))["slowStart"] is None
    report(admin, 0, warm_from_s=now, warm_until_s=now + 20)
    assert (await endpoint(admin))["slowStart"] == {"percent": 10.0, "until": now + 20}
    admin.clock.advance(15)
    assert (await endpoint(admin))["slowStart"] == {"percent": 75.0, "until": now + 20}
    report(admin, 1, warm_from_s=now + 10, warm_until_s=now + 30)
    assert (await endpoint(admin))["slowStart"] == {"percent": 25.0, "until": now + 30}
    admin.clock.advance(15)
    assert (await endpoint(admin))["slowStart"] is None


async def test_the_end_of_a_slow_start_is_measured_for_the_worker_that_is_last(
    admin: Admin,
) -> None:
    name = "router_endpoint_slow_start_end_timestamp_seconds"
    report(admin, 0)
    assert f"{name}{{" not in (await admin.client.get("/metrics")).text
    report(admin, 0, warm_from_s=1000.0, warm_until_s=1020.5)
    url = report(admin, 1, warm_from_s=1010.0, warm_until_s=1030.5)
    line = f'{name}{{endpoint="{url}",route="chat",version="v1"}} 1030.5'
    assert line in (await admin.client.get("/metrics")).text


async def test_the_shortest_learned_idle_time_is_told_and_measured(admin: Admin) -> None:
    assert (await endpoint(admin))["idleSeconds"] is None
    assert "router_endpoint_idle_seconds{" not in (await admin.client.get("/metrics")).text
    report(admin, 0, idle_s=1.6)
    url = report(admin, 1, idle_s=0.8)
    assert (await endpoint(admin))["idleSeconds"] == 0.8
    line = f'router_endpoint_idle_seconds{{endpoint="{url}",route="chat",version="v1"}} 0.8'
    assert line in (await admin.client.get("/metrics")).text


async def test_panic_is_told_and_measured_as_a_share_of_the_workers(admin: Admin) -> None:
    assert (await v1(admin))["panic"] is False
    report(admin, 0, Panic("chat", "v1", True))
    report(admin, 1, Panic("chat", "v1", False))
    assert (await v1(admin))["panic"] is True
    line = 'router_version_panic{route="chat",version="v1"} 0.5'
    assert line in (await admin.client.get("/metrics")).text
    report(admin, 0, Panic("chat", "v1", False))
    assert (await v1(admin))["panic"] is False
    assert line not in (await admin.client.get("/metrics")).text


async def test_only_a_change_of_health_is_an_event(admin: Admin) -> None:
    told: list[tuple[str, Any]] = []
    admin.workers.fleet.tell = lambda kind, route=None, **content: told.append((kind, content))
    report(admin, 0, idle_s=1.6)
    assert told == []
    report(admin, 0, idle_s=1.6, healthy=False, reason="refused")
    report(admin, 0, idle_s=1.6, healthy=False, reason="refused", ejections=1)
    assert [(kind, content["healthy"]) for kind, content in told] == [("health", False)]


# -- names -------------------------------------------------------------------------------------

NAME = "dns://llm.example:8000"
HERE = "http://10.0.0.1:8000"


@pytest.fixture
async def named() -> AsyncIterator[Admin]:
    """`chat`, whose v1 is one server beside a name with three addresses, one of which refuses."""
    route = plain_route()
    route["versions"]["v1"]["endpoints"].append(NAME)
    async with admin_port(configuration(route)) as admin:
        admin.workers.addresses[NAME] = ("10.0.1.3", "10.0.1.1", "10.0.1.2")
        admin.workers.dead = {"10.0.1.2"}
        for worker in ("w0", "w1"):
            admin.workers.report_health(worker, healthy=True)
        yield admin


async def counted(admin: Admin) -> tuple[int, int]:
    """Of v1 as the overview tells it: healthy endpoints, and all."""
    (chat,) = (await admin.call("GET", "/overview")).json()["routes"]
    version = next(each for each in chat["versions"] if each["name"] == "v1")
    return version["healthyEndpoints"], version["endpoints"]


async def test_a_name_is_told_address_by_address_and_never_beside_them(named: Admin) -> None:
    endpoints = (await v1(named))["endpoints"]
    told = [(each["url"], each["healthy"], each["reasons"]) for each in endpoints]
    assert told == [
        (HERE, True, []),
        (f"{NAME} (10.0.1.1)", True, []),
        (f"{NAME} (10.0.1.2)", False, ["refused"]),
        (f"{NAME} (10.0.1.3)", True, []),
    ]
    assert await counted(named) == (3, 4)


async def test_a_name_without_addresses_is_one_endpoint_that_nobody_has_looked_at(
    named: Admin,
) -> None:
    del named.workers.addresses[NAME]
    for worker in ("w0", "w1"):
        named.workers.report_health(worker, healthy=True)
    told = [(each["url"], each["workers"]) for each in (await v1(named))["endpoints"]]
    assert told == [(HERE, 2), (NAME, 0)]
    assert await counted(named) == (1, 2)


async def test_no_address_is_a_label_of_a_metric(named: Admin) -> None:
    text = (await named.client.get("/metrics")).text
    assert f'router_endpoint_healthy{{endpoint="{NAME}",route="chat",version="v1"}} 0.66' in text
    assert f'router_endpoint_healthy{{endpoint="{HERE}",route="chat",version="v1"}} 1.0' in text
    assert "10.0.1." not in text


async def test_a_refused_switch_names_the_addresses_that_fail() -> None:
    route = plain_route(strategy={"blueGreen": {"minHealthyEndpoints": 3}})
    route["versions"]["v2"]["endpoints"] = [NAME, HERE]
    async with admin_port(configuration(route)) as admin:
        for worker in ("w0", "w1"):
            admin.workers.report_health(worker, healthy=True)
        to_v2 = {"to": "v2", "reason": "go"}
        (failing,) = (await admin.call("POST", "/routes/chat/switch", to_v2)).json()["endpoints"]
        assert failing == {"url": NAME, "reason": "no worker has looked at it yet"}
        admin.workers.addresses[NAME] = ("10.0.1.1", "10.0.1.2")
        admin.workers.dead = {"10.0.1.2"}
        for worker in ("w0", "w1"):
            admin.workers.report_health(worker, healthy=True)
        (failing,) = (await admin.call("POST", "/routes/chat/switch", to_v2)).json()["endpoints"]
        assert failing == {"url": f"{NAME} (10.0.1.2)", "reason": "refused"}
        admin.workers.dead = set()
        for worker in ("w0", "w1"):
            admin.workers.report_health(worker, healthy=True)
        assert (await admin.call("POST", "/routes/chat/switch", to_v2)).status_code == 200
