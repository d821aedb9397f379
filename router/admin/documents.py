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
    healthy: bool
    """Every live worker holds it healthy."""
    healthy_workers: int
    """How many hold it healthy."""
    workers: int
    """How many have looked at it."""
    reasons: list[str]
    """Why it is not healthy."""


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
    lineage: dict[str, Any]
    """Where the version comes from, as far as it is declared."""
    tripped: str | None
    """Why a worker has taken it out of the split by itself; null: none has."""
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


class StateDocument(Section):
    """A route's state as the audit trail tells it."""

    stable: str
    weights: dict[str, float]
    wanted: dict[str, float] = {}
    override: OverrideDocument | None = None
    past: list[str] = []
    rejected: str | None = None
    rollout: dict[str, Any] | None = None
    lineage: dict[str, dict[str, Any]] = {}


class DryRunDocument(Section):
    """What a change would do; nothing was changed."""

    dry_run: bool
    generation: int
    """The newest generation."""
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
