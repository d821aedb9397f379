"""A route whatever happens to it: random events, and control restarted after each of them."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from router.analysis.phases import OnDeadline
from router.analysis.phases import Phase as RunPhase
from router.rollouts import events
from router.rollouts.effects import AskGate, Decision, StartRun, StopRun, StopWarmUp, WarmUp
from router.rollouts.events import (
    EndpointSeen,
    GateAnswer,
    Observation,
    RunOutcome,
    Tick,
    Trip,
    WarmupOutcome,
)
from router.rollouts.machine import advance
from router.rollouts.phases import IN_FLIGHT, IllegalEventError, Phase
from router.rollouts.spec import (
    Analysis,
    AnalysisRef,
    Background,
    BlueGreenSpec,
    CanarySpec,
    GateKind,
    Pause,
    RouteSpec,
    SetHeaderRoute,
    SetShadow,
    SetWeight,
    Warmup,
)
from router.rollouts.state import Override, RouteState
from router.rollouts.status import next_at, status
from router.snapshot import FULL, HeaderCondition

VERSIONS = ("v1", "v2", "v3", "v4")
REF = AnalysisRef(templates=("quality",))
MATCH = (HeaderCondition(name="x-canary", value="1"),)

STEPS = st.one_of(
    st.builds(SetWeight, weight_bp=st.integers(0, FULL)),
    st.builds(Pause, duration_s=st.sampled_from([None, 0.0, 60.0, 3_600.0])),
    st.builds(Analysis, ref=st.just(REF), on_deadline=st.sampled_from(OnDeadline)),
    st.builds(SetHeaderRoute, name=st.sampled_from("ab"), matches=st.sampled_from([(), MATCH])),
    st.builds(SetShadow, percent_bp=st.sampled_from([0, 500])),
)
BACKGROUND = st.builds(Background, ref=st.just(REF), starting_step=st.integers(0, 3))
CANARY = st.builds(
    CanarySpec,
    steps=st.lists(STEPS, max_size=5).map(tuple),
    background=st.none() | BACKGROUND,
)
ANALYSIS = st.builds(
    Analysis, ref=st.just(REF), on_deadline=st.none() | st.sampled_from(OnDeadline)
)
BLUE_GREEN = st.builds(
    BlueGreenSpec,
    min_healthy_endpoints=st.integers(1, 3),
    health_check_retries=st.integers(1, 3),
    health_check_interval_s=st.sampled_from([0.1, 30.0]),
    warmup=st.none() | st.just(Warmup(path="/warm")),
    auto_promotion_enabled=st.booleans(),
    auto_promotion_s=st.sampled_from([None, 0.0, 60.0]),
    pre_promotion=st.none() | ANALYSIS,
    post_promotion=st.none() | ANALYSIS,
    keep_warm_s=st.sampled_from([0.0, 60.0, 86_400.0]),
    preview=st.none() | st.just(MATCH[0]),
)
STRATEGY = st.one_of(CANARY, BLUE_GREEN, st.none())
SPEC = st.builds(
    RouteSpec,
    route=st.just("chat"),
    versions=st.just(VERSIONS),
    release=st.sampled_from([*VERSIONS, None]),
    strategy=CANARY | BLUE_GREEN,
    progress_deadline_s=st.sampled_from([30.0, 600.0]),
    progress_deadline_abort=st.booleans(),
    rollback_window=st.integers(0, 2),
    gates=st.sets(st.sampled_from(GateKind)).map(tuple),
)
COMMANDS = st.one_of(
    st.builds(events.Start, to=st.sampled_from([None, *VERSIONS, "v9"])),
    *(
        st.builds(command)
        for command in (
            events.Pause,
            events.Resume,
            events.Promote,
            events.PromoteFull,
            events.Abort,
            events.Retry,
            events.Rollback,
        )
    ),
)
OUTCOME = st.builds(
    RunOutcome,
    phase=st.sampled_from([phase for phase in RunPhase if phase is not RunPhase.NO_DATA]),
    on_deadline=st.none() | st.none() | st.sampled_from(OnDeadline),
)
MANY_TICKS = 40


class Route(RuleBasedStateMachine):
    """Everything that the loop, people, Git and the data plane may do to one route."""

    @initialize(spec=SPEC, stable=st.sampled_from(VERSIONS))
    def begin(self, spec: RouteSpec, stable: str) -> None:
        self.spec = spec
        self.state = RouteState(stable=stable, weights={stable: FULL})
        self.now = 1_000_000.0
        self.applied = True
        self.healthy: dict[str, int] = {}
        self.tripped: dict[str, Trip] = {}
        self.runs: dict[str, RunOutcome] = {}
        self.gates: dict[str, GateAnswer] = {}
        self.begun: list[str] = []
        self.open: set[str] = set()
        self.asked: list[str] = []
        self.warmups: dict[str, WarmupOutcome] = {}
        self.warmed: list[str] = []
        self.warming: set[str] = set()
        self.endpoints: dict[str, tuple[EndpointSeen, ...]] = {}

    def hear(self, event: events.Event) -> Decision:
        before = self.state
        decision = advance(self.spec, before, event, self.now)
        again = advance(self.spec, before, event, self.now)
        assert decision == again, "one event, one answer"
        # Control dies here and comes back with what the store has kept.
        self.state = msgspec.json.decode(msgspec.json.encode(decision.state), type=RouteState)
        assert self.state == decision.state
        msgspec.json.encode(decision.notes)
        for effect in decision.effects:
            self._book(effect)
        if decision.moves_traffic or decision.effects:
            assert decision.notes, "nothing is done without a word why"
        self._check_override(before)
        self._check_end(before, event)
        self._check_switch(before, event)
        return decision

    def _book(self, effect: Any) -> None:
        match effect:
            case StartRun(id=id_, subject=subject, baseline=baseline):
                assert id_ not in self.begun, "no run is begun twice"
                assert subject != baseline
                self.begun.append(id_)
                self.open.add(id_)
            case StopRun(id=id_):
                assert id_ in self.open, "only what runs is stopped, and once"
                self.open.discard(id_)
            case AskGate(id=id_):
                assert id_ not in self.asked, "no gate is asked twice"
                self.asked.append(id_)
            case WarmUp(id=id_):
                assert id_ not in self.warmed, "no warm-up is begun twice"
                self.warmed.append(id_)
                self.warming.add(id_)
            case StopWarmUp(id=id_):
                assert id_ in self.warming, "only what runs is stopped, and once"
                self.warming.discard(id_)

    def _check_override(self, before: RouteState) -> None:
        held = before.override
        if held is not None and self.state.override is not None:
            assert self.state.shares == held.weights
            assert self.state.stable == before.stable

    def _check_end(self, before: RouteState, event: events.Event) -> None:
        """A rollout that has ended changes by a command or a release, and by nothing else."""
        ended = before.rollout is not None and not before.rollout.in_flight
        if not ended or not isinstance(event, Tick) or self.state.rollout == before.rollout:
            return
        assert self.spec.release is not None
        former, rollout = before.rollout, self.state.rollout
        assert former is not None
        assert rollout is not None
        if rollout.number == former.number:
            assert (former.phase, rollout.phase) == (Phase.DEGRADED, Phase.HEALTHY)
            assert self.spec.release == self.state.stable
        else:
            assert self.spec.release != before.rejected

    def _check_switch(self, before: RouteState, event: events.Event) -> None:
        """All traffic goes to enough healthy endpoints, or somebody has forced it there."""
        was, now = before.rollout, self.state.rollout
        had_switched = was is not None and was.switched
        if now is not None and now.switched and not had_switched:
            assert isinstance(event, Tick), "a switch needs to see whom it switches to"
            assert self._is_ready(now.target)
        if had_switched and now is not None and now.phase is Phase.DEGRADED:
            assert self.state.stable == before.stable
            assert self.state.weights == {before.stable: FULL}
        if isinstance(event, events.Switch):
            assert self.state.stable == event.to
            assert self.state.shares == {event.to: FULL}
            assert event.force or self._is_ready(event.to)

    def _is_ready(self, version: str) -> bool:
        strategy = self.spec.strategy
        least = strategy.min_healthy_endpoints if isinstance(strategy, BlueGreenSpec) else 1
        return (self.seen.count_healthy(version) or 0) >= least

    @property
    def seen(self) -> Observation:
        return Observation(
            applied=self.applied,
            runs=self.runs,
            gates=self.gates,
            healthy=self.healthy,
            tripped=self.tripped,
            warmups=self.warmups,
            endpoints=self.endpoints,
        )

    def tick(self) -> Decision:
        return self.hear(Tick(self.seen))

    def tell(self, command: events.Event) -> None:
        before = self.state
        try:
            self.hear(command)
        except IllegalEventError:
            assert self.state is before

    @rule(after=st.sampled_from([0.0, 1.0, 29.0, 60.0, 3_600.0]))
    def look(self, after: float) -> None:
        self.now += after
        self.tick()

    @rule()
    def look_until_nothing_changes(self) -> None:
        for _ in range(MANY_TICKS):
            before = self.state
            decision = self.tick()
            if self.state == before:
                assert decision == Decision(state=before)
                break
        else:
            raise AssertionError("it never comes to rest")
        alarm = next_at(self.spec, self.state)
        assert alarm is None or alarm > self.now, "an alarm that has rung is not set again"

    @rule(command=COMMANDS)
    def say(self, command: events.Event) -> None:
        self.tell(command)

    @rule(to=st.sampled_from([*VERSIONS, "v9"]), force=st.booleans())
    def switch(self, to: str, force: bool) -> None:
        self.tell(events.Switch(to=to, force=force, observation=self.seen))

    @rule(force=st.booleans())
    def roll_back_if_healthy(self, force: bool) -> None:
        self.tell(events.Rollback(force=force, observation=self.seen))

    @rule(applied=st.booleans())
    def workers(self, applied: bool) -> None:
        self.applied = applied

    @rule(version=st.sampled_from(VERSIONS), endpoints=st.integers(0, 3))
    def probe(self, version: str, endpoints: int) -> None:
        self.healthy[version] = endpoints
        self.endpoints.pop(version, None)

    @rule(version=st.sampled_from(VERSIONS), health=st.lists(st.booleans(), max_size=4))
    def probe_each(self, version: str, health: list[bool]) -> None:
        self.endpoints[version] = tuple(
            EndpointSeen(url=f"http://{version}-{n}", healthy=healthy, reason="down")
            for n, healthy in enumerate(health)
        )

    @rule()
    def heal(self) -> None:
        self.endpoints.clear()
        self.healthy = dict.fromkeys(VERSIONS, 3)

    @rule(ticks=st.integers(1, 6))
    def good_news(self, ticks: int) -> None:
        """Without this hardly any route comes to the end of its way."""
        self.heal()
        self.applied, self.tripped = True, {}
        for _ in range(ticks):
            self.gates.update({id_: GateAnswer(open=True) for id_ in self.asked})
            self.warmups.update({id_: WarmupOutcome(ok=True) for id_ in self.warmed})
            self.tick()

    @precondition(lambda self: self.warming)
    @rule(ok=st.booleans())
    def warm_up(self, ok: bool) -> None:
        self.warmups[self.warmed[-1]] = WarmupOutcome(ok=ok, message="HTTP 500")

    @rule(version=st.sampled_from(VERSIONS))
    def trip(self, version: str) -> None:
        self.tripped[version] = Trip(since_s=self.now, message="failures")

    @precondition(lambda self: self.begun)
    @rule(outcome=OUTCOME)
    def measure(self, outcome: RunOutcome) -> None:
        self.runs[self.begun[-1]] = outcome

    @precondition(lambda self: self.asked)
    @rule(open_=st.booleans())
    def answer(self, open_: bool) -> None:
        self.gates[self.asked[-1]] = GateAnswer(open=open_)

    @rule(release=st.sampled_from([*VERSIONS, None]))
    def release(self, release: str | None) -> None:
        self.spec = msgspec.structs.replace(self.spec, release=release)

    @rule(strategy=STRATEGY)
    def edit(self, strategy: CanarySpec | BlueGreenSpec | None) -> None:
        self.spec = msgspec.structs.replace(self.spec, strategy=strategy)

    @rule(share=st.integers(0, FULL), expires=st.none() | st.just(100.0))
    def override(self, share: int, expires: float | None) -> None:
        held = Override(
            weights={"v1": FULL - share, "v2": share},
            holder="ops",
            reason="test",
            since_s=self.now,
            expires_s=None if expires is None else self.now + expires,
        )
        self.state = msgspec.structs.replace(self.state, override=held)

    @rule()
    def release_override(self) -> None:
        self.state = msgspec.structs.replace(self.state, override=None)

    @invariant()
    def the_weights_share_out_a_whole_route(self) -> None:
        assert sum(self.state.weights.values()) == FULL
        assert all(weight > 0 for weight in self.state.weights.values())
        assert set(self.state.weights) <= {self.state.stable, self._target()}

    @invariant()
    def at_rest_stable_has_all_traffic_and_nothing_is_left_over(self) -> None:
        rollout = self.state.rollout
        if rollout is None or rollout.in_flight:
            return
        assert self.state.weights == {self.state.stable: FULL}
        assert (rollout.header_routes, rollout.shadow) == ((), None)
        assert (rollout.inline, rollout.background, rollout.gate) == (None, None, None)
        assert rollout.finished_s is not None

    @invariant()
    def one_inline_and_one_background_run_are_open_at_most(self) -> None:
        rollout = self.state.rollout
        refs = [rollout.inline, rollout.background] if rollout is not None else []
        known = {ref.id for ref in refs if ref is not None}
        unfinished = {ref.id for ref in refs if ref is not None and ref.outcome is None}
        finished = {id_ for id_ in self.open if id_ not in unfinished}
        assert unfinished <= self.open
        # What is not in the state any more was stopped, or has come to a verdict.
        assert all(id_ in known or id_ in self.runs for id_ in finished)

    @invariant()
    def a_blue_green_target_has_no_traffic_before_the_switch_and_all_of_it_after(self) -> None:
        rollout = self.state.rollout
        if rollout is None or rollout.stage is None:
            return
        assert rollout.in_flight
        holder = rollout.target if rollout.switched else self.state.stable
        assert self.state.weights == {holder: FULL}

    @invariant()
    def a_warm_up_runs_only_while_a_rollout_waits_for_it(self) -> None:
        rollout = self.state.rollout
        ref = rollout.warmup if rollout is not None else None
        left = {id_ for id_ in self.warming if ref is None or id_ != ref.id}
        assert all(id_ in self.warmups for id_ in left)

    @invariant()
    def only_former_stable_versions_are_kept_warm(self) -> None:
        assert set(self.state.warm) <= set(self.state.past)
        assert self.state.stable not in self.state.past

    @invariant()
    def the_step_is_one_of_the_steps(self) -> None:
        rollout = self.state.rollout
        if rollout is None or rollout.full:
            return
        assert rollout.step >= 0
        if rollout.in_flight and rollout.steps_digest == self.spec.canary.digest:
            assert rollout.step <= len(self.spec.canary.steps)

    @invariant()
    def the_status_can_always_be_told(self) -> None:
        told = status(self.spec, self.state)
        assert told.possible
        if told.phase in IN_FLIGHT:
            assert told.target != self.state.stable

    def _target(self) -> str | None:
        return self.state.rollout.target if self.state.rollout is not None else None


class Switching(Route):
    """The same for a route that begins as blue-green, with a release to switch to."""

    @initialize(strategy=BLUE_GREEN, gates=st.sampled_from([(), tuple(GateKind)]))
    def begin(self, strategy: BlueGreenSpec, gates: tuple[GateKind, ...]) -> None:
        route = RouteSpec(
            route="chat", versions=VERSIONS, release="v2", strategy=strategy, gates=gates
        )
        super().begin(route, "v1")

    @rule()
    def wait_for_the_next_alarm(self) -> None:
        self.now = next_at(self.spec, self.state) or self.now
        self.tick()


Route.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
TestRoute = Route.TestCase
Switching.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
TestSwitching = Switching.TestCase
