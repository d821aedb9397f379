"""What callers send: parameters and bodies, as models that cannot be wrong once they exist."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from router.admin.fields import (
    Document,
    Flag,
    Headers,
    IfMatch,
    InHeader,
    Key,
    Method,
    Parameters,
    Percent,
    Reason,
    RequestPath,
    Seconds,
    Wait,
    Whole,
)
from router.comparison import Verdict

DEFAULT_WAIT_S = 5.0

Limit = Annotated[int, Whole(1, 1_000)]
Sequence = Annotated[int, Whole(0)]
Text = Annotated[str, Field(max_length=255)]
OneVerdict = Annotated[
    Verdict, WithJsonSchema({"type": "string", "enum": [verdict.value for verdict in Verdict]})
]


class RouteParameters(Parameters):
    """Which route."""

    route: str
    """The route's name."""


class WaitParameters(Parameters):
    """How long to wait for the workers."""

    wait_seconds: Wait = DEFAULT_WAIT_S
    """How long to wait until every live worker serves the change; 202 when some do not by then."""


class ChangeParameters(RouteParameters, WaitParameters):
    """How a change is made."""

    dry_run: Flag = False
    """Say what would change, and change nothing."""
    if_match: Annotated[IfMatch, InHeader("If-Match")] = None
    """The generation that you have seen (an ETag): 412 if the route has changed since.  A dry run's
    `tag` instead: 412 also if the rollout has gone on."""
    idempotency_key: Annotated[Key | None, InHeader("Idempotency-Key")] = None
    """Makes a repeated call do nothing again: it gets the first one's generation, for 24 hours."""


class ReleaseParameters(ChangeParameters):
    """How weights or a shadow are given back."""

    reason: Reason | None = None
    """Why, if there is no body."""


class EventParameters(Parameters):
    """Where to go on in the stream."""

    last_event_id: Annotated[str | None, InHeader("Last-Event-ID")] = None
    """The `id` of the last event that was read; what came after it follows."""


class GenerationParameters(Parameters):
    """Which generation."""

    number: Annotated[int, Whole(0)]
    """The generation's number, as in `x-router-generation`."""


class GenerationsParameters(Parameters):
    """Which generations."""

    before: Annotated[int, Whole(0)] | None = None
    """Only those below this number."""
    limit: Annotated[int, Whole(1, 100)] = 20
    """How many at most."""


class RunsParameters(Parameters):
    """Which analysis runs."""

    route: Text | None = None
    """Only those of this route."""
    limit: Annotated[int, Whole(1, 100)] = 20
    """How many at most, the newest first."""


class RunParameters(Parameters):
    """Which analysis run."""

    id: Text
    """The run's id."""


class ExportParameters(RouteParameters):
    """Which recorded pairs of answers."""

    verdict: OneVerdict | None = None
    """Only those that were judged so."""


class ComparisonsParameters(ExportParameters):
    """Which recorded pairs of answers, a page of them."""

    before: Annotated[int, Whole(1)] | None = None
    """Only those below this id."""
    limit: Annotated[int, Whole(1, 100)] = 20
    """How many at most, the newest first."""


class ComparisonParameters(RouteParameters):
    """Which recorded pair of answers."""

    id: Annotated[int, Whole(1)]
    """The pair's id."""


class AuditParameters(Parameters):
    """Which entries."""

    route: Text | None = None
    """Only those about this route."""
    action: Text | None = None
    """Only those with this action, like `weights.set`."""
    actor: Text | None = None
    """Only those of this token, or of `controller`."""
    search: Text | None = None
    """Only those with this in reason, actor, action or route, whatever its case.

    A page looks at 20 000 entries at most: one that is short, or empty, may have a next one.
    """
    after: Sequence | None = None
    """The oldest above this sequence number, oldest first."""
    before: Sequence | None = None
    """The newest below this sequence number, newest first (the order without `after`)."""
    limit: Limit = 100
    """How many at most; a page of large ones ends earlier, and says so by `next`."""


class Login(Document):
    """What somebody logs in to the console with."""

    token: Annotated[str, Field(min_length=1, max_length=4_096, repr=False)]
    """The token."""


class PageParameters(Parameters):
    """Which routes, a page of them, in the order of their names."""

    search: Text | None = None
    """Only those with this in their name, whatever its case."""
    after: Text | None = None
    """Only those whose name comes after this one."""
    limit: Limit = 100
    """How many at most."""


class HistoryParameters(RouteParameters):
    """Which part of a route's history, and how finely."""

    seconds: Annotated[int, Whole(60, 21_600)] = 3_600
    """How far back."""
    points: Annotated[int, Whole(2, 720)] = 180
    """How many moments at most."""


class Why(Document):
    """Why something is done; it stands in the audit trail."""

    reason: Reason
    """One line, for whoever reads the audit trail."""


class StartWhy(Why):
    """Why a rollout is started, and to which version."""

    to: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """The version that should become stable; the release without it."""


class Back(Why):
    """Why a route goes back to its last stable version."""

    force: bool = False
    """Whether that version is healthy or not; only admins may say so."""


class Switch(Back):
    """To which version all traffic goes, and why."""

    to: Annotated[str, Field(min_length=1, max_length=63)]
    """The version."""


class Weights(Why):
    """How a route's traffic is shared out, in percent."""

    weights: Annotated[dict[str, Percent], Field(min_length=1)]
    """Percent of each version, 100 together; a version that is not named gets nothing."""
    expires_seconds: Seconds | None = None
    """After so long the controller takes over again; until released without it."""


class ShadowWish(Why):
    """Which version gets copies of the stable version's requests."""

    version: Annotated[str, Field(min_length=1, max_length=63)]
    """The version; it has no weight."""
    percent: Percent
    """Share of the requests that is copied; 0: none, whatever configuration and rollout say."""
    noise_percent: Percent | None = None
    """Share of the copied ones that stable answers a second time; as configured without it."""


class Question(Document):
    """A request whose way should be explained; it is neither sent nor kept."""

    path: RequestPath
    """The path, with or without a query."""
    method: Method = "POST"
    """The method."""
    headers: Headers = {}
    """Header fields."""
    body: Any = None
    """A text is the body as it is, anything else is sent as JSON; null is no body."""
