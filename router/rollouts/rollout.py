"""How one release of a route is doing: the part of the state that a restarted control goes on from.

Values: frozen.  Times in seconds since 1970 UTC, shares in basis points.
"""

from typing import Final

from router.analysis.phases import Phase as RunPhase
from router.rollouts.phases import IN_FLIGHT, Phase, Reason
from router.rollouts.spec import GateKind, SetHeaderRoute, SetShadow, Value
from router.rollouts.stage import SWITCHED, Stage

MAX_TEXT: Final = 1_000
"""Characters of a message that are kept: a provider's error can be a whole page."""


def clip(text: str) -> str:
    """Cut a text from outside to what the state may hold."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


class RunRef(Value, frozen=True):
    """A run that this rollout has begun; `outcome` once it has completed."""

    id: str
    outcome: RunPhase | None = None
    message: str = ""


class GateRef(Value, frozen=True):
    """A gate that this rollout waits for."""

    id: str
    kind: GateKind


class WarmupRef(Value, frozen=True):
    """A warm-up that this rollout has begun; `ok` once it has an outcome."""

    id: str
    ok: bool | None = None
    message: str = ""


class Rollout(Value, frozen=True):
    """The way of a version to becoming stable; kept after its end until the next one begins.

    `number` counts the route's rollouts from 1, `attempt` the tries of this one, `serial` what
    was asked of the outside (runs and gates): ids are made of it.  `release` is what the
    configuration asked for when the attempt began; `target` differs if a person started it.
    `step` is an index into the steps that `steps_digest` stands for.  The pause of a step counts
    from `step_s`, the progress deadline from `progress_s`, breakers count if they tripped
    after `attempt_s`.  `weight_bp` is the target's share by the last setWeight.  `full`: no
    steps, gates or analyses any more.  `header_routes` and `shadow` are what steps have set.

    `stage` is where a blue-green rollout is while it is in flight; a canary has none.  `looks`
    counts those in vain for healthy endpoints, since `progress_s`.
    """

    number: int
    target: str
    release: str | None
    started_s: float
    attempt_s: float
    step_s: float
    progress_s: float
    steps_digest: str
    phase: Phase = Phase.PROGRESSING
    reason: Reason | None = None
    message: str = ""
    finished_s: float | None = None
    attempt: int = 1
    serial: int = 0
    step: int = 0
    weight_bp: int = 0
    full: bool = False
    inline: RunRef | None = None
    background: RunRef | None = None
    gate: GateRef | None = None
    gates_passed: tuple[GateKind, ...] = ()
    header_routes: tuple[SetHeaderRoute, ...] = ()
    shadow: SetShadow | None = None
    stage: Stage | None = None
    looks: int = 0
    warmup: WarmupRef | None = None

    @property
    def in_flight(self) -> bool:
        """Whether it has not ended."""
        return self.phase in IN_FLIGHT

    @property
    def switched(self) -> bool:
        """Whether the target has all traffic and is not stable yet."""
        return self.stage in SWITCHED
