"""What rollouts need of the world: measurements, gates, warm-ups, people, and what workers see.

The plane asks `observe` before it decides, writes what `prepare` makes together with the
decision, and calls `act` when that is written.  Nothing here decides anything.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Final

from router.analysis.fields import Document
from router.analysis.providers.base import Reading, Subject
from router.analysis.providers.registry import Providers
from router.analysis.providers.shadow import Reports, no_reports
from router.clock import Clock
from router.config import Config
from router.config.models import Route
from router.config.models.outside import Prometheus
from router.controller.changes import Configured, Decided
from router.controller.default_server import Measuring, with_default
from router.controller.endpoints import list_endpoints
from router.controller.fleet import Fleet
from router.controller.gates import Gates
from router.controller.notify import News, Notifier
from router.controller.runs import Runs, evidence_of
from router.controller.warmups import Warmups
from router.controller.webhooks import Webhooks
from router.link.messages import EndpointHealth
from router.rollouts.effects import Effect, Notify, StartRun, StopRun, StopWarmUp
from router.rollouts.events import EndpointSeen, Observation, Trip
from router.rollouts.spec import BlueGreenSpec
from router.rollouts.state import RouteState
from router.store.base import Run
from router.telemetry import families
from router.telemetry.recorder import Series
from router.telemetry.windows import History


class Outside:
    """Everything that a rollout sees and touches."""

    def __init__(self, fleet: Fleet, clock: Clock, reports: Reports = no_reports) -> None:
        """`reports` tells what is known of a route's shadow."""
        self._fleet: Final = fleet
        self._clock: Final = clock
        self._webhooks: Final = Webhooks()
        self.history: Final = History()
        self.gates: Final = Gates(self._webhooks, clock)
        self.warmups: Final = Warmups()
        self.notifier: Final = Notifier(self._webhooks)
        self.runs: Final = Runs(self, clock)
        self._standard: Final = Providers.standard(self.history, reports=reports)
        self._providers: Measuring = self._standard
        self._prometheus: Prometheus | None = None
        self._templates: Mapping[str, Document] = {}
        self._trips: dict[str, dict[str, Trip]] = {}

    def configure(self, config: Config) -> None:
        """Measure, ask and tell as this configuration says."""
        self._templates = {name: template.document for name, template in config.templates.items()}
        self._prometheus = config.providers.prometheus
        self.notifier.configure(config.notifications)
        routes = {route.name for route in config.routes}
        self.gates.keep(routes)
        self.warmups.keep_routes(routes)

    async def close(self) -> None:
        """Let go of every connection and task; runs go on with the next control."""
        await self.runs.close()
        await self.gates.close()
        await self.warmups.close()
        await self.notifier.close()
        await self._standard.aclose()
        await self._webhooks.aclose()

    # -- what a run needs (`router.controller.runs.World`) -------------------------------------

    @property
    def templates(self) -> Mapping[str, Document]:
        """Every analysis template by name, as it is configured now."""
        return self._templates

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of providers that there are."""
        return self._providers.kinds

    async def measure(self, kind: str, settings: Mapping[str, Any], subject: Subject) -> Reading:
        """Ask a provider once.

        Raises:
            ProviderError: there is no value to judge.
            SecretError: the configuration's Prometheus has a header that is not there.
        """
        complete = with_default(kind, settings, self._prometheus)
        return await self._providers.measure(kind, complete, subject)

    # -- what a rollout sees -------------------------------------------------------------------

    def observe(
        self, configured: Configured, state: RouteState, touched: int, *asked: str
    ) -> Observation:
        """What there is to see of one route; `touched` is its newest generation.

        `asked`: versions whose endpoints somebody wants to know of one by one; those of a
        blue-green target always are.
        """
        name, rollout = configured.route.name, state.rollout
        versions = {state.stable, rollout.target} if rollout is not None else {state.stable}
        one_by_one = set(asked)
        if rollout is not None and isinstance(configured.spec.strategy, BlueGreenSpec):
            one_by_one.add(rollout.target)
        workers = self._fleet.workers.values()
        return Observation(
            applied=bool(workers) and all(w.generation >= touched for w in workers),
            runs=self.runs.outcomes(name),
            tripped=self._trips.get(name, {}),
            healthy=dict(self._healthy(name, versions)),
            gates=self.gates.look(configured.route, state),
            warmups=self.warmups.look(configured.route, state),
            endpoints=dict(self._endpoints(configured.route, one_by_one)),
        )

    def sample(self, routes: Iterable[Configured]) -> None:
        """Add this moment to the history of the versions that may be measured."""
        watched = {
            (configured.route.name, version)
            for configured in routes
            for version in configured.spec.versions
        }
        self.history.add(self._clock.wall(), self._fleet.look(watched), watched)

    def look_at_breakers(self, now: float, states: Mapping[str, RouteState]) -> None:
        """See which have tripped, and remember since when.

        What is seen first now is of the attempt that goes on, also where the clock has been set
        back since that began.
        """
        before, self._trips = self._trips, {}
        for (route, version), why in self._fleet.trips().items():
            trip = before.get(route, {}).get(version)
            if trip is None:
                state = states.get(route)
                rollout = state.rollout if state is not None else None
                begun_s = rollout.attempt_s if rollout is not None else now
                trip = Trip(since_s=max(now, begun_s), message=why)
            self._trips.setdefault(route, {})[version] = trip

    def _healthy(self, route: str, versions: Iterable[str]) -> Iterator[tuple[str, int]]:
        for version in versions:
            said = self._fleet.endpoints(route, version)
            if said:
                yield version, sum(any(one.healthy for one in each) for each in said.values())

    def _endpoints(
        self, route: Route, versions: Set[str]
    ) -> Iterator[tuple[str, tuple[EndpointSeen, ...]]]:
        """Each endpoint of versions of which at least one worker has said something."""
        for name in route.versions.keys() & versions:
            said = self._fleet.endpoints(route.name, name)
            urls = [url.text for url in route.versions[name].endpoints]
            if said:
                known = list_endpoints(urls, said)
                yield name, tuple(_seen(label, said.get(label, ())) for label in known)

    # -- what a decision leads to --------------------------------------------------------------

    def prepare(self, route: str, effects: Iterable[Effect], now: float) -> list[Run]:
        """Make the runs that a decision begins, to be written with it."""
        return [self.runs.prepare(route, e, now) for e in effects if isinstance(e, StartRun)]

    def act(self, route: str, decided: Decided, runs: Iterable[Run]) -> None:
        """Do what a decision that is written asks for."""
        for run in runs:
            self.runs.begin(run)
        for effect in decided.effects:
            if isinstance(effect, StopRun):
                self.runs.stop(effect.id)
            elif isinstance(effect, StopWarmUp):
                self.warmups.stop(effect.id)
            elif isinstance(effect, Notify):
                self.notifier.tell(_news(route, decided.state, effect, self._clock.wall()))

    def evidence(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """A note's evidence, with the values that its run measured."""
        id_ = said.get("run")
        state = self.runs.last(id_) if isinstance(id_, str) else None
        return {**said, "metrics": evidence_of(state)} if state is not None else dict(said)

    # -- numbers -------------------------------------------------------------------------------

    def series(self) -> Iterator[Series]:
        """What is counted here."""
        yield from self.notifier.series()
        yield Series(families.ANALYSIS_RUNS.name, (), self.runs.active)
        for measured, number in self.runs.measured.items():
            yield Series(families.ANALYSIS_MEASUREMENTS.name, measured, number)


def _seen(url: str, said: Sequence[EndpointHealth]) -> EndpointSeen:
    """One endpoint, healthy if it is so for every worker: each of them will send it requests."""
    if not said:
        return EndpointSeen(url=url, healthy=False, reason="no worker has looked at it yet")
    reasons = sorted({one.reason for one in said if not one.healthy})
    return EndpointSeen(url=url, healthy=not reasons, reason="; ".join(reasons))


def _news(route: str, state: RouteState, effect: Notify, now: float) -> News:
    rollout = state.rollout
    target = rollout.target if rollout is not None else None
    return News(
        time_s=now,
        route=route,
        phase=effect.phase,
        reason=effect.reason,
        text=effect.text,
        canary=target,
        stable=state.stable,
        weight=(state.share(target) if target is not None else 0) / 100,
    )
