"""The console's overview and history: real numbers, gaps where there are none, and pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from router.admin.history import MAX_MARKS
from router.errors import FailureReason
from router.telemetry import families
from router.telemetry.chronicle import FINE
from router.telemetry.families import Family
from router.telemetry.merge import Incarnation
from router.telemetry.recorder import Series
from tests.support.admin import Admin, admin_port, configuration, fields_of, plain_route

pytestmark = pytest.mark.anyio

W0, W1 = Incarnation("w0", 1), Incarnation("w1", 2)


def histogram(family: Family, **counts: int) -> Series:
    """Observations of `chat`/`v1`: `le_0_25=3` are three in the bucket that ends at 0.25 s."""
    buckets = [0] * (len(family.buckets) + 1)
    for name, count in counts.items():
        bound = float(name.removeprefix("le_").replace("_", "."))
        buckets[family.buckets.index(bound)] = count
    return Series(family.name, ("chat", "v1"), 0.0, buckets)


def traffic(served: int, failed: int = 0, tokens: int = 0, in_flight: int = 0) -> list[Series]:
    """What a worker has counted of `chat`/`v1` in its life."""
    key = ("chat", "v1", "stable")
    return [
        Series(families.REQUESTS.name, (*key, "200"), served),
        Series(families.REQUESTS.name, (*key, "500"), failed),
        Series(families.ERRORS.name, (*key, next(iter(FailureReason)).value), failed),
        Series(families.TOKENS.name, ("chat", "v1", "completion"), tokens),
        Series(families.IN_FLIGHT.name, ("chat", "v1"), in_flight),
        histogram(families.DURATION, le_0_25=served),
        histogram(families.FIRST_TOKEN, le_0_1=served),
        histogram(families.INTER_CHUNK, le_0_02=served),
    ]


async def pass_time(admin: Admin, seconds: int, per_second: int = 0, failed: int = 0) -> None:
    """Let control sample every ten seconds, with this traffic in worker w0."""
    for _ in range(seconds // FINE.step_s):
        admin.clock.advance(FINE.step_s)
        told = getattr(admin, "told", (0, 0))
        told = (told[0] + per_second * FINE.step_s, told[1] + failed * FINE.step_s)
        admin.told = told  # type: ignore[attr-defined]
        admin.plane.fleet.on_telemetry(W0, traffic(*told, tokens=told[0] * 3, in_flight=2))
        await admin.plane.chronicler.sample()


@pytest.fixture
async def busy() -> AsyncIterator[Admin]:
    """`chat`/`v1` with ten requests a second for two minutes, one of them failed."""
    async with admin_port() as admin:
        admin.plane.fleet.on_telemetry(W0, traffic(0))
        await admin.plane.chronicler.sample()
        await pass_time(admin, 120, per_second=9, failed=1)
        yield admin


async def overview(admin: Admin, query: str = "") -> dict[str, Any]:
    document: dict[str, Any] = (await admin.call("GET", f"/overview{query}")).json()
    return document


async def history(admin: Admin, query: str = "", route: str = "chat") -> dict[str, Any]:
    response = await admin.call("GET", f"/routes/{route}/history{query}")
    document: dict[str, Any] = response.json()
    return document


# -- the overview ------------------------------------------------------------------------------


async def test_a_version_shows_what_it_did_in_the_last_minute(busy: Admin) -> None:
    busy.clock.advance(1)
    chat = (await overview(busy))["routes"][0]
    v1 = next(version for version in chat["versions"] if version["name"] == "v1")
    assert v1["requestRate"] == pytest.approx(10 * 60 / 61, rel=1e-4)
    assert v1["errorRatio"] == pytest.approx(0.1)
    assert v1["p50"] == pytest.approx(0.175)
    assert v1["p99"] == pytest.approx(0.1 + 0.15 * 0.99)
    assert v1["ttftP50"] == pytest.approx(0.09)
    assert (v1["role"], v1["weight"], v1["inFlight"]) == ("stable", 100, 2)
    assert (v1["healthyEndpoints"], v1["endpoints"], v1["tripped"]) == (1, 1, None)


async def test_what_was_not_measured_is_null_and_no_zero(busy: Admin) -> None:
    busy.clock.advance(1)
    v2 = next(v for v in (await overview(busy))["routes"][0]["versions"] if v["name"] == "v2")
    assert v2["requestRate"] == 0
    assert [v2[name] for name in ("errorRatio", "p50", "p99", "ttftP50", "ttftP99")] == [None] * 5


async def test_before_the_first_sample_nothing_is_known(admin: Admin) -> None:
    for route in (await overview(admin))["routes"]:
        assert {version["requestRate"] for version in route["versions"]} == {None}


async def test_workers_are_told_with_what_they_serve_and_do(busy: Admin) -> None:
    document = await overview(busy)
    generation = document["generation"]
    assert document["workers"] == [
        {"name": "w0", "live": True, "generation": generation, "inFlight": 2},
        {"name": "w1", "live": True, "generation": generation, "inFlight": 0},
    ]
    assert (document["ready"], document["reasons"]) == (True, [])
    for version in ("v1", "v2"):
        busy.workers.report_health("w1", healthy=False, reason="connection refused")
        busy.workers.report_health("w0", healthy=False, reason=f"connection refused {version}")
    document = await overview(busy)
    assert not document["ready"]
    assert document["reasons"]
    assert document["routes"][0]["versions"][0]["healthyEndpoints"] == 0


async def test_a_rollout_is_told_with_what_it_waits_for(busy: Admin) -> None:
    for _ in range(6):
        await busy.plane.reconcile()
    walk = (await overview(busy, "?search=WAL"))["routes"][0]
    told = (await busy.call("GET", "/routes/walk/rollout")).json()
    assert (walk["phase"], walk["text"], walk["target"]) == (
        told["phase"],
        told["message"],
        told["target"],
    )
    assert (walk["step"], walk["steps"]) == (told["step"], len(told["steps"]))
    assert walk["phase"] != "Healthy"


async def test_weights_of_a_person_stand_beside_the_controller_s(busy: Admin) -> None:
    await busy.weights()
    chat = (await overview(busy))["routes"][0]
    assert chat["override"]["holder"] == "local"
    shares = {
        version["name"]: (version["weight"], version["wanted"]) for version in chat["versions"]
    }
    assert shares == {"v1": (90, 100), "v2": (10, 0)}


@pytest.fixture
async def wide() -> AsyncIterator[Admin]:
    """500 routes of two versions each."""
    async with admin_port(configuration(*(plain_route(f"r{n:03}") for n in range(500)))) as admin:
        yield admin


async def test_500_routes_come_in_pages_each_once_by_name(wide: Admin) -> None:
    found, following, pages = [], "", 0
    while True:
        document = await overview(wide, f"?limit=120{following}")
        assert document["total"] == 500
        found += [route["name"] for route in document["routes"]]
        pages += 1
        if document["next"] is None:
            break
        following = f"&after={document['next']}"
    assert found == [f"r{number:03}" for number in range(500)]
    assert pages == 5


async def test_a_page_goes_on_after_a_route_that_is_gone(wide: Admin) -> None:
    wide.content = configuration(*(plain_route(f"r{n:03}") for n in range(500) if n != 99))
    await wide.plane.reload()
    document = await overview(wide, "?after=r099&limit=1")
    assert [route["name"] for route in document["routes"]] == ["r100"]


async def test_a_search_finds_names_whatever_their_case(wide: Admin) -> None:
    document = await overview(wide, "?search=R49&limit=4")
    assert (document["total"], document["next"]) == (10, "r493")
    assert (await overview(wide, "?search=nope"))["routes"] == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "page=2", "search=" + "x" * 256]
)
async def test_a_page_that_makes_no_sense_is_refused(admin: Admin, query: str) -> None:
    response = await admin.call("GET", f"/overview?{query}")
    assert [*fields_of(response)] == [query.partition("=")[0]]


# -- the history -------------------------------------------------------------------------------


async def test_the_history_has_the_traffic_that_there_was(busy: Admin) -> None:
    document = await history(busy, "?seconds=120&points=12")
    assert document["step"] == 10
    assert document["times"] == list(range(document["from"] + 10, document["to"] + 1, 10))
    v1 = document["versions"]["v1"]
    assert v1["requestRate"][-11:] == [10.0] * 11
    assert v1["errorRatio"][-11:] == [pytest.approx(0.1)] * 11
    assert v1["p50"][-1] == pytest.approx(0.175, rel=1e-4)
    assert v1["ttftP99"][-1] == pytest.approx(0.0998, rel=1e-4)
    assert v1["interChunkP99"][-1] == pytest.approx(0.01995, rel=1e-4)
    assert v1["tokensPerSecond"][-1] == pytest.approx(27)
    assert set(v1["weight"][-11:]) == {100}
    assert v1["role"] == "stable"
    assert document["versions"]["v2"]["requestRate"][-1] == 0
    assert document["versions"]["v2"]["p99"][-1] is None


async def test_before_control_began_and_while_it_was_away_there_is_a_gap(busy: Admin) -> None:
    busy.clock.advance(60)
    await pass_time(busy, 40, per_second=5)
    rates = (await history(busy, "?seconds=300&points=30"))["versions"]["v1"]["requestRate"]
    known = "".join("." if rate is None else "#" for rate in rates)
    assert known.rstrip("#").endswith(".......")  # 60 s, and the sample after it has no span
    assert known.startswith("....")
    assert known.endswith("###")


async def test_a_coarser_grid_tells_the_same_traffic(busy: Admin) -> None:
    await pass_time(busy, 600, per_second=9, failed=1)
    document = await history(busy, "?seconds=21600&points=360")
    assert document["step"] == 60
    rates = [rate for rate in document["versions"]["v1"]["requestRate"] if rate is not None]
    assert len(rates) >= 10
    assert set(rates[1:]) == {10.0}


async def test_marks_tell_what_was_done_to_the_route_in_that_time(busy: Admin) -> None:
    await busy.weights()
    busy.clock.advance(600)
    await pass_time(busy, 20)
    await busy.call("DELETE", "/routes/chat/weights?reason=enough")
    await busy.call("PUT", "/routes/walk/weights", {"weights": {"v1": 100}, "reason": "no"})
    recent = (await history(busy, "?seconds=300"))["marks"]
    assert [(mark["kind"], mark["text"]) for mark in recent] == [("weights.released", "enough")]
    entry = next(each for each in await busy.trail() if each.action == "weights.released")
    assert recent[0]["sequence"] == entry.sequence
    assert recent[0]["time"] == entry.time_s
    assert recent[0]["generation"] == entry.generation
    both = (await history(busy, "?seconds=3600"))["marks"]
    assert [mark["kind"] for mark in both] == ["weights.set", "weights.released"]


async def test_marks_are_bounded_and_the_newest_are_told(busy: Admin) -> None:
    for number in range(MAX_MARKS + 5):
        await busy.weights(v1=100 - number % 2, v2=number % 2, body={"reason": f"change {number}"})
    marks = (await history(busy))["marks"]
    assert len(marks) == MAX_MARKS
    assert marks[-1]["text"] == f"change {MAX_MARKS + 4}"


async def test_a_route_that_is_gone_has_no_history(busy: Admin) -> None:
    response = await busy.call("GET", "/routes/nope/history")
    assert response.status_code == 404


@pytest.mark.parametrize("query", ["seconds=59", "seconds=21601", "points=1", "points=721"])
async def test_a_history_that_is_not_kept_is_refused(busy: Admin, query: str) -> None:
    response = await busy.call("GET", f"/routes/chat/history?{query}")
    assert [*fields_of(response)] == [query.partition("=")[0]]
