"""A whole control plane walks canaries: by evidence, by people, and over every kind of restart.

A killed control is thrown away as it is: only its store's lock is released, as the kernel would.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.audit.entry import Actor, Entry
from router.clock import ManualClock
from router.config import Config
from router.controller.changes import ConflictError
from router.controller.fleet import Fleet
from router.controller.loop import ControlLoop
from router.controller.plane import Call, ControlPlane
from router.link.messages import Health, Trip
from router.rollouts import events
from router.rollouts.phases import Phase, Reason
from router.rollouts.rollout import Rollout
from router.rollouts.state import RouteState
from router.store.base import Commit, Run, Store, StoreUnavailableError
from router.store.memory import MemoryStore
from router.store.sqlite import SqliteStore
from router.store.verify import verify_trail
from router.telemetry import families
from router.telemetry.merge import Incarnation
from router.telemetry.recorder import Series
from tests.support.planes import WorkersInMemory
from tests.support.raw import message, wait_until
from tests.support.upstreams import Upstreams, saying, started_upstreams

pytestmark = pytest.mark.anyio

ANN = Actor("ann", "operator", "10.0.0.9")
W0 = Incarnation("w0", 1)

Steps = Sequence[Mapping[str, Any]]

INLINE = {"templates": [{"templateName": "inline"}]}
BACKGROUND = {"templates": [{"templateName": "background"}]}
WALK: Steps = (
    {"setWeight": 5},
    {"pause": {"duration": "30s"}},
    {"analysis": INLINE},
    {"setWeight": 50},
    {"pause": {"duration": "30s"}},
)


def template(name: str, **more: Any) -> dict[str, Any]:
    metric = {
        "name": f"{name}-errors",
        "interval": "10s",
        "successCondition": "result[0] < 0.05",
        "provider": {"router": {"metric": "errorRatio", "window": "20s"}},
        **more,
    }
    return {"metadata": {"name": name}, "spec": {"metrics": [metric]}}


def config(
    release: str = "v2",
    *,
    steps: Steps = WALK,
    background: bool = True,
    routes: Sequence[str] = ("chat",),
    notifications: Sequence[Mapping[str, Any]] = (),
    **strategy: Any,
) -> Config:
    beside = {"analysis": BACKGROUND} if background else {}
    return Config.model_validate(
        {
            "analysisTemplates": [
                template("inline", count=3),
                template("background", failureLimit=1),
            ],
            "notifications": list(notifications),
            "routes": [
                {
                    "name": name,
                    "match": [{"path": f"/{name}"}],
                    "versions": {
                        v: {"endpoints": ["http://127.0.0.1:8000"]} for v in ("v1", "v2", "v3")
                    },
                    "release": release,
                    "strategy": {"canary": {"steps": list(steps), **beside}, **strategy},
                }
                for name in routes
            ],
        }
    )


class Numbers:
    """A provider that answers what the test says of a version, in place of the router's own."""

    kinds = ("router",)

    def __init__(self) -> None:
        self.ratios: dict[str, float | Exception] = {}
        self.bad_after_s: dict[str, float] = {}
        self.asked: list[tuple[float, str]] = []

    async def measure(self, kind: str, settings: Mapping[str, Any], subject: Subject) -> Reading:
        self.asked.append((subject.now_s, subject.canary))
        answer = self.ratios.get(subject.canary, 0.0)
        if subject.now_s >= self.bad_after_s.get(subject.canary, float("inf")):
            answer = 0.5
        if isinstance(answer, Exception):
            raise answer
        return Reading(value=[answer], samples=100)


