"""What the API answers, described for the OpenAPI document.

Handlers make plain dictionaries, which are fast for 10 000 routes; the tests compare every answer
with its model.  Units: weights in percent, times in seconds since 1970 UTC.
"""

from typing import Any

from pydantic import Field

from router.config.fields import Section


class EndpointDocument(Section):
    """One model server, as the live workers see it."""

    url: str
    """As configured; of a `dns://` one with the address, like `dns://llm:8000 (10.0.0.7)`."""
    healthy: bool
    """Every live worker holds it healthy."""
    healthy_workers: int
    """How many hold it healthy."""
    workers: int
    """How many have looked at it."""
    reasons: list[str]
    """Why it is not healthy."""
    ejections: int
    """Times that the live workers have left it alone since they began."""
    ejected_until: float | None
    """When the last worker that leaves it alone tries it again; null: none does."""
    slow_start: "SlowStartDocument | None"
    """It came back or joined, and its share grows; null: it has all of it."""
    idle_seconds: float | None
    """How long its idle connections are kept, as it closes them early itself; null: as always."""


class SlowStartDocument(Section):
    """An endpoint that is being warmed."""

    percent: float
    """What it gets of a full share now, in the worker that gives it least."""
    until: float
    """When it has its full share in every worker."""


class CircuitDocument(Section):
    """A version's own bounds, in each worker, and how full they are in all of them together."""

    max_in_flight: int
    max_pending: int
    in_flight: int
    pending: int
    """Requests that wait for a place."""
    refused: dict[str, int]
    """How many by reason: full, deadline, displaced; none: empty."""


class AdmissionDocument(Section):
    """A route's bounds, in each worker, and how full they are in all of them together."""

    max_in_flight: int
    max_queue: int
    workers: int
    """Live ones: so many times the bounds are there."""
    in_flight: int
    """Requests that have a place, those included that wait for a place of their version."""
    queued: int
    """Requests that wait for a place."""
    refused: dict[str, int]
    """How many by reason: full, deadline, displaced; none: empty."""
    shed: dict[str, int]
    """How many were refused because the event loop could not keep up, by class of priority."""
    shed_share: float
    """Share of new requests that the worker which refuses most refuses now, 0 to 1."""


class VersionDocument(Section):
    """One version of a route."""

    name: str
    role: str
    """stable, canary, preview or shadow, at this moment."""
    weight: float
    """The share in force, in percent."""
    wanted: float | None
    """The controller's share, where a person's weights replace it."""
    model: str | None
    """The model's name on its servers, where it is another one."""
    in_flight: int
    """Requests that it is answering: of a version without weight, streams that drain."""
    drain_until: float | None
    """When those that were begun while it had traffic end with an error; null: when done."""
    warm_until: float | None
    """A former stable version: how long it is kept ready for the traffic."""
    lineage: dict[str, Any]
    """Where the version comes from, as far as it is declared."""
    tripped: str | None
    """Why a worker has taken it out of the split by itself; null: none has."""
    circuit: CircuitDocument | None
    """Its own bounds; null: only the route's hold."""
    panic: bool
    """A worker gives requests to endpoints that it had left alone, as too few are healthy."""
    endpoints: list[EndpointDocument]


class OverrideDocument(Section):
    """Weights that a person has set."""

    weights: dict[str, float]
    holder: str
    """The token's name; `local` without tokens."""
    reason: str
    since: float
    expires: float | None
    """When the controller takes over again; null: when it is released."""


class ShadowDocument(Section):
    """The version that gets copies of requests at this moment."""

    version: str
    percent: float
    """The share of the stable version's requests that is copied."""
    by: str
    """Who wants it: person, rollout (a step of it) or configuration."""


class RouteDocument(Section):
    """A route and how far it has come."""

    generation: int
    """The generation in which it changed last, or one that is not older: its ETag."""
    name: str
    stable: str
    override: OverrideDocument | None
    past: list[str]
    """Former stable versions, the newest first: where a rollback goes."""
    rejected: str | None
    """A release that was rolled back: it is not started again by itself."""
    shadow: ShadowDocument | None
    """null: nothing is copied."""
    admission: AdmissionDocument
    versions: list[VersionDocument]


class RoutesDocument(Section):
    """Every route, in the configuration's order."""

    generation: int
    """The newest generation."""
    routes: list[RouteDocument]


