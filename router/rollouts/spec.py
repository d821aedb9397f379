"""What a route's configuration asks for, as far as rollouts are concerned.

`router.config.rollout` compiles a route of the configuration to a `RouteSpec`.  Values: frozen,
checked when they are made, and encodable, so that a spec can be compared and shown.

Units: shares in basis points (`_bp`), times in seconds (`_s`).
"""

from enum import StrEnum
from hashlib import blake2b
from typing import Any

import msgspec

from router.analysis.phases import OnDeadline
from router.errors import ConfigError
from router.snapshot import FULL, HeaderCondition, Rule


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything here: immutable, compared by value."""


class GateKind(StrEnum):
    """When somebody outside is asked whether the rollout may go on.

    Flagger's webhooks of the same names: before the first step, before each higher weight, and
    before the canary becomes stable.
    """

    CONFIRM_ROLLOUT = "confirmRollout"
    CONFIRM_TRAFFIC_INCREASE = "confirmTrafficIncrease"
    CONFIRM_PROMOTION = "confirmPromotion"


class Argument(Value, frozen=True):
    """A value for a template's argument, or where it comes from (`value_from`, as in Argo)."""

    name: str
    value: str | None = None
    value_from: dict[str, Any] | None = None


class AnalysisRef(Value, frozen=True):
    """Which templates are measured, and how; nothing here looks into it.

    `dry_run` and `retention` name metrics by regular expression; a retention is how many
    measurements are kept.
    """

    templates: tuple[str, ...]
    args: tuple[Argument, ...] = ()
    dry_run: tuple[str, ...] = ()
    retention: tuple[tuple[str, int], ...] = ()


class SetWeight(Value, frozen=True, tag_field="kind", tag="setWeight"):
    """Give the canary this share of the traffic."""

    weight_bp: int

    def __post_init__(self) -> None:
        if not 0 <= self.weight_bp <= FULL:
            raise ConfigError(f"setWeight {self.weight_bp} is not in 0..{FULL} basis points")


class Pause(Value, frozen=True, tag_field="kind", tag="pause"):
    """Wait so long; without a duration until a person resumes."""

    duration_s: float | None = None

    def __post_init__(self) -> None:
        if self.duration_s is not None and not self.duration_s >= 0:
            raise ConfigError(f"a pause cannot last {self.duration_s} seconds")


class Analysis(Value, frozen=True, tag_field="kind", tag="analysis"):
    """Go on only if these metrics are good.

    The run itself keeps its deadline; `on_deadline` None: its template says what happens then.
    """

    ref: AnalysisRef
    deadline_s: float | None = None
    on_deadline: OnDeadline | None = None


class SetHeaderRoute(Value, frozen=True, tag_field="kind", tag="setHeaderRoute"):
    """Send requests with any of these headers to the canary; none of them ends that."""

    name: str
    matches: tuple[HeaderCondition, ...] = ()


class SetShadow(Value, frozen=True, tag_field="kind", tag="setShadow"):
    """Copy a share of the requests to a version; 0 ends it.

    `version` None: the canary.  `rules`: copy only what one of them matches.
    """

    percent_bp: int
    version: str | None = None
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.percent_bp <= FULL:
            raise ConfigError(f"a shadow of {self.percent_bp} is not in 0..{FULL} basis points")


Step = SetWeight | Pause | Analysis | SetHeaderRoute | SetShadow


class Background(Value, frozen=True):
    """An analysis beside the steps, from the step with this index (0: the first) on."""

    ref: AnalysisRef
    starting_step: int = 0

    def __post_init__(self) -> None:
        if self.starting_step < 0:
            raise ConfigError(f"startingStep {self.starting_step} is below 0")


class CanarySpec(Value, frozen=True, tag_field="kind", tag="canary"):
    """Traffic moves in steps; after the last one the canary becomes stable.

    `digest` stands for the steps and is worked out here, whatever is given: by it a rollout
    notices that its steps were edited.  It is the same in every process.
    """

    steps: tuple[Step, ...] = ()
    background: Background | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        # Why a field: 500 rollouts compare it on every tick.
        msgspec.structs.force_setattr(self, "digest", _digest(self.steps))


