"""Weights, rollback and reload by people: done once, seen by every worker, or refused whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from router.admin.intake import MAX_BODY_BYTES
from router.audit.entry import Entry
from router.controller.changes import state_tag
from router.link.server import Applied
from router.store.base import Commit, StoreUnavailableError
from router.store.memory import MemoryStore
from tests.support.admin import Admin, admin_port, configuration, fields_of, plain_route

pytestmark = pytest.mark.anyio

WEIGHTS = "/routes/chat/weights"


def shares(response: httpx.Response) -> dict[str, float]:
    return {version["name"]: version["weight"] for version in response.json()["versions"]}


# -- what is done ------------------------------------------------------------------------------


async def test_weights_are_in_force_in_every_worker_when_the_answer_comes(admin: Admin) -> None:
    response = await admin.weights(92.75, 7.25)
    assert response.status_code == 200
    assert response.headers["etag"] == '"2"'
    document = response.json()
    assert document["generation"] == 2
    assert document["applied"] == {"workers": ["w0", "w1"]}
    assert document["repeated"] is False
    assert shares(response) == {"v1": 92.75, "v2": 7.25}
    assert document["override"] == {
        "weights": {"v1": 92.75, "v2": 7.25},
        "holder": "local",
        "reason": "a test",
        "since": 1_700_000_000.0,
        "expires": None,
    }
    (chat, _walk) = admin.workers.published[-1].routes
    assert {version.name: version.weight_bp for version in chat.versions} == {"v1": 9275, "v2": 725}


async def test_a_version_that_is_not_named_gets_nothing(admin: Admin) -> None:
    response = await admin.call("PUT", WEIGHTS, {"weights": {"v2": 100}, "reason": "all of it"})
    assert shares(response) == {"v1": 0, "v2": 100}


async def test_an_expiry_is_told_and_kept(admin: Admin) -> None:
    response = await admin.weights(body={"expiresSeconds": 90.5})
    assert response.json()["override"]["expires"] == 1_700_000_090.5
    admin.clock.advance(91)
    await admin.plane.reconcile()
    assert (await admin.call("GET", "/routes/chat")).json()["override"] is None


async def test_released_weights_are_the_controllers_again(admin: Admin) -> None:
    await admin.weights()
    response = await admin.call("DELETE", f"{WEIGHTS}?reason=done")
    assert response.json()["override"] is None
    assert shares(response) == {"v1": 100, "v2": 0}
    assert (await admin.trail())[-1].reason == "done"


async def test_the_reason_of_a_release_may_stand_in_a_body(admin: Admin) -> None:
    await admin.weights()
    response = await admin.call("DELETE", WEIGHTS, {"reason": "all is well"})
    assert response.status_code == 200
    assert (await admin.trail())[-1].reason == "all is well"


async def test_a_rollback_is_one_call(admin: Admin) -> None:
    await admin.weights(20, 80)
    response = await admin.call("POST", "/routes/chat/rollback", {"reason": "v2 is slow"})
    assert response.status_code == 200
    assert shares(response) == {"v1": 100, "v2": 0}
    assert response.json()["override"] is None


async def test_the_trail_tells_who_from_where_why_and_what(admin: Admin) -> None:
    await admin.weights(body={"reason": "  v2 looks well  "})
    entry = (await admin.trail())[-1]
    assert (entry.action, entry.route, entry.generation) == ("weights.set", "chat", 2)
    assert (entry.actor.name, entry.actor.role, entry.actor.address) == (
        "local",
        "admin",
        "127.0.0.1",
    )
    assert entry.reason == "v2 looks well"
    assert entry.before["weights"] == {"v1": 100.0}
    assert entry.after["weights"] == {"v1": 90.0, "v2": 10.0}
    assert entry.after["lineage"]["v2"] == {"run": "run of v2"}


# -- what is refused ---------------------------------------------------------------------------

REASON = '"reason": "a test"'
UNUSABLE_WEIGHTS = {
    "a sum below 100": ('{"v1": 95, "v2": 4.99}', "weights", "sum to 99.99 percent, not 100"),
    "a sum above 100": ('{"v1": 95, "v2": 5.01}', "weights", "sum to 100.01 percent, not 100"),
    "nothing at all": ("{}", "weights", "must not be empty"),
    "only zeros": ('{"v1": 0, "v2": 0}', "weights", "sum to 0 percent, not 100"),
    "less than nothing": ('{"v1": 105, "v2": -5}', "weights.v2", "is less than 0"),
    "a hair less than nothing": ('{"v1": 100, "v2": -1e-30}', "weights.v2", "is less than 0"),
    "more than all": ('{"v1": 100.01}', "weights.v1", "is more than 100"),
    "an enormous number": ('{"v1": 1e999999}', "weights.v1", "is more than 100"),
    "not a number": ('{"v1": NaN, "v2": 5}', "weights.v1", "must be a finite number, not NaN"),
    "infinity": ('{"v1": Infinity}', "weights.v1", "must be a finite number, not Infinity"),
    "its negative": ('{"v1": -Infinity}', "weights.v1", "must be a finite number, not -Infinity"),
    "three decimals": (
        '{"v1": 94.995, "v2": 5.005}',
        "weights.v1",
        "94.995 has more than two decimals",
    ),
    "thirty decimals": (
        '{"v1": 95.000000000000000000000000000001, "v2": 5}',
        "weights.v1",
        "has more than two decimals",
    ),
    "a tiny fraction": ('{"v1": 100, "v2": 1e-999999}', "weights.v2", "has more than two decimals"),
    "a flag": ('{"v1": true}', "weights.v1", "must be a number of percent"),
    "text": ('{"v1": "100"}', "weights.v1", "must be a number of percent"),
    "null": ('{"v1": null}', "weights.v1", "must be a number of percent"),
    "a list": ('{"v1": [100]}', "weights.v1", "must be a number of percent"),
    "no mapping": ("[95, 5]", "weights", "must be a mapping, not a list"),
    "an unknown version": (
        '{"v1": 95, "v3": 5}',
        "weights.v3",
        "unknown version; the route has v1, v2",
    ),
}


@pytest.mark.parametrize(
    ("weights", "field", "message"), UNUSABLE_WEIGHTS.values(), ids=UNUSABLE_WEIGHTS
)
async def test_unusable_weights_name_the_field_and_change_nothing(
    admin: Admin, weights: str, field: str, message: str
) -> None:
    before = await admin.everything()
    body = f'{{"weights": {weights}, {REASON}}}'.encode()
    response = await admin.call("PUT", WEIGHTS, raw=body)
    problem = response.json()
    assert problem["type"] == "urn:inference-router:invalid"
    assert message in fields_of(response)[field]
    assert problem["instance"] == "/api/v1/routes/chat/weights"
    assert await admin.everything() == before


async def test_every_wrong_field_is_named_at_once(admin: Admin) -> None:
    body = {"weights": {"v1": -1, "v2": 5.005}, "reason": "", "expiresSeconds": 0, "weihgts": {}}
    found = fields_of(await admin.call("PUT", WEIGHTS, body))
    assert set(found) == {"weights.v1", "weights.v2", "reason", "expiresSeconds", "weihgts"}
    assert found["weihgts"] == 'unknown field "weihgts" (did you mean "weights"?)'


UNUSABLE_REASONS = {
    "missing": (None, "is required"),
    "empty": ("", "must not be empty"),
    "blank": ("   ", "must say why"),
    "several lines": ("one\ntwo", "must be one line without control characters"),
    "a terminal's language": ("\x1b[2Jgone", "must be one line without control characters"),
    "a line separator": ("one\u2028two", "must be one line without control characters"),
    "writing turned round": ("\u202egnp", "must be one line without control characters"),
    "too long": ("x" * 501, "is longer than 500 characters"),
    "no text": (5, 'must be text, not "5"'),
}


@pytest.mark.parametrize(("reason", "message"), UNUSABLE_REASONS.values(), ids=UNUSABLE_REASONS)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", WEIGHTS, {"weights": {"v1": 100}}),
        ("DELETE", WEIGHTS, {}),
        ("POST", "/routes/chat/rollback", {}),
        ("POST", "/routes/walk/rollout/abort", {}),
        ("POST", "/reload", {}),
    ],
)
async def test_whoever_changes_something_says_why_in_one_line(
    admin: Admin, method: str, path: str, body: dict[str, Any], reason: Any, message: str
) -> None:
    before = await admin.everything()
    content = body if reason is None else {**body, "reason": reason}
    response = await admin.call(method, path, content)
    assert fields_of(response) == {"reason": message}
    assert await admin.everything() == before


async def test_a_reason_may_have_500_characters_of_any_script(admin: Admin) -> None:
    reason = "перевод 95 % auf v1: 速い 🚀 " * 20
    response = await admin.weights(body={"reason": reason[:500]})
    assert response.status_code == 200
    assert (await admin.trail())[-1].reason == reason[:500].strip()


@pytest.mark.parametrize("query", ["", "?reason=", "?reason=%20", "?reason=a%0Ab"])
async def test_a_release_without_a_usable_reason_is_refused(admin: Admin, query: str) -> None:
    await admin.weights()
    response = await admin.call("DELETE", f"{WEIGHTS}{query}")
    assert list(fields_of(response)) == ["reason"]


async def test_a_release_with_two_reasons_is_refused(admin: Admin) -> None:
    response = await admin.call("DELETE", f"{WEIGHTS}?reason=one", {"reason": "two"})
    assert "give it once" in fields_of(response)["reason"]


@pytest.mark.parametrize(
    "seconds", ["0", "0.99", "-1", "1e9", "1e400", "NaN", "Infinity", "true", '"60"', "[60]"]
)
async def test_an_expiry_outside_its_bounds_is_refused(admin: Admin, seconds: str) -> None:
    before = await admin.everything()
    body = f'{{"weights": {{"v1": 100}}, {REASON}, "expiresSeconds": {seconds}}}'.encode()
    assert list(fields_of(await admin.call("PUT", WEIGHTS, raw=body))) == ["expiresSeconds"]
    assert await admin.everything() == before


@pytest.mark.parametrize("seconds", [1, 1.5, 31_536_000, None])
async def test_an_expiry_within_its_bounds_is_taken(admin: Admin, seconds: float | None) -> None:
    assert (await admin.weights(body={"expiresSeconds": seconds})).status_code == 200


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("?dryrun=true", "dryrun", "unknown parameter; there are waitSeconds, dryRun"),
        ("?dryRun=1", "dryRun", "must be true or false"),
        ("?dryRun=", "dryRun", "must be true or false"),
        ("?dryRun=true&dryRun=false", "dryRun", "is given twice"),
        ("?waitSeconds=61", "waitSeconds", "must be between 0 and 60 seconds"),
        ("?waitSeconds=-1", "waitSeconds", "must be between 0 and 60 seconds"),
        ("?waitSeconds=nan", "waitSeconds", "must be between 0 and 60 seconds"),
        ("?route=embed", "route", "unknown parameter; there are waitSeconds, dryRun"),
        ("?If-Match=1", "If-Match", "unknown parameter; there are waitSeconds, dryRun"),
    ],
)
async def test_a_parameter_that_is_not_understood_changes_nothing(
    admin: Admin, query: str, field: str, message: str
) -> None:
    before = await admin.everything()
    assert fields_of(await admin.weights(query=query)) == {field: message}
    assert await admin.everything() == before


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "line 1, column 1"),
        (b'{"weights": {"v1": 100},', "line 1, column 25"),
        (b'{"weights": {"v1": 100}, "reason": "x"} more', "line 1, column 41"),
        (b'{"reason": "x", "reason": "y"}', "it names the member 'reason' twice"),
        (b'{"weights": {"v1": 95, "v1": 5}}', "it names the member 'v1' twice"),
        (b'{"reason": "\xff"}', "it is not UTF-8 (byte 12)"),
        (b'{"reason": "\\ud800"}', "it holds half a surrogate pair"),
        (b'{"weights": {"v1": 1e9999999999999999999}}', "too large an exponent"),
        (b'{"weights": {"v1": ' + b"9" * 5_000 + b"}}", "a whole number of more than 1000 digits"),
        (b"[" * 100_000, "it is nested too deeply"),
    ],
)
async def test_a_body_that_is_no_json_is_400_and_says_where(
    admin: Admin, body: bytes, where: str
) -> None:
    response = await admin.call("PUT", WEIGHTS, raw=body)
    assert response.status_code == 400
    problem = response.json()
    assert problem["type"] == "urn:inference-router:malformed"
    assert where in problem["detail"]


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"5", b"null", b"NaN"])
async def test_a_body_that_is_no_mapping_is_refused(admin: Admin, body: bytes) -> None:
    assert list(fields_of(await admin.call("PUT", WEIGHTS, raw=body))) == ["body"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": ""},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json, text/plain"},
        {"content-encoding": "gzip"},
    ],
)
async def test_only_json_in_utf8_is_read(admin: Admin, headers: dict[str, str]) -> None:
    before = await admin.everything()
    response = await admin.weights(headers=headers)
    assert response.status_code == 415
    assert response.json()["type"] == "urn:inference-router:unsupported-media-type"
    assert await admin.everything() == before


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", 'application/json; charset="utf-8"'],
)
async def test_json_may_be_named_in_every_usual_way(admin: Admin, media_type: str) -> None:
    assert (await admin.weights(headers={"content-type": media_type})).status_code == 200


async def too_much() -> AsyncIterator[bytes]:
    """More than is taken, without a Content-Length."""
    for _ in range(MAX_BODY_BYTES // 65_536 + 1):
        yield b" " * 65_536


@pytest.mark.parametrize("how", ["declared", "chunked"])
async def test_a_body_above_its_bound_is_413_and_closes_the_connection(
    admin: Admin, how: str
) -> None:
    body = b" " * (MAX_BODY_BYTES + 1) if how == "declared" else too_much()
    response = await admin.call("PUT", WEIGHTS, raw=body)
    assert response.status_code == 413
    assert response.headers["connection"] == "close"
    assert response.json()["type"] == "urn:inference-router:body-too-large"


async def test_a_body_may_be_as_long_as_its_bound(admin: Admin) -> None:
    body = b'{"weights": {"v1": 100}, "reason": "a test"}'.ljust(MAX_BODY_BYTES)
    assert (await admin.call("PUT", WEIGHTS, raw=body)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/routes/chta/weights"),
        ("DELETE", "/routes/chta/weights"),
        ("POST", "/routes/chta/rollback"),
    ],
)
async def test_an_unknown_route_is_404(admin: Admin, method: str, path: str) -> None:
    body = {"reason": "x"} | ({"weights": {"v1": 100}} if method == "PUT" else {})
    response = await admin.call(method, path, body)
    assert response.status_code == 404
    assert response.json()["detail"] == "no route is called 'chta'"


async def test_what_cannot_be_done_now_is_409_with_the_route_as_it_is(admin: Admin) -> None:
    for method, path in [("DELETE", WEIGHTS), ("POST", "/routes/chat/rollback")]:
        response = await admin.call(method, path, {"reason": "x"})
        assert response.status_code == 409
        current = response.json()["current"]
        assert (current["name"], current["generation"], current["override"]) == ("chat", 1, None)


# -- conditions --------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", ['"2"', "2", 'W/"2"', '"1", "2"', "*"])
async def test_whoever_has_seen_the_newest_state_may_change_it(admin: Admin, seen: str) -> None:
    await admin.weights()
    response = await admin.weights(80, 20, headers={"if-match": seen})
    assert (response.status_code, response.json()["generation"]) == (200, 3)


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ('"1"', "route chat has changed in generation 2, after the generation 1"),
        ("0", "route chat has changed in generation 2"),
        ('"99"', "there is no generation 99 yet"),
    ],
)
async def test_whoever_has_not_gets_412_and_the_route_as_it_is(
    admin: Admin, seen: str, why: str
) -> None:
    await admin.weights()
    before = await admin.everything()
    response = await admin.weights(80, 20, headers={"if-match": seen})
    problem = response.json()
    assert (response.status_code, problem["type"]) == (412, "urn:inference-router:stale")
    assert why in problem["detail"]
    assert problem["current"]["generation"] == 2
    assert problem["current"]["override"]["holder"] == "local"
    assert await admin.everything() == before


@pytest.mark.parametrize("seen", ["garbage", '"x"', "", "-1", "1.5", '"1" "2"', "9" * 17, '"1'])
async def test_an_if_match_that_names_no_generation_is_refused(admin: Admin, seen: str) -> None:
    response = await admin.weights(headers={"if-match": seen})
    assert list(fields_of(response)) == ["If-Match"]


async def test_a_change_of_another_route_leaves_an_etag_good(admin: Admin) -> None:
    etag = (await admin.call("GET", "/routes/chat")).headers["etag"]
    body = {"weights": {"v1": 50, "v2": 50}, "reason": "another route"}
    await admin.call("PUT", "/routes/walk/weights", body)
    assert (await admin.weights(headers={"if-match": etag})).status_code == 200


async def test_a_dry_run_tells_the_difference_and_changes_nothing(admin: Admin) -> None:
    before = await admin.everything()
    response = await admin.weights(95, 5, query="?dryRun=true", headers={"idempotency-key": "k"})
    assert response.json() == {
        "dryRun": True,
        "generation": 1,
        "tag": f"1-{state_tag(admin.plane.states['chat'], admin.plane._configured('chat').spec)}",
        "changes": [
            {"version": "v1", "before": 100.0, "after": 95.0},
            {"version": "v2", "before": 0.0, "after": 5.0},
        ],
        "before": {
            "stable": "v1",
            "weights": {"v1": 100.0},
            "lineage": {"v1": {"run": "run of v1"}},
        },
        "after": {
            "stable": "v1",
            "weights": {"v1": 95.0, "v2": 5.0},
            "wanted": {"v1": 100.0},
            "override": {
                "weights": {"v1": 95.0, "v2": 5.0},
                "holder": "local",
                "reason": "a test",
                "since": 1_700_000_000.0,
                "expires": None,
            },
            "lineage": {"v1": {"run": "run of v1"}, "v2": {"run": "run of v2"}},
        },
    }
    assert await admin.everything() == before
    assert (await admin.weights(95, 5, headers={"idempotency-key": "k"})).json()["generation"] == 2


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", WEIGHTS), ("POST", "/routes/chat/rollback")]
)
async def test_every_change_can_be_tried_dry(admin: Admin, method: str, path: str) -> None:
    await admin.weights(50, 50)
    before = await admin.everything()
    response = await admin.call(method, f"{path}?dryRun=true", {"reason": "what if"})
    assert response.json()["changes"] == [
        {"version": "v1", "before": 50.0, "after": 100.0},
        {"version": "v2", "before": 50.0, "after": 0.0},
    ]
    assert await admin.everything() == before


async def test_a_dry_run_is_refused_as_the_change_would_be(admin: Admin) -> None:
    assert (await admin.call("DELETE", f"{WEIGHTS}?dryRun=true&reason=x")).status_code == 409
    stale = await admin.weights(query="?dryRun=true", headers={"if-match": "9"})
    assert stale.status_code == 412


async def test_a_repeated_call_with_its_key_is_done_once(admin: Admin) -> None:
    first = await admin.weights(headers={"idempotency-key": "deploy-7"})
    await admin.weights(70, 30)
    before = await admin.everything()
    again = await admin.weights(headers={"idempotency-key": "deploy-7"})
    assert (again.status_code, again.json()["generation"]) == (200, first.json()["generation"])
    assert again.json()["repeated"] is True
    assert shares(again) == {"v1": 70, "v2": 30}
    assert again.headers["etag"] == '"3"'
    assert await admin.everything() == before


async def test_a_key_is_good_for_one_request_only(admin: Admin) -> None:
    key = {"idempotency-key": "deploy-7"}
    await admin.weights(headers=key)
    before = await admin.everything()
    for response in (
        await admin.weights(80, 20, headers=key),
        await admin.weights(query="?waitSeconds=1", headers=key),
        await admin.call("POST", "/routes/chat/rollback", {"reason": "x"}, headers=key),
    ):
        assert response.status_code == 422
        assert response.json()["type"] == "urn:inference-router:idempotency-key-reused"
    assert await admin.everything() == before


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "caf\xe9"])
async def test_a_key_is_visible_ascii_of_bounded_length(admin: Admin, key: str) -> None:
    response = await admin.weights(headers={"idempotency-key": key.encode("latin-1")})  # type: ignore[dict-item]
    assert list(fields_of(response)) == ["Idempotency-Key"]


async def test_keys_belong_to_whoever_sent_them(guarded: Admin) -> None:
    key = {"idempotency-key": "deploy-7"}
    await guarded.weights(role="operator", headers=key)
    response = await guarded.weights(80, 20, role="admin", headers=key)
    assert (response.status_code, response.json()["repeated"]) == (200, False)


async def test_the_same_call_twice_at_once_is_done_once(admin: Admin) -> None:
    key = {"idempotency-key": "deploy-7"}
    answers = await asyncio.gather(*(admin.weights(headers=key) for _ in range(5)))
    assert {answer.json()["generation"] for answer in answers} == {2}
    assert [answer.json()["repeated"] for answer in answers].count(False) == 1


# -- workers that do not follow ----------------------------------------------------------------


async def test_202_names_the_workers_that_have_not_said_so(admin: Admin) -> None:
    admin.workers.following = False
    response = await admin.weights(query="?waitSeconds=0")
    assert response.status_code == 202
    assert response.json()["applied"] == {"workers": [], "missing": ["w0", "w1"]}
    assert response.json()["generation"] == 2


@pytest.mark.parametrize(("query", "waits_s"), [("", 5.0), ("?waitSeconds=0.25", 0.25)])
async def test_the_caller_says_how_long_to_wait(
    admin: Admin, monkeypatch: pytest.MonkeyPatch, query: str, waits_s: float
) -> None:
    waited = []

    async def wait(generation: int, deadline_s: float) -> Applied:
        waited.append((generation, deadline_s))
        return Applied(("w0",))

    monkeypatch.setattr(admin.workers, "wait_applied", wait)
    await admin.weights(query=query)
    assert waited == [(2, waits_s)]


async def test_a_route_that_leaves_while_its_change_is_waited_for_is_404_and_says_so(
    admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def wait(_generation: int, _deadline_s: float) -> Applied:
        admin.content = configuration(plain_route("other"))
        await admin.plane.reload()
        return Applied(("w0",))

    monkeypatch.setattr(admin.workers, "wait_applied", wait)
    response = await admin.weights()
    assert response.status_code == 404
    assert "generation 2 has made the change" in response.json()["detail"]


# -- weights that somebody holds ---------------------------------------------------------------


async def test_what_another_holds_only_the_holder_or_an_admin_replaces(guarded: Admin) -> None:
    await guarded.weights(role="operator")
    other = await guarded.weights(80, 20, role="operator-2")
    assert other.status_code == 409
    assert other.json()["current"]["override"]["holder"] == "operator-1"
    assert "operator-1 holds the weights" in other.json()["detail"]
    assert (await guarded.weights(80, 20, role="operator")).status_code == 200
    assert (await guarded.weights(70, 30, role="admin")).status_code == 200


async def test_what_another_holds_only_the_holder_or_an_admin_releases(guarded: Admin) -> None:
    await guarded.weights(role="operator")
    other = await guarded.call("DELETE", f"{WEIGHTS}?reason=x", role="operator-2")
    assert (other.status_code, other.json()["type"]) == (403, "urn:inference-router:forbidden")
    assert "only operator-1 or an admin" in other.json()["detail"]
    released = await guarded.call("DELETE", f"{WEIGHTS}?reason=x", role="admin")
    assert released.json()["override"] is None


async def test_what_another_held_is_free_when_its_time_is_up(guarded: Admin) -> None:
    await guarded.weights(role="operator", body={"expiresSeconds": 60})
    guarded.clock.advance(61)
    assert (await guarded.weights(80, 20, role="operator-2")).status_code == 200


async def test_a_rollback_asks_nobody_who_holds(guarded: Admin) -> None:
    await guarded.weights(50, 50, role="admin")
    response = await guarded.call(
        "POST", "/routes/chat/rollback", {"reason": "errors"}, role="operator-2"
    )
    assert (response.status_code, response.json()["override"]) == (200, None)


# -- a store that does not answer --------------------------------------------------------------


class Silent(MemoryStore):
    """Answers no commit while it is `silent`."""

    silent = False

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        if self.silent:
            raise StoreUnavailableError("the disk is full")
        return await super().commit(commit)


async def test_a_store_that_does_not_answer_is_503_with_a_time_to_come_back() -> None:
    store = Silent()
    async with admin_port(store=store) as admin:
        store.silent = True
        response = await admin.weights()
        assert response.status_code == 503
        assert response.json()["type"] == "urn:inference-router:store-unavailable"
        assert response.headers["retry-after"] == "5"
        assert len(admin.workers.published) == 1
        store.silent = False
        assert (await admin.weights()).status_code == 200


# -- reload ------------------------------------------------------------------------------------


async def test_a_reload_serves_the_new_configuration_in_every_worker(admin: Admin) -> None:
    admin.content = configuration(plain_route("chat"), plain_route("embed"))
    response = await admin.call("POST", "/reload", {"reason": "a new route"})
    assert response.json() == {"generation": 2, "applied": {"workers": ["w0", "w1"]}}
    entry = (await admin.trail())[-1]
    assert (entry.action, entry.reason, entry.actor.name) == (
        "config.loaded",
        "a new route",
        "local",
    )


async def test_a_refused_configuration_is_told_and_changes_nothing_that_is_served(
    admin: Admin,
) -> None:
    await admin.weights(0, 100)
    admin.content = configuration(plain_route("chat", "v1"), plain_route("walk"))
    response = await admin.call("POST", "/reload", {"reason": "v2 is done"})
    problem = response.json()
    assert (response.status_code, problem["type"]) == (422, "urn:inference-router:config-refused")
    assert "v2 has 100 % of the traffic and cannot leave" in problem["detail"]
    assert admin.plane.snapshot.generation == 2
    assert (await admin.trail())[-1].action == "config.refused"


async def test_a_reload_that_some_have_not_followed_is_202(admin: Admin) -> None:
    admin.workers.following = False
    admin.content = configuration(plain_route("chat"))
    response = await admin.call("POST", "/reload?waitSeconds=0", {"reason": "x"})
    assert response.status_code == 202
    assert response.json()["applied"]["missing"] == ["w0", "w1"]
