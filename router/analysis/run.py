"""One analysis run: from the first measurement to the verdict.

Pure: a run is a value, every event gives the next one, `now` comes in.  Whoever drives it asks
the metrics that are `due`, brings the answers, and looks again at `next_at`:

    run = start(order, templates, subject)
    for name in due(run, now):      # in parallel
        run = begin(run, name, now)
        …                           # settings_for(run, name, secrets), then Provider.measure
        run = on_reading(run, name, reading, now)    # or on_error

Everything that a run needs is in its `RunState`, so it goes on after a restart (`on_restart`);
secrets are not in it, only where they are found (`RunState.values.secret_sources`).

Guarantees (properties in tests/properties/test_analysis_run.py):
  * a completed run never changes, whatever arrives late;
  * a run that is stored and read back goes on as the same run;
  * an event that cannot be true (an answer of a metric that is not measured any more) is ignored.

Times are seconds since 1970 UTC.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from router.analysis import measurement as measuring
from router.analysis import schedule
from router.analysis.arguments import Values, fill
from router.analysis.assess import Assessment, assess_run, is_terminating
from router.analysis.deadline import assess_deadline
from router.analysis.fields import Document
from router.analysis.findings import AnalysisSpecError
from router.analysis.judgement import error, measure
from router.analysis.measurement import Measurement, MetricResult, clip, forget_in_flight, take
from router.analysis.metric import MetricSpec
from router.analysis.phases import COMPLETED, OnDeadline, Phase
from router.analysis.plan import Order, make_plan
from router.analysis.providers.base import Reading, Subject
from router.analysis.secret import NO_SECRETS, Secrets

INVALID: Final = "Analysis spec invalid"


class RunState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run as the store keeps it; `metrics` and `results` are in one order.

    `terminate`: somebody has asked it to end.  `finished_s` None: it is running.
    """

    route: str
    canary: str
    stable: str
    started_s: float
    metrics: tuple[MetricSpec, ...] = ()
    results: tuple[MetricResult, ...] = ()
    values: Values = Values()
    deadline_s: float | None = None
    on_deadline: OnDeadline = OnDeadline.PAUSE
    terminate: bool = False
    phase: Phase = Phase.RUNNING
    message: str = ""
    finished_s: float | None = None

    @property
    def completed(self) -> bool:
        """Whether there is a verdict."""
        return self.phase in COMPLETED

    def metric(self, name: str) -> MetricSpec:
        """How a metric is measured."""
        return self.metrics[self._index(name)]

    def result(self, name: str) -> MetricResult:
        """How far a metric is."""
        return self.results[self._index(name)]

    def with_result(self, result: MetricResult) -> "RunState":
        """The same run with one metric's result replaced."""
        index = self._index(result.name)
        return replace(self, results=(*self.results[:index], result, *self.results[index + 1 :]))

    def subject(self, now: float) -> Subject:
        """What is measured, for a provider."""
        return Subject(
            route=self.route,
            canary=self.canary,
            stable=self.stable,
            started_s=self.started_s,
            now_s=now,
        )

    def _index(self, name: str) -> int:
        return next(i for i, metric in enumerate(self.metrics) if metric.name == name)


def start(
    order: Order,
    templates: Mapping[str, Document],
    subject: Subject,
    *,
    providers: Collection[str] | None = None,
) -> RunState:
    """Begin a run at `subject.now_s`; `templates` are all documents by name.

    A run that cannot be made is completed at once, as Error with a message that says why.
    """
    now = subject.now_s
    run = RunState(route=subject.route, canary=subject.canary, stable=subject.stable, started_s=now)
    try:
        plan = make_plan(order, templates, subject, providers=providers)
    except AnalysisSpecError as problem:
        message = clip(f"{INVALID}: {problem}")
        return replace(run, phase=Phase.ERROR, message=message, finished_s=now)
    return replace(
        run,
        metrics=plan.metrics,
        results=tuple(MetricResult(name=metric.name) for metric in plan.metrics),
        values=plan.values,
        deadline_s=plan.deadline_s,
        on_deadline=plan.on_deadline,
    )