class AppliedDocument(Section):
    """Who serves the generation."""

    workers: list[str]
    missing: list[str] = []
    """Only in 202: who has not said so within the time.  They get it as soon as they can."""


class ChangedDocument(RouteDocument):
    """A change that was made, and the route as it is now.

    `generation` is the one that serves the change.
    """

    applied: AppliedDocument
    repeated: bool
    """The Idempotency-Key was known: nothing was done again."""


class ShareDocument(Section):
    """What happens to one version's weight, in percent."""

    version: str
    before: float
    after: float


class ShadowOverrideDocument(Section):
    """A shadow that a person has set."""

    version: str
    percent: float
    """0: nothing is copied."""
    noise_percent: float | None
    """null: as configured."""
    holder: str
    """The token's name; `local` without tokens."""
    reason: str
    since: float


class StateDocument(Section):
    """A route's state as the audit trail tells it."""

    stable: str
    weights: dict[str, float]
    wanted: dict[str, float] = {}
    override: OverrideDocument | None = None
    past: list[str] = []
    rejected: str | None = None
    rollout: dict[str, Any] | None = None
    shadow: ShadowDocument | None = None
    shadow_override: ShadowOverrideDocument | None = None
    lineage: dict[str, dict[str, Any]] = {}


class DryRunDocument(Section):
    """What a change would do; nothing was changed."""

    dry_run: bool
    generation: int
    """The newest generation."""
    tag: str
    """For `If-Match`: then it is done only if it would still do this."""
    changes: list[ShareDocument]
    before: StateDocument
    after: StateDocument


class ReloadedDocument(Section):
    """The configuration that is in force now."""

    generation: int
    applied: AppliedDocument


class ExplanationDocument(Section):
    """Where a request goes, and why."""

    generation: int
    route: str | None
    """null: it is refused, and the last line of `why` says why."""
    version: str | None
    """null where none is fixed: `shares` says how requests like it are shared out."""
    shares: dict[str, float] | None
    endpoints: list[str]
    """The candidates; which one answers depends on what is live."""
    upstream_model: str | None
    why: list[str]


class ActorDocument(Section):
    """Who acted."""

    name: str
    role: str
    address: str


class EntryDocument(Section):
    """One entry of the audit trail."""

    sequence: int
    time: float
    actor: ActorDocument
    action: str
    route: str | None
    reason: str
    before: Any
    after: Any
    generation: int | None
    """The generation that the action made; null: the routing table stayed the same."""
    evidence: Any
    """The values that led to it."""
    previous: str
    hash: str


class EntriesDocument(Section):
    """A page of the audit trail."""

    entries: list[EntryDocument]
    next: int | None
    """Where the next page begins: `after` if that was given, else `before`; null: no more."""


class MovedDocument(Section):
    """What a generation changed about one route, in percent; null: the route was not there."""

    route: str
    before: dict[str, float] | None
    after: dict[str, float] | None


class GenerationDocument(Section):
    """One generation: what it changed, who did it, and why."""

    number: int
    time: float
    routes_changed: int
    """All of them; `routes` tells at most 1000, in a list at most 10."""
    routes: list[MovedDocument]
    entries: list[EntryDocument]


class GenerationsDocument(Section):
    """A page of the history, the newest first."""

    generations: list[GenerationDocument]
    next: int | None
    """`before` of the next page; null: no more."""


class HeadDocument(Section):
    """The last entry that is as it was written."""

    sequence: int
    hash: str


class FaultDocument(Section):
    """The first place where the trail is not what was written."""

    sequence: int
    kind: str
    problem: str


class VerdictDocument(Section):
    """What a verification has found."""

    ok: bool
    entries: int
    """How many are as they were written."""
    head: HeadDocument | None
    first_bad: FaultDocument | None = None


class MeasurementDocument(Section):
    """One answer of a provider; `value` is its text."""

    phase: str
    started_s: float = Field(alias="started_s")
    finished_s: float | None = Field(default=None, alias="finished_s")
    value: str = ""
    message: str = ""
    samples: int | None = None


class MetricDocument(Section):
    """One metric of a run: how it is judged, and what was measured."""

    name: str
    provider: str
    phase: str
    message: str
    success_condition: str | None
    failure_condition: str | None
    interval: float | None
    """Seconds; null: measured once."""
    count: int | None
    """How often; null: until the run ends."""
    dry_run: bool
    measured: int
    successful: int
    failed: int
    inconclusive: int
    errors: int
    no_data: int
    measurements: list[MeasurementDocument]


