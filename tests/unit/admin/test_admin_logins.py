"""Failed logins: limited for each address, told in the trail, and no secret anywhere."""

from __future__ import annotations

import asyncio
import logging
import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.admin.logins import (
    ENTRIES_A_MINUTE,
    ENTRY_EVERY_S,
    GUESSES,
    MAX_ADDRESSES,
    MAX_TRUSTED,
    REFILL_S,
    TRUSTED_S,
    Logins,
    network_of,
)
from router.admin.tokens import Secret
from router.audit.entry import Entry
from tests.support.admin import SECRETS, Admin, configuration, tokens

pytestmark = pytest.mark.anyio

WRONG = "tr0ub4dor&3"
LIMITED = "urn:inference-router:too-many-failed-logins"


async def guess(
    admin: Admin, secret: str = WRONG, client: httpx.AsyncClient | None = None
) -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}"}
    return await admin.call("GET", "/routes", headers=headers, client=client)


async def failures(admin: Admin) -> list[Entry]:
    """What the trail tells of failed logins, once it is written."""
    for _ in range(5):
        await asyncio.sleep(0)
    return [entry for entry in await admin.trail() if entry.action == "login.failed"]


# -- over the API ------------------------------------------------------------------------------


async def test_guesses_are_limited_and_come_back_with_time(guarded: Admin) -> None:
    statuses = [(await guess(guarded)).status_code for _ in range(GUESSES + 2)]
    assert statuses == [401] * GUESSES + [429, 429]
    refused = await guess(guarded)
    assert refused.json()["type"] == LIMITED
    assert refused.headers["retry-after"] == "6"
    guarded.clock.advance(REFILL_S)
    assert [(await guess(guarded)).status_code for _ in range(2)] == [401, 429]


async def test_a_limited_address_learns_nothing_about_a_right_token(guarded: Admin) -> None:
    for _ in range(GUESSES):
        await guess(guarded)
    wrong, right = await guess(guarded), await guess(guarded, SECRETS["admin"])
    assert right.status_code == wrong.status_code == 429
    assert right.json() == wrong.json()


async def test_who_was_right_from_there_is_let_in_while_others_guess(guarded: Admin) -> None:
    assert (await guess(guarded, SECRETS["operator"])).status_code == 200
    for _ in range(GUESSES + 5):
        await guess(guarded)
    assert (await guess(guarded, SECRETS["operator"])).status_code == 200
    assert (await guess(guarded, SECRETS["viewer"])).status_code == 429


async def test_a_token_that_is_withdrawn_is_trusted_no_more(guarded: Admin) -> None:
    await guess(guarded, SECRETS["operator"])
    for _ in range(GUESSES):
        await guess(guarded)
    kept = [token for token in tokens() if token["name"] != "operator-1"]
    guarded.content = configuration(auth={"tokens": kept})
    await guarded.plane.reload()
    assert (await guess(guarded, SECRETS["operator"])).status_code == 429


async def test_another_address_is_not_limited_with_it(guarded: Admin) -> None:
    for _ in range(GUESSES + 1):
        await guess(guarded)
    other = guarded.client_at("10.9.9.9")
    assert (await guess(guarded, SECRETS["viewer"], other)).status_code == 200
    await other.aclose()


async def test_who_sends_no_token_guesses_nothing(guarded: Admin) -> None:
    for _ in range(3 * GUESSES):
        assert (await guarded.call("GET", "/routes")).status_code == 401
    assert (await guess(guarded, SECRETS["viewer"])).status_code == 200
    assert await failures(guarded) == []


async def test_every_scheme_is_a_guess(guarded: Admin) -> None:
    headers = {"authorization": "Basic cm9vdDpyb290"}
    statuses = [
        (await guarded.call("GET", "/routes", headers=headers)).status_code
        for _ in range(GUESSES + 1)
    ]
    assert statuses == [401] * GUESSES + [429]


async def test_the_trail_tells_of_an_address_once_a_minute_with_the_count(guarded: Admin) -> None:
    for _ in range(GUESSES + 5):
        await guess(guarded)
    (first,) = await failures(guarded)
    assert (first.actor.name, first.actor.role, first.actor.address) == (
        "unknown",
        "none",
        "127.0.0.1",
    )
    assert first.evidence == {"failures": 1}
    guarded.clock.advance(ENTRY_EVERY_S)
    await guess(guarded)
    (_, second) = await failures(guarded)
    assert second.evidence == {"failures": GUESSES + 5}


