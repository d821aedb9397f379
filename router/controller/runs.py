"""Analysis runs while they run: what is due is measured, answers are judged, all of it is kept.

What a run means is `router.analysis.run`, a pure state machine; this drives it.  A run is written
with the decision that starts it, and again after each measurement, so that a restarted control
goes on with the same measurements; what was being measured is asked again.

Guarantees (each is a test in tests/unit/controller/test_runs.py):
  * whatever a provider does, its metric gets a measurement: a defect is an Error, never silence;
  * a run that ends is known by its outcome until the route's state names it no more;
  * what could not be written is written with the next change of the same run, or by itself.
"""

import asyncio
import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, Final, Protocol

import msgspec

from router.analysis import run as analysis
from router.analysis.arguments import Argument, ArgumentError
from router.analysis.fields import Document
from router.analysis.phases import Phase
from router.analysis.plan import Order
from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.run import RunState
from router.analysis.secret import NO_SECRETS, Secrets
from router.analysis.template import Retention
from router.clock import Clock
from router.controller.default_server import Measuring
from router.controller.secrets import SecretError, read_arguments
from router.rollouts.effects import RunKind, StartRun
from router.rollouts.events import RunOutcome
from router.store.base import Run

log: Final = logging.getLogger(__name__)

MAX_EVIDENCE: Final = 5
"""Measurements of each metric that an audit entry repeats."""


class World(Measuring, Protocol):
    """What runs are made of and measured with."""

    @property
    def templates(self) -> Mapping[str, Document]:
        """Every analysis template by name, as it is configured now."""
        ...


class Runs:
    """Every run that has no verdict, and the verdicts that nobody has taken note of yet."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world: Final = world
        self._clock: Final = clock
        self._runs: Final[dict[str, RunState]] = {}
        self._next_at: Final[dict[str, float | None]] = {}
        self._turned_s = math.inf
        self._outcomes: Final[dict[str, dict[str, RunOutcome]]] = {}
        self._ended: Final[dict[str, RunState]] = {}
        self.measured: Final[dict[tuple[str, str, str], int]] = {}
        """Measurements by route, metric and phase; names come from the configuration."""
        self._unsaved: Final[dict[str, RunState]] = {}
        self._measuring: Final[set[asyncio.Task[None]]] = set()
        self.on_outcome: Callable[[str], None] = lambda _route: None

    # -- begin and end -------------------------------------------------------------------------

    def restore(self, kept: Iterable[Run]) -> None:
        """Go on with runs that a control before us began."""
        for record in kept:
            try:
                state = state_of(record)
            except msgspec.MsgspecError:
                self.lose(record.id, record.route, "its record is of another release")
            else:
                self._take(record.id, analysis.on_restart(state))

    def lose(self, id_: str, route: str, why: str) -> None:
        """Give a run up that a route waits for and nobody can go on with: it counts as Error."""
        message = f"analysis run {id_} cannot go on: {why}"
        log.error("%s", message)
        self._outcomes.setdefault(route, {})[id_] = RunOutcome(phase=Phase.ERROR, message=message)
        self.on_outcome(route)

    def prepare(self, route: str, effect: StartRun, now: float) -> Run:
        """Make a run, to be written with the decision that asks for it; `begin` follows."""
        subject = Subject(
            route=route,
            canary=effect.subject,
            stable=effect.baseline,
            started_s=now,
            now_s=now,
        )
        order = _order(effect)
        state = analysis.start(order, self._world.templates, subject, providers=self._world.kinds)
        return record_of(effect.id, state)

    def begin(self, record: Run) -> None:
        """Drive a run that has been written."""
        self._take(record.id, state_of(record))

    def stop(self, id_: str) -> None:
        """End a run that nobody waits for."""
        if (state := self._runs.get(id_)) is not None:
            self._put(id_, analysis.terminate(state, self._clock.wall()))

    async def close(self) -> None:
        """Let go of every measurement; the runs go on with the next control."""
        for task in self._measuring:
            task.cancel()
        await asyncio.gather(*self._measuring, return_exceptions=True)

    # -- what others see -----------------------------------------------------------------------

    def outcomes(self, route: str) -> Mapping[str, RunOutcome]:
        """Verdicts of a route's runs, by id."""
        return self._outcomes.get(route, {})

    def knows(self, id_: str, route: str) -> bool:
        """Whether a run goes on here, or has an outcome."""
        return id_ in self._runs or id_ in self.outcomes(route)

    def keep(self, named: Callable[[str], Set[str]]) -> None:
        """Let go of every run that its route's state (`named`: route to ids) does not name."""
        for id_, state in list(self._runs.items()):
            if id_ not in named(state.route):
                self.stop(id_)
        for route, known in list(self._outcomes.items()):
            for id_ in known.keys() - named(route):
                del known[id_]
                self._ended.pop(id_, None)
            if not known:
                del self._outcomes[route]

    def last(self, id_: str) -> RunState | None:
        """A run that goes on, or that a route's state still names."""
        return self._runs.get(id_) or self._ended.get(id_)

    @property
    def active(self) -> int:
        """Runs without a verdict."""
        return len(self._runs)

    # -- the work ------------------------------------------------------------------------------

    def turn(self) -> None:
        """Ask what is due, and look at deadlines; answers come later."""
        now = self._clock.wall()
        # If the clock was set back, now or before this control began, all runs are looked at.
        back, self._turned_s = now < self._turned_s, now
        late = [id_ for id_, at in self._next_at.items() if at is not None and (back or at <= now)]
        for id_ in late:
            state = self._put(id_, analysis.on_tick(self._runs[id_], now))
            for name in analysis.due(state, now):
                self._ask(id_, name, now)

    def take_unsaved(self) -> dict[str, RunState]:
        """Runs that have changed since they were last taken; whoever takes them writes them."""
        taken = dict(self._unsaved)
        self._unsaved.clear()
        return taken

    @staticmethod
    def records(states: Mapping[str, RunState]) -> list[Run]:
        """Runs as the store keeps them."""
        return [record_of(id_, state) for id_, state in states.items()]

    def put_back(self, states: Mapping[str, RunState]) -> None:
        """These could not be written; newer ones of the same run are there already."""
        for id_, state in states.items():
            self._unsaved.setdefault(id_, state)

    def _ask(self, id_: str, name: str, now: float) -> None:
        # Not written: a control that is started again asks anew, whatever was on its way.
        self._set(id_, analysis.begin(self._runs[id_], name, now))
        measuring = self._measure(id_, self._runs[id_], name)
        task = asyncio.get_running_loop().create_task(measuring)
        self._measuring.add(task)
        task.add_done_callback(self._measuring.discard)

    async def _measure(self, id_: str, asked: RunState, name: str) -> None:
        secrets = NO_SECRETS
        answer: Reading | str
        try:
            secrets = read_arguments(asked.values.secret_sources)
            answer = await self._question(asked, name, secrets)
        except (ProviderError, SecretError, ArgumentError) as error:
            answer = str(error)
        except Exception as error:
            answer = _defect(id_, name, error)
        if (state := self._runs.get(id_)) is not None:  # else it was ended meanwhile
            judged = self._judged(id_, state, name, answer, secrets)
            self._count(judged, name)
            self._put(id_, judged)

    async def _question(self, asked: RunState, name: str, secrets: Secrets) -> Reading:
        settings = analysis.settings_for(asked, name, secrets)
        subject = asked.subject(self._clock.wall())
        reading = await self._world.measure(asked.metric(name).provider, settings, subject)
        _check_writable(reading)
        return reading

    def _count(self, state: RunState, name: str) -> None:
        last = state.result(name).last
        if last is not None:
            key = (state.route, name, last.phase.value)
            self.measured[key] = self.measured.get(key, 0) + 1

    def _judged(
        self, id_: str, state: RunState, name: str, answer: Reading | str, secrets: Secrets
    ) -> RunState:
        now = self._clock.wall()
        if isinstance(answer, Reading):
            try:
                return analysis.on_reading(state, name, answer, now, secrets)
            except Exception as error:
                answer = _defect(id_, name, error)
        return analysis.on_error(state, name, answer, now, secrets)

    def _take(self, id_: str, state: RunState) -> None:
        self._set(id_, state)
        self._settle(id_, state)

    def _put(self, id_: str, state: RunState) -> RunState:
        # Equal is not enough to be the same here: `on_tick` makes an equal one most of the time.
        if self._runs.get(id_) != state:
            self._set(id_, state)
            self._unsaved[id_] = state
            self._settle(id_, state)
        return state

    def _set(self, id_: str, state: RunState) -> None:
        self._runs[id_] = state
        self._next_at[id_] = analysis.next_at(state)

    def _settle(self, id_: str, state: RunState) -> None:
        if not state.completed:
            return
        self._ended[id_] = self._runs.pop(id_)
        del self._next_at[id_]
        self._outcomes.setdefault(state.route, {})[id_] = _outcome(state)
        log.info("analysis %s: %s %s", id_, state.phase, state.message)
        self.on_outcome(state.route)