class RunDocument(Section):
    """One analysis run."""

    id: str
    route: str
    canary: str
    """The version that was judged; empty: another release of the router has written the run."""
    stable: str
    phase: str
    message: str
    started: float
    finished: float | None
    metrics: list[MetricDocument]


class RunsDocument(Section):
    """Analysis runs, the newest first."""

    runs: list[RunDocument]


class CopyingDocument(Section):
    """What one of those who may want a shadow says."""

    version: str
    percent: float


class CredentialsDocument(Section):
    """Which credentials a copy carries; never what they are."""

    mode: str
    """keep, strip or replace."""
    header: str


class ShadowLimitsDocument(Section):
    """What bounds the copies of the shadow in force; counts are for each worker."""

    noise_percent: float
    """Share of the copied requests that stable answers a second time."""
    sample_by: str
    """request or stickyKey."""
    match: list[dict[str, Any]]
    """Only requests that one of these rules matches; none: all."""
    include_stateful: bool
    max_concurrency: int
    max_queue: int
    max_body_bytes: int
    max_response_bytes: int
    max_per_hour: int | None
    max_pairs_per_second: float
    """So many copied requests are compared."""
    timeout_seconds: float
    on_cancel: str
    """cancel or keep: what becomes of a copy whose client goes away."""
    credentials: CredentialsDocument


class CopiesDocument(Section):
    """How the copies for one version have ended, counted while control and the workers live."""

    version: str
    """The stable version's are its twins."""
    sampled: int
    """All of them: those that have ended, are on their way, or wait."""
    in_flight: int
    answered: int
    error: int
    timeout: int
    dropped: dict[str, int]
    """How many by reason; none: empty."""


class ShadowStandingDocument(Section):
    """Which shadow is in force, who wants one, and why nothing is copied if so."""

    route: str
    generation: int
    shadow: ShadowDocument | None
    """The one in force; null: nothing is copied."""
    why: str | None
    """Why nothing is copied; null: something is."""
    override: ShadowOverrideDocument | None
    """What a person has set; it is heard before the others."""
    step: CopyingDocument | None
    """What the rollout's last setShadow step wants; it is heard before the configuration."""
    configured: CopyingDocument | None
    copies: list[CopiesDocument]
    """Of versions that got any."""
    limits: ShadowLimitsDocument | None


class EstimateDocument(Section):
    """A number with its 95 % confidence interval, from so many samples."""

    value: float
    low: float
    high: float
    samples: int
    p_value: float | None
    """null: there is no question that it would answer."""


class FieldReportDocument(Section):
    """How often one field of the answers differs, or any field; shares are 0 to 1."""

    pairs: int
    twins: int
    """Pairs that the stable version has answered a second time."""
    shadow: EstimateDocument | None
    """The share of all pairs in which the shadow differs from stable."""
    twin: EstimateDocument | None
    """The share of the twins in which stable differs from itself: the noise."""
    beyond_noise: EstimateDocument | None
    """What is left of the shadow's share without the noise."""
    p_value: float | None
    """What decides: of a single field, corrected for looking at several."""
    twins_needed: int
    """So many twins are enough to call differences noise."""
    conclusion: str
    """differs, within_noise, not_enough or no_noise_floor."""


class ShiftReportDocument(Section):
    """Differences in time to the primary's, in seconds."""

    seen: int
    median: EstimateDocument
    p50: float
    p95: float


class TimeReportDocument(Section):
    """How much later the shadow answers, and how much later the twin does; null: too few."""

    shadow: ShiftReportDocument | None
    twin: ShiftReportDocument | None


class TokensReportDocument(Section):
    """Completion tokens of the pairs in which both sides have told theirs."""

    pairs: int
    primary: int
    shadow: int
    ratio: float | None