class Control:
    """One control after the other on one store; the workers and the world outlive them."""

    def __init__(self, store: Callable[[], Store], *, numbers: Numbers | None) -> None:
        self.make_store = store
        self.numbers = numbers
        self.clock = ManualClock(1_000_000.0)
        self.content = config("v1")
        self.published: list[tuple[int, dict[str, int]]] = []
        self.trips: list[Trip] = []
        self._dead: list[ControlPlane] = []
        self._make()

    def _make(self) -> None:
        self.store = self.make_store()
        self.plane = ControlPlane(lambda: self.content, Fleet(), self.store, self.clock)
        self.workers = WorkersInMemory(self.plane.fleet, "w0", "w1")
        if self.numbers is not None:
            self.plane.outside._providers = self.numbers

    async def start(self, first: Config | None = None) -> Control:
        if first is not None:
            self.content = first
        await self.plane.start(self.workers)
        return self

    async def restart(self) -> None:
        """Kill -9 and start again; workers tell the new control what they told the old one."""
        await self.store.close()
        self._dead.append(self.plane)
        self._make()
        await self.start()
        self.tell_trips()

    async def close(self) -> None:
        for plane in (*self._dead, self.plane):
            await plane.close()

    # -- what happens

    async def release(self, version: str = "v2", **more: Any) -> None:
        self.content = config(version, **more)
        reloaded = await self.plane.reload(ANN, f"release {version}")
        assert reloaded.problem is None

    async def measure(self) -> None:
        """What the loop does before it decides, and all answers."""
        self.plane.sample()
        self.plane.outside.runs.turn()
        await asyncio.gather(*self.plane.outside.runs._measuring)

    async def turn(self, after: float = 0.0) -> None:
        self.clock.advance(after)
        await self.measure()
        await self.plane.reconcile()

    async def turns(self, times: int, after: float = 5.0) -> None:
        for _ in range(times):
            await self.turn(after)

    def trip(self, version: str = "v2", route: str = "chat") -> None:
        self.trips.append(Trip(route, version, "5 failures in a row"))
        self.tell_trips()

    def tell_trips(self) -> None:
        if self.trips:
            self.plane.fleet.on_health(W0, Health(trips=self.trips))

    async def say(self, event: events.Event, route: str = "chat") -> None:
        await self.plane.command(route, event, Call(actor=ANN, reason="a test"))

    # -- what has become of it

    def state(self, route: str = "chat") -> RouteState:
        return self.plane.states[route]

    def rollout(self, route: str = "chat") -> Rollout:
        found = self.state(route).rollout
        assert found is not None
        return found

    def mood(self, route: str = "chat") -> tuple[Phase, Reason | None]:
        found = self.rollout(route)
        return found.phase, found.reason

    def weights(self, route: str = "chat") -> dict[str, int]:
        """What the workers serve."""
        table = self.workers.published[-1]
        found = next(each for each in table.routes if each.name == route)
        return {v.name: v.weight_bp for v in found.versions if v.weight_bp}

    async def trail(self) -> list[Entry]:
        found = (await self.store.entries(limit=1_000))[::-1]
        assert (await verify_trail(self.store)).fault is None
        return found

    async def actions(self, *about: str) -> list[str]:
        return [e.action for e in await self.trail() if not about or e.action in about]

    async def entry(self, action: str) -> Entry:
        return next(e for e in reversed(await self.trail()) if e.action == action)

    async def shares(self) -> list[int]:
        """The canary's weight in every generation, in order, without repetitions of the rest."""
        found = (await self.store.generations(limit=1_000))[::-1]
        return [(route.after or {}).get("v2", 0) for each in found for route in each.routes]

    async def story(self) -> list[Any]:
        """Everything that was written down, but for hashes."""
        told = [
            (e.time_s, e.action, e.route, e.reason, e.before, e.after, e.generation, e.evidence)
            for e in await self.trail()
        ]
        table = [(g.number, g.routes) for g in await self.store.generations(limit=1_000)]
        runs = sorted(await self.store.runs(limit=1_000), key=lambda run: run.id)
        return [told, table, runs, self.plane.states]


@pytest.fixture
async def control() -> AsyncIterator[Control]:
    made = await Control(MemoryStore, numbers=Numbers()).start()
    yield made
    await made.close()


@pytest.fixture
def numbers(control: Control) -> Numbers:
    assert control.numbers is not None
    return control.numbers


# -- by evidence -------------------------------------------------------------------------------


async def test_a_good_canary_walks_to_the_end(control: Control) -> None:
    await control.release()
    await control.turn()
    assert control.weights() == {"v1": 9500, "v2": 500}
    await control.turns(30)
    assert control.mood() == (Phase.HEALTHY, Reason.PROMOTED)
    assert (control.state().stable, control.state().past) == ("v2", ("v1",))
    assert control.weights() == {"v2": 10_000}
    assert await control.shares() == [0, 0, 500, 5000, 10_000]  # each weight was set once
    assert control.plane.outside.runs.active == 0
    done = await control.store.runs(unfinished=True)
    assert done == []  # the background analysis was ended with the rollout


