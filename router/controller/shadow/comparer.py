"""The way of a pair, from the link to the record.

    take → admit → compare → tally → redact → record

Comparing is pure Python, and C that holds the interpreter's lock: a fraction of a millisecond for
most pairs.  It is done in another thread, some pairs at a time, so that control's loop goes on in
between, and one processor at most is busy with it.  (A process of its own would also shield the
loop from the one long call that a very long answer takes; it would cost its memory on every host,
and would have to be started again out of a program that embeds the router.)  Sums are touched in
the loop only.

Guarantees (each is a test in tests/unit/controller/test_shadow_desk.py):
  * `take` returns at once and holds a bounded memory, whatever the rest does;
  * a pair is counted once: as dropped, and why, or as compared, and its verdict;
  * a pair of another stable version, shadow or attempt than the present one is never tallied;
  * nothing of a pair is logged, or given to the store, that was not redacted.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Collection, Iterable
from typing import Final

import msgspec
import orjson
from msgspec.structs import replace

from router.clock import Clock
from router.comparison import Judgement, Verdict, judge
from router.config.models import Route
from router.controller.changes import UnknownRouteError
from router.controller.shadow.counts import LATE, LOST, QUEUE, Counts
from router.controller.shadow.document import document_of
from router.controller.shadow.examine import DEFECT, examine
from router.controller.shadow.intake import Intake
from router.controller.shadow.recorder import Recorder
from router.controller.shadow.settings import Settings, settings_of
from router.controller.shadow.subject import Subject, subject_of
from router.controller.shadow.tallies import Tallies
from router.evaluation.tally import Observed
from router.link.messages import Pair
from router.rollouts.state import RouteState
from router.store.pairs import KeptPair

log: Final = logging.getLogger(__name__)

AT_ONCE: Final = 16
"""Pairs that go to the other thread together: to go there costs about as much as one of them."""

Look = Callable[[str], tuple[Route, RouteState]]
"""A route as it is configured, and its state; raises UnknownRouteError (`ControlPlane.route`)."""


class _Job(msgspec.Struct, frozen=True):
    """A pair to compare: as whose, and how."""

    pair: Pair
    subject: Subject
    settings: Settings

    @property
    def request_id(self) -> str:
        """The request's id as it may be logged."""
        return self.settings.redaction.request_id(self.pair.request_id)


class _Done(msgspec.Struct, frozen=True):
    """A pair that was compared, and what it counted as."""

    job: _Job
    observed: Observed
    judgement: Judgement

    @property
    def is_recorded(self) -> bool:
        settings, pair = self.job.settings, self.job.pair
        is_match = self.judgement.verdict is Verdict.MATCH
        return not is_match or settings.keeps_match(pair.request_id)