def due(run: RunState, now: float) -> list[str]:
    """Name the metrics that are to be measured now; none whose answer is awaited."""
    if run.completed:
        return []
    return [
        spec.name
        for spec, result in zip(run.metrics, run.results, strict=True)
        if schedule.is_due(result, spec, run.started_s, now)
    ]


def next_at(run: RunState) -> float | None:
    """When to look again at the latest; None: the run is completed, or waits for answers only."""
    if run.completed:
        return None
    times = [
        schedule.next_at(result, spec, run.started_s)
        for spec, result in zip(run.metrics, run.results, strict=True)
    ]
    return min((at for at in (*times, _deadline_at(run)) if at is not None), default=None)


def settings_for(run: RunState, name: str, secrets: Secrets = NO_SECRETS) -> dict[str, Any]:
    """What a metric's provider is asked with, secrets included: pass it on, never keep it.

    Raises:
        ArgumentError: a secret argument is missing, or has a control character.
    """
    revealed = {key: secret.reveal() for key, secret in secrets.items()}
    return _filled(run, name, run.values.texts | revealed)


def recorded_settings(run: RunState, name: str) -> dict[str, Any]:
    """The same as records may show it: `{{args.x}}` where a secret stands."""
    return _filled(run, name, run.values.recorded)


def _filled(run: RunState, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    settings: dict[str, Any] = fill(run.metric(name).settings, values)
    return settings


def begin(run: RunState, name: str, now: float) -> RunState:
    """A metric is being measured."""
    if run.completed or run.result(name).phase in COMPLETED:
        return run
    return run.with_result(measuring.begin(run.result(name), now))


def on_reading(
    run: RunState, name: str, reading: Reading, now: float, secrets: Secrets = NO_SECRETS
) -> RunState:
    """A provider has answered; `secrets` are those that it was asked with."""
    spec, started_s = run.metric(name), _asked_at(run, name, now)
    taken = measure(reading, spec, started_s=started_s, now=now, secrets=secrets)
    return _on_measurement(run, name, taken, now)


def on_error(
    run: RunState, name: str, text: str, now: float, secrets: Secrets = NO_SECRETS
) -> RunState:
    """A provider has not answered, or nothing that is an answer."""
    started_s = _asked_at(run, name, now)
    return _on_measurement(
        run, name, error(text, started_s=started_s, now=now, secrets=secrets), now
    )


def on_tick(run: RunState, now: float) -> RunState:
    """Time has passed: look at the deadline."""
    return run if run.completed else _advance(run, now)


def on_restart(run: RunState) -> RunState:
    """Whoever drove it is gone, and with it the answers on their way: they are asked again."""
    return replace(run, results=tuple(forget_in_flight(result) for result in run.results))


def terminate(run: RunState, now: float) -> RunState:
    """End a run that nobody needs any more; what it has found so far is its verdict."""
    return run if run.completed else _advance(replace(run, terminate=True), now)


def _asked_at(run: RunState, name: str, now: float) -> float:
    last = run.result(name).last
    return last.started_s if last is not None and last.in_flight else now


def _on_measurement(run: RunState, name: str, taken: Measurement, now: float) -> RunState:
    result = run.result(name)
    if run.completed or result.phase in COMPLETED:
        return run
    return _advance(run.with_result(take(result, taken, run.metric(name))), now)


def _advance(run: RunState, now: float) -> RunState:
    assessed = assess_run(run.metrics, run.results, terminate=run.terminate)
    if assessed.phase not in COMPLETED and is_terminating(
        run.metrics, assessed.results, terminate=run.terminate
    ):
        # A metric has gone bad just now; the rest of the run ends with it.
        assessed = assess_run(run.metrics, assessed.results, terminate=run.terminate)
    at = _deadline_at(run)
    if assessed.phase not in COMPLETED and at is not None and at <= now:
        assessed = assess_deadline(
            run.metrics, assessed.results, run.deadline_s or 0.0, run.on_deadline
        )
    return _with(run, assessed, now)


def _with(run: RunState, assessed: Assessment, now: float) -> RunState:
    return replace(
        run,
        results=assessed.results,
        phase=assessed.phase,
        message=assessed.message,
        finished_s=now if assessed.phase in COMPLETED else None,
    )


def _deadline_at(run: RunState) -> float | None:
    return None if run.deadline_s is None else run.started_s + run.deadline_s