async def test_an_inline_analysis_aborts_and_the_trail_has_what_it_measured(
    control: Control, numbers: Numbers
) -> None:
    numbers.bad_after_s["v2"] = control.clock.wall() + 30
    await control.release(background=False)
    await control.turns(20)
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    assert control.weights() == {"v1": 10_000}
    aborted = await control.entry("rollout.aborted")
    assert (aborted.actor.role, aborted.route) == ("system", "chat")
    assert aborted.reason.startswith("inline analysis Failed: Metric")
    measured = aborted.evidence["metrics"]["inline-errors"]
    assert measured["successCondition"] == "result[0] < 0.05"
    assert [m["value"] for m in measured["measurements"]] == ["[0.5]"]
    stored = await control.store.run(aborted.evidence["run"])
    assert stored is not None
    assert stored.phase == "Failed"


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_bad_canary_is_measured_and_taken_out_after_the_clock_was_set_back(
    control: Control, numbers: Numbers, *, restarted: bool
) -> None:
    await control.release()
    await control.turns(2)
    assert control.weights() == {"v1": 9500, "v2": 500}
    control.clock.set_back(3600)
    if restarted:
        store = control.store
        control.make_store = lambda: store
        await control.restart()
    numbers.ratios["v2"] = 0.5
    await control.turns(10)
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    assert control.weights() == {"v1": 10_000}


async def test_a_breaker_that_trips_after_the_clock_was_set_back_ends_the_rollout(
    control: Control,
) -> None:
    await control.release()
    await control.turns(2)
    control.clock.set_back(60)
    control.trip()
    await control.turn(1)
    assert control.mood() == (Phase.DEGRADED, Reason.BREAKER)
    assert control.weights() == {"v1": 10_000}


async def test_a_background_analysis_aborts_in_the_middle_of_a_pause(
    control: Control, numbers: Numbers
) -> None:
    numbers.ratios["v2"] = 0.5
    await control.release()
    await control.turn()
    assert control.weights() == {"v1": 9500, "v2": 500}
    await control.turns(5)
    assert control.rollout().finished_s == control.rollout().started_s + 20
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    assert control.weights() == {"v1": 10_000}
    assert (await control.entry("rollout.aborted")).reason.startswith("background analysis Failed")
    await control.turns(5)
    assert await control.actions("rollout.started") == ["rollout.started"]  # not by itself


async def test_a_provider_that_is_down_does_not_promote(control: Control, numbers: Numbers) -> None:
    numbers.ratios["v2"] = ProviderError("no route to host")
    await control.release(background=False)
    await control.turns(40)
    assert control.state().stable == "v1"
    assert control.rollout().step == 2 or control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)


async def test_a_breaker_aborts_at_the_next_look(control: Control) -> None:
    await control.release()
    await control.turns(2)
    control.trip()
    await control.turn()
    assert control.mood() == (Phase.DEGRADED, Reason.BREAKER)
    assert control.weights() == {"v1": 10_000}
    aborted = await control.entry("rollout.aborted")
    assert aborted.reason == "the breaker of v2 has tripped: 5 failures in a row in worker w0"
    assert control.rollout().finished_s == control.clock.wall()


async def test_a_breaker_that_tripped_while_control_was_away_aborts(control: Control) -> None:
    store = control.store
    control.make_store = lambda: store
    await control.release()
    await control.turns(2)
    control.trips.append(Trip("chat", "v2", "5 failures in a row"))
    await control.restart()
    await control.turn()
    assert control.mood() == (Phase.DEGRADED, Reason.BREAKER)


async def test_a_trip_that_is_over_does_not_end_the_next_attempt(control: Control) -> None:
    await control.release()
    await control.turns(2)
    control.trip()
    await control.turn()  # the workers' answer to weight 0 is a report without trips
    await control.say(events.Retry(reason="fixed"))
    await control.turns(2)
    assert control.rollout().attempt == 2
    assert control.weights() == {"v1": 9500, "v2": 500}


async def test_a_trip_of_the_attempt_before_does_not_end_this_one_while_workers_are_slow(
    control: Control,
) -> None:
    await control.release()
    await control.turns(2)
    control.trip()
    control.workers.following = False
    await control.turn()
    control.clock.advance(1)
    await control.say(events.Retry(reason="fixed"))
    await control.turns(3)
    assert (control.rollout().attempt, control.rollout().in_flight) == (2, True)


async def test_a_shared_breaker_does_not_end_other_rollouts(control: Control) -> None:
    await control.release(routes=("chat", "embed"))
    await control.say(events.Start(to="v3", reason="try it"), "embed")
    await control.turns(2)
    control.trip()
    await control.turn()
    assert control.mood()[0] is Phase.DEGRADED
    assert control.mood("embed")[0] in (Phase.PAUSED, Phase.PROGRESSING)


