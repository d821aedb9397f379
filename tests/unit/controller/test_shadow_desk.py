"""The way of a pair: compared, counted, recorded; and what is known of a shadow."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from router.clock import ManualClock
from router.comparison import Answer, Comparison, Rules, Verdict
from router.config import Config, initial_state
from router.config.models import Route
from router.controller.changes import UnknownRouteError
from router.controller.shadow.desk import Shadows
from router.controller.shadow.intake import Intake
from router.controller.shadow.paths import MARKER
from router.controller.shadow.reports import MAX_AGE_S, WANTED_S
from router.link.messages import Captured, Pair
from router.rollouts.rollout import Rollout
from router.rollouts.spec import SetShadow
from router.rollouts.state import RouteState
from router.store.pairs import KeptPair, Retention
from router.store.pairs.memory import MemoryPairStore
from router.telemetry import families
from router.telemetry.families import Family

pytestmark = pytest.mark.anyio

START_S = 1_000.0
KEEP_ALL = Retention(max_pairs=100, max_age_s=1e9, max_bytes=10**9)


def config(*routes: str, **shadow: Any) -> Config:
    return Config.model_validate(
        {
            "routes": [
                {
                    "name": name,
                    "match": [{"path": f"/{name}"}],
                    "release": "v1",
                    "versions": {
                        version: {"endpoints": ["http://127.0.0.1:8000"]}
                        for version in ("v1", "v2", "v3")
                    },
                    "shadow": {"version": "v2", "record": {"matchPercent": 100}, **shadow},
                }
                for name in routes or ("chat", "embed")
            ]
        }
    )


def rollout(attempt: int, at_s: float) -> Rollout:
    return Rollout(
        number=1,
        attempt=attempt,
        target="v2",
        release="v2",
        started_s=at_s,
        attempt_s=at_s,
        step_s=at_s,
        progress_s=at_s,
        steps_digest="",
        shadow=SetShadow(percent_bp=10_000),
    )


def said(version: str, text: str = "hello there", **more: Any) -> Captured:
    document = {"choices": [{"message": {"content": text}, "finish_reason": "stop"}]}
    answer = {
        "outcome": "answered",
        "status": 200,
        "fields": [("content-type", "application/json")],
        "body": orjson.dumps(document),
        "duration_s": 1.0,
        **more,
    }
    return Captured(version, **answer)


class Desk:
    """Shadows in a world of one file of configuration, and states that the test sets."""

    def __init__(self, store: MemoryPairStore | None = None, **bounds: int) -> None:
        self.store = store or MemoryPairStore()
        self.clock = ManualClock(START_S)
        self.states: dict[str, RouteState] = {}
        self.routes: dict[str, Route] = {}
        intake = Intake(**bounds)
        self.shadows = Shadows(self.look, self.store, self.clock, draw=lambda: 0.5, intake=intake)
        self.load(config())
        self._ids = itertools.count()

    def load(self, content: Config) -> None:
        self.routes = {route.name: route for route in content.routes}
        self.states = {
            name: self.states.get(name, initial_state(route)) for name, route in self.routes.items()
        }
        self.shadows.configure(content)

    def look(self, route: str) -> tuple[Route, RouteState]:
        if route not in self.routes:
            raise UnknownRouteError(f"no route is called {route!r}")
        return self.routes[route], self.states[route]

    def take(
        self,
        text: str = "hello there",
        *,
        twin: str | None = None,
        shadow: Captured | None = None,
        route: str = "chat",
        **more: Any,
    ) -> None:
        pair = {
            "route": route,
            "request_id": f"id-{next(self._ids)}",
            "time_s": START_S,
            "generation": 1,
            "method": "POST",
            "target": "/v1/chat/completions",
            "fields": [("content-type", "application/json")],
            "request": b'{"messages":[]}',
            "primary": said("v1"),
            "shadow": shadow or said("v2", text),
            "twin": said("v1", twin) if twin is not None else None,
            **more,
        }
        self.shadows.take(Pair(**pair))

    async def compared(self, *texts: str, **more: Any) -> None:
        for text in texts:
            self.take(text, **more)
        for _ in range(len(texts) or 1):
            await self.shadows.compare_some()

    async def kept(self, route: str = "chat") -> list[KeptPair]:
        await self.shadows.write()
        return await self.shadows.pairs(route, limit=1_000)

    def counts(self, family: Family) -> dict[tuple[str, ...], float]:
        series = self.shadows.series()
        return {row.labels: row.value for row in series if row.family == family.name and row.value}

    def told_now(self) -> int | None:
        """As `told`, and not what was told a moment ago."""
        self.clock.advance(MAX_AGE_S)
        return self.told()

    def told(self, route: str = "chat") -> int | None:
        """How many pairs the report tells of; None: there is none."""
        report = self.shadows.report(route)
        return report.pairs if report is not None else None


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- compared, counted, recorded ---------------------------------------------------------------


async def test_a_pair_is_compared_counted_and_recorded(desk: Desk) -> None:
    await desk.compared("hello there", "something else")
    assert desk.counts(families.SHADOW_COMPARISONS) == {
        ("chat", "v2", "match"): 1,
        ("chat", "v2", "mismatch"): 1,
    }
    newest, oldest = await desk.kept()
    assert (newest.verdict, oldest.verdict) == ("mismatch", "match")
    assert (newest.route, newest.stable, newest.shadow) == ("chat", "v1", "v2")
    assert newest.document["shadow"]["body"]["json"]["choices"][0]["message"] == {
        "content": "something else"
    }
    found = await desk.shadows.pair("chat", newest.id)
    assert found == newest
    assert [p.id async for block in desk.shadows.stream("chat") for p in block] == [
        oldest.id,
        newest.id,
    ]
    assert desk.counts(families.SHADOW_RECORDED) == {("chat", "written"): 2}


async def test_a_verdict_that_never_came_is_counted_as_zero(desk: Desk) -> None:
    await desk.compared("hello there")
    name = families.SHADOW_COMPARISONS.name
    verdicts = {row.labels[2] for row in desk.shadows.series() if row.family == name}
    assert verdicts == {verdict.value for verdict in Verdict}


async def test_a_twins_own_verdict_counts_for_the_stable_version(desk: Desk) -> None:
    await desk.compared("hello there", twin="something else")
    assert desk.counts(families.SHADOW_COMPARISONS) == {
        ("chat", "v2", "match"): 1,
        ("chat", "v1", "mismatch"): 1,
    }
    report = desk.shadows.report("chat")
    assert report is not None
    assert report.twins == 1


async def test_a_shadow_that_did_not_answer_is_an_error_and_recorded(desk: Desk) -> None:
    failed = Captured("v2", "timeout", reason="first_byte")
    await desk.compared("", shadow=failed)
    assert desk.counts(families.SHADOW_COMPARISONS) == {("chat", "v2", "error"): 1}
    assert desk.counts(families.SHADOW_LATENCY) == {}
    [kept] = await desk.kept()
    assert kept.document["shadow"]["error"]
    assert kept.document["shadow"]["outcome"] == "timeout"


async def test_a_shadow_that_is_faster_is_observed_below_zero(desk: Desk) -> None:
    await desk.compared("", shadow=said("v2", duration_s=0.5))
    await desk.compared("", shadow=said("v2", duration_s=1.1))
    [row] = [r for r in desk.shadows.series() if r.family == families.SHADOW_LATENCY.name]
    assert row.buckets is not None
    assert row.value == pytest.approx(-0.4)
    below = families.SHADOW_LATENCY.buckets.index(0)
    assert (sum(row.buckets[:below]), sum(row.buckets)) == (1, 2)


async def test_of_the_matches_only_the_share_that_is_asked_for_is_recorded(desk: Desk) -> None:
    desk.load(config(record={"matchPercent": 0}))
    await desk.compared("hello there", "something else")
    assert [pair.verdict for pair in await desk.kept()] == ["mismatch"]
    desk.load(config(record={"matchPercent": 40}))
    await desk.compared(*["hello there"] * 200)
    first = {p.document["requestId"] for p in await desk.kept()}
    assert 40 <= len(first) <= 120
    other = Desk()
    other.load(config(record={"matchPercent": 40}))
    await other.compared("hello there", "something else", *["hello there"] * 200)
    again = {p.document["requestId"] for p in await other.kept()}
    assert {id_ for id_ in again if id_ not in ("id-0", "id-1")} == first - {"id-0", "id-1"}


# -- bounds ------------------------------------------------------------------------------------


async def test_a_flood_is_dropped_and_counted() -> None:
    desk = Desk(max_pairs=10)
    for _ in range(1_000):
        desk.take()
    assert desk.counts(families.SHADOW_PAIRS_DROPPED) == {("chat", "queue"): 990}
    await desk.compared()
    assert desk.told() == 10


async def test_nothing_is_counted_of_a_route_that_nobody_knows() -> None:
    desk = Desk(max_pairs=10)
    for number in range(100):
        desk.take(route=f"made-up-{number}")
    await desk.compared()
    assert list(desk.shadows.series()) == []


# -- late ones ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "late", [{"primary": said("v3")}, {"shadow": said("v3")}, {"time_s": START_S - 10}]
)
async def test_a_late_pair_is_dropped_and_counted(desk: Desk, late: dict[str, Any]) -> None:
    desk.states["chat"] = replace(desk.states["chat"], rollout=rollout(1, START_S - 5))
    await desk.compared("something else", **late)
    assert desk.counts(families.SHADOW_PAIRS_DROPPED) == {("chat", "late"): 1}
    assert desk.counts(families.SHADOW_COMPARISONS) == {}
    assert desk.told() is None
    assert await desk.kept() == []


async def test_a_new_attempt_begins_anew(desk: Desk) -> None:
    desk.states["chat"] = replace(desk.states["chat"], rollout=rollout(1, START_S - 5))
    await desk.compared("something else", "something else")
    assert desk.told() == 2
    desk.states["chat"] = replace(desk.states["chat"], rollout=rollout(2, START_S))
    assert desk.told() is None
    await desk.compared("hello there")
    report = desk.shadows.report("chat")
    assert report is not None
    assert (report.pairs, report.verdicts) == (1, {Verdict.MATCH: 1})


async def test_a_pair_is_late_if_another_attempt_begins_while_it_is_compared(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compare(_primary: Answer, _other: Answer, _rules: Rules) -> Comparison:
        desk.states["chat"] = replace(desk.states["chat"], rollout=rollout(1, START_S + 1))
        return Comparison()

    monkeypatch.setattr("router.controller.shadow.examine.compare", compare)
    await desk.compared("hello there")
    assert desk.counts(families.SHADOW_PAIRS_DROPPED) == {("chat", "late"): 1}
    assert desk.told() is None


# -- configuration -----------------------------------------------------------------------------


async def test_comparing_follows_a_reload(desk: Desk) -> None:
    await desk.compared("hello therf")
    desk.load(config(compare={"textRatio": 0.8}))
    await desk.compared("hello therf")
    assert desk.counts(families.SHADOW_COMPARISONS) == {
        ("chat", "v2", "mismatch"): 1,
        ("chat", "v2", "match"): 1,
    }


async def test_redaction_follows_a_reload(desk: Desk) -> None:
    await desk.compared("sesame")
    desk.load(config(redact={"paths": ["$..content"]}))
    await desk.compared("sesame")
    after, before = await desk.kept()
    assert b"sesame" in orjson.dumps(before.document)
    assert b"sesame" not in orjson.dumps(after.document)
    assert MARKER.encode() in orjson.dumps(after.document)


async def test_the_header_that_carries_credentials_is_hidden_whatever_redact_says(
    desk: Desk,
) -> None:
    desk.load(config(credentials={"mode": "strip", "header": "X-Who"}, redact={"headers": []}))
    await desk.compared("", fields=[("x-who", "sesame"), ("x-what", "ok")])
    [kept] = await desk.kept()
    assert kept.document["request"]["fields"] == [["x-who", MARKER], ["x-what", "ok"]]


async def test_nothing_that_is_redacted_is_in_the_tally_either(desk: Desk) -> None:
    desk.load(config(redact={"paths": ["$..content", "$.error"], "headers": ["x-who"]}))
    event = b'data: {"error": {"type": "sesame", "message": "sesame", "code": "sesame"}}\n\n'
    stream = said("v2", body=event, fields=[("content-type", "text/event-stream")])
    await desk.compared("sesame", fields=[("x-who", "sesame")])
    await desk.compared("", shadow=stream)
    await desk.shadows.write()
    stored = [await desk.store.tallies(), [p.document for p in await desk.kept()]]
    assert b"sesame" not in orjson.dumps(stored)
    assert desk.told() == 2


async def test_a_route_that_leaves_is_forgotten_also_in_the_store(desk: Desk) -> None:
    await desk.compared("something else")
    await desk.compared("something else", route="embed")
    await desk.shadows.write()
    assert (await desk.store.tallies()).keys() == {"chat", "embed"}
    desk.load(config("embed"))
    await desk.shadows.write()
    assert (await desk.store.tallies()).keys() == {"embed"}
    assert await desk.shadows.pairs("chat") == []
    assert desk.told() is None
    assert {row.labels[0] for row in desk.shadows.series()} <= {"embed", "*"}


# -- defects -----------------------------------------------------------------------------------


async def test_a_defect_in_a_comparison_is_an_error_that_does_not_quote_the_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def compare(_primary: Answer, other: Answer, _rules: Rules) -> Comparison:
        raise ValueError(f"cannot compare {other.body!r}")

    monkeypatch.setattr("router.controller.shadow.examine.compare", compare)
    desk.load(config(redact={"headers": ["x-request-id"]}))
    await desk.compared("", request_id="sesame")
    desk.load(config())
    assert "sesame" not in caplog.text
    await desk.compared("sesame")
    assert desk.counts(families.SHADOW_COMPARISONS) == {("chat", "v2", "error"): 2}
    assert "request id-1: primary: not compared, a defect (ValueError)" in (caplog.text)
    assert "sesame" not in caplog.text
    report = desk.shadows.report("chat")
    assert report is not None
    assert report.error_ratio is None or report.error_ratio.value == 0  # it is not the shadow's
    assert [kept.verdict for kept in await desk.kept()] == ["error", "error"]


async def test_a_defect_in_recording_loses_the_pair_and_not_its_verdict(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def document_of(pair: Pair, *_: object) -> dict[str, Any]:
        raise KeyError(pair.shadow.body)

    monkeypatch.setattr("router.controller.shadow.comparer.document_of", document_of)
    await desk.compared("sesame")
    assert desk.counts(families.SHADOW_RECORDED) == {("chat", "lost"): 1}
    assert desk.told() == 1
    assert "a defect (KeyError)" in caplog.text
    assert "sesame" not in caplog.text


async def test_an_outcome_that_does_not_exist_is_an_error_like_any_defect(desk: Desk) -> None:
    await desk.compared("", shadow=said("v2", outcome="exploded"))
    assert desk.counts(families.SHADOW_COMPARISONS) == {("chat", "v2", "error"): 1}


# -- reports and restarts ----------------------------------------------------------------------


async def test_a_report_is_made_anew_only_when_it_has_become_old(desk: Desk) -> None:
    await desk.compared("hello there")
    first = desk.shadows.report("chat")
    desk.clock.advance(MAX_AGE_S)
    assert desk.shadows.report("chat") is first  # nothing came
    await desk.compared("hello there")
    assert desk.told() == 2
    await desk.compared("hello there")
    assert desk.told() == 2
    desk.clock.advance(MAX_AGE_S)
    assert desk.told() == 3


async def test_a_report_that_is_wanted_is_kept_new_beside_the_loop(desk: Desk) -> None:
    await desk.compared("hello there")
    assert desk.told() == 1
    await desk.compared("hello there")
    await desk.shadows.refresh()
    assert desk.told() == 2
    desk.clock.advance(WANTED_S)
    await desk.compared("hello there")
    await desk.shadows.refresh()
    await desk.compared("hello there")
    assert desk.told() == 4  # nobody had asked for so long that it was forgotten


async def test_a_restart_goes_on_from_the_tally_that_was_written() -> None:
    before = Desk()
    await before.shadows.start()
    before.take("hello there")
    before.take("something else")
    await until(lambda: before.told_now() == 2)
    await before.shadows.close()
    after = Desk(before.store)
    await after.shadows.start()
    assert after.told() == 2
    after.take("something else")
    await until(lambda: after.told_now() == 3)
    report = after.shadows.report("chat")
    assert report is not None
    assert report.verdicts == {Verdict.MATCH: 1, Verdict.MISMATCH: 2}
    await after.shadows.close()


async def test_a_tally_of_another_release_is_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    before = Desk()
    await before.shadows.start()
    retention = {"chat": KEEP_ALL}
    await before.store.keep([], {"chat": {"what": "is this"}}, retention, START_S)
    after = Desk(before.store)
    await after.shadows.start()
    assert after.told() is None
    assert "chat: its comparisons are of another release" in caplog.text
    await before.shadows.close()
    await after.shadows.close()


async def test_pairs_are_compared_while_the_store_hangs() -> None:
    store = Hanging()
    desk = Desk(store)
    await desk.shadows.start()
    store.hangs = True
    for number in range(100):
        desk.take("something else", request_id=f"id-{number}")
    await until(lambda: desk.told_now() == 100)
    writing = asyncio.create_task(desk.shadows.write())
    desk.take("hello there")
    await until(lambda: desk.told_now() == 101)
    assert not writing.done()
    store.hangs = False
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await desk.shadows.close()


class Hanging(MemoryPairStore):
    """A store on a disk that answers no more."""

    hangs = False

    async def keep(self, *batch: Any) -> int:
        if self.hangs:
            await asyncio.Event().wait()
        return await super().keep(*batch)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # nothing tells that a pair was compared
            await asyncio.sleep(0.005)