class ShadowReportDocument(Section):
    """What all pairs of a shadow tell since it has begun."""

    route: str
    stable: str
    shadow: str
    since: float
    pairs: int
    compared: int
    twins: int
    twins_failed: int
    errors: dict[str, int]
    """Why there were no two answers to compare, and how often."""
    error_ratio: EstimateDocument | None
    """The share of the requests that the primary answered and the shadow did not."""
    verdicts: dict[str, int]
    any: FieldReportDocument
    fields: dict[str, FieldReportDocument]
    latency: TimeReportDocument
    first_token: TimeReportDocument
    tokens: TokensReportDocument
    conclusion: str
    """That of `any`."""
    smallest_detectable: float | None
    """The difference that so many twins find with a chance of 80 %."""
    summary: list[str]
    """The same in sentences."""


class ComparisonRowDocument(Section):
    """A recorded pair of answers, without texts."""

    id: int
    time: float
    stable: str
    shadow: str
    verdict: str
    """match, within_noise, mismatch or error."""
    rule: str
    """The rule that decided."""
    differing: list[str]
    """The fields in which the shadow differs."""
    twin_differing: list[str] | None
    """The fields in which the twin differs; null: there is none."""
    error: str
    """Why there was nothing to compare; empty: there was."""
    request_id: str
    generation: int | None


class ComparisonsDocument(Section):
    """A page of recorded pairs, the newest first."""

    comparisons: list[ComparisonRowDocument]
    next: int | None
    """`before` of the next page; null: no more."""


class ComparisonDocument(Section):
    """One recorded pair, redacted as the configuration says."""

    id: int
    route: str
    time: float
    request_id: str
    generation: int
    verdict: str
    rule: str
    request: dict[str, Any]
    """Method, target, header fields and body."""
    primary: dict[str, Any]
    """The stable version's answer."""
    shadow: dict[str, Any]
    """The shadow's answer, and what differs in it."""
    twin: dict[str, Any] | None = None
    """The stable version's second answer, if it was asked for one."""


class OwnRunDocument(RunDocument):
    """A run that the rollout has now."""

    kind: str
    """inline or background."""


class RolloutDocument(Section):
    """How a route's newest rollout is doing."""

    route: str
    generation: int
    phase: str
    """Healthy, Progressing, Paused or Degraded."""
    reason: str | None
    message: str
    stable: str
    release: str | None
    target: str | None
    weight: float
    """The target's share, in percent."""
    step: int | None
    """From 1; null: no step is under way."""
    steps: list[dict[str, Any]]
    stage: str | None = None
    """Of a blue-green rollout that is under way: what it waits for."""
    paused_until: float | None
    possible: list[str]
    """Commands that this phase allows."""
    held: bool
    """A person holds the weights."""
    number: int | None
    attempt: int | None
    started: float | None
    finished: float | None
    analyses: list[OwnRunDocument]


class SessionDocument(Section):
    """Who the caller is."""

    name: str
    """The token's name; `local` without tokens."""
    role: str
    tokens: bool
    """Whether any are configured; without them nobody logs in."""
    expires: int | None
    """When the console's session ends; null: the call came with a token, or none is needed."""


class WorkerDocument(Section):
    """One worker slot."""

    name: str
    live: bool
    """It is connected and does not drain."""
    generation: int | None
    """The generation that it serves; null: it is not live."""
    in_flight: int | None


class VersionNumbersDocument(Section):
    """What a version does; rates and times of the last 60 seconds, null: not measured."""

    name: str
    role: str
    weight: float
    """The share in force, in percent."""
    wanted: float | None
    """The controller's share, where a person's weights replace it."""
    request_rate: float | None
    """Requests a second."""
    error_ratio: float | None
    """Failures as a share of requests, 0 to 1."""
    p50: float | None
    """Seconds to the last byte that half of the answers did not exceed."""
    p99: float | None
    """The same for 99 % of them."""
    ttft_p50: float | None = Field(alias="ttftP50")
    """Seconds to the first token that half of the streams did not exceed."""
    ttft_p99: float | None = Field(alias="ttftP99")
    """The same for 99 % of them."""
    in_flight: int
    tripped: str | None
    """Why a worker has taken it out of the split by itself; null: none has."""
    healthy_endpoints: int
    """How many every live worker holds healthy."""
    endpoints: int
    """How many there are; each address of a `dns://` one counts."""


class OverviewRouteDocument(Section):
    """A route, what its rollout does next, and what its versions do."""

    name: str
    generation: int
    """The generation in which it changed last."""
    stable: str
    override: OverrideDocument | None
    phase: str
    """Healthy, Progressing, Paused or Degraded."""
    text: str
    """What it waits for, or why it ended."""
    target: str | None
    step: int | None
    """From 1; null: no step is under way."""
    steps: int
    until: float | None
    """When a pause ends by itself."""
    versions: list[VersionNumbersDocument]