def series(version: str, good: int, bad: int) -> list[Series]:
    return [
        Series(families.REQUESTS.name, ("chat", version, "canary", "200"), good),
        Series(families.REQUESTS.name, ("chat", version, "canary", "502"), bad),
        Series(families.ERRORS.name, ("chat", version, "canary", "upstream_5xx"), bad),
    ]


@pytest.mark.parametrize("bad", [False, True])
async def test_the_routers_own_telemetry_decides(bad: bool) -> None:
    control = await Control(MemoryStore, numbers=None).start()
    await control.release()
    for second in range(1, 200):
        errors = second * 2 if bad else 0
        control.plane.fleet.on_telemetry(W0, series("v2", second * 10 - errors, errors))
        control.plane.fleet.on_telemetry(W0, series("v1", second * 90, 0))
        await control.turn(1.0)
        if not control.rollout().in_flight:
            break
    wanted = (Phase.DEGRADED, Reason.ANALYSIS) if bad else (Phase.HEALTHY, Reason.PROMOTED)
    assert control.mood() == wanted
    if bad:
        aborted = await control.entry("rollout.aborted")
        (measured,) = aborted.evidence["metrics"].values()
        assert measured["measurements"][-1]["value"] == "[0.2]"
    await control.close()


async def test_a_look_at_some_versions_shows_what_a_view_of_all_shows_of_them(
    control: Control,
) -> None:
    fleet, w1 = control.plane.fleet, Incarnation("w1", 2)
    for who in (W0, w1):
        fleet.on_telemetry(who, series("v1", 90, 1) + series("v2", 10, 2))
    fleet.on_left(w1)
    for family in (families.REQUESTS, families.ERRORS):
        of_all = fleet.view().merged(family)
        of_v2 = {labels: value for labels, value in of_all.items() if labels[1] == "v2"}
        assert fleet.look({("chat", "v2")}).merged(family) == of_v2
        assert len(of_all) > len(of_v2) > 0


async def test_no_traffic_at_all_waits(control: Control) -> None:
    control.plane.outside._providers = control.plane.outside._standard
    await control.release()
    await control.turns(30)
    assert control.mood()[0] is Phase.PROGRESSING
    assert control.rollout().step == 2  # at its analysis
    assert control.weights() == {"v1": 9500, "v2": 500}


# -- by people ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "action", "mood"),
    [
        (events.Pause(reason="lunch"), "rollout.paused", (Phase.PAUSED, Reason.MANUAL)),
        (events.Abort(reason="no"), "rollout.aborted", (Phase.DEGRADED, Reason.ABORTED)),
        (events.PromoteFull(reason="go"), "rollout.promotedFull", (Phase.HEALTHY, Reason.PROMOTED)),
        (events.Rollback(reason="no"), "rollout.aborted", (Phase.DEGRADED, Reason.ROLLED_BACK)),
    ],
)
async def test_what_a_person_says_is_done_and_written_down_with_the_name(
    control: Control, event: events.Event, action: str, mood: tuple[Phase, Reason]
) -> None:
    await control.release()
    await control.turns(2)
    await control.say(event)
    entry = await control.entry(action)
    assert (entry.actor, entry.route) == (ANN, "chat")
    await control.turns(2)
    assert control.mood() == mood


async def test_pause_holds_every_step_and_resume_goes_on(control: Control) -> None:
    await control.release()
    await control.turn()
    await control.say(events.Pause(reason="lunch"))
    await control.turns(20)
    assert control.weights() == {"v1": 9500, "v2": 500}
    await control.say(events.Resume(reason="back"))
    assert (await control.entry("rollout.resumed")).actor == ANN
    await control.turns(40)
    assert control.state().stable == "v2"


async def test_promote_skips_a_pause_and_an_analysis(control: Control) -> None:
    await control.release()
    await control.turns(2)
    await control.say(events.Promote(reason="enough"))
    await control.turn()
    assert control.rollout().step == 2
    run = control.rollout().inline
    assert run is not None
    await control.say(events.Promote(reason="enough"))
    await control.turn()
    assert control.weights() == {"v1": 5000, "v2": 5000}
    stored = await control.store.run(run.id)
    assert stored is not None
    assert stored.finished_s is not None  # ended with the step that wanted it