def _check_writable(reading: Reading) -> None:
    """Refuse what no record can hold: half a character, or a value as deep as the stack.

    Raises:
        ProviderError: it is so.
    """
    try:
        json.dumps(reading.value, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as error:
        raise ProviderError(f"the value cannot be written down ({type(error).__name__})") from None


def _defect(id_: str, name: str, error: Exception) -> str:
    """What a measurement says of a fault of ours.

    The fault's own text may quote a secret, so only its kind is told.
    """
    log.error("analysis %s: metric %s met a defect: %s", id_, name, type(error).__name__)
    return f"a defect ({type(error).__name__})"


def record_of(id_: str, state: RunState) -> Run:
    """A run as the store keeps it."""
    return Run(
        id=id_,
        route=state.route,
        phase=state.phase,
        started_s=state.started_s,
        finished_s=state.finished_s,
        document=msgspec.to_builtins(state),
    )


def state_of(record: Run) -> RunState:
    """The inverse of `record_of`.

    Raises:
        msgspec.MsgspecError: another release has written it.
    """
    return msgspec.convert(record.document, RunState)


def evidence_of(state: RunState) -> dict[str, Any]:
    """The measured values that an audit entry carries."""
    return {
        metric.name: {
            "phase": result.phase,
            "successCondition": metric.success_condition,
            "failureCondition": metric.failure_condition,
            "measurements": [
                msgspec.to_builtins(each) for each in result.measurements[-MAX_EVIDENCE:]
            ],
        }
        for metric, result in zip(state.metrics, state.results, strict=True)
    }


def _outcome(state: RunState) -> RunOutcome:
    return RunOutcome(phase=state.phase, message=state.message)


def _order(effect: StartRun) -> Order:
    ref = effect.ref
    background = effect.kind is RunKind.BACKGROUND
    return Order(
        templates=ref.templates,
        arguments=tuple(Argument(a.name, a.value, a.value_from) for a in ref.args),
        dry_run=ref.dry_run,
        retention=tuple(Retention(name, limit) for name, limit in ref.retention),
        deadline_s=effect.deadline_s,
        on_deadline=effect.on_deadline,
        background=background,
    )
