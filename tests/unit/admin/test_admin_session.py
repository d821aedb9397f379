"""The console's login: a token becomes a session that grants no more and lasts no longer."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from http.cookies import SimpleCookie

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.admin.application import API
from router.admin.logins import GUESSES, REFILL_S
from router.admin.origins import CONSOLE
from router.admin.session import COOKIE, LIFETIME_S, Sessions
from router.admin.tokens import Credential
from router.config.models import Role
from tests.support.admin import SECRETS, Admin, admin_port, check_answer, configuration, tokens
from tests.unit.admin.test_admin_logins import failures

pytestmark = pytest.mark.anyio

ORIGIN = "http://127.0.0.1:8081"
WRITING = {"origin": ORIGIN, "x-requested-with": CONSOLE}
WEIGHTS = {"weights": {"v1": 90, "v2": 10}, "reason": "a test"}


async def log_in(
    admin: Admin,
    token: object = SECRETS["operator"],
    *,
    client: httpx.AsyncClient | None = None,
    **headers: str,
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = await (client or admin.client).post(
        "/ui/login", json={"token": token}, headers={"origin": ORIGIN, **named}
    )
    if response.status_code >= 400:
        check_answer("POST", "/ui/login", response)
    return response


async def session_of(admin: Admin, role: str = "operator") -> str:
    """A new session; the client itself keeps none."""
    response = await log_in(admin, SECRETS[role])
    admin.client.cookies.clear()
    return SimpleCookie(response.headers["set-cookie"])[COOKIE].value


def carrying(session: str, **more: str) -> dict[str, str]:
    return {"cookie": f"theme=dark; {COOKIE}={session}", **more}


# -- logging in --------------------------------------------------------------------------------


async def test_a_token_becomes_a_session_that_is_let_in(guarded: Admin) -> None:
    response = await log_in(guarded)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["cache-control"] == "no-store"
    session = await guarded.call("GET", "/session")  # the client sends the cookie by itself
    now = int(guarded.clock.wall())
    assert session.json() == {
        "name": "operator-1",
        "role": "operator",
        "tokens": True,
        "expires": now + LIFETIME_S,
    }


async def test_no_script_reads_the_cookie_and_no_other_site_has_it_sent(guarded: Admin) -> None:
    kept = SimpleCookie((await log_in(guarded)).headers["set-cookie"])[COOKIE]
    assert kept["httponly"]
    assert kept["samesite"] == "Strict"
    assert kept["path"] == "/"
    assert kept["max-age"] == str(LIFETIME_S)
    assert not kept["domain"]
    assert not kept["secure"]  # it came by http


@pytest.mark.parametrize(
    ("base_url", "origin", "host"),
    [
        ("http://127.0.0.1:8081", "https://router.example", "router.example"),
        ("https://127.0.0.1:8081", "https://127.0.0.1:8081", "127.0.0.1:8081"),
    ],
    ids=["behind a proxy that ends TLS", "by https itself"],
)
async def test_who_comes_by_https_gets_a_cookie_that_only_https_carries(
    base_url: str, origin: str, host: str
) -> None:
    async with admin_port(configuration(auth={"tokens": tokens()}), base_url=base_url) as admin:
        response = await log_in(admin, origin=origin, host=host)
        assert SimpleCookie(response.headers["set-cookie"])[COOKIE]["secure"]


async def test_the_cookie_is_no_token_and_holds_none(guarded: Admin) -> None:
    session = await session_of(guarded)
    assert SECRETS["operator"] not in session
    assert hashlib.sha256(SECRETS["operator"].encode()).hexdigest() not in session
    headers = {"authorization": f"Bearer {session}"}
    assert (await guarded.call("GET", "/routes", headers=headers)).status_code == 401


async def test_white_space_around_a_pasted_token_is_no_part_of_it(guarded: Admin) -> None:
    assert (await log_in(guarded, f" {SECRETS['viewer']}\n")).status_code == 204


@pytest.mark.parametrize("token", ["", "x" * 4_097, 7, None, ["the viewer secret"]])
async def test_what_is_no_token_is_refused_and_not_repeated(guarded: Admin, token: object) -> None:
    response = await log_in(guarded, token)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == ["token"]
    assert "xxx" not in response.text
    assert "the viewer secret" not in response.text


async def test_a_login_is_json(guarded: Admin) -> None:
    response = await guarded.client.post(
        "/ui/login", data={"token": SECRETS["viewer"]}, headers={"origin": ORIGIN}
    )
    assert response.status_code == 415
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "http://127.0.0.1:8082", "http://127.0.0.1"]
)
@pytest.mark.parametrize("path", ["/ui/login", "/ui/logout"])
async def test_only_a_page_of_this_port_logs_in_or_out(
    guarded: Admin, path: str, origin: str | None
) -> None:
    headers = {} if origin is None else {"origin": origin}
    response = await guarded.client.post(path, json={"token": SECRETS["viewer"]}, headers=headers)
    assert response.status_code == 403
    assert response.json()["type"] == "urn:inference-router:foreign-origin"
    assert "set-cookie" not in response.headers


# -- guesses -----------------------------------------------------------------------------------


async def test_guesses_at_the_login_are_limited_with_all_others_and_told(guarded: Admin) -> None:
    statuses = [(await log_in(guarded, "guess")).status_code for _ in range(GUESSES - 1)]
    headers = {"authorization": "Bearer guess"}
    statuses.append((await guarded.call("GET", "/routes", headers=headers)).status_code)
    assert statuses == [401] * GUESSES
    limited = await log_in(guarded, SECRETS["viewer"])
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "6")
    assert "set-cookie" not in limited.headers
    (entry,) = await failures(guarded)
    assert entry.evidence == {"failures": 1}
    guarded.clock.advance(REFILL_S)
    assert (await log_in(guarded, SECRETS["viewer"])).status_code == 204


async def test_a_session_is_let_in_while_its_address_is_limited(guarded: Admin) -> None:
    session = await session_of(guarded)
    for _ in range(GUESSES + 1):
        await log_in(guarded, "guess", client=guarded.client)
    response = await guarded.call("GET", "/routes", headers=carrying(session))
    assert response.status_code == 200


async def test_a_session_that_is_over_is_no_guess(guarded: Admin) -> None:
    session = await session_of(guarded)
    guarded.clock.advance(LIFETIME_S)
    for _ in range(3 * GUESSES):
        response = await guarded.call("GET", "/routes", headers=carrying(session))
        assert response.status_code == 401
    assert await failures(guarded) == []
    assert (await log_in(guarded)).status_code == 204


async def test_no_token_and_no_session_is_in_the_log_or_the_trail(
    guarded: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await log_in(guarded, "a wrong secret")
        session = await session_of(guarded)
        await guarded.call(
            "PUT", "/routes/chat/weights", WEIGHTS, headers=carrying(session, **WRITING)
        )
    trail = str(await guarded.trail())
    for secret in ("a wrong secret", SECRETS["operator"], session, session.rpartition(":")[2]):
        assert secret not in caplog.text
        assert secret not in trail
    assert "operator-1" in trail


# -- what a session is good for ----------------------------------------------------------------


async def test_a_session_reads_as_its_token_does(guarded: Admin) -> None:
    session = await session_of(guarded, "viewer")
    assert (await guarded.call("GET", "/routes", headers=carrying(session))).status_code == 200
    exported = await guarded.call("GET", "/routes/chat/shadow/export", headers=carrying(session))
    assert exported.status_code == 403
    assert "token viewer-1 has viewer" in exported.json()["detail"]


async def test_a_session_writes_as_its_token_does(guarded: Admin) -> None:
    headers = carrying(await session_of(guarded), **WRITING)
    changed = await guarded.call("PUT", "/routes/chat/weights", WEIGHTS, headers=headers)
    assert changed.status_code == 200
    entry = (await guarded.trail())[-1]
    assert (entry.actor.name, entry.actor.role) == ("operator-1", "operator")
    viewer = carrying(await session_of(guarded, "viewer"), **WRITING)
    refused = await guarded.call("PUT", "/routes/chat/weights", WEIGHTS, headers=viewer)
    assert refused.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": ORIGIN},
        {"x-requested-with": CONSOLE},
        {"origin": ORIGIN, "x-requested-with": "XMLHttpRequest"},
        {"origin": "null", "x-requested-with": CONSOLE},
        {"origin": "http://127.0.0.1:3000", "x-requested-with": CONSOLE},
        {"origin": "http://evil.example", "x-requested-with": CONSOLE},
    ],
)
@pytest.mark.parametrize("query", ["", "?dryRun=true"])
async def test_a_change_that_the_console_s_page_did_not_send_is_refused(
    guarded: Admin, headers: dict[str, str], query: str
) -> None:
    before = await guarded.everything()
    session = carrying(await session_of(guarded, "admin"), **headers)
    for method, path in (("PUT", "/routes/chat/weights"), ("POST", "/explain")):
        response = await guarded.call(method, path + query, WEIGHTS, headers=session)
        assert response.status_code == 403
        assert response.json()["type"] == "urn:inference-router:foreign-origin"
    assert await guarded.everything() == before


async def test_a_token_is_heard_before_a_session(guarded: Admin) -> None:
    session = carrying(await session_of(guarded, "admin"))
    told = await guarded.call("GET", "/session", role="viewer", headers=session)
    assert (told.json()["name"], told.json()["expires"]) == ("viewer-1", None)
    wrong = {**session, "authorization": "Bearer wrong"}
    assert (await guarded.call("GET", "/session", headers=wrong)).status_code == 401
    # A program that sends its token needs nothing of the console's.
    changed = await guarded.call(
        "PUT", "/routes/chat/weights", WEIGHTS, role="operator", headers=session
    )
    assert changed.status_code == 200


# -- its end -----------------------------------------------------------------------------------


async def test_a_session_ends_after_its_time_and_the_browser_forgets_it(guarded: Admin) -> None:
    session = await session_of(guarded)
    guarded.clock.advance(LIFETIME_S - 1)
    assert (await guarded.call("GET", "/session", headers=carrying(session))).status_code == 200
    guarded.clock.advance(1)
    over = await guarded.call("GET", "/session", headers=carrying(session))
    assert over.status_code == 401
    assert over.json()["type"] == "urn:inference-router:unauthenticated"
    kept = SimpleCookie(over.headers["set-cookie"])[COOKIE]
    assert (kept.value, kept["max-age"], kept["path"]) == ("", "0", "/")


async def test_a_session_ends_with_its_token(guarded: Admin) -> None:
    session = await session_of(guarded)
    kept = [token for token in tokens() if token["name"] != "operator-1"]
    guarded.content = configuration(auth={"tokens": kept})
    await guarded.plane.reload()
    assert (await guarded.call("GET", "/session", headers=carrying(session))).status_code == 401
    replaced = [*kept, {**tokens()[1], "name": "operator-1", "sha256": "0" * 64}]
    guarded.content = configuration(auth={"tokens": replaced})
    await guarded.plane.reload()
    assert (await guarded.call("GET", "/session", headers=carrying(session))).status_code == 401


async def test_a_session_has_the_role_that_its_token_has_now(guarded: Admin) -> None:
    headers = carrying(await session_of(guarded), **WRITING)
    lowered = [
        {**token, "role": "viewer"} if token["name"] == "operator-1" else token
        for token in tokens()
    ]
    guarded.content = configuration(auth={"tokens": lowered})
    await guarded.plane.reload()
    refused = await guarded.call("PUT", "/routes/chat/weights", WEIGHTS, headers=headers)
    assert refused.status_code == 403


async def test_a_stream_of_events_ends_with_the_session(guarded: Admin) -> None:
    session = await session_of(guarded)
    received: asyncio.Queue[dict[str, object]] = asyncio.Queue()

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError("never")

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": f"{API}/events",
        "raw_path": f"{API}/events".encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("127.0.0.1", 8081),
        "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", b"127.0.0.1:8081"),
            (b"cookie", f"{COOKIE}={session}".encode()),
        ],
    }
    stream = asyncio.create_task(guarded.app(scope, receive, received.put))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        assert (await received.get())["status"] == 200
        assert b"event: hello" in (await received.get())["body"]  # type: ignore[operator]
        guarded.clock.advance(LIFETIME_S)
        guarded.plane.events.tell("test")
        assert not (await received.get()).get("more_body")
        await stream


async def test_logging_out_has_the_browser_forget_the_session(guarded: Admin) -> None:
    await log_in(guarded)
    assert COOKIE in guarded.client.cookies
    out = await guarded.client.post("/ui/logout", headers={"origin": ORIGIN})
    assert out.status_code == 204
    assert COOKIE not in guarded.client.cookies
    assert (await guarded.call("GET", "/session")).status_code == 401


async def test_a_session_outlives_control() -> None:
    content, key = configuration(auth={"tokens": tokens()}), b"k" * 32
    async with admin_port(content, key=key) as before:
        session = await session_of(before)
    async with admin_port(content, key=key) as after:
        told = await after.call("GET", "/session", headers=carrying(session))
        assert told.status_code == 200
    async with admin_port(content, key=b"l" * 32) as other:
        told = await other.call("GET", "/session", headers=carrying(session))
        assert told.status_code == 401


# -- without tokens ----------------------------------------------------------------------------


async def test_without_tokens_nobody_logs_in_and_everybody_on_this_host_is_an_admin(
    admin: Admin,
) -> None:
    refused = await log_in(admin, "anything")
    assert refused.status_code == 409
    assert "set-cookie" not in refused.headers
    told = await admin.call("GET", "/session", headers=carrying("local:9999999999:" + "0" * 64))
    assert told.json() == {"name": "local", "role": "admin", "tokens": False, "expires": None}
    assert (await admin.client.post("/ui/logout", headers={"origin": ORIGIN})).status_code == 204


async def test_without_tokens_the_login_too_is_for_this_host_alone(admin: Admin) -> None:
    response = await log_in(admin, host="evil.example", origin="http://evil.example")
    assert response.status_code == 403
    async with admin.client_at("10.9.9.9") as other:
        assert (await log_in(admin, client=other)).status_code == 403


# -- forging -----------------------------------------------------------------------------------

SOMEBODY = Credential("ann", Role.ADMIN, hashlib.sha256(b"a secret").digest())
OTHER = Credential("bob", Role.VIEWER, hashlib.sha256(b"another").digest())
KNOWN = (OTHER, SOMEBODY)
SESSIONS = Sessions(b"a key that only the router has..")


def test_a_session_is_recognised_until_it_ends() -> None:
    session = SESSIONS.issue(SOMEBODY, 1_000.5)
    found = SESSIONS.recognise(session, KNOWN, 1_000 + LIFETIME_S - 0.1)
    assert found is not None
    assert (found.credential, found.expires_s) == (SOMEBODY, 1_000 + LIFETIME_S)
    assert SESSIONS.recognise(session, KNOWN, 1_000 + LIFETIME_S) is None


@given(
    place=st.integers(0, 100),
    letter=st.characters(codec="ascii"),
)
def test_a_session_that_was_changed_anywhere_is_nobody_s(place: int, letter: str) -> None:
    session = SESSIONS.issue(OTHER, 1_000)
    place %= len(session)
    changed = session[:place] + letter + session[place + 1 :]
    found = SESSIONS.recognise(changed, KNOWN, 1_000)
    assert (found is not None) == (changed == session)


@given(
    key=st.binary(max_size=64)
    | st.sampled_from([b"", SOMEBODY.digest, SOMEBODY.digest.hex().encode()])
)
def test_who_knows_the_configuration_alone_can_make_no_session(key: bytes) -> None:
    forged = Sessions(key).issue(SOMEBODY, 1_000)
    assert SESSIONS.recognise(forged, KNOWN, 1_000) is None


@given(text=st.text(max_size=200))
def test_any_text_is_no_session(text: str) -> None:
    assert SESSIONS.recognise(text, KNOWN, 0) is None


def test_a_session_that_was_signed_over_another_text_is_nobody_s() -> None:
    # The key is right and the form is not the router's own.
    signature = hmac.new(b"a key that only the router has..", b"ann:9999", "sha256").hexdigest()
    assert SESSIONS.recognise(f"ann:9999:{signature}", KNOWN, 0) is None