async def test_retry_begins_with_new_runs(control: Control, numbers: Numbers) -> None:
    numbers.ratios["v2"] = 0.5
    await control.release()
    await control.turns(6)
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    numbers.ratios["v2"] = 0.0
    await control.say(events.Retry(reason="fixed"))
    await control.turns(30)
    assert control.state().stable == "v2"
    ids = [run.id for run in await control.store.runs()]
    assert len(ids) == len(set(ids)) == 3  # the one that failed, and two of the second attempt


async def test_a_refused_command_changes_nothing(control: Control) -> None:
    before = await control.story()
    with pytest.raises(ConflictError, match="resume is not possible while Healthy"):
        await control.say(events.Resume(reason="?"))
    assert await control.story() == before


async def test_a_person_who_holds_the_weights_holds_the_rollout(control: Control) -> None:
    await control.release()
    await control.turn()
    call = Call(actor=ANN, reason="a look")
    await control.plane.set_weights("chat", {"v1": 8000, "v2": 2000}, call, for_s=300)
    await control.turns(20)
    assert control.weights() == {"v1": 8000, "v2": 2000}
    assert control.mood() == (Phase.PAUSED, Reason.OVERRIDE)
    await control.plane.release_weights("chat", call)
    await control.turns(40)
    assert control.state().stable == "v2"
    assert await control.shares() == [0, 0, 500, 2000, 500, 5000, 10_000]


async def test_a_bad_canary_behind_held_weights_gets_nothing_when_they_end(
    control: Control, numbers: Numbers
) -> None:
    await control.release()
    await control.turn()
    call = Call(actor=ANN, reason="a look")
    await control.plane.set_weights("chat", {"v1": 8000, "v2": 2000}, call, for_s=60)
    numbers.ratios["v2"] = 0.5
    await control.turns(5)
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    assert control.weights() == {"v1": 8000, "v2": 2000}
    await control.turns(10)
    assert control.weights() == {"v1": 10_000}


# -- by the configuration ----------------------------------------------------------------------


async def test_a_new_release_in_mid_flight_begins_when_the_old_one_has_nothing(
    control: Control,
) -> None:
    await control.release()
    await control.turns(2)
    control.workers.following = False
    await control.release("v3")
    await control.turns(3)
    assert control.weights() == {"v1": 10_000}
    assert control.rollout().target == "v2"  # the workers do not serve that yet
    control.workers.following = True
    control.workers.publish(control.workers.published[-1])
    await control.turns(2)
    assert (control.rollout().target, control.weights()) == ("v3", {"v1": 9500, "v3": 500})
    await control.turns(30)
    assert control.state().stable == "v3"
    assert await control.store.runs(unfinished=True) == []


async def test_a_release_right_after_an_abort_waits_for_the_workers_and_is_not_forgotten(
    control: Control,
) -> None:
    await control.release()
    await control.turns(2)
    control.workers.following = False
    await control.say(events.Abort(reason="no"))
    await control.release("v3")
    await control.turns(3)
    assert control.mood() == (Phase.DEGRADED, Reason.ABORTED)
    control.workers.following = True
    control.workers.publish(control.workers.published[-1])
    await control.turns(2)
    assert control.rollout().target == "v3"


async def test_a_release_that_is_set_back_ends_at_once(control: Control) -> None:
    await control.release()
    await control.turns(2)
    await control.release("v1")
    await control.turn()
    assert control.mood() == (Phase.HEALTHY, Reason.WITHDRAWN)
    assert control.weights() == {"v1": 10_000}


async def test_a_route_that_leaves_the_configuration_leaves_no_run_behind(
    control: Control,
) -> None:
    await control.release(routes=("chat", "embed"))
    await control.say(events.Start(to="v3", reason="try it"), "embed")
    await control.turns(2)
    assert control.plane.outside.runs.active == 2
    await control.release()
    await control.turns(2)
    assert control.plane.outside.runs.active == 1
    left = await control.store.runs(route="embed", unfinished=True)
    assert left == []


