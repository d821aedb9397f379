"""Why a response came from a version: what its generation changed, who did it, and why."""

from __future__ import annotations

import pytest

from router.store.memory import MemoryStore
from tests.support.admin import Admin, admin_port, configuration, fields_of, plain_route

pytestmark = pytest.mark.anyio


async def test_a_generation_tells_what_changed_who_did_it_and_why(guarded: Admin) -> None:
    await guarded.weights(role="operator", body={"reason": "v2 looks well"})
    found = (await guarded.call("GET", "/generations/2", role="viewer")).json()
    assert (found["number"], found["time"], found["routesChanged"]) == (2, 1_700_000_000.0, 1)
    assert found["routes"] == [
        {"route": "chat", "before": {"v1": 100.0, "v2": 0.0}, "after": {"v1": 90.0, "v2": 10.0}}
    ]
    (entry,) = found["entries"]
    assert (entry["actor"]["name"], entry["reason"]) == ("operator-1", "v2 looks well")
    assert entry["generation"] == 2
    assert entry["after"]["lineage"]["v2"] == {"run": "run of v2"}


async def test_the_first_generation_is_the_configuration(admin: Admin) -> None:
    found = (await admin.call("GET", "/generations/1")).json()
    assert [moved["before"] for moved in found["routes"]] == [None, None]
    assert [entry["action"] for entry in found["entries"]] == ["config.loaded"]


async def test_a_route_that_leaves_has_no_weights_after(admin: Admin) -> None:
    admin.content = configuration(plain_route("chat"))
    await admin.plane.reload()
    (moved,) = (await admin.call("GET", "/generations/2")).json()["routes"]
    assert moved == {"route": "walk", "before": {"v1": 100.0, "v2": 0.0}, "after": None}


async def test_an_entry_without_a_generation_belongs_to_none(admin: Admin) -> None:
    await admin.weights()
    await admin.weights()  # the same again: an entry, and no new table
    assert len((await admin.call("GET", "/generations/2")).json()["entries"]) == 1
    assert (await admin.call("GET", "/generations/3")).status_code == 404


async def test_the_history_is_told_page_by_page_newest_first(admin: Admin) -> None:
    for weight in range(1, 7):
        await admin.weights(100 - weight, weight)
    numbers: list[int] = []
    query = "?limit=3"
    while True:
        page = (await admin.call("GET", f"/generations{query}")).json()
        numbers += [generation["number"] for generation in page["generations"]]
        if page["next"] is None:
            break
        query = f"?limit=3&before={page['next']}"
    assert numbers == [7, 6, 5, 4, 3, 2, 1]


async def test_a_list_tells_some_routes_of_a_generation_and_counts_all() -> None:
    routes = [plain_route(f"r{number}") for number in range(25)]
    async with admin_port(configuration(*routes)) as admin:
        (listed,) = (await admin.call("GET", "/generations")).json()["generations"]
        alone = (await admin.call("GET", "/generations/1")).json()
    assert (len(listed["routes"]), listed["routesChanged"]) == (10, 25)
    assert (len(alone["routes"]), alone["routesChanged"]) == (25, 25)


@pytest.mark.parametrize("number", ["99", "0", "9007199254740991"])
async def test_an_unknown_generation_is_404(admin: Admin, number: str) -> None:
    response = await admin.call("GET", f"/generations/{number}")
    assert response.status_code == 404
    assert response.json()["detail"] == f"there is no generation {number}"


@pytest.mark.parametrize("number", ["-1", "x", "1.0", "9007199254740992", "٣", "1e3", " 1"])
async def test_what_is_no_number_is_no_generation(admin: Admin, number: str) -> None:
    assert list(fields_of(await admin.call("GET", f"/generations/{number}"))) == ["number"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "limit=", "before=-1", "after=3"]
)
async def test_a_page_has_its_bounds(admin: Admin, query: str) -> None:
    field = query.partition("=")[0]
    assert list(fields_of(await admin.call("GET", f"/generations?{query}"))) == [field]


async def test_a_store_that_does_not_answer_is_503() -> None:
    store = MemoryStore()
    async with admin_port(store=store) as admin:
        await store.close()
        for path in ("/generations", "/generations/1", "/audit", "/audit/verify"):
            response = await admin.call("GET", path)
            assert response.status_code == 503, path
            assert response.headers["retry-after"] == "5"
        await store.open()
