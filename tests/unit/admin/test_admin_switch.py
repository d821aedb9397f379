"""A switch by a person: all traffic at once, to a version that is ready for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from router.link.messages import EndpointHealth, Health, Trip
from router.telemetry.merge import Incarnation
from tests.support.admin import (
    Admin,
    admin_port,
    configuration,
    fields_of,
    plain_route,
    tokens,
    walking_route,
)

pytestmark = pytest.mark.anyio

FIRST, SECOND = "http://10.0.0.2:8000", "http://10.0.0.3:8000"
OPERATOR: dict[str, Any] = {"role": "operator"}


def two_colours(name: str = "chat") -> dict[str, Any]:
    """A route whose versions have two endpoints each and need both."""
    document = plain_route(name)
    document["versions"]["v1"]["endpoints"].append("http://10.0.0.9:8000")
    document["versions"]["v2"]["endpoints"] = [FIRST, SECOND]
    return {**document, "strategy": {"blueGreen": {"minHealthyEndpoints": 2}}}


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    config = configuration(two_colours(), walking_route(), auth={"tokens": tokens()})
    async with admin_port(config) as admin:
        yield admin


async def switch(admin: Admin, to: Any = "v2", *, query: str = "", **more: Any) -> httpx.Response:
    body = {"to": to, "reason": "go", **more.pop("body", {})}
    route = more.pop("route", "chat")
    how = {**OPERATOR, **more}
    return await admin.call("POST", f"/routes/{route}/switch{query}", body, **how)


def report(admin: Admin, worker: int, url: str, reason: str = "", version: str = "v2") -> None:
    """One of the two workers sees an endpoint of `chat` otherwise from now on."""
    one = EndpointHealth("chat", version, url, not reason, reason)
    admin.plane.fleet.on_health(Incarnation(f"w{worker}", worker + 1), Health(endpoints=[one]))


def weights(response: httpx.Response) -> dict[str, float]:
    return {version["name"]: version["weight"] for version in response.json()["versions"]}


# -- what is done ------------------------------------------------------------------------------


async def test_all_traffic_is_on_the_other_side_when_the_answer_comes(admin: Admin) -> None:
    response = await switch(admin)
    assert response.status_code == 200
    document = response.json()
    assert (document["stable"], document["past"], document["generation"]) == ("v2", ["v1"], 2)
    assert document["applied"] == {"workers": ["w0", "w1"]}
    assert weights(response) == {"v1": 0, "v2": 100}
    (chat, _walk) = admin.workers.published[-1].routes
    assert {version.name: version.weight_bp for version in chat.versions} == {"v1": 0, "v2": 10_000}


async def test_a_switch_back_is_one_call_too(admin: Admin) -> None:
    await switch(admin)
    response = await switch(admin, "v1")
    assert (response.json()["stable"], weights(response)) == ("v1", {"v1": 100, "v2": 0})
    await switch(admin)
    back = await admin.call("POST", "/routes/chat/rollback", {"reason": "worse"}, **OPERATOR)
    assert (back.status_code, back.json()["stable"]) == (200, "v1")


async def test_a_switch_holds_the_controller(admin: Admin) -> None:
    for _ in range(8):
        await admin.plane.reconcile()
    assert (await switch(admin, "v1", route="walk")).status_code == 200
    for _ in range(8):
        await admin.plane.reconcile()
    walk = (await admin.call("GET", "/routes/walk", **OPERATOR)).json()
    assert (walk["stable"], walk["rejected"]) == ("v1", "v2")
    assert {each["name"]: each["weight"] for each in walk["versions"]} == {"v1": 100, "v2": 0}


async def test_the_trail_tells_who_switched_and_why(admin: Admin) -> None:
    await switch(admin, body={"reason": "v2 is proven"})
    entry = (await admin.trail())[-1]
    assert (entry.action, entry.actor.name) == ("switched", "operator-1")
    assert "v2 is proven" in entry.reason
    assert entry.evidence == {
        "former": "v1",
        "stable": "v2",
        "forced": False,
        "lacks": None,
        "released": None,
    }


# -- what is not ready -------------------------------------------------------------------------


async def test_a_version_that_is_not_ready_is_409_and_names_each_failing_endpoint(
    admin: Admin,
) -> None:
    report(admin, 0, SECOND, "GET /health: 503")
    before = await admin.everything()
    response = await switch(admin)
    assert response.status_code == 409
    problem = response.json()
    assert problem["type"] == "urn:inference-router:not-ready"
    assert "v2 has 1 healthy endpoint" in problem["detail"]
    assert problem["endpoints"] == [{"url": SECOND, "reason": "GET /health: 503"}]
    assert problem["current"]["stable"] == "v1"
    assert await admin.everything() == before


async def test_an_endpoint_counts_if_every_worker_can_reach_it(admin: Admin) -> None:
    report(admin, 0, FIRST, "refused")
    report(admin, 1, FIRST, "no answer in 2 s")
    (failing,) = (await switch(admin)).json()["endpoints"]
    assert failing == {"url": FIRST, "reason": "no answer in 2 s; refused"}
    report(admin, 0, FIRST)
    assert (await switch(admin)).status_code == 409
    report(admin, 1, FIRST)
    assert (await switch(admin)).status_code == 200


async def test_an_endpoint_that_no_worker_has_looked_at_is_not_healthy(admin: Admin) -> None:
    for worker in (0, 1):
        who = Incarnation(f"w{worker}", worker + 1)
        only = EndpointHealth("chat", "v2", FIRST, True, "")
        admin.plane.fleet.on_health(who, Health(endpoints=[only], complete=True))
    (failing,) = (await switch(admin)).json()["endpoints"]
    assert failing == {"url": SECOND, "reason": "no worker has looked at it yet"}


async def test_a_version_that_nobody_knows_is_not_ready(admin: Admin) -> None:
    for worker in ("w0", "w1"):
        admin.workers.leave(worker)
    response = await switch(admin)
    assert response.status_code == 409
    assert "nothing is known of the endpoints of v2" in response.json()["detail"]


async def test_a_rollback_to_a_version_that_is_down_is_refused_as_well(admin: Admin) -> None:
    await switch(admin)
    report(admin, 1, "http://10.0.0.1:8000", "refused", version="v1")
    response = await admin.call("POST", "/routes/chat/rollback", {"reason": "back"}, **OPERATOR)
    assert response.json()["type"] == "urn:inference-router:not-ready"
    assert response.json()["endpoints"][0]["reason"] == "refused"


# -- force -------------------------------------------------------------------------------------


async def test_an_admin_may_force_it_and_the_trail_tells_that_and_what_was_missing(
    admin: Admin,
) -> None:
    report(admin, 0, SECOND, "refused")
    response = await switch(admin, body={"force": True}, role="admin")
    assert (response.status_code, weights(response)) == (200, {"v1": 0, "v2": 100})
    entry = (await admin.trail())[-1]
    assert entry.evidence is not None
    assert entry.evidence["forced"] is True
    assert "v2 has 1 healthy endpoint" in entry.evidence["lacks"]


@pytest.mark.parametrize("query", ["", "?dryRun=true"])
@pytest.mark.parametrize("path", ["switch", "rollback"])
async def test_an_operator_may_not_force_even_what_is_ready(
    admin: Admin, path: str, query: str
) -> None:
    body = {"reason": "go", "force": True, **({"to": "v2"} if path == "switch" else {})}
    before = await admin.everything()
    response = await admin.call("POST", f"/routes/chat/{path}{query}", body, **OPERATOR)
    assert response.status_code == 403
    assert response.json()["type"] == "urn:inference-router:forbidden"
    assert response.json()["detail"] == "force needs the role admin; token operator-1 has operator"
    assert await admin.everything() == before


async def test_weights_that_somebody_holds_stay_unless_it_is_forced(admin: Admin) -> None:
    await admin.weights(role="operator")
    response = await switch(admin)
    assert response.status_code == 409
    assert response.json()["type"] == "urn:inference-router:conflict"
    assert "operator-1 holds the weights" in response.json()["detail"]
    response = await switch(admin, body={"force": True}, role="admin")
    assert (response.status_code, response.json()["override"]) == (200, None)


async def test_an_admin_may_force_a_rollback(admin: Admin) -> None:
    await switch(admin)
    report(admin, 1, "http://10.0.0.1:8000", "refused", version="v1")
    body = {"reason": "anything but v2", "force": True}
    response = await admin.call("POST", "/routes/chat/rollback", body, role="admin")
    assert (response.status_code, response.json()["stable"]) == (200, "v1")


# -- conditions --------------------------------------------------------------------------------


async def test_a_switch_keeps_the_conditions_of_changes(admin: Admin) -> None:
    before = await admin.everything()
    assert (await switch(admin, route="nope")).status_code == 404
    assert (await switch(admin, headers={"if-match": '"9"'})).status_code == 412
    dry = await switch(admin, query="?dryRun=true")
    assert (dry.status_code, dry.json()["changes"]) == (
        200,
        [
            {"version": "v1", "before": 100.0, "after": 0.0},
            {"version": "v2", "before": 0.0, "after": 100.0},
        ],
    )
    assert await admin.everything() == before


async def test_a_repeated_switch_with_its_key_is_made_once(admin: Admin) -> None:
    key = {"idempotency-key": "night-1"}
    first = await switch(admin, headers=key)
    await switch(admin, "v1")
    again = await switch(admin, headers=key)
    assert (again.json()["repeated"], again.json()["generation"]) == (
        True,
        first.json()["generation"],
    )
    assert again.json()["stable"] == "v1"


async def test_workers_that_have_not_followed_make_it_202(admin: Admin) -> None:
    admin.workers.following = False
    response = await switch(admin, query="?waitSeconds=0")
    assert (response.status_code, response.json()["applied"]["missing"]) == (202, ["w0", "w1"])


async def test_where_all_traffic_is_already_it_is_409(admin: Admin) -> None:
    response = await switch(admin, "v1")
    assert response.status_code == 409
    assert "v1 is stable already" in response.json()["detail"]


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"to": "v9"}, "to", "unknown version; the route has v1, v2"),
        ({"to": ""}, "to", "must not be empty"),
        ({"force": "yes"}, "force", 'must be true or false, not "yes"'),
        ({"reason": " "}, "reason", "must say why"),
    ],
)
async def test_what_makes_no_sense_names_the_field(
    admin: Admin, body: dict[str, Any], field: str, message: str
) -> None:
    assert fields_of(await switch(admin, body=body)) == {field: message}


# -- breakers ----------------------------------------------------------------------------------


async def test_a_route_tells_which_version_a_worker_has_taken_out_and_why(admin: Admin) -> None:
    trip = Trip("chat", "v2", "5 failures in a row")
    admin.plane.fleet.on_health(Incarnation("w1", 2), Health(trips=[trip]))
    told = (await admin.call("GET", "/routes/chat", **OPERATOR)).json()["versions"]
    listed = (await admin.call("GET", "/routes", **OPERATOR)).json()["routes"][0]["versions"]
    for versions in (told, listed):
        assert {each["name"]: each["tripped"] for each in versions} == {
            "v1": None,
            "v2": "5 failures in a row in worker w1",
        }