class OverviewDocument(Section):
    """A page of routes, by name."""

    generation: int
    ready: bool
    reasons: list[str]
    """Why it is not ready."""
    warnings: list[str]
    """What is wrong with model servers while others still answer."""
    workers: list[WorkerDocument]
    total: int
    """Routes that match, on all pages."""
    next: str | None
    """`after` of the next page; null: no more."""
    routes: list[OverviewRouteDocument]


class SeriesDocument(Section):
    """One version, moment by moment; null where nothing was measured."""

    role: str
    """What it is now."""
    weight: list[float | None]
    """Percent."""
    request_rate: list[float | None]
    """Requests a second."""
    error_ratio: list[float | None]
    """Failures as a share of requests, 0 to 1."""
    p50: list[float | None]
    """Seconds."""
    p99: list[float | None]
    """Seconds; the worst, where a moment is made of several samples."""
    ttft_p50: list[float | None] = Field(alias="ttftP50")
    """Seconds to the first token."""
    ttft_p99: list[float | None] = Field(alias="ttftP99")
    inter_chunk_p99: list[float | None] = Field(alias="interChunkP99")
    """Seconds between two chunks of a stream."""
    tokens_per_second: list[float | None]
    """Completion tokens of all requests together."""


class MarkDocument(Section):
    """Something that was done to the route: an entry of the audit trail."""

    time: float
    kind: str
    """The entry's action."""
    text: str
    """Its reason."""
    generation: int | None
    sequence: int


class HistoryDocument(Section):
    """A route's history on one time axis."""

    now: float
    from_: int = Field(alias="from")
    to: int
    step: int
    """Seconds between two moments."""
    times: list[int]
    """Each the end of `step` seconds."""
    versions: dict[str, SeriesDocument]
    marks: list[MarkDocument]
    """At most 200, the newest; the oldest first."""


class RefusedDocument(Section):
    """A configuration that could not be used."""

    time: float
    text: str


class DeclaredVersionDocument(Section):
    """A version as it is declared."""

    endpoints: list[str]
    model: str | None


class DeclaredShadowDocument(Section):
    """A shadow as it is declared."""

    version: str
    percent: float


class DeclaredDocument(Section):
    """A route as the configuration declares it."""

    release: str | None
    strategy: str
    """In one line."""
    versions: dict[str, DeclaredVersionDocument]
    initial_weights: dict[str, float] | None
    shadow: DeclaredShadowDocument | None


class RunningDocument(Section):
    """A route as it runs."""

    stable: str
    weights: dict[str, float]
    """The shares in force, in percent."""
    rejected: str | None
    override: OverrideDocument | None
    phase: str
    shadow: ShadowDocument | None


class DeclaredRouteDocument(Section):
    """A route as it is declared and as it runs."""

    name: str
    declared: DeclaredDocument
    running: RunningDocument
    differences: list[str]
    """Why it does not run as declared; none: it does."""


class ConfigDocument(Section):
    """The configuration in force, without secrets."""

    file: str | None
    """null: the router is embedded in another program."""
    loaded_at: float
    generation: int
    last_problem: RefusedDocument | None
    """Why a newer file is not in force; null: this is the newest."""
    restart_needed: list[str]
    """Fields that have changed since control began, and need a restart."""
    server: dict[str, Any]
    """The section `server`, the kind of `store`, and the number of `tokens`."""
    total: int
    next: str | None
    """`after` of the next page; null: no more."""
    routes: list[DeclaredRouteDocument]


class FieldError(Section):
    """One field that cannot be used."""

    field: str
    message: str


class FailingDocument(Section):
    """A model server that keeps its version from getting all traffic."""

    url: str
    reason: str


class ProblemDocument(Section):
    """Why a call was refused (RFC 9457); `type` is what programs compare."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []
    """Only with `invalid`: every wrong field."""
    current: RouteDocument | None = None
    """Only with `conflict`, `not-ready` and `stale`: the route as it is now."""
    endpoints: list[FailingDocument] = []
    """Only with `not-ready`: every endpoint that is not healthy, and why."""
