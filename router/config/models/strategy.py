"""How traffic moves from the stable version to another: canary or blue-green."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from router.config.fields import (
    AnyValue,
    Duration,
    HeaderName,
    Method,
    Name,
    PositiveDuration,
    Regex,
    Section,
    Share,
    Text,
    TrafficWeight,
    UrlPath,
    absolute,
    only_one,
)
from router.config.models.analysis import AnalysisRef, BackgroundAnalysis, InlineAnalysis
from router.config.models.match import HeaderTest, MatchRule
from router.config.models.outside import Gate
from router.config.problems import Problem
from router.config.units import to_basis_points


class Pause(Section):
    """A step that waits."""

    duration_s: Duration | None = Field(default=None, alias="duration")
    """How long; without it, until a person resumes."""


class HeaderValue(Section):
    """How a header's value is compared, in Argo's words."""

    exact: str | None = None
    """The whole value."""
    prefix: Text | None = None
    """How the value begins."""
    regex: Regex | None = None
    """A regular expression of the value."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, "exact", "prefix", "regex")
        return self


class HeaderRouteMatch(Section):
    """One header of a setHeaderRoute step."""

    header_name: HeaderName
    """The header's name."""
    header_value: HeaderValue
    """How its value is compared."""


class SetHeaderRoute(Section):
    """A step that sends requests with certain headers to the canary."""

    name: Name
    """The header route's name; a later step with the same name replaces it."""
    match: tuple[HeaderRouteMatch, ...] = ()
    """Any of these sends a request to the canary; none removes the header route."""


class SetShadow(Section):
    """A step that copies requests to a version whose answers no client sees."""

    percent: Share
    """Share of the requests that is copied; 0 ends it."""
    version: Name | None = None
    """Which version gets them; the canary without it."""
    match: tuple[MatchRule, ...] = ()
    """Copy only requests that one of these rules matches."""


class Step(Section):
    """One step of a canary: exactly one of these."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    set_weight: TrafficWeight | None = None
    """The canary's share of the traffic, in percent (or out of maxTrafficWeight)."""
    pause: Pause | None = None
    """Wait, for a time or for a person."""
    analysis: InlineAnalysis | None = None
    """Go on only if these metrics are good."""
    set_header_route: SetHeaderRoute | None = None
    """Send requests with certain headers to the canary."""
    set_shadow: SetShadow | None = None
    """Copy requests to a version whose answers no client sees."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        only_one(self, *STEP_KINDS)
        return self


STEP_KINDS = ("set_weight", "pause", "analysis", "set_header_route", "set_shadow")


class Canary(Section):
    """Traffic moves in steps, as far as the evidence allows."""

    steps: tuple[Step, ...] = ()
    """What happens, in order; after the last one the canary becomes stable."""
    analysis: BackgroundAnalysis | None = None
    """An analysis that runs beside the steps."""
    max_traffic_weight: int = Field(default=100, ge=1, le=1_000_000_000)
    """The total that setWeight is a part of."""

    def weight_bp(self, weight: Decimal) -> int:
        """Turn a step's setWeight into basis points."""
        return to_basis_points(weight, self.max_traffic_weight)


class Warmup(Section):
    """Synthetic requests that every endpoint of the new version must answer before the switch."""

    requests: int = Field(default=1, ge=1, le=10_000)
    """How many for each endpoint."""
    method: Method = "POST"
    """Their method."""
    path: UrlPath
    """Their path."""
    body: AnyValue = None
    """Their body: text as it is, anything else as JSON."""
    first_byte_s: PositiveDuration = Field(default=30.0, alias="firstByte")
    """How soon each must begin to answer."""
    require_model: bool = False
    """Whether the endpoint's `/v1/models` must list the version's model."""


class PreviewHeader(HeaderTest):
    """A header that reaches the preview version before the switch."""

    header: HeaderName
    """The header's name."""


class BlueGreen(Section):
    """All traffic moves at once, after the new side has proven itself."""

    min_healthy_endpoints: int = Field(default=1, ge=1)
    """Endpoints of the new version that must be healthy."""
    health_check_retries: int = Field(default=10, ge=1)
    """How often to look before giving up."""
    health_check_interval_s: PositiveDuration = Field(default=30.0, alias="healthCheckInterval")
    """Time between two looks."""
    preview_header: PreviewHeader | None = None
    """A header that reaches the new version before the switch."""
    warmup: Warmup | None = None
    """Requests that every endpoint must answer before the switch."""
    auto_promotion_enabled: bool = True
    """Whether to switch without a person."""
    auto_promotion_s: Duration | None = Field(default=None, alias="autoPromotionSeconds")
    """How long to wait before switching, after the pre-promotion analysis has passed."""
    pre_promotion_analysis: InlineAnalysis | None = None
    """What must be good before the switch."""
    post_promotion_analysis: InlineAnalysis | None = None
    """What must be good after it; otherwise the switch is undone."""
    keep_warm_s: Duration = Field(default=86_400.0, alias="keepWarmSeconds")
    """How long the old version stays ready to take the traffic back."""
    drain_s: PositiveDuration | None = Field(default=None, alias="drainSeconds")
    """How long requests may go on at a version that has lost its traffic; to their end without."""


class RollbackWindow(Section):
    """Which older versions can become stable again without any steps."""

    revisions: int = Field(default=0, ge=0)
    """Those with fewer than so many releases in between."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An Argo Rollout that a strategy was read from.

    `warnings` names what means nothing here.  It is None until `router.config.load` has read the
    file, and so are the strategy's `canary` and `blue_green`.
    """

    path: str
    warnings: tuple[Problem, ...] | None = None


def _read_manifest(value: Any, info: ValidationInfo) -> Manifest:
    if isinstance(value, Manifest):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("must be the name of a file")
    return Manifest(absolute(value, info))


class Strategy(Section):
    """How traffic moves: exactly one of canary, blueGreen and fromManifest."""

    canary: Canary | None = None
    """In steps."""
    blue_green: BlueGreen | None = None
    """All at once."""
    from_manifest: (
        Annotated[
            Manifest,
            PlainValidator(_read_manifest),
            PlainSerializer(lambda manifest: manifest.path, return_type=str, when_used="json"),
            WithJsonSchema({"type": "string"}),
        ]
        | None
    ) = None
    """File of an Argo Rollout whose strategy is used as it is."""
    progress_deadline_s: PositiveDuration = Field(default=600.0, alias="progressDeadlineSeconds")
    """How long a step that is neither pause nor analysis may take."""
    progress_deadline_abort: bool = False
    """Whether to abort then."""
    rollback_window: RollbackWindow | None = None
    """Which older versions can become stable again without any steps."""
    gates: tuple[Gate, ...] = ()
    """Whom to ask before a rollout goes on."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.from_manifest is None or self.from_manifest.warnings is None:
            only_one(self, "canary", "blue_green", "from_manifest")
        return self

    @property
    def analyses(self) -> Mapping[tuple[str | int, ...], AnalysisRef]:
        """Every analysis that this strategy names, by its place in the configuration."""
        found: dict[tuple[str | int, ...], AnalysisRef | None] = {}
        if self.canary is not None:
            found[("canary", "analysis")] = self.canary.analysis
            for index, step in enumerate(self.canary.steps):
                found["canary", "steps", index, "analysis"] = step.analysis
        if self.blue_green is not None:
            found["blueGreen", "prePromotionAnalysis"] = self.blue_green.pre_promotion_analysis
            found["blueGreen", "postPromotionAnalysis"] = self.blue_green.post_promotion_analysis
        return {path: analysis for path, analysis in found.items() if analysis is not None}
