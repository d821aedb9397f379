"""What should be served: configuration, recorded state and evidence become generations.

Every change takes one way, one at a time: decide → compile → commit → publish (`Ledger`); whoever
asked for it may then wait until the workers have acknowledged.  Decisions are pure: those of
people are in `changes`, those of rollouts in `router.rollouts`.  A configuration that cannot be
used is refused whole and the old one keeps serving.

Level-triggered: what an interrupted decision has left undone (a run that was written and never
begun, a run that nobody waits for) is found and done by the next look.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from router.audit.entry import SYSTEM, Actor, Draft
from router.clock import Clock, SystemClock
from router.config import Config, compile_route, compile_snapshot, initial_state, lineage_of
from router.config.models import Route
from router.config.rollout import rollout_spec
from router.config.shadow import shadow_of
from router.controller.changes import (
    Action,
    Configured,
    Copying,
    Decided,
    Holding,
    KeyReusedError,
    Seen,
    StaleGenerationError,
    UnknownRouteError,
    clear_shadow,
    command,
    decided,
    release_weights,
    roll_back,
    set_shadow,
    set_weights,
    state_tag,
    told,
)
from router.controller.chronicler import Chronicler
from router.controller.events import Events
from router.controller.fleet import Fleet
from router.controller.ledger import Ledger, Publisher
from router.controller.outside import Outside
from router.controller.readiness import Readiness
from router.controller.runs import record_of
from router.controller.shadow.desk import Shadows
from router.errors import ConfigError
from router.link.server import Applied
from router.rollouts.events import Event, Observation, Switch, Tick
from router.rollouts.leaving import note_left
from router.rollouts.machine import advance
from router.rollouts.phases import Phase
from router.rollouts.rollout import RunRef
from router.rollouts.spec import Step
from router.rollouts.state import RouteState
from router.rollouts.status import Status, status
from router.snapshot import Snapshot, difference
from router.store.base import MAX_PAGE, RequestKey, Run, Store, StoreCorruptError, StoreError
from router.store.memory import MemoryStore
from router.store.pairs import PairStore
from router.store.pairs.memory import MemoryPairStore
from router.telemetry import families
from router.telemetry.exposition import Scrape
from router.telemetry.recorder import Series

log: Final = logging.getLogger(__name__)

MAX_ROUTES_TOLD: Final = 100
"""Routes of which a reload's audit entry tells before and after; all are counted."""

FILE_CHANGED: Final = Actor("configuration file", "system")
HANGUP: Final = Actor("SIGHUP", "system")


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What became of a reload: the generation in force, and why a file was refused."""

    generation: int
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The newest configuration that could not be used, and why; `time_s` is when it was read."""

    time_s: float
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One wish to change a route: whose, why, and under which conditions.

    `seen` is what the caller has seen of the route: if it has changed since, nothing is done.
    `key` makes a repeated call do nothing again.
    """

    actor: Actor
    reason: str
    seen: Seen | None = None
    dry_run: bool = False
    key: RequestKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a call did, or would do: `generation` is the one that serves it.

    `repeated`: the call was known already by its key, and nothing was done again.  `tag` is that of
    `before` (`state_tag`), where nothing was done.
    """

    generation: int
    route: str
    before: RouteState
    after: RouteState
    dry_run: bool = False
    repeated: bool = False
    tag: str = ""


Decide = Callable[[Configured, RouteState, float], Decided]