async def test_a_fault_in_one_route_does_not_stop_the_others(
    control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await control.release(routes=("chat", "embed"))
    await control.say(events.Start(to="v3", reason="try it"), "embed")
    look = control.plane._look

    def faulty(name: str, now: float) -> Any:
        if name == "embed":
            raise RuntimeError("a defect")
        return look(name, now)

    monkeypatch.setattr(control.plane, "_look", faulty)
    await control.turns(30)
    assert control.state().stable == "v2"
    assert caplog.text.count("embed: a fault, this route stands still: RuntimeError") == 1


# -- gates and notifications -------------------------------------------------------------------


@pytest.fixture
async def upstreams(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upstreams]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    async with started_upstreams() as started:
        yield started


def answering(line: str) -> Callable[[Any], Awaitable[None]]:
    return saying(message(f"HTTP/1.1 {line}", "Content-Length: 0"))


async def test_a_gate_holds_the_rollout_until_it_opens(
    control: Control, upstreams: Upstreams
) -> None:
    server = await upstreams.start(replies=answering("403 Forbidden"))
    gate = {"type": "confirmTrafficIncrease", "url": server.url, "interval": "10s"}
    await control.release(gates=[gate], background=False)
    await control.turns(2)
    await wait_until(lambda: len(server.requests) == 1)
    await wait_until(lambda: not control.plane.outside.gates._questions["chat"].is_being_asked)
    await control.turn()
    assert control.mood() == (Phase.PAUSED, Reason.GATE_CLOSED)
    assert control.weights() == {"v1": 10_000}
    server.replies = answering("200 OK")
    await control.turn(10)
    await wait_until(lambda: control.plane.outside.gates._questions["chat"].is_open)
    await control.turns(2)
    assert control.weights() == {"v1": 9500, "v2": 500}
    assert (await control.entry("rollout.gatePassed")).reason.endswith("HTTP 200")


async def test_people_are_told_of_each_phase_once(control: Control, upstreams: Upstreams) -> None:
    server = await upstreams.start(replies=answering("200 OK"))
    told = [{"name": "team", "url": server.url}]
    await control.release(notifications=told)
    await control.turns(30)

    def phases() -> list[tuple[str, str | None]]:
        return [(each.json()["phase"], each.json()["reason"]) for each in server.requests]

    await wait_until(lambda: len(phases()) >= 5)
    assert phases() == [
        ("Progressing", None),
        ("Paused", "CanaryPauseStep"),
        ("Progressing", None),
        ("Paused", "CanaryPauseStep"),
        ("Healthy", "Promoted"),
    ]


# -- restarts ----------------------------------------------------------------------------------

Kill = Callable[[Control, str], Awaitable[None]]


async def never(_control: Control, _moment: str) -> None:
    pass


def killed(moment: str) -> Kill:
    async def kill(control: Control, now: str) -> None:
        if now == moment:
            await control.restart()

    return kill


MOMENTS = ("before", "asked", "answered", "decided")


async def walk(control: Control, kill: Kill) -> None:
    """Two minutes of a release, looked at every five seconds."""
    await control.release()
    for _ in range(25):
        await kill(control, "before")
        control.clock.advance(5)
        control.plane.outside.runs.turn()
        await kill(control, "asked")
        control.plane.outside.runs.turn()
        await asyncio.gather(*control.plane.outside.runs._measuring)
        await kill(control, "answered")
        await control.measure()
        await control.plane.reconcile()
        await kill(control, "decided")


async def story_of(store: Callable[[], Store], kill: Kill, bad_after_s: float | None) -> list[Any]:
    control = Control(store, numbers=Numbers())
    assert control.numbers is not None
    if bad_after_s is not None:
        control.numbers.bad_after_s["v2"] = control.clock.wall() + bad_after_s
    await control.start()
    await walk(control, kill)
    await control.plane.reconcile()
    story = await control.story()
    await control.close()
    return story


@pytest.mark.parametrize("bad_after_s", [None, 45.0, 75.0], ids=["good", "bad", "late"])
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_control_that_is_killed_at_every_turn_leaves_the_same_story(
    tmp_path: Path, moment: str, bad_after_s: float | None
) -> None:
    lived = await story_of(MemoryStore, never, bad_after_s)
    died = await story_of(lambda: SqliteStore(tmp_path / "state.db"), killed(moment), bad_after_s)
    for here, there in zip(died, lived, strict=True):
        assert here == there
    phase = lived[-1]["chat"].rollout.phase
    assert phase is (Phase.HEALTHY if bad_after_s is None else Phase.DEGRADED)


async def test_a_verdict_that_was_saved_but_not_yet_taken_note_of_decides(tmp_path: Path) -> None:
    control = Control(lambda: SqliteStore(tmp_path / "state.db"), numbers=Numbers())
    assert control.numbers is not None
    await control.start()
    await control.release()
    await control.turn()
    control.numbers.ratios["v2"] = 0.5
    for _ in range(2):
        control.clock.advance(11)
        await control.measure()
    await control.plane.save_runs()
    background = control.rollout().background
    assert background is not None
    assert background.outcome is None
    control.numbers.ratios["v2"] = 0.0
    asked = len(control.numbers.asked)
    await control.restart()
    await control.turn()
    assert len(control.numbers.asked) == asked
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    assert (await control.entry("rollout.aborted")).evidence["metrics"]
    await control.close()


class Forgetful(MemoryStore):
    """A store that has lost its runs."""

    async def run(self, id_: str) -> Run | None:
        return None

    async def runs(self, **_: Any) -> list[Run]:
        return []


async def test_a_run_that_the_store_has_lost_ends_the_rollout_with_a_clear_reason() -> None:
    store = Forgetful()
    control = await Control(lambda: store, numbers=Numbers()).start()
    await control.release()
    await control.turn()
    assert control.rollout().background is not None
    await control.restart()
    await control.turn()
    assert control.mood() == (Phase.DEGRADED, Reason.ANALYSIS)
    assert (await control.entry("rollout.aborted")).reason == (
        "background analysis Error: analysis run chat-1-background-1 cannot go on: "
        "the store has no record of it; retry the rollout"
    )
    await control.close()


async def test_runs_that_a_dead_control_left_behind_are_ended(tmp_path: Path) -> None:
    control = Control(lambda: SqliteStore(tmp_path / "state.db"), numbers=Numbers())
    await control.start()
    await control.release()
    await control.turn()
    await control.say(events.Abort(reason="no"))  # its run is ended by the next look, or ours
    assert len(await control.store.runs(unfinished=True)) == 1
    await control.restart()
    await control.turn()
    assert await control.store.runs(unfinished=True) == []
    assert control.plane.outside.runs.active == 0
    await control.close()


async def test_an_orderly_end_loses_no_measurement(tmp_path: Path) -> None:
    control = Control(lambda: SqliteStore(tmp_path / "state.db"), numbers=Numbers())
    await control.start()
    await control.release()
    await control.turn()
    control.clock.advance(11)
    await control.measure()
    background = control.rollout().background
    assert background is not None
    now = control.plane.outside.runs.last(background.id)
    assert now is not None
    await control.plane.close()
    await control.restart()
    assert control.plane.outside.runs.last(background.id) == now
    await control.close()


class Unsure(MemoryStore):
    """A store whose commit number `fails_at` ends without an answer; `writes`: but is made."""

    def __init__(self, fails_at: int, *, writes: bool) -> None:
        super().__init__()
        self.fails_at = fails_at
        self.writes = writes
        self.count = 0

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        self.count += 1
        if self.count != self.fails_at:
            return await super().commit(commit)
        if self.writes:
            await super().commit(commit)
        raise StoreUnavailableError("the disk is full")


async def again(what: Callable[[], Awaitable[None]]) -> None:
    """As the loop, and people, do."""
    try:
        await what()
    except StoreUnavailableError:
        await what()


async def unsure_story(store: Unsure) -> list[Any]:
    control = await Control(lambda: store, numbers=Numbers()).start()
    await again(control.release)
    for _ in range(25):
        control.clock.advance(5)
        await control.measure()
        for _ in range(4):  # until nothing follows, so that one look more changes nothing
            await again(control.plane.reconcile)
    story = await control.story()
    assert control.plane.config is control.content
    await control.close()
    return story


@pytest.mark.parametrize("writes", [True, False])
async def test_a_commit_without_an_answer_changes_nothing_in_the_story(writes: bool) -> None:
    whole = Unsure(0, writes=writes)
    wanted = await unsure_story(whole)
    assert wanted[-1]["chat"].rollout.phase is Phase.HEALTHY
    for fails_at in range(2, whole.count + 1):
        assert await unsure_story(Unsure(fails_at, writes=writes)) == wanted, fails_at


async def test_a_configuration_that_was_written_without_an_answer_is_gone_by() -> None:
    store = Unsure(0, writes=True)
    both = config("v1", routes=("chat", "embed"))
    control = await Control(lambda: store, numbers=Numbers()).start(both)
    control.content = config("v2")
    store.fails_at = store.count + 1
    with pytest.raises(StoreUnavailableError):
        await control.plane.reload(ANN)
    assert control.plane.config is both
    await control.turns(30)
    assert control.plane.config is control.content
    assert control.state().stable == "v2"
    assert list(control.plane.states) == ["chat"]
    await control.close()


async def test_a_configuration_that_was_not_written_is_not_gone_by() -> None:
    store = Unsure(0, writes=False)
    control = await Control(lambda: store, numbers=Numbers()).start()
    control.content = config("v2")
    store.fails_at = store.count + 1
    with pytest.raises(StoreUnavailableError):
        await control.plane.reload(ANN)
    await control.turns(5)
    assert control.plane.config is not control.content
    assert control.state() == RouteState(stable="v1", weights={"v1": 10_000})
    await control.close()


async def test_a_weight_that_was_written_without_an_answer_waits_for_the_workers() -> None:
    store = Unsure(0, writes=True)
    control = await Control(lambda: store, numbers=Numbers()).start()
    await control.release()
    store.fails_at = store.count + 1
    control.workers.following = False
    with pytest.raises(StoreUnavailableError):
        await control.turn()
    await control.turns(3)
    assert control.weights() == {"v1": 9500, "v2": 500}  # published, as it was written
    assert (control.rollout().step, control.mood()) == (0, (Phase.PROGRESSING, None))
    await control.close()


class Watching(MemoryStore):
    """A store that sees to it that a verdict is never written before its measurements."""

    async def commit(self, commit: Commit) -> tuple[Entry, ...]:
        written = await super().commit(commit)
        for state in commit.states.values():
            rollout = state.rollout
            for ref in (rollout.inline, rollout.background) if rollout is not None else ():
                if ref is not None and ref.outcome is not None:
                    run = await self.run(ref.id)
                    assert run is not None
                    assert run.phase == ref.outcome
        return written


async def test_what_led_to_a_decision_is_written_with_it() -> None:
    control = await Control(Watching, numbers=Numbers()).start()
    assert control.numbers is not None
    control.numbers.ratios["v2"] = 0.03
    inconclusive = {"successCondition": "result[0] < 0.01", "failureCondition": "result[0] > 0.05"}
    document = config().model_dump(mode="json", by_alias=True, exclude_unset=True)
    for each in document["analysisTemplates"]:
        each["spec"]["metrics"][0].update(inconclusive)
    control.content = Config.model_validate(document)
    await control.plane.reload(ANN)
    await control.turns(10)
    assert control.mood() == (Phase.PAUSED, Reason.INCONCLUSIVE)
    await control.close()


async def test_a_start_without_an_answer_goes_on_if_it_was_written() -> None:
    store = Unsure(0, writes=True)
    control = await Control(lambda: store, numbers=Numbers()).start(config("v1"))
    await control.turn()  # at rest: nobody looks at it any more
    store.fails_at = store.count + 1
    with pytest.raises(StoreUnavailableError):
        await control.say(events.Start(to="v2", reason="go"))
    await control.turns(30)
    assert control.state().stable == "v2"
    await control.close()


# -- the loop ----------------------------------------------------------------------------------


async def test_the_loop_walks_a_canary_by_itself(control: Control) -> None:
    loop = ControlLoop(control.plane, rest_s=0.001)
    running = asyncio.create_task(loop.run())
    await control.release()

    def moves() -> bool:
        control.clock.advance(1)
        return control.state().stable == "v2"

    await wait_until(moves, "it does not become stable")
    running.cancel()


async def test_the_loop_wakes_when_a_breaker_trips_or_somebody_speaks(control: Control) -> None:
    loop = ControlLoop(control.plane, rest_s=3600.0)
    running = asyncio.create_task(loop.run())
    await control.release()
    await wait_until(lambda: control.weights() == {"v1": 9500, "v2": 500}, "nobody looks")
    control.trip()
    await wait_until(lambda: control.weights() == {"v1": 10_000}, "nobody saw the breaker")
    await control.say(events.Retry(reason="fixed"))
    await wait_until(lambda: control.weights() == {"v1": 9500, "v2": 500}, "nobody heard")
    running.cancel()


async def test_the_loop_outlives_a_fault(
    control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sample, failures = control.plane.sample, 3

    def faulty() -> None:
        nonlocal failures
        failures -= 1
        if failures > 0:
            raise RuntimeError("a defect")
        sample()

    monkeypatch.setattr(control.plane, "sample", faulty)
    loop = ControlLoop(control.plane, rest_s=0.001, after_failure_s=0.001)
    running = asyncio.create_task(loop.run())
    await control.release()

    def moves() -> bool:
        control.clock.advance(1)
        return control.weights() == {"v1": 9500, "v2": 500}

    await wait_until(moves, "it stands still")
    assert "control loop: a fault; it goes on" in caplog.text
    running.cancel()
