"""The suite that `selftest` plays, over both doors; its clock is jumped."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Final

import pytest

from router.dataplane.frontends.bodypace import WINDOW_S
from router.dataplane.frontends.refusals import REASONS
from router.dataplane.upstream.pool import SWEEP_S
from router.http1.rules import RULES, ClientRules
from router.selftest import NATIVE_ONLY, Case, Player, Recorder, Verdict, suite
from router.selftest.case import Group, Refused
from router.snapshot import Endpoint
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import get, message
from tests.support.upstreams import Upstream, naming

ROOT: Final = Path(__file__).parents[2]
CASES: Final = {case.name: case for case in suite(RULES, 10.0)}
OTHER: Final = ClientRules(
    max_head_bytes=5000,
    max_fields=12,
    max_target_bytes=300,
    max_chunk_line_bytes=64,
    max_trailer_bytes=200,
    min_body_bytes_per_s=1000,
    trusted_proxies=1,
)
BOUND: Final = (Group.LIMITS, Group.PACE, Group.IDENTITY)
SHORT_S: Final = 0.1


@pytest.fixture
async def recorder(router: RunningDataPlane) -> AsyncIterator[Recorder]:
    recorder = Recorder()
    await recorder.start()
    endpoint = Endpoint(url="http://recorder", host="127.0.0.1", port=recorder.port)
    router.install(route("suite", version("v1", endpoint), breaker=None, outlier=None))
    yield recorder
    await recorder.stop()


@pytest.fixture
def player(router: RunningDataPlane, recorder: Recorder) -> Player:
    async def wait(seconds: float) -> None:
        if seconds <= SHORT_S:
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(0.02)  # what was sent arrives before its time is over
        router.jump(seconds)

    return Player(router.port, recorder, wait)


def promised(door: str, case: Case) -> bool:
    return door == "native" or case.name not in NATIVE_ONLY


def against(verdicts: Iterable[Verdict]) -> list[tuple[str, ...]]:
    return [(each.case.name, *each.against) for each in verdicts if not each.passed]


async def test_every_case_of_the_suite_passes_where_it_is_promised(
    door: str, player: Player
) -> None:
    assert against([await player.play(c) for c in CASES.values() if promised(door, c)]) == []


@pytest.mark.parametrize("settings", [{"rules": OTHER, "head_timeout_s": 4.0}])
async def test_the_limits_are_those_that_are_configured(door: str, player: Player) -> None:
    cases = [case for case in suite(OTHER, 4.0) if case.group in BOUND]
    assert against([await player.play(c) for c in cases if promised(door, c)]) == []


@pytest.mark.parametrize("settings", [{"rules": OTHER, "head_timeout_s": 4.0}])
async def test_the_cases_of_other_limits_fail(
    player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch)
    cases = [case for case in CASES.values() if case.group in (Group.LIMITS, Group.IDENTITY)]
    failed = {name for name, *_ in against([await player.play(case) for case in cases])}
    assert failed >= {
        "a target as long as allowed",
        "as many fields as allowed",
        "a head as large as allowed",
        "who called is replaced but for the word of trusted proxies",
    }


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will not come."""
    monkeypatch.setattr("router.selftest.play.DEADLINE_S", 0.3)
    monkeypatch.setattr("router.selftest.play.CLOSE_DEADLINE_S", 0.1)


async def test_each_case_that_the_asgi_door_does_not_promise_is_the_native_doors_alone(
    door: str, player: Player, monkeypatch: pytest.MonkeyPatch
) -> None:
    if door == "asgi":
        hurry(monkeypatch)
    passed = [verdict.passed for verdict in [await player.play(CASES[n]) for n in NATIVE_ONLY]]
    assert passed == [door == "native"] * len(NATIVE_ONLY)


def test_what_is_not_promised_is_a_case_and_has_a_reason() -> None:
    assert NATIVE_ONLY.keys() <= CASES.keys()
    assert all(NATIVE_ONLY.values())