class ControlPlane:
    """Holds the configuration and the newest record; `start` before anything else."""

    def __init__(
        self,
        load: Callable[[], Config],
        fleet: Fleet,
        store: Store | None = None,
        clock: Clock | None = None,
        pairs: PairStore | None = None,
        source: str | None = None,
    ) -> None:
        """`source` is the configuration's file, if it has one: what people are shown."""
        self.source: Final = source
        self.fleet: Final = fleet
        self.store: Final = store or MemoryStore()
        self.clock: Final = clock or SystemClock()
        self.events: Final = Events(self.clock.wall)
        self.shadows: Final = Shadows(self.route, pairs or MemoryPairStore(), self.clock)
        self.outside: Final = Outside(fleet, self.clock, self.shadows.report)
        self.chronicler: Final = Chronicler(fleet, self.clock, lambda: self.snapshot)
        self.when_changed: Callable[[], None] = lambda: None
        self._ledger: Final = Ledger(self.store, self.events)
        self._load: Final = load
        self._config = Config()
        self._first_config: Config | None = None
        self._routes: dict[str, Configured] = {}
        self._in_doubt: tuple[Config, int] | None = None
        self._restless: set[str] = set()
        self._faults: dict[str, str] = {}
        self._loaded_s = 0.0
        self._refusal: Refusal | None = None
        self._reloads: Final = {"ok": 0, "refused": 0}
        self._background: set[asyncio.Task[None]] = set()
        fleet.when_ahead = self._on_ahead
        fleet.when_counts_jump = self._on_counts_jump
        fleet.tell = self.events.tell
        fleet.when_paired = self.shadows.take

    async def start(self, publisher: Publisher, config: Config | None = None) -> None:
        """Go on from what is recorded, with the configuration as it is now.

        Opens the store; `config` saves the first load.

        Raises:
            ConfigError: the configuration cannot be used; nothing is served.
            StoreError: what is recorded cannot be read.
        """
        if config is None:
            config = await asyncio.to_thread(self._load)
        self._first_config = config
        async with self._ledger.changing:
            await self._ledger.open(publisher)
            recorded = self.snapshot
            await self._take(config, SYSTEM)
            if self.snapshot is recorded:
                self._ledger.publish()
            await self._restore_runs()
            await self._recall_runs()
        await self.shadows.start()
        self._reloads["ok"] += 1

    async def close(self) -> None:
        """Let go of everything, once the change under way is written."""
        await self.outside.close()
        await self.shadows.close()
        with suppress(StoreError):  # then the next control measures once more
            await self.save_runs()
        await self._ledger.close()

    # -- what people change --------------------------------------------------------------------

    async def reload(self, actor: Actor = FILE_CHANGED, reason: str = "") -> Reloaded:
        """Read the configuration again; one that cannot be used changes nothing.

        Raises:
            StoreError: the store did not answer.
        """
        async with self._ledger.changing:
            try:
                config = await asyncio.to_thread(self._load)
                await self._know()
                await self._take(config, actor, reason)
            except ConfigError as error:
                await self._refuse(error, actor, reason)
                return Reloaded(self.snapshot.generation, str(error))
        self._reloads["ok"] += 1
        log.info("configuration loaded: generation %d", self.snapshot.generation)
        self.events.tell("config", result="ok", generation=self.snapshot.generation)
        self._warn_of_restart(config)
        self.when_changed()
        return Reloaded(self.snapshot.generation)

    async def set_weights(
        self, route: str, weights: Mapping[str, int], call: Call, *, for_s: float | None = None
    ) -> Change:
        """Let a person's weights, in basis points, replace the controller's.

        Raises:
            RefusedError, StoreError: nothing was changed (but see `StoreUnavailableError`).
        """
        holding = Holding(call.actor, call.reason, for_s)

        def decide(configured: Configured, state: RouteState, now: float) -> Decided:
            return set_weights(configured.route, state, weights, holding, now)

        return await self._change(route, decide, call)

    async def release_weights(self, route: str, call: Call) -> Change:
        """Give a route back to the controller; raises as `set_weights` does."""

        def decide(_configured: Configured, state: RouteState, _now: float) -> Decided:
            return release_weights(state, call.actor, call.reason)

        return await self._change(route, decide, call)

    async def set_shadow(self, route: str, wanted: Copying, call: Call) -> Change:
        """Let a person's shadow replace other ones; raises as `set_weights` does."""
        holding = Holding(call.actor, call.reason)

        def decide(configured: Configured, state: RouteState, now: float) -> Decided:
            return set_shadow(configured.route, state, wanted, holding, now)

        return await self._change(route, decide, call)

    async def clear_shadow(self, route: str, call: Call) -> Change:
        """Let configuration and rollout say what is copied; raises as `set_weights` does."""

        def decide(_configured: Configured, state: RouteState, _now: float) -> Decided:
            return clear_shadow(state, call.reason)

        return await self._change(route, decide, call)

    async def roll_back(self, route: str, call: Call, *, force: bool = False) -> Change:
        """All traffic to the last stable version; raises as `switch` does."""

        def decide(configured: Configured, state: RouteState, now: float) -> Decided:
            seen = self._observe(configured, state, *state.past)
            return roll_back(configured.spec, state, call.reason, now, seen, force=force)

        return await self._change(route, decide, call)

    async def switch(self, route: str, to: str, call: Call, *, force: bool = False) -> Change:
        """All traffic to one version at once; `force`: healthy or not, whoever holds the route.

        Raises:
            NotReadyError: the version is not healthy enough; nothing was changed.
            RefusedError, StoreError: as `set_weights` does.
        """

        def decide(configured: Configured, state: RouteState, now: float) -> Decided:
            seen = self._observe(configured, state, to)
            event = Switch(reason=call.reason, to=to, observation=seen, force=force)
            return command(configured.spec, state, event, now)

        return await self._change(route, decide, call)

    async def command(self, route: str, event: Event, call: Call) -> Change:
        """Tell a rollout to start, pause, …; raises as `set_weights` does."""

        def decide(configured: Configured, state: RouteState, now: float) -> Decided:
            return command(configured.spec, state, event, now)

        return await self._change(route, decide, call)

    async def note(self, entry: Draft) -> None:
        """Write an audit entry that changes nothing.

        Raises:
            StoreError: it may not have been written.
        """
        async with self._ledger.changing:
            await self._know()
            await self._ledger.commit(entries=(entry,))

    async def wait_applied(self, deadline_s: float, generation: int | None = None) -> Applied:
        """Wait until every worker serves a generation (the newest), or time is up."""
        return await self._ledger.wait_applied(deadline_s, generation)

    # -- what the controller changes -----------------------------------------------------------

    async def reconcile(self) -> None:
        """Look at every route that is not at rest, and do what follows: once, in one transaction.

        With it the measurements are written that have come, those that led to it among them.

        Raises:
            StoreError: the store did not answer.
        """
        async with self._ledger.changing:
            await self._know()
            await self._recall_runs()
            now = self.clock.wall()
            decisions = self._look_at_all(now)
            if decisions:
                await self._carry_out(decisions, SYSTEM, now)
        await self.save_runs()
        if decisions:
            self.when_changed()  # what was begun can be asked, and the next step may be due

    async def save_runs(self) -> None:
        """Write the measurements that have come.

        Raises:
            StoreError: they are kept, and written with the next ones.
        """
        async with self._ledger.changing:
            await self._know()
            await self._commit()

    def sample(self) -> None:
        """Add this moment to the history that analyses measure; once a second."""
        known = [name for name in self._restless if name in self._routes]
        self.outside.sample(self._routes[name] for name in known)

    # -- views ---------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def loaded_s(self) -> float:
        """When the configuration in force was read."""
        return self._loaded_s

    @property
    def refusal(self) -> Refusal | None:
        """Why a newer configuration is not in force; None: this is the newest."""
        return self._refusal

    @property
    def restart_needed(self) -> tuple[str, ...]:
        """What of the configuration is not in force before control and workers begin anew."""
        if self._first_config is None:
            return ()
        return tuple(_begun_otherwise(self._first_config, self._config))

    @property
    def snapshot(self) -> Snapshot:
        """The newest table."""
        return self._ledger.snapshot

    @property
    def states(self) -> Mapping[str, RouteState]:
        """How far every route has come."""
        return self._ledger.states

    def touched(self, route: str) -> int:
        """The generation in which a route changed last, or one that is not older."""
        return self._ledger.touched(route)

    def route(self, name: str) -> tuple[Route, RouteState]:
        """What is configured about a route, and how far it has come.

        Raises:
            UnknownRouteError: no route has this name.
        """
        return self._configured(name).route, self.states[name]

    def status(self, name: str) -> Status:
        """How a route's rollout is doing; raises as `route` does."""
        return status(self._configured(name).spec, self.states[name])

    def steps(self, name: str) -> tuple[Step, ...]:
        """The steps of a route's strategy as it is configured now; raises as `route` does."""
        return self._configured(name).spec.canary.steps

    async def run(self, id_: str) -> Run | None:
        """An analysis run, with what it has measured up to now."""
        live = self.outside.runs.last(id_)
        return record_of(id_, live) if live is not None else await self.store.run(id_)

    def readiness(self) -> Readiness:
        """May this router be sent traffic, and if not, why."""
        return self.fleet.readiness(self.snapshot)

    def scrape(self, more: Iterable[Series] = ()) -> Scrape:
        """Every number of this moment, and `more`."""
        own = [*self.fleet.series(), *self._series(), *more]
        return Scrape(self.fleet.view(), self.snapshot, own)

    def _series(self) -> Iterator[Series]:
        for result, number in self._reloads.items():
            yield Series(families.RELOADS.name, (result,), number)
        yield Series(families.STORE_FAILURES.name, (), self._ledger.failures)
        for name, state in self.states.items():
            if state.rollout is not None:
                for phase in Phase:
                    here = phase is state.rollout.phase
                    yield Series(families.ROLLOUT_PHASE.name, (name, phase.value), here)
                step = state.rollout.step + 1 if state.rollout.in_flight else 0
                yield Series(families.ROLLOUT_STEP.name, (name,), step)
        yield from self.events.series()
        yield from self.outside.series()
        yield from self.chronicler.series()
        yield from self.shadows.series()

    # -- one decision --------------------------------------------------------------------------

    def _configured(self, name: str) -> Configured:
        if name not in self._routes:
            raise UnknownRouteError(f"no route is called {name!r}")
        return self._routes[name]

    async def _change(self, name: str, decide: Decide, call: Call) -> Change:
        async with self._ledger.changing:
            await self._know()
            configured = self._configured(name)
            state = self.states[name]
            if (answered := await self._answered(call)) is not None:
                return Change(
                    generation=answered, route=name, before=state, after=state, repeated=True
                )
            self._check_seen(configured, state, call.seen)
            now = self.clock.wall()
            decision = decide(configured, state, now)
            if not call.dry_run:
                await self._carry_out({name: decision}, call.actor, now, key=call.key)
        self.when_changed()
        return Change(
            generation=self.snapshot.generation,
            route=name,
            before=state,
            after=decision.state,
            dry_run=call.dry_run,
            tag=state_tag(state, configured.spec) if call.dry_run else "",
        )

    async def _answered(self, call: Call) -> int | None:
        """The generation that served this call when it came first."""
        if call.key is None or call.dry_run:
            return None
        found = await self.store.find_request(call.key.actor, call.key.key)
        if found is None:
            return None
        first, generation = found
        if first != call.key:
            raise KeyReusedError("this Idempotency-Key was used for another request")
        return generation

    def _check_seen(self, configured: Configured, state: RouteState, seen: Seen | None) -> None:
        if seen is None:
            return
        name = configured.route.name
        if seen.generation > self.snapshot.generation:
            raise StaleGenerationError(f"there is no generation {seen.generation} yet")
        if seen.generation < self.touched(name):
            raise StaleGenerationError(
                f"route {name} has changed in generation {self.touched(name)}, after the "
                f"generation {seen.generation} that you have seen"
            )
        if seen.state not in (None, state_tag(state, configured.spec)):
            raise StaleGenerationError(
                f"the rollout of route {name}, or its configuration, has changed since you looked"
            )

    def _look_at_all(self, now: float) -> dict[str, Decided]:
        """What follows for every route; a fault in one of them is no hindrance to the others."""
        self.outside.runs.keep(self._named_runs)
        self.outside.look_at_breakers(now, self.states)
        decisions = {}
        for name in [name for name in self._restless if name in self.states]:
            try:
                found = self._look(name, now)
            except Exception as error:
                self._note_fault(name, error)
                continue
            self._faults.pop(name, None)
            if found is not None:
                decisions[name] = found
        return decisions

    def _note_fault(self, name: str, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if self._faults.get(name) != text:  # else it is known, and there are two looks a second
            self._faults[name] = text
            log.error("%s: a fault, this route stands still: %s", name, text, exc_info=error)

    def _look(self, name: str, now: float) -> Decided | None:
        """What follows from what is seen of a route; None if nothing does."""
        configured, state = self._routes[name], self.states[name]
        observation = self._observe(configured, state)
        decision = advance(configured.spec, state, Tick(observation), now)
        if decision.state != state or decision.effects:
            return decided(decision)
        if _is_at_rest(state, applied=observation.applied):
            self._restless.discard(name)
        return None

    def _observe(self, configured: Configured, state: RouteState, *asked: str) -> Observation:
        touched = self.touched(configured.route.name)
        return self.outside.observe(configured, state, touched, *asked)

    async def _carry_out(
        self,
        decisions: Mapping[str, Decided],
        actor: Actor,
        now: float,
        *,
        key: RequestKey | None = None,
    ) -> None:
        """Write decisions with their reasons and runs, publish the table, then act."""
        before = {name: self.states[name] for name in decisions}
        states = {name: note_left(before[name], d.state, now) for name, d in decisions.items()}
        runs = {name: self.outside.prepare(name, d.effects, now) for name, d in decisions.items()}
        entries = [
            draft
            for name, decision in decisions.items()
            for draft in self._drafts(name, before[name], decision, actor, now)
        ]
        # Before it is known to be written: if it was, somebody has to go on with it.
        self._restless |= states.keys()
        await self._commit(
            snapshot=self._table_with(states),
            states=states,
            entries=entries,
            runs=[run for of_route in runs.values() for run in of_route],
            key=key,
        )
        for name, decision in decisions.items():
            self.outside.act(name, decision, runs[name])
        for entry in entries:
            self._tell(entry)

    async def _commit(self, *, runs: Sequence[Run] = (), **what: Any) -> None:
        """Write what is decided, and with it the measurements that it was decided on.

        Raises:
            StoreError: the measurements are kept, and written with the next commit.
        """
        measured = self.outside.runs.take_unsaved()
        if not measured and not runs and not any(what.values()):
            return
        try:
            await self._ledger.commit(runs=[*self.outside.runs.records(measured), *runs], **what)
        except BaseException:
            self.outside.runs.put_back(measured)
            raise

    def _drafts(
        self, name: str, before: RouteState, decision: Decided, actor: Actor, now: float
    ) -> Iterator[Draft]:
        route = self._routes[name].route
        for word in decision.words:
            yield Draft(
                time_s=now,
                actor=actor,
                action=word.action,
                route=name,
                reason=word.reason,
                before=told(before, shadow_of(route, before)),
                after=told(decision.state, shadow_of(route, decision.state)),
                evidence=self.outside.evidence(word.evidence) if word.evidence else None,
            )

    def _tell(self, entry: Draft) -> None:
        log.info("%s: %s by %s: %s", entry.route, entry.action, entry.actor.name, entry.reason)
        self.events.tell(
            entry.action,
            entry.route,
            actor=entry.actor.name,
            reason=entry.reason,
            generation=self.snapshot.generation,
            state=entry.after,
        )

    def _table_with(self, states: Mapping[str, RouteState]) -> Snapshot | None:
        """The next table, if these states make another one."""
        old = self.snapshot
        made = {
            name: compile_route(self._routes[name].route, self._routes[name].order, state)
            for name, state in states.items()
        }
        if all(made[route.name] == route for route in old.routes if route.name in made):
            return None
        routes = tuple(made.get(route.name, route) for route in old.routes)
        return Snapshot(generation=old.generation + 1, routes=routes)

    # -- the configuration ---------------------------------------------------------------------

    async def _take(self, config: Config, actor: Actor, reason: str = "") -> None:
        """Serve a configuration, if it can be; `ConfigError` before anything was changed."""
        states = _states(config, self.states)
        generation = self.snapshot.generation + 1
        made = await asyncio.to_thread(compile_snapshot, config, generation, states)
        snapshot = made if made.routes != self.snapshot.routes or generation == 1 else None
        changed = {name: s for name, s in states.items() if self.states.get(name) != s}
        removed = [name for name in self.states if name not in states]
        if snapshot is not None or changed or removed:
            entry = self._told_of_reload(made, states, actor, reason)
            self._in_doubt = config, self._ledger.revision
            await self._ledger.commit(
                snapshot=snapshot, states=changed, removed=removed, entries=(entry,)
            )
        self._adopt(config)

    def _adopt(self, config: Config) -> None:
        """Go by this configuration; what is recorded fits it."""
        self._in_doubt = None
        self._loaded_s, self._refusal = self.clock.wall(), None
        self._config, self._routes = config, _by_name(config)
        self._restless = set(self._routes)
        self._faults.clear()
        self.fleet.keep(self.snapshot)
        self.outside.configure(config)
        self.shadows.configure(config)

    async def _know(self) -> None:
        """Be sure of what is recorded, and of the configuration that it was made with."""
        await self._ledger.know()
        if self._in_doubt is not None:
            config, revision = self._in_doubt
            self._in_doubt = None
            if self._ledger.revision > revision:
                log.warning("the configuration that the store did not answer for is in force")
                self._adopt(config)

    def _told_of_reload(
        self, made: Snapshot, states: Mapping[str, RouteState], actor: Actor, reason: str
    ) -> Draft:
        change = difference(self.snapshot, made)
        names = [*(route.name for route in change.changed), *change.removed]
        shown = names[:MAX_ROUTES_TOLD]
        before = {route.name: route.shadow for route in self.snapshot.routes}
        after = {route.name: route.shadow for route in made.routes}
        return Draft(
            time_s=self.clock.wall(),
            actor=actor,
            action=Action.CONFIG_LOADED,
            reason=reason,
            before={name: told(self.states.get(name), before.get(name)) for name in shown},
            after={name: told(states.get(name), after.get(name)) for name in shown},
            evidence={"routesChanged": len(names)},
        )

    async def _refuse(self, error: ConfigError, actor: Actor, reason: str) -> None:
        self._reloads["refused"] += 1
        self._refusal = Refusal(self.clock.wall(), str(error))
        log.error("configuration refused, the old one keeps serving:\n%s", error)
        self.events.tell("config", result="refused", problem=str(error))
        entry = Draft(
            time_s=self.clock.wall(),
            actor=actor,
            action=Action.CONFIG_REFUSED,
            reason=reason,
            evidence={"problem": str(error)},
        )
        await self._know()
        await self._ledger.commit(entries=(entry,))

    async def _restore_runs(self) -> None:
        """Go on with all analyses; those that no route waits for are ended by the first look."""
        try:
            kept = await self.store.runs(unfinished=True, limit=MAX_PAGE)
        except StoreCorruptError as error:
            log.error("analysis runs: %s", error)  # those that are waited for come one by one
        else:
            self.outside.runs.restore(kept)

    async def _recall_runs(self) -> None:
        """Go on with the analyses that routes wait for and nobody drives."""
        for name in self._restless & self.states.keys():
            for ref in _awaited(self.states[name]):
                if not self.outside.runs.knows(ref.id, name):
                    await self._recall(ref.id, name)

    async def _recall(self, id_: str, route: str) -> None:
        runs = self.outside.runs
        try:
            found = await self.store.run(id_)
        except StoreCorruptError as error:
            runs.lose(id_, route, str(error))
            return
        if found is None:
            runs.lose(id_, route, "the store has no record of it; retry the rollout")
        else:
            runs.restore([found])

    def _named_runs(self, route: str) -> Set[str]:
        state = self.states.get(route)
        return {ref.id for ref in _runs_of(state)} if state is not None else set()

    def _on_counts_jump(self) -> None:
        self.outside.history.clear()
        self.chronicler.chronicle.begin_anew()

    def _on_ahead(self, generation: int) -> None:
        task = asyncio.get_running_loop().create_task(self._renumber(generation))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _renumber(self, generation: int) -> None:
        try:
            async with self._ledger.changing:
                await self._know()  # what is in doubt is told by the number of commits
            await self._ledger.renumber(above=generation)
        except StoreError as error:
            log.error("workers serve another control's generation %d: %s", generation, error)

    def _warn_of_restart(self, config: Config) -> None:
        assert self._first_config is not None
        for name in _begun_otherwise(self._first_config, config):
            log.warning("%s has changed: that needs a restart", name)


def _begun_otherwise(first: Config, config: Config) -> Iterator[str]:
    for name, field in type(config.server).model_fields.items():
        if getattr(first.server, name) != getattr(config.server, name):
            yield f"server.{field.alias or name}"
    if first.store != config.store:
        yield "store"


def _runs_of(state: RouteState) -> list[RunRef]:
    """The runs that a rollout names, whether they have ended or not."""
    rollout = state.rollout
    refs = (rollout.inline, rollout.background) if rollout is not None else ()
    return [ref for ref in refs if ref is not None]


def _awaited(state: RouteState) -> list[RunRef]:
    return [ref for ref in _runs_of(state) if ref.outcome is None]


def _is_at_rest(state: RouteState, *, applied: bool) -> bool:
    """Whether nothing follows unless somebody changes something.

    After an abort a release that has come meanwhile waits for the workers to serve it.
    """
    if state.override is not None:
        return False
    rollout = state.rollout
    return rollout is None or (
        not rollout.in_flight and (applied or rollout.phase is Phase.HEALTHY)
    )


def _by_name(config: Config) -> dict[str, Configured]:
    return {
        route.name: Configured(order, route, rollout_spec(route))
        for order, route in enumerate(config.routes)
    }


def _states(config: Config, known: Mapping[str, RouteState]) -> dict[str, RouteState]:
    """The states that a configuration's routes go on with."""
    return {route.name: _state(route, known.get(route.name)) for route in config.routes}


def _state(route: Route, known: RouteState | None) -> RouteState:
    if known is None:
        return initial_state(route)
    return msgspec.structs.replace(
        known,
        past=tuple(name for name in known.past if name in route.versions),
        rejected=known.rejected if known.rejected == route.release else None,
        lineage=lineage_of(route),
    )