class Comparer:
    """Compares the pairs that come, in their order; `run` in one task."""

    def __init__(
        self,
        look: Look,
        tallies: Tallies,
        recorder: Recorder,
        counts: Counts,
        clock: Clock,
        *,
        draw: Callable[[], float] = random.random,
        intake: Intake | None = None,
    ) -> None:
        self._look: Final = look
        self._tallies: Final = tallies
        self._recorder: Final = recorder
        self._counts: Final = counts
        self._clock: Final = clock
        self._draw: Final = draw
        self._intake: Final = Intake() if intake is None else intake
        self._settings: Final[dict[str, tuple[Route, Settings]]] = {}
        self._is_stopping = False

    def take(self, pair: Pair) -> None:
        """Have a pair compared; returns at once."""
        if not self._intake.put(pair):
            self._counts.drop(pair.route, QUEUE)

    def keep(self, routes: Collection[str]) -> None:
        """Forget how to compare other routes."""
        for gone in self._settings.keys() - set(routes):
            del self._settings[gone]

    async def run(self) -> None:
        """Compare what comes, until `stop`."""
        while True:
            await self._intake.wait()
            if self._is_stopping:
                return
            try:
                await self.compare_some()
            except Exception as error:  # its text may quote a pair
                log.error("pairs of answers met a defect (%s)", type(error).__name__)

    def stop(self) -> None:
        """End `run` after the pairs that are being compared; those that wait are lost."""
        self._is_stopping = True
        self._intake.wake()

    async def compare_some(self) -> None:
        """Compare the oldest pairs that wait, and have recorded what is kept of them."""
        pairs = self._intake.take(AT_ONCE)
        jobs = [job for pair in pairs if (job := self._admit(pair)) is not None]
        if not jobs:
            return
        observed = await asyncio.to_thread(_observe, jobs)
        counted = [self._count(job, seen) for job, seen in zip(jobs, observed, strict=True)]
        recorded = [done for done in counted if done is not None and done.is_recorded]
        if recorded:
            self._record(recorded, await asyncio.to_thread(_documents, recorded))

    # -- admit ---------------------------------------------------------------------------------

    def _admit(self, pair: Pair) -> _Job | None:
        """What to do with a pair; None: it is late, or of a route that is gone."""
        try:
            route, state = self._look(pair.route)
        except UnknownRouteError:
            return None
        subject = subject_of(route, state)
        if subject is None or not subject.has(pair):
            self._counts.drop(pair.route, LATE)
            return None
        return _Job(pair, subject, self._settings_of(route))

    def _settings_of(self, route: Route) -> Settings:
        known = self._settings.get(route.name)
        if known is None or known[0] is not route:  # else a reload has changed it
            known = self._settings[route.name] = (route, settings_of(route))
        return known[1]

    # -- tally ---------------------------------------------------------------------------------

    def _count(self, job: _Job, observed: Observed) -> _Done | None:
        """Tally a pair, unless another attempt has begun while it was compared."""
        pair = job.pair
        now = self._admit(pair)
        if now is None:
            return None
        if observed.comparison.error.startswith(DEFECT):
            log.error("%s: request %s: %s", pair.route, now.request_id, observed.comparison.error)
        tally = self._tallies.of(pair.route, now.subject, self._clock.wall())
        judgement = tally.add(_redacted(observed, now.settings), self._draw)
        self._recorder.touch(pair.route)
        self._count_verdicts(pair, observed, judgement)
        return _Done(now, observed, judgement)

    def _count_verdicts(self, pair: Pair, observed: Observed, judgement: Judgement) -> None:
        stable, shadow = pair.primary.version, pair.shadow.version
        self._counts.compare(pair.route, shadow, judgement.verdict)
        if observed.twin is not None:
            twin = judge(observed.twin, None, frozenset())
            self._counts.compare(pair.route, stable, twin.verdict)
        for version, latency_s in (
            (shadow, observed.latency_s),
            (stable, observed.twin_latency_s),
        ):
            if latency_s is not None:
                self._counts.observe(pair.route, version, latency_s)

    # -- record --------------------------------------------------------------------------------

    def _record(self, recorded: list[_Done], made: list[tuple[KeptPair, int] | None]) -> None:
        for done, document in zip(recorded, made, strict=True):
            if document is None:
                self._counts.record(done.job.pair.route, LOST)
            else:
                self._recorder.put(*document)


def _redacted(observed: Observed, settings: Settings) -> Observed:
    """As the tally, which is written down, may see it."""
    error = settings.redaction.error(observed.comparison.error)
    return replace(observed, comparison=replace(observed.comparison, error=error))


def _observe(jobs: Iterable[_Job]) -> list[Observed]:
    return [examine(job.pair, job.settings.rules) for job in jobs]


def _documents(recorded: Iterable[_Done]) -> list[tuple[KeptPair, int] | None]:
    """What is recorded, and how many bytes it is as JSON; None where that met a defect."""
    return [_document(done) for done in recorded]


def _document(done: _Done) -> tuple[KeptPair, int] | None:
    pair = done.job.pair
    try:
        document = document_of(pair, done.observed, done.judgement, done.job.settings.redaction)
        text = orjson.dumps(document)
    except Exception as error:  # its text may quote the pair
        fault = type(error).__name__
        log.error(
            "%s: request %s is not recorded: a defect (%s)", pair.route, done.job.request_id, fault
        )
        return None
    kept = KeptPair(
        route=pair.route,
        stable=pair.primary.version,
        shadow=pair.shadow.version,
        verdict=done.judgement.verdict.value,
        time_s=pair.time_s,
        # As JSON already: objects would take several times the memory while they wait, and the
        # garbage collector would stop everything to look at them (measured: 40 ms at a time).
        document=msgspec.Raw(text),
    )
    return kept, len(text)
