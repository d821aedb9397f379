"""What a decision asks the loop to do, and what it says about itself.

An effect is emitted once: the store writes the state that remembers it, and the effect's record,
in one transaction.  Ids are made of the route, the number of its rollout and a counter, so the
same decision made again after a restart has the same ids.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from router.analysis.phases import OnDeadline
from router.rollouts.phases import Phase, Reason
from router.rollouts.spec import AnalysisRef, GateKind, Value, Warmup
from router.rollouts.state import RouteState


class RunKind(StrEnum):
    """Whether a step waits for a run, or it runs beside the steps."""

    INLINE = "inline"
    BACKGROUND = "background"


class StartRun(Value, frozen=True, tag_field="effect", tag="startRun"):
    """Begin an analysis of `subject` against `baseline`; `step` is the index of its step."""

    id: str
    kind: RunKind
    step: int
    ref: AnalysisRef
    subject: str
    baseline: str
    deadline_s: float | None = None
    on_deadline: OnDeadline | None = None


class StopRun(Value, frozen=True, tag_field="effect", tag="stopRun"):
    """End a run that has no verdict yet; nobody will ask for one."""

    id: str
    why: str


class AskGate(Value, frozen=True, tag_field="effect", tag="askGate"):
    """Ask outside, and again until it opens or the state no longer names the id."""

    id: str
    kind: GateKind


class WarmUp(Value, frozen=True, tag_field="effect", tag="warmUp"):
    """Send every endpoint of a version its synthetic requests.

    Whoever does it begins again after a restart, until it has an outcome or the state no longer
    names the id.
    """

    id: str
    version: str
    warmup: Warmup


class StopWarmUp(Value, frozen=True, tag_field="effect", tag="stopWarmUp"):
    """End a warm-up that has no outcome yet; nobody will ask for one."""

    id: str
    why: str


class Notify(Value, frozen=True, tag_field="effect", tag="notify"):
    """Tell people that the route has come into another phase, or stays in it for a new reason."""

    phase: Phase
    reason: Reason | None
    text: str


Effect = StartRun | StopRun | AskGate | WarmUp | StopWarmUp | Notify


class Action(StrEnum):
    """What a note is about: the words of the audit trail."""

    STARTED = "rollout.started"
    SUPERSEDED = "rollout.superseded"
    WITHDRAWN = "rollout.withdrawn"
    REWOUND = "rollout.rewound"
    STEP_PASSED = "rollout.stepPassed"
    WEIGHT_SET = "rollout.weightSet"
    HEADER_ROUTE_SET = "rollout.headerRouteSet"
    SHADOW_SET = "rollout.shadowSet"
    SHARE_WITHHELD = "rollout.shareWithheld"
    SHARE_RESTORED = "rollout.shareRestored"
    WARM_UP_STARTED = "rollout.warmUpStarted"
    WARMED_UP = "rollout.warmedUp"
    ANALYSIS_STARTED = "rollout.analysisStarted"
    ANALYSIS_PASSED = "rollout.analysisPassed"
    GATE_ASKED = "rollout.gateAsked"
    GATE_PASSED = "rollout.gatePassed"
    LATE = "rollout.late"
    PAUSED = "rollout.paused"
    RESUMED = "rollout.resumed"
    SKIPPED = "rollout.skipped"
    PROMOTED_FULL = "rollout.promotedFull"
    SWITCHED = "rollout.switched"
    PROMOTED = "rollout.promoted"
    ABORTED = "rollout.aborted"
    RETRIED = "rollout.retried"
    ROLLED_BACK = "rollout.rolledBack"
    SWITCHED_BY_HAND = "switched"
    OVERRIDE_EXPIRED = "weights.expired"


class Note(Value, frozen=True):
    """Why something was done: one audit entry.  `evidence` are the values that led to it."""

    action: Action
    reason: str
    evidence: Mapping[str, Any] = {}


class Decision(Value, frozen=True):
    """What follows from an event: the state to record, what to do, and why.

    `moves_traffic`: the routing table is another one and has to be published.
    """

    state: RouteState
    effects: tuple[Effect, ...] = ()
    notes: tuple[Note, ...] = ()
    moves_traffic: bool = False