def test_no_two_cases_have_one_name() -> None:
    assert len(CASES) == len(suite(RULES, 10.0))


# -- what is counted -----------------------------------------------------------------------------


async def test_every_refusal_is_counted_once_by_its_status(
    door: str, router: RunningDataPlane, player: Player
) -> None:
    for case in CASES.values():
        if not isinstance(case.expect, Refused) or not promised(door, case):
            continue
        before = router.values("router_http_refusals_total")
        await player.play(case)
        after = router.values("router_http_refusals_total")
        counted = {
            labels: number - before.get(labels, 0)
            for labels, number in after.items()
            if number != before.get(labels, 0)
        }
        # uvicorn refuses most of it itself, and tells nobody.
        assert [*counted.values()] in ([[1]] if door == "native" else [[1], []]), case.name
        assert all(int(status) in case.expect.statuses for status, _ in counted), case.name


def test_every_reason_of_a_refusal_is_explained() -> None:
    sources = [*(ROOT / "router" / "http1").glob("*.py")]
    sources += (ROOT / "router" / "dataplane").rglob("*.py")
    text = "".join(source.read_text() for source in sources)
    made = {*re.findall(r'ProtocolError\(\s*"(\w+)"', text), *REASONS.values()}
    made |= {*re.findall(r'count_refusal\([^")]+\), "(\w+)"\)', text)}
    section = (ROOT / "docs" / "operations.md").read_text().partition("## What is refused")[2]
    told = set(re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE))
    assert told == made


# -- who called ----------------------------------------------------------------------------------


async def test_the_proxies_before_us_stay_in_via(router: RunningDataPlane, v1: Upstream) -> None:
    v1.replies = naming("v1")
    client = await router.connect()
    await client.ask(get("/", "Via: 1.0 first", "Via: 1.1 Second (a comment)"))
    await client.ask(get("/"))
    told, silent = (each.head.all("via") for each in v1.requests)
    assert told == ["1.0 first, 1.1 Second (a comment), 1.1 inference-router"]
    assert silent == ["1.1 inference-router"]


@pytest.mark.parametrize("settings", [{"rules": ClientRules(trusted_proxies=2)}])
async def test_each_request_of_a_connection_tells_its_own_caller(
    router: RunningDataPlane, v1: Upstream
) -> None:
    v1.replies = naming("v1")
    client = await router.connect()
    for said in ("192.0.2.1, 192.0.2.2, 192.0.2.3", "192.0.2.9", ""):
        await client.ask(get("/", f"X-Forwarded-For: {said}", "X-Forwarded-Proto: HTTPS"))
    await client.ask(get("/"))
    assert [each.field("x-forwarded-for") for each in v1.requests] == [
        "192.0.2.2, 192.0.2.3, 127.0.0.1", "192.0.2.9, 127.0.0.1", "127.0.0.1", "127.0.0.1",
    ]  # fmt: skip
    assert [each.field("x-forwarded-proto") for each in v1.requests] == [*["https"] * 3, "http"]


# -- a body's pace -------------------------------------------------------------------------------


async def test_a_body_that_comes_fast_enough_is_taken_window_after_window(
    router: RunningDataPlane, v1: Upstream
) -> None:
    client = await router.connect()
    part = b"x" * round(RULES.min_body_bytes_per_s * WINDOW_S)
    await client.send(
        message("POST /x HTTP/1.1", "Host: a.test", f"Content-Length: {3 * len(part)}", body=part)
    )
    call = await v1.next_call()
    for _ in range(2):
        await client.send(part)
        await call.read_exactly(len(part))
        router.jump(WINDOW_S)
        await asyncio.sleep(SWEEP_S)  # a tick judges the window
    await call.read_exactly(len(part))
    await call.send(message("HTTP/1.1 200 OK", "Content-Length: 0"))
    call.finish()
    assert (await client.read_answer()).status == 200
