"""A route whose story is told line by line: what is seen, what is said, what comes of it.

Control is killed and started again after every single decision: the state goes through its
encoding, and nothing else is carried over.
"""

from __future__ import annotations

from typing import Any

import msgspec

from router.analysis.phases import OnDeadline
from router.analysis.phases import Phase as RunPhase
from router.rollouts.effects import (
    AskGate,
    Decision,
    Effect,
    Note,
    Notify,
    StartRun,
    StopRun,
    StopWarmUp,
    WarmUp,
)
from router.rollouts.events import (
    EndpointSeen,
    Event,
    GateAnswer,
    Observation,
    RunOutcome,
    Tick,
    Trip,
    WarmupOutcome,
)
from router.rollouts.machine import advance
from router.rollouts.phases import Phase, Reason
from router.rollouts.rollout import Rollout
from router.rollouts.spec import (
    Analysis,
    AnalysisRef,
    Background,
    BlueGreenSpec,
    CanarySpec,
    GateKind,
    Pause,
    RouteSpec,
    SetWeight,
    Step,
)
from router.rollouts.state import Override, RouteState
from router.rollouts.status import next_at
from router.snapshot import FULL

QUALITY = AnalysisRef(templates=("quality",))
FOREVER = Pause()
ANALYSIS = Analysis(ref=QUALITY)


def weight(percent: float) -> SetWeight:
    return SetWeight(weight_bp=int(percent * 100))


def pause(seconds: float) -> Pause:
    return Pause(duration_s=seconds)


def canary(*steps: Step, background: int | None = None, **route: Any) -> RouteSpec:
    """A route with v1 to v4 that releases v2 by these steps."""
    beside = None if background is None else Background(ref=QUALITY, starting_step=background)
    fields: dict[str, Any] = {
        "route": "chat",
        "versions": ("v1", "v2", "v3", "v4"),
        "release": "v2",
        "strategy": CanarySpec(steps=steps, background=beside),
    }
    return RouteSpec(**(fields | route))


def blue_green(route: dict[str, Any] | None = None, **strategy: Any) -> RouteSpec:
    """A route with v1 to v4 that releases v2 by a switch."""
    return canary(**{"strategy": BlueGreenSpec(**strategy), **(route or {})})


def endpoints(*failing: str, healthy: int) -> tuple[EndpointSeen, ...]:
    """So many healthy endpoints, then those that fail, each for this reason."""
    good = [EndpointSeen(url=f"http://good-{n}:80", healthy=True) for n in range(healthy)]
    bad = [
        EndpointSeen(url=f"http://bad-{n}:80", healthy=False, reason=reason)
        for n, reason in enumerate(failing)
    ]
    return (*good, *bad)


class Story:
    """One route, its clock, and everything that its decisions have asked for."""

    def __init__(self, spec: RouteSpec, *, stable: str = "v1", past: tuple[str, ...] = ()) -> None:
        self.spec = spec
        self.state = RouteState(stable=stable, weights={stable: FULL}, past=past)
        self.now = 1_000_000.0
        self.applied = True
        self.runs: dict[str, RunOutcome] = {}
        self.gates: dict[str, GateAnswer] = {}
        self.healthy: dict[str, int] = {}
        self.tripped: dict[str, Trip] = {}
        self.warmups: dict[str, WarmupOutcome] = {}
        self.endpoints: dict[str, tuple[EndpointSeen, ...]] = {}
        self.effects: list[Effect] = []
        self.notes: list[Note] = []

    # -- what happens

    def tick(self, after: float = 0.0) -> Decision:
        """Let time pass, then look once."""
        self.now += after
        return self.hear(Tick(self.seen))

    def settle(self, after: float = 0.0) -> Story:
        """Let time pass, then look until nothing changes any more."""
        self.now += after
        for _ in range(100):
            before = self.state
            decision = self.tick()
            if self.state == before:
                assert not decision.effects, "a decision that changes nothing asks for nothing"
                return self
        raise AssertionError("it never comes to rest")

    def say(self, command: Event) -> Story:
        """Give a command, then look until nothing changes any more."""
        self.hear(command)
        return self.settle()

    def hear(self, event: Event) -> Decision:
        """Decide once, and restart control."""
        decision = advance(self.spec, self.state, event, self.now)
        self.state = msgspec.json.decode(msgspec.json.encode(decision.state), type=RouteState)
        assert self.state == decision.state
        self.effects += decision.effects
        self.notes += decision.notes
        return decision

    def edit(self, **changes: Any) -> Story:
        """Reload the configuration with other values."""
        self.spec = msgspec.structs.replace(self.spec, **changes)
        return self

    def end_run(
        self, phase: RunPhase, message: str = "", *, on_deadline: OnDeadline | None = None
    ) -> Story:
        """Let the newest run come to this."""
        self.runs[self.started[-1].id] = RunOutcome(
            phase=phase, message=message, on_deadline=on_deadline
        )
        return self.settle()

    def end_warm_up(self, *, ok: bool, message: str = "") -> Story:
        """Let the newest warm-up come to this."""
        self.warmups[self.warmed[-1].id] = WarmupOutcome(ok=ok, message=message)
        return self.settle()

    def answer(self, *, open: bool, message: str = "") -> Story:  # noqa: A002  reads best
        """Answer the newest gate."""
        self.gates[self.asked[-1].id] = GateAnswer(open=open, message=message)
        return self.settle()

    def hold(self, expires_s: float | None = None, **weights: int) -> Story:
        """Let a person set weights by hand."""
        override = Override(
            weights=weights, holder="ops", reason="test", since_s=self.now, expires_s=expires_s
        )
        self.state = msgspec.structs.replace(self.state, override=override)
        return self.settle()

    def release_override(self) -> Story:
        """Let that person release them."""
        self.state = msgspec.structs.replace(self.state, override=None)
        return self.settle()

    # -- what has come of it

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

    @property
    def rollout(self) -> Rollout:
        assert self.state.rollout is not None
        return self.state.rollout

    @property
    def mood(self) -> tuple[Phase, Reason | None]:
        rollout = self.state.rollout
        return (rollout.phase, rollout.reason) if rollout is not None else (Phase.HEALTHY, None)

    @property
    def shares(self) -> dict[str, int]:
        return dict(self.state.shares)

    @property
    def next_at(self) -> float | None:
        return next_at(self.spec, self.state)

    @property
    def started(self) -> list[StartRun]:
        return [effect for effect in self.effects if isinstance(effect, StartRun)]

    @property
    def stopped(self) -> list[str]:
        return [effect.id for effect in self.effects if isinstance(effect, StopRun)]

    @property
    def warmed(self) -> list[WarmUp]:
        return [effect for effect in self.effects if isinstance(effect, WarmUp)]

    @property
    def cooled(self) -> list[str]:
        return [effect.id for effect in self.effects if isinstance(effect, StopWarmUp)]

    @property
    def asked(self) -> list[AskGate]:
        return [effect for effect in self.effects if isinstance(effect, AskGate)]

    @property
    def told(self) -> list[tuple[Phase, Reason | None]]:
        return [(e.phase, e.reason) for e in self.effects if isinstance(e, Notify)]


__all__ = [
    "ANALYSIS",
    "FOREVER",
    "QUALITY",
    "GateKind",
    "Story",
    "blue_green",
    "canary",
    "endpoints",
    "pause",
    "weight",
]