async def test_many_addresses_do_not_flood_the_trail(guarded: Admin) -> None:
    for number in range(ENTRIES_A_MINUTE + 20):
        async with guarded.client_at(f"10.0.0.{number}") as client:
            await guess(guarded, client=client)
    assert len(await failures(guarded)) == ENTRIES_A_MINUTE


async def test_failures_are_counted_for_prometheus(guarded: Admin) -> None:
    for _ in range(GUESSES + 3):
        await guess(guarded)
    text = (await guarded.get("/metrics")).text
    assert f'router_login_failures_total{{result="refused"}} {GUESSES}.0' in text
    assert 'router_login_failures_total{result="limited"} 3.0' in text


async def test_no_secret_is_in_an_answer_the_log_the_trail_or_an_event(
    guarded: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    known = SECRETS["operator"]
    texts = []
    with caplog.at_level(logging.DEBUG), guarded.plane.events.subscribe() as subscription:
        texts.append((await guess(guarded, WRONG)).text)
        texts.append((await guess(guarded, known)).text)
        texts.append((await guarded.weights(role="operator")).text)
        texts.append((await guarded.weights(role="operator", headers={"if-match": "9"})).text)
        await failures(guarded)
        question = {"path": "/chat", "headers": {"authorization": known}, "body": {"x": WRONG}}
        texts.append((await guarded.call("POST", "/explain", question, role="viewer")).text)
        texts.append(str(list(subscription._events)))
    texts += [caplog.text, str(await guarded.trail()), repr(guarded.plane.config)]
    texts.append((await guarded.get("/metrics")).text)
    assert not [text for text in texts if WRONG in text or known in text]


# -- the rules, over any story -----------------------------------------------------------------


@given(gaps=st.lists(st.floats(0, 2 * REFILL_S), min_size=1, max_size=80))
def test_no_address_guesses_faster_than_its_permits_come_back(gaps: list[float]) -> None:
    logins, now, made = Logins(), 0.0, []
    for gap in gaps:
        now += gap
        if not logins.wait_s("10.0.0.1", now):
            logins.on_wrong("10.0.0.1", now)
            made.append(now)
    for first, begin in enumerate(made):
        for last, end in enumerate(made[first:], first):
            assert last - first + 1 <= GUESSES + (end - begin) / REFILL_S + 1e-6


@given(story=st.lists(st.tuples(st.integers(0, 40), st.floats(0, 30), st.booleans()), max_size=200))
def test_every_failure_is_told_once_or_still_to_be_told(
    story: list[tuple[int, float, bool]],
) -> None:
    logins, now, told, entries = Logins(), 0.0, 0, []
    for who, gap, limited in story:
        now += gap
        tell = logins.on_limited if limited else logins.on_wrong
        tell(f"10.0.0.{who}", now)
        while (found := logins.due(now)) is not None:
            told += found.count + found.forgotten
            entries.append((now, found.address))
    now += 10 * ENTRY_EVERY_S
    for _ in range(100):
        if (found := logins.due(now)) is not None:
            told += found.count + found.forgotten
        now += ENTRY_EVERY_S
    assert told == len(story)
    for at, address in entries:
        within = [who for when, who in entries if at <= when < at + ENTRY_EVERY_S - 1e-6]
        assert within.count(address) == 1
        # A bucket that was full gives its permits at once, and those that come meanwhile.
        assert len(within) <= 2 * ENTRIES_A_MINUTE


def test_what_is_remembered_of_addresses_is_bounded_and_nothing_is_lost_in_silence() -> None:
    logins = Logins()
    for number in range(MAX_ADDRESSES + 50):
        logins.on_wrong(f"10.{number >> 8}.{number & 255}.1", 0.0)
    assert len(logins._sources) == MAX_ADDRESSES
    found = logins.due(0.0)
    assert found is not None
    assert (found.count, found.forgotten) == (1, 50)


def test_what_is_remembered_of_tokens_is_bounded_and_ends() -> None:
    logins = Logins()
    for number in range(MAX_TRUSTED + 1):
        logins.on_right("10.0.0.1", bytes([number]), 0.0)
    assert not logins.trusts("10.0.0.1", bytes([0]), 0.0)
    assert logins.trusts("10.0.0.1", bytes([1]), TRUSTED_S)
    assert not logins.trusts("10.0.0.1", bytes([1]), TRUSTED_S + 0.1)
    assert not logins.trusts("10.0.0.2", bytes([1]), 0.0)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_host_is_known_by_its_whole_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_nothing_shows_a_secret() -> None:
    assert not re.search("horse", repr(Secret("horse")))
    assert not hasattr(Secret("horse"), "__dict__")
