"""Shadows by people: set and cleared like weights, told with who wants them, and what they tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.admin.comparisons import LINES, MAX_EXPORTING
from router.admin.shadow import why_nothing
from router.config import compile_route, initial_state
from router.config.models import Route
from router.controller.shadow.desk import Shadows
from router.link.messages import Captured, Pair
from router.rollouts.state import RouteState, ShadowOverride
from router.snapshot import FULL
from router.store.base import StoreUnavailableError
from router.store.pairs import KeptPair
from tests.support.admin import (
    SECRETS,
    Admin,
    admin_port,
    configuration,
    fields_of,
    plain_route,
    tokens,
)

pytestmark = pytest.mark.anyio

SHADOW = "/routes/chat/shadow"
PAIRS = f"{SHADOW}/comparisons"
EXPORT = f"{SHADOW}/export"
VERSIONS = ("v1", "v2", "v3")
NOW = 1_700_000_000.0


def chat(**more: Any) -> dict[str, Any]:
    return plain_route("chat", *VERSIONS, **more)


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    async with admin_port(configuration(chat())) as admin:
        yield admin


async def put(admin: Admin, query: str = "", **how: Any) -> httpx.Response:
    """Copy a tenth of the requests of `chat` to v3, unless the body says otherwise."""
    body = {"version": "v3", "percent": 10, "reason": "a test", **how.pop("body", {})}
    return await admin.call("PUT", f"{SHADOW}{query}", body, **how)


async def standing(admin: Admin) -> Any:
    return (await admin.call("GET", SHADOW)).json()


# -- setting and clearing ----------------------------------------------------------------------


async def test_a_shadow_is_in_force_in_every_worker_when_the_answer_comes(admin: Admin) -> None:
    response = await put(admin, body={"percent": 12.25, "noisePercent": 5})
    assert (response.status_code, response.headers["etag"]) == (200, '"2"')
    document = response.json()
    assert document["applied"] == {"workers": ["w0", "w1"]}
    assert document["shadow"] == {"version": "v3", "percent": 12.25, "by": "person"}
    assert {each["name"]: each["role"] for each in document["versions"]}["v3"] == "shadow"
    served = admin.workers.published[-1].routes[0].shadow
    assert served is not None
    assert (served.version, served.percent_bp, served.noise_bp) == ("v3", 1_225, 500)


async def test_a_cleared_shadow_is_the_configurations_again(admin: Admin) -> None:
    admin.content = configuration(chat(shadow={"version": "v2", "percent": 40}))
    await admin.plane.reload()
    await put(admin, body={"percent": 0})
    assert (await standing(admin))["shadow"] is None
    response = await admin.call("DELETE", f"{SHADOW}?reason=seen")
    assert response.json()["shadow"] == {"version": "v2", "percent": 40, "by": "configuration"}
    assert [(each.action, each.reason) for each in (await admin.trail())[-2:]] == [
        ("shadow.set", "a test"),
        ("shadow.cleared", "seen"),
    ]


async def test_the_trail_tells_the_shadow_before_and_after(admin: Admin) -> None:
    await put(admin)
    entry = (await admin.trail())[-1]
    assert (entry.action, entry.route, entry.generation) == ("shadow.set", "chat", 2)
    assert "shadow" not in entry.before
    assert entry.after["shadow"] == {"version": "v3", "percent": 10.0, "by": "person"}
    assert entry.after["shadowOverride"]["holder"] == "local"


async def test_a_reload_that_brings_a_shadow_is_told_with_it(admin: Admin) -> None:
    admin.content = configuration(chat(shadow={"version": "v2", "percent": 40}))
    await admin.plane.reload()
    entry = (await admin.trail())[-1]
    assert "shadow" not in entry.before["chat"]
    assert entry.after["chat"]["shadow"] == {
        "version": "v2",
        "percent": 40.0,
        "by": "configuration",
    }


async def test_the_reason_of_a_clear_stands_in_the_query_or_in_the_body(admin: Admin) -> None:
    await put(admin)
    both = await admin.call("DELETE", f"{SHADOW}?reason=a", {"reason": "b"})
    assert fields_of(both) == {"reason": "stands in the query and in the body: give it once"}
    assert "reason" in fields_of(await admin.call("DELETE", SHADOW))
    assert (await admin.call("DELETE", SHADOW, {"reason": "enough"})).status_code == 200


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"version": "v9"}, "version", "unknown version; the route has v1, v2, v3"),
        ({"version": "v1"}, "version", "is the stable version: its requests are copied"),
        ({"version": ""}, "version", "must not be empty"),
        ({"percent": 100.01}, "percent", "is more than 100"),
        ({"percent": -1}, "percent", "is less than 0"),
        ({"percent": 0.005}, "percent", "0.005 has more than two decimals"),
        ({"percent": "10"}, "percent", "must be a number of percent"),
        ({"noisePercent": 101}, "noisePercent", "is more than 100"),
        ({"noisePercent": 0.125}, "noisePercent", "0.125 has more than two decimals"),
        ({"reason": " "}, "reason", "must say why"),
    ],
)
async def test_what_is_no_shadow_names_the_field_and_changes_nothing(
    admin: Admin, body: dict[str, Any], field: str, message: str
) -> None:
    before = await admin.everything()
    assert fields_of(await put(admin, body=body)) == {field: message}
    assert await admin.everything() == before


async def test_a_version_with_weight_is_no_shadow_and_a_shadow_gets_no_weight(
    admin: Admin,
) -> None:
    weights = {"weights": {"v1": 97.5, "v3": 2.5}, "reason": "a test"}
    await admin.call("PUT", "/routes/chat/weights", weights)
    assert fields_of(await put(admin)) == {
        "version": "a shadow has no users: move the 2.5 % of v3 away first"
    }
    await admin.call("DELETE", "/routes/chat/weights?reason=done")
    await put(admin)
    response = await admin.call("PUT", "/routes/chat/weights", weights)
    assert fields_of(response) == {
        "weights.v3": "is the route's shadow, set by hand: clear the shadow first"
    }


async def test_a_shadow_that_nobody_has_set_cannot_be_cleared(admin: Admin) -> None:
    response = await admin.call("DELETE", f"{SHADOW}?reason=done")
    assert response.status_code == 409
    assert response.json()["type"] == "urn:inference-router:conflict"
    assert "nobody has set a shadow" in response.json()["detail"]


# -- conditions --------------------------------------------------------------------------------


async def test_a_shadow_keeps_the_conditions_of_changes(admin: Admin) -> None:
    before = await admin.everything()
    assert (await put(admin, headers={"if-match": '"9"'})).status_code == 412
    dry = (await put(admin, "?dryRun=true")).json()
    assert (dry["changes"], dry["before"].get("shadow")) == ([], None)
    assert dry["after"]["shadow"] == {"version": "v3", "percent": 10.0, "by": "person"}
    assert await admin.everything() == before
    missing = await admin.call("PUT", "/routes/nope/shadow", {"version": "v3", "percent": 1})
    assert missing.status_code == 422
    body = {"version": "v3", "percent": 1, "reason": "r"}
    assert (await admin.call("PUT", "/routes/nope/shadow", body)).status_code == 404


async def test_a_repeated_call_with_its_key_is_made_once(admin: Admin) -> None:
    key = {"idempotency-key": "night-1"}
    first = (await put(admin, headers=key)).json()
    await admin.call("DELETE", f"{SHADOW}?reason=done")
    again = (await put(admin, headers=key)).json()
    assert (again["repeated"], again["generation"], again["shadow"]) == (
        True,
        first["generation"],
        None,
    )


async def test_workers_that_have_not_followed_make_it_202(admin: Admin) -> None:
    admin.workers.following = False
    response = await put(admin, "?waitSeconds=0")
    assert (response.status_code, response.json()["applied"]["missing"]) == (202, ["w0", "w1"])


# -- how it stands -----------------------------------------------------------------------------


async def test_what_stands_is_told_with_everybody_who_wants_one_and_the_limits(
    admin: Admin,
) -> None:
    section = {
        "version": "v2",
        "percent": 40,
        "sampleBy": "stickyKey",
        "match": [{"path": "/chat", "methods": ["POST"]}],
        "maxPerHour": 600,
        "timeout": "90s",
        "onCancel": "keep",
        "noise": {"percent": 5},
        "credentials": {"mode": "replace", "valueEnv": "SHADOW_TOKEN"},
    }
    admin.content = configuration(chat(shadow=section))
    await admin.plane.reload()
    await put(admin)
    document = await standing(admin)
    assert document["shadow"] == {"version": "v3", "percent": 10.0, "by": "person"}
    assert document["why"] is None
    assert document["override"] == {
        "version": "v3",
        "percent": 10.0,
        "noisePercent": None,
        "holder": "local",
        "reason": "a test",
        "since": NOW,
    }
    assert (document["step"], document["configured"]) == (None, {"version": "v2", "percent": 40.0})
    limits = document["limits"]
    assert limits["match"] == [{"path": "/chat", "methods": ["POST"]}]
    assert limits["credentials"] == {"mode": "replace", "header": "authorization"}
    assert "SHADOW_TOKEN" not in json.dumps(document)
    assert {name: limits[name] for name in ("noisePercent", "sampleBy", "maxPerHour")} == {
        "noisePercent": 5.0,
        "sampleBy": "stickyKey",
        "maxPerHour": 600,
    }
    assert (limits["timeoutSeconds"], limits["onCancel"]) == (90.0, "keep")


async def test_the_shadow_of_a_step_is_told_as_the_rollouts() -> None:
    steps = [{"setShadow": {"percent": 12.5}}, {"pause": {}}, {"setWeight": 50}]
    walks = chat(initialWeights={"v1": 100}, strategy={"canary": {"steps": steps}})
    async with admin_port(configuration({**walks, "release": "v2"})) as admin:
        for _ in range(4):
            await admin.plane.reconcile()
        document = await standing(admin)
        assert document["shadow"] == {"version": "v2", "percent": 12.5, "by": "rollout"}
        assert document["step"] == {"version": "v2", "percent": 12.5}
        weights = {"weights": {"v1": 90, "v2": 10}, "reason": "a test"}
        response = await admin.call("PUT", "/routes/chat/weights", weights)
        assert (response.status_code, response.json()["shadow"]) == (200, None)
        assert "v2 has 10 % of the traffic" in (await standing(admin))["why"]


async def test_routes_show_the_shadow_in_force(admin: Admin) -> None:
    await put(admin)
    told = {"version": "v3", "percent": 10.0, "by": "person"}
    assert (await admin.call("GET", "/routes/chat")).json()["shadow"] == told
    assert (await admin.call("GET", "/routes")).json()["routes"][0]["shadow"] == told


# Nothing, only limits, and a whole shadow.
SECTIONS: list[dict[str, Any]] = [{}, {"shadow": {"maxQueue": 7}}, {"shadow": {"version": "v3"}}]
ROUTES = [configuration(chat(**section)).routes[0] for section in SECTIONS]
PERSONS = st.none() | st.builds(
    ShadowOverride,
    version=st.sampled_from([*VERSIONS, "gone"]),
    percent_bp=st.integers(0, FULL),
    holder=st.just("ann"),
    reason=st.just("why"),
    since_s=st.just(1.0),
)


@given(
    PERSONS,
    st.sampled_from([{"v1": FULL}, {"v1": 9_000, "v2": 1_000}]),
    st.sampled_from(ROUTES),
)
def test_there_is_a_reason_exactly_where_nothing_is_copied(
    person: ShadowOverride | None, weights: dict[str, int], route: Route
) -> None:
    state = RouteState(stable="v1", weights=weights, shadow=person)
    served = compile_route(route, 0, state).shadow
    assert (why_nothing(route, state) is None) == (served is not None)


@pytest.mark.parametrize("route", ROUTES[:2])
def test_a_route_without_a_shadow_says_that_nobody_wants_one(route: Route) -> None:
    assert "nobody wants a shadow" in (why_nothing(route, initial_state(route)) or "")


# -- what was compared -------------------------------------------------------------------------


def answered(version: str, text: str) -> Captured:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    return Captured(
        version=version,
        outcome="answered",
        status=200,
        fields=[("content-type", "application/json")],
        body=json.dumps({"choices": [choice]}).encode(),
        duration_s=0.5,
    )


def pair(number: int, shadow: str = "the same", **more: Any) -> Pair:
    return Pair(
        route="chat",
        request_id=f"r-{number}",
        time_s=NOW + number,
        generation=2,
        method="POST",
        target="/chat",
        fields=[("content-type", "application/json"), ("authorization", "Bearer client-secret")],
        request=b'{"prompt": "a question"}',
        primary=answered("v1", "the same"),
        shadow=answered("v3", shadow),
        **more,
    )


async def compared(admin: Admin, *pairs: Pair) -> None:
    """Have pairs compared and recorded, as the link brings them."""
    shadows = admin.plane.shadows
    for each in pairs:
        shadows.take(each)
    async with asyncio.timeout(30):
        while len(await shadows.pairs("chat")) < len(pairs):
            await asyncio.sleep(0)  # they are compared beside the loop
            await shadows.write()


@pytest.fixture
async def seen(admin: Admin) -> Admin:
    """A plane that has compared three pairs, of which the second has a difference."""
    admin.content = configuration(chat(shadow={"version": "v2", "record": {"matchPercent": 100}}))
    await admin.plane.reload()
    await put(admin)
    twin = answered("v1", "the same")
    await compared(admin, pair(1), pair(2, "another answer", twin=twin), pair(3))
    return admin


async def test_the_report_tells_what_was_counted_in_the_words_of_the_api(seen: Admin) -> None:
    report = (await seen.call("GET", f"{SHADOW}/report")).json()
    assert (report["route"], report["stable"], report["shadow"]) == ("chat", "v1", "v3")
    assert (report["pairs"], report["compared"], report["twins"]) == (3, 3, 1)
    assert report["verdicts"] == {"match": 2, "mismatch": 1}
    assert report["fields"]["text"]["shadow"]["value"] == pytest.approx(1 / 3)
    assert report["any"]["conclusion"] == "not_enough"
    assert report["since"] == NOW
    assert report["summary"]


async def test_before_the_first_pair_there_is_no_report_and_the_answer_says_why(
    admin: Admin,
) -> None:
    response = await admin.call("GET", f"{SHADOW}/report")
    assert response.status_code == 404
    assert "nothing was compared yet; nobody wants a shadow" in response.json()["detail"]


async def test_recorded_pairs_are_listed_newest_first_a_page_at_a_time(seen: Admin) -> None:
    page = (await seen.call("GET", f"{PAIRS}?limit=2")).json()
    assert [each["requestId"] for each in page["comparisons"]] == ["r-3", "r-2"]
    rest = (await seen.call("GET", f"{PAIRS}?limit=2&before={page['next']}")).json()
    assert ([each["requestId"] for each in rest["comparisons"]], rest["next"]) == (["r-1"], None)


async def test_rows_tell_what_differed_and_hold_no_texts(seen: Admin) -> None:
    response = await seen.call("GET", f"{PAIRS}?verdict=mismatch")
    (row,) = response.json()["comparisons"]
    assert (row["verdict"], row["differing"], row["twinDiffering"]) == ("mismatch", ["text"], [])
    assert (row["stable"], row["shadow"], row["time"]) == ("v1", "v3", NOW + 2)
    assert not any(text in response.text for text in ("a question", "another answer", "the same"))


async def test_one_pair_is_told_whole_and_redacted(seen: Admin) -> None:
    (row,) = (await seen.call("GET", f"{PAIRS}?verdict=mismatch")).json()["comparisons"]
    response = await seen.call("GET", f"{PAIRS}/{row['id']}")
    whole = response.json()
    assert whole["request"]["body"]["json"] == {"prompt": "a question"}
    assert "another answer" in json.dumps(whole["shadow"]["body"])
    assert "client-secret" not in response.text


@pytest.mark.parametrize("place", ["4711", "0", "x"])
async def test_a_pair_that_is_not_there_is_404_and_what_is_no_id_422(
    seen: Admin, place: str
) -> None:
    response = await seen.call("GET", f"{PAIRS}/{place}")
    assert response.status_code == (404 if place == "4711" else 422)


@pytest.mark.parametrize("path", [SHADOW, f"{SHADOW}/report", PAIRS, f"{PAIRS}/1", EXPORT])
async def test_of_a_route_that_there_is_not_nothing_is_told(seen: Admin, path: str) -> None:
    assert (await seen.call("GET", path.replace("chat", "nope"))).status_code == 404


@pytest.mark.parametrize("path", [PAIRS, EXPORT])
async def test_a_verdict_that_there_is_not_is_refused_with_those_that_there_are(
    seen: Admin, path: str
) -> None:
    (message,) = fields_of(await seen.call("GET", f"{path}?verdict=bad")).values()
    for verdict in ("match", "within_noise", "mismatch", "error"):
        assert verdict in message


# -- the export --------------------------------------------------------------------------------


async def test_an_export_has_every_pair_on_a_line_oldest_first(seen: Admin) -> None:
    response = await seen.call("GET", EXPORT)
    assert response.headers["content-type"] == LINES
    lines = [json.loads(line) for line in response.text.splitlines()]
    assert [each["requestId"] for each in lines] == ["r-1", "r-2", "r-3"]
    assert lines[1] == (await seen.call("GET", f"{PAIRS}/{lines[1]['id']}")).json()
    only = await seen.call("GET", f"{EXPORT}?verdict=mismatch")
    assert [json.loads(line)["requestId"] for line in only.text.splitlines()] == ["r-2"]


async def test_an_export_of_nothing_is_empty(admin: Admin) -> None:
    response = await admin.call("GET", EXPORT)
    assert (response.status_code, response.content) == (200, b"")


async def test_a_head_of_an_export_reads_nothing(
    seen: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shadows, "stream", failing)
    response = await seen.call("HEAD", EXPORT)
    assert (response.status_code, response.headers["content-type"]) == (200, LINES)


KEPT = KeptPair(
    id=1,
    route="chat",
    stable="v1",
    shadow="v3",
    verdict="match",
    time_s=NOW,
    document={
        "requestId": "r-1",
        "time": NOW,
        "generation": 2,
        "verdict": "match",
        "rule": "text.exact",
        "request": {},
        "primary": {},
        "shadow": {"differences": [], "error": ""},
    },
)


async def failing(*_: Any, **__: Any) -> AsyncIterator[Sequence[KeptPair]]:
    raise StoreUnavailableError("the disk is full")
    yield ()


async def breaking(*_: Any, **__: Any) -> AsyncIterator[Sequence[KeptPair]]:
    yield [KEPT]
    raise StoreUnavailableError("the disk is gone")


async def test_an_export_that_cannot_begin_is_a_problem(
    seen: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shadows, "stream", failing)
    response = await seen.call("GET", EXPORT)
    assert response.status_code == 503
    assert response.json()["type"] == "urn:inference-router:store-unavailable"


async def test_an_export_that_cannot_be_finished_has_no_end(
    seen: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shadows, "stream", breaking)
    sent = await streamed(seen)
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"] is True
    monkeypatch.undo()
    assert (await seen.call("GET", EXPORT)).status_code == 200  # its place is free again


async def test_an_export_ends_without_an_end_when_its_token_is_withdrawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with admin_port(configuration(chat(), auth={"tokens": tokens()})) as admin:

        async def withdrawing(*_: Any, **__: Any) -> AsyncIterator[Sequence[KeptPair]]:
            yield [KEPT]
            kept = [token for token in tokens() if token["name"] != "operator-1"]
            admin.content = configuration(chat(), auth={"tokens": kept})
            await admin.plane.reload()
            yield [KEPT]

        monkeypatch.setattr(Shadows, "stream", withdrawing)
        sent = await streamed(admin, authorization=f"Bearer {SECRETS['operator']}")
    bodies = [message["body"] for message in sent if message["type"] == "http.response.body"]
    assert len(bodies) == 1
    assert sent[-1]["more_body"] is True


async def test_only_so_many_exports_run_at_a_time(
    seen: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: list[int] = []

    async def nesting(*_: Any, **__: Any) -> AsyncIterator[Sequence[KeptPair]]:
        # Each export begins another one before it has sent anything.
        inner.append((await seen.call("GET", EXPORT)).status_code)
        yield [KEPT]

    monkeypatch.setattr(Shadows, "stream", nesting)
    assert (await seen.call("GET", EXPORT)).status_code == 200
    assert inner == [503, *[200] * (MAX_EXPORTING - 1)]


async def streamed(admin: Admin, **headers: str) -> list[dict[str, Any]]:
    """What the application sends of an export until it breaks off."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(dict(message))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    fields = {"host": "127.0.0.1:8081", **headers}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": f"/api/v1{EXPORT}",
        "raw_path": f"/api/v1{EXPORT}".encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8081),
    }
    with pytest.raises(RuntimeError, match="response already started"):
        await admin.app(scope, receive, send)
    return sent
