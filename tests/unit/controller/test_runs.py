"""Driving analysis runs: asked when due, judged whatever comes, kept, and gone on with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
import pytest

from router.analysis.fields import Document
from router.analysis.phases import Phase
from router.analysis.providers.base import ProviderError, Reading, Subject
from router.clock import ManualClock
from router.controller.runs import Runs, evidence_of, record_of, state_of
from router.rollouts.effects import RunKind, StartRun
from router.rollouts.events import RunOutcome
from router.rollouts.spec import AnalysisRef, Argument
from router.store.base import Run
from router.store.codec import decode_document, encode

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-value"


def metric(name: str = "errors", **more: Any) -> dict[str, Any]:
    fields = {
        "name": name,
        "interval": "10s",
        "count": 3,
        "successCondition": "result[0] < 0.05",
        "provider": {"fake": {"ask": name}},
    }
    return fields | more


def template(*metrics: dict[str, Any], name: str = "quality", **spec: Any) -> Document:
    return {"metadata": {"name": name}, "spec": {"metrics": list(metrics), **spec}}


class World:
    """Providers that answer what the test says; `asked` is what they were asked with."""

    kinds = ("fake",)

    def __init__(self, *templates: Document) -> None:
        self.templates: Mapping[str, Document] = {t["metadata"]["name"]: t for t in templates}
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Mapping[str, Any], Subject]] = []
        self.held: asyncio.Event | None = None

    async def measure(self, kind: str, settings: Mapping[str, Any], subject: Subject) -> Reading:
        assert kind == "fake"
        self.asked.append((str(settings["ask"]), settings, subject))
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.get(str(settings["ask"]), [0.0])
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Reading) else Reading(value=answer)


class Driver:
    def __init__(self, *templates: Document) -> None:
        self.world = World(*(templates or (template(metric()),)))
        self.clock = ManualClock()
        self.runs = Runs(self.world, self.clock)
        self.told: list[str] = []
        self.runs.on_outcome = self.told.append

    def start(self, id_: str = "run-1", **more: Any) -> Run:
        ref = AnalysisRef(templates=("quality",), args=more.pop("args", ()))
        fields = {"kind": RunKind.INLINE, "step": 0, "subject": "v2", "baseline": "v1", **more}
        record = self.runs.prepare("chat", StartRun(id=id_, ref=ref, **fields), self.clock.wall())
        self.runs.begin(record)
        return record

    async def turn(self, after: float = 0.0) -> None:
        """Let time pass, ask what is due, and take the answers."""
        self.clock.advance(after)
        self.runs.turn()
        await self.answered()

    async def answered(self) -> None:
        await asyncio.gather(*self.runs._measuring)

    @property
    def outcome(self) -> RunOutcome | None:
        return self.runs.outcomes("chat").get("run-1")

    def saved(self) -> dict[str, Run]:
        """What is to be written, as it is read back."""
        records = self.runs.records(self.runs.take_unsaved())
        return {
            each.id: msgspec.structs.replace(
                each, document=decode_document(encode(each.document, each.id), each.id)
            )
            for each in records
        }


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    made = Driver()
    yield made
    await made.runs.close()


async def test_a_run_asks_when_it_is_due_and_ends_with_its_count(driver: Driver) -> None:
    driver.start()
    await driver.turn()
    await driver.turn(after=9)
    assert len(driver.world.asked) == 1
    await driver.turn(after=2)
    assert driver.outcome is None
    await driver.turn(after=11)
    assert len(driver.world.asked) == 3
    assert driver.outcome == RunOutcome(phase=Phase.SUCCESSFUL)
    assert (driver.runs.active, driver.told) == (0, ["chat"])
    _, settings, subject = driver.world.asked[-1]
    assert settings == {"ask": "errors"}
    assert (subject.route, subject.canary, subject.stable) == ("chat", "v2", "v1")
    assert (subject.started_s, subject.now_s) == (1_000.0, 1_022.0)


async def test_a_bad_value_fails_it_and_the_measured_values_are_evidence(driver: Driver) -> None:
    driver.start()
    driver.world.answers["errors"] = Reading(value=[0.2], samples=40)
    await driver.turn()
    assert driver.outcome is not None
    assert driver.outcome.phase is Phase.FAILED
    assert 'Metric "errors" assessed Failed' in driver.outcome.message
    ended = driver.runs.last("run-1")
    assert ended is not None
    assert evidence_of(ended) == {
        "errors": {
            "phase": "Failed",
            "successCondition": "result[0] < 0.05",
            "failureCondition": "",
            "measurements": [
                {
                    "phase": "Failed",
                    "started_s": 1_000.0,
                    "finished_s": 1_000.0,
                    "value": "[0.2]",
                    "samples": 40,
                }
            ],
        }
    }


async def test_metrics_are_asked_side_by_side() -> None:
    driver = Driver(template(metric("a"), metric("b", interval="5s")))
    driver.world.held = asyncio.Event()
    driver.start()
    driver.runs.turn()
    await asyncio.sleep(0)
    assert [name for name, _, _ in driver.world.asked] == ["a", "b"]
    driver.runs.turn()  # nobody is asked twice while the answer is on its way
    assert len(driver.runs._measuring) == 2
    driver.world.held.set()
    await driver.answered()
    await driver.turn(after=6)
    assert [name for name, _, _ in driver.world.asked] == ["a", "b", "b"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (ProviderError("fake: HTTP 500"), "fake: HTTP 500"),
        (ValueError(f"at {SECRET}"), "a defect (ValueError)"),
        (["half \ud83d a character"], "the value cannot be written down (UnicodeEncodeError)"),
    ],
)
async def test_whatever_a_provider_does_is_a_measurement(
    driver: Driver, caplog: pytest.LogCaptureFixture, answer: Any, said: str
) -> None:
    driver.world.answers["errors"] = answer
    driver.start()
    await driver.turn()
    state = driver.runs.last("run-1")
    assert state is not None
    last = state.result("errors").last
    assert last is not None
    assert (last.phase, last.message) == (Phase.ERROR, said)
    assert state_of(driver.saved()["run-1"]) == state
    assert SECRET not in caplog.text
    driver.world.answers["errors"] = [0.0]
    await driver.turn(after=60)
    state = driver.runs.last("run-1")
    assert state is not None
    assert state.result("errors").successful == 1


async def test_a_value_as_deep_as_the_stack_is_an_error(driver: Driver) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    driver.world.answers["errors"] = deep
    driver.start()
    await driver.turn()
    state = driver.runs.last("run-1")
    assert state is not None
    last = state.result("errors").last
    assert last is not None
    assert "cannot be written down" in last.message


async def test_errors_without_end_are_an_error_of_the_run(driver: Driver) -> None:
    driver.world.answers["errors"] = ProviderError("down")
    driver.start()
    for _ in range(20):
        await driver.turn(after=11)
    assert driver.outcome is not None
    assert driver.outcome.phase is Phase.ERROR
    assert "consecutiveErrors" in driver.outcome.message


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (template(metric(), name="other"), 'there is no analysis template "quality"'),
        (template(metric(), args=[{"name": "threshold"}]), "threshold"),
        (template(metric(provider={"graphite": {}})), "graphite"),
        (template(metric(successCondition="result[0] <")), "successCondition"),
    ],
)
async def test_a_run_that_cannot_be_made_is_an_error_at_once(document: Document, said: str) -> None:
    driver = Driver(document)
    record = driver.start()
    assert record.finished_s == 1_000.0
    assert driver.outcome is not None
    assert driver.outcome.phase is Phase.ERROR
    assert said in driver.outcome.message


async def test_secrets_reach_the_provider_and_no_record(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("TOKEN", SECRET)
    provider = {"fake": {"ask": "errors", "token": "{{args.token}}"}}
    driver = Driver(template(metric(provider=provider), args=[{"name": "token"}]))
    driver.world.answers["errors"] = ProviderError(f"refused {SECRET}")
    args = (Argument(name="token", value_from={"env": "TOKEN"}),)
    first = driver.start(args=args)
    await driver.turn()
    driver.world.answers["errors"] = [f"your token was {SECRET}"]
    await driver.turn(after=11)
    assert [settings["token"] for _, settings, _ in driver.world.asked] == [SECRET, SECRET]
    shown = [first, driver.saved(), driver.runs.last("run-1"), driver.outcome, caplog.text]
    assert SECRET not in repr(shown)
    assert "*****" in repr(shown)


async def test_a_secret_that_is_not_there_is_an_error_that_names_its_place() -> None:
    driver = Driver(template(metric(), args=[{"name": "token"}]))
    driver.start(args=(Argument(name="token", value_from={"env": "NOT_SET"}),))
    await driver.turn()
    state = driver.runs.last("run-1")
    assert state is not None
    assert state.results[0].measurements[0].message == "environment variable NOT_SET is not set"


async def test_a_question_on_its_way_is_not_written_its_answer_is(driver: Driver) -> None:
    driver.world.held = asyncio.Event()
    driver.start()
    driver.runs.turn()
    await asyncio.sleep(0)
    assert driver.saved() == {}
    driver.world.held.set()
    await driver.answered()
    assert list(driver.saved()) == ["run-1"]
    assert driver.saved() == {}


async def test_what_could_not_be_written_is_written_later_but_never_over_newer(
    driver: Driver,
) -> None:
    driver.start()
    await driver.turn()
    taken = driver.runs.take_unsaved()
    driver.runs.put_back(taken)
    assert state_of(driver.saved()["run-1"]) == taken["run-1"]
    driver.runs.put_back(taken)
    taken = driver.runs.take_unsaved()
    await driver.turn(after=11)
    driver.runs.put_back(taken)
    assert state_of(driver.saved()["run-1"]).result("errors").count == 2


async def test_a_restored_run_goes_on_with_its_counters_and_its_timer(driver: Driver) -> None:
    driver.start()
    await driver.turn()
    await driver.turn(after=11)
    kept = driver.saved().values()
    second = Driver()
    second.clock.advance(11)
    second.runs.restore(kept)
    await second.turn(after=9)
    assert second.world.asked == []
    await second.turn(after=2)
    assert len(second.world.asked) == 1
    assert second.outcome == RunOutcome(phase=Phase.SUCCESSFUL)
    state = second.runs.last("run-1")
    assert state is not None
    assert state.result("errors").successful == 3


async def test_a_question_that_was_on_its_way_is_asked_again_at_once(driver: Driver) -> None:
    driver.world.held = asyncio.Event()
    driver.start()
    driver.runs.turn()
    state = driver.runs.last("run-1")
    assert state is not None
    assert state.result("errors").in_flight
    second = Driver()
    second.runs.restore([record_of("run-1", state)])
    await second.turn()
    assert len(second.world.asked) == 1
    await driver.runs.close()


async def test_a_restored_verdict_still_decides(driver: Driver) -> None:
    driver.world.answers["errors"] = [0.9]
    driver.start()
    await driver.turn()
    second = Driver()
    second.runs.restore(driver.saved().values())
    assert second.outcome == driver.outcome
    assert second.runs.active == 0


async def test_a_record_that_nobody_understands_is_an_error(driver: Driver) -> None:
    driver.runs.restore([Run(id="run-1", route="chat", phase="Running", started_s=1.0, document=7)])
    assert driver.outcome is not None
    assert driver.outcome.phase is Phase.ERROR
    assert "run-1 cannot go on: its record is of another release" in driver.outcome.message
    assert driver.runs.knows("run-1", "chat")


async def test_a_run_that_is_lost_is_an_error_that_says_why(driver: Driver) -> None:
    driver.runs.lose("run-1", "chat", "the store has no record of it")
    message = "analysis run run-1 cannot go on: the store has no record of it"
    assert driver.outcome == RunOutcome(phase=Phase.ERROR, message=message)
    assert driver.told == ["chat"]


async def test_what_no_state_names_is_stopped_and_forgotten(driver: Driver) -> None:
    driver.start("run-1")
    driver.start("run-2")
    await driver.turn()
    driver.runs.take_unsaved()
    driver.runs.keep(lambda _route: {"run-2"})
    assert driver.runs.active == 1
    stopped = driver.saved()["run-1"]
    assert (stopped.finished_s, driver.runs.last("run-1")) == (1_000.0, None)
    driver.runs.keep(lambda _route: set())
    assert (driver.runs.active, driver.runs.outcomes("chat")) == (0, {})


async def test_an_answer_that_comes_after_the_end_changes_nothing(driver: Driver) -> None:
    driver.world.held = asyncio.Event()
    driver.start()
    driver.runs.turn()
    driver.runs.stop("run-1")
    ended = driver.runs.last("run-1")
    driver.world.held.set()
    await driver.answered()
    assert driver.runs.last("run-1") == ended
    assert ended is not None
    assert ended.completed


async def test_a_deadline_ends_a_run_whose_provider_does_not_answer(driver: Driver) -> None:
    driver.world.held = asyncio.Event()
    driver.start(deadline_s=30.0)
    driver.runs.turn()
    await asyncio.sleep(0)
    driver.clock.advance(30)
    driver.runs.turn()
    assert driver.outcome is not None
    assert driver.outcome.phase is Phase.INCONCLUSIVE
    assert "deadline (30s) reached" in driver.outcome.message


async def test_closing_lets_go_of_what_is_on_its_way() -> None:
    driver = Driver()
    driver.world.held = asyncio.Event()
    driver.start()
    driver.runs.turn()
    await asyncio.sleep(0)
    await driver.runs.close()
    assert not driver.runs._measuring
    assert driver.runs.active == 1


async def test_every_measurement_is_counted_by_what_came_of_it(driver: Driver) -> None:
    driver.start()
    for answer in ([0.01], Reading(value=[], no_data=True), ProviderError("away"), [0.9]):
        driver.world.answers["errors"] = answer
        await driver.turn(after=11.0)
    phases = {phase: n for (route, name, phase), n in driver.runs.measured.items()}
    assert {key[:2] for key in driver.runs.measured} == {("chat", "errors")}
    assert phases == {"Successful": 1, "NoData": 1, "Error": 1, "Failed": 1}