def _digest(asked: tuple[Any, ...]) -> str:
    encoded = msgspec.json.encode(asked, order="sorted")  # Argument.value_from is a mapping
    return blake2b(encoded, digest_size=8).hexdigest()


class Warmup(Value, frozen=True):
    """Synthetic requests to each endpoint; nothing here looks into them.

    Each must be answered with 2xx and begin to be within `first_byte_s`; `require_model`: the
    endpoint's list of models must name the version's.  `body` None: there is none.
    """

    path: str
    requests: int = 1
    method: str = "POST"
    body: str | None = None
    first_byte_s: float = 30.0
    require_model: bool = False


class BlueGreenSpec(Value, frozen=True, tag_field="kind", tag="blueGreen"):
    """All traffic moves at once, after the new side has proven itself.

    Before the switch: `min_healthy_endpoints` (given up after `health_check_retries` looks in
    vain, one each `health_check_interval_s`), `warmup`, `pre_promotion`; then it waits
    `auto_promotion_s`, or for a person if not `auto_promotion_enabled`.  After it:
    `post_promotion`.  The old version stays ready for `keep_warm_s`.  Requests that `preview`
    matches reach the new version before the switch.

    `digest` stands for what the new version has to prove and is worked out here, whatever is
    given: by it a rollout notices that this was edited.  It is the same in every process.
    """

    min_healthy_endpoints: int = 1
    health_check_retries: int = 10
    health_check_interval_s: float = 30.0
    warmup: Warmup | None = None
    auto_promotion_enabled: bool = True
    auto_promotion_s: float | None = None
    pre_promotion: Analysis | None = None
    post_promotion: Analysis | None = None
    keep_warm_s: float = 86_400.0
    preview: HeaderCondition | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        if self.min_healthy_endpoints < 1 or self.health_check_retries < 1:
            raise ConfigError("a blue-green release needs at least one endpoint and one look")
        if not self.health_check_interval_s > 0:
            raise ConfigError(f"no look every {self.health_check_interval_s} seconds")
        if not self.keep_warm_s >= 0 or not (self.auto_promotion_s or 0.0) >= 0:
            raise ConfigError("keepWarmSeconds and autoPromotionSeconds cannot be below 0")
        # Why a field: see `CanarySpec`.
        proof = ("blueGreen", self.warmup, self.pre_promotion)
        msgspec.structs.force_setattr(self, "digest", _digest(proof))


NO_STEPS = CanarySpec()
NO_PROOF = BlueGreenSpec()


class RouteSpec(Value, frozen=True):
    """A route's configuration.

    `versions` are those that may have traffic, oldest first (a shadow is none of them).
    `release` is the one that should be stable; None: nobody says.  Without a strategy a release
    waits for a person.  `progress_deadline_s` bounds a step that is neither pause nor analysis.
    `rollback_window`: a former stable version with fewer than so many others after it becomes
    stable again without any step (0: none does).
    """

    route: str
    versions: tuple[str, ...]
    release: str | None = None
    strategy: CanarySpec | BlueGreenSpec | None = None
    progress_deadline_s: float = 600.0
    progress_deadline_abort: bool = False
    rollback_window: int = 0
    gates: tuple[GateKind, ...] = ()

    def __post_init__(self) -> None:
        if self.release is not None and self.release not in self.versions:
            raise ConfigError(f"route {self.route} releases unknown version {self.release}")

    @property
    def canary(self) -> CanarySpec:
        """The steps that a rollout takes; none without a canary strategy."""
        return self.strategy if isinstance(self.strategy, CanarySpec) else NO_STEPS

    @property
    def blue_green(self) -> BlueGreenSpec:
        """What a blue-green rollout has to prove; nothing without such a strategy."""
        return self.strategy if isinstance(self.strategy, BlueGreenSpec) else NO_PROOF

    @property
    def digest(self) -> str:
        """Stands for what a rollout has to walk through."""
        return self.strategy.digest if self.strategy is not None else NO_STEPS.digest

    @property
    def min_healthy_endpoints(self) -> int:
        """How many endpoints of a version must be healthy before it gets a route's traffic."""
        return self.blue_green.min_healthy_endpoints
