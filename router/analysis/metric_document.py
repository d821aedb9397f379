"""From a metric as it is written to a `MetricSpec`, with everything that is wrong about it.

Pure.  Argo Rollouts' checks in Argo's order and words (`utils/analysis/factory.go`), so that the
first error is the one that Argo would give; ours come after them.

Fields of a metric that are ours, all optional: `noData`, `minRequests` (see `template`), and
`minErrorDuration`: how long a provider must fail before that counts as Error (default 60s; binds
only where `compat` is `router`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from router.analysis.conditions import ConditionError, parse
from router.analysis.fields import Document, Fields, Report
from router.analysis.findings import Path
from router.analysis.lint import lint_metric
from router.analysis.metric import (
    DEFAULT_ERROR_LIMIT,
    DEFAULT_MIN_ERROR_DURATION_S,
    OFF,
    MetricSpec,
    effective_count,
)
from router.analysis.phases import Compat, NoData
from router.analysis.template import Template, read_min_requests

MAX_METRICS: Final = 256
MAX_NAME: Final = 253


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's document with its arguments filled in, and where it stands.

    `settings` are those of its provider before they were filled.  `inline`: a rollout waits for
    the run, so that a metric must not go on for ever.
    """

    document: Any
    settings: Any = None
    template: Template = Template()
    path: Path = ()
    inline: bool = False


def read_metrics(
    metrics: Sequence[Written], *, providers: Collection[str] | None = None
) -> tuple[tuple[MetricSpec, ...], Report]:
    """Read all metrics of a run; `providers` are the kinds that can be asked, None: not checked.

    A metric with an error is left out.
    """
    report = Report()
    if not metrics:
        report.error((), "no metrics specified")
    if len(metrics) > MAX_METRICS:
        report.error((), f"{len(metrics)} metrics are more than {MAX_METRICS}")
    specs: dict[str, MetricSpec] = {}
    for metric in metrics:
        own = Report(metric.template.name, metric.path)
        spec = _Reader(metric, own, providers).read()
        if spec.name in specs:
            own.error((), f"duplicate name '{spec.name}'")
        if not own.errors:
            specs[spec.name] = spec
            for field, text in lint_metric(spec):
                own.warn((field,), text)
        report.add(own)
    return tuple(specs.values()), report


class _Reader:
    """Reads one metric."""

    def __init__(self, metric: Written, report: Report, providers: Collection[str] | None) -> None:
        self._metric: Final = metric
        self._report: Final = report
        self._providers: Final = providers
        self._fields: Final = Fields(metric.document, (), report)

    def read(self) -> MetricSpec:
        fields, template = self._fields, self._metric.template
        count = fields.integer("count") or 0
        limits = _Limits(
            failure=_or(fields.integer("failureLimit"), 0),
            inconclusive=_or(fields.integer("inconclusiveLimit"), 0),
            error=_or(fields.integer("consecutiveErrorLimit"), DEFAULT_ERROR_LIMIT),
            success=_or(fields.integer("consecutiveSuccessLimit"), 0),
        )
        self._check_count(count, limits)
        interval_s = self._duration("interval", "interval")
        initial_delay_s = self._duration("initialDelay", "startDelay")
        self._check_limits(limits)
        provider = self._provider()
        if interval_s == 0:
            fields.error("interval", "must be longer than 0")
        min_requests = _or(read_min_requests(fields), template.min_requests)
        bounded, open_ended = self._bound(effective_count(count, interval_s), limits)
        spec = MetricSpec(
            name=self._name(),
            provider=provider,
            settings=_only(self._metric.settings),
            success_condition=self._condition("successCondition"),
            failure_condition=self._condition("failureCondition"),
            interval_s=interval_s,
            initial_delay_s=_or(initial_delay_s, 0.0),
            count=bounded,
            open_ended=open_ended,
            failure_limit=limits.failure,
            inconclusive_limit=limits.inconclusive,
            consecutive_error_limit=limits.error,
            consecutive_success_limit=limits.success,
            compat=template.compat,
            no_data=self._no_data(min_requests),
            min_requests=min_requests,
            min_error_duration_s=_or(
                fields.duration("minErrorDuration"), DEFAULT_MIN_ERROR_DURATION_S
            ),
        )
        fields.warn_of_others()
        return spec

    def _check_count(self, count: int, limits: "_Limits") -> None:
        wanted = limits.failure + limits.success
        if count > 0 and min(limits.failure, limits.success) >= 0 and count < wanted:
            self._error(
                f"count ({count}) must be >= failureLimit + consecutiveSuccessLimit "
                f"({limits.failure} + {limits.success}) if both >= 0"
            )
        if 0 < count < limits.inconclusive:
            self._error("count must be >= inconclusiveLimit")
        if count > 1 and not self._fields.raw("interval"):
            self._error("interval must be specified when count > 1")
        if count < 0:
            self._error("count must be >= 0")

    def _check_limits(self, limits: "_Limits") -> None:
        if limits.failure < OFF:
            self._error("failureLimit must be >= 0, or -1 to be disabled")
        if limits.success < 0:
            self._error("consecutiveSuccessLimit must be >= 0")
        if limits.failure == OFF and limits.success == 0:
            self._error("failureLimit and consecutiveSuccessLimit cannot both be disabled")
        if limits.inconclusive < 0:
            self._error("inconclusiveLimit must be >= 0")
        if limits.error < 0:
            self._error("consecutiveErrorLimit must be >= 0")

    def _duration(self, key: str, called: str) -> float | None:
        """A duration, complained about as Argo does (which calls `initialDelay` startDelay)."""
        own = Report(self._report.template, self._report.path)
        seconds = Fields({key: self._fields.raw(key)}, (), own).duration(key)
        for finding in own.errors:
            self._error(f"invalid {called} string: {finding.text}")
        return seconds

    def _provider(self) -> str:
        kinds = _written(self._fields.raw("provider"))
        if not kinds:
            self._error("no provider specified")
            return ""
        if len(kinds) > 1 or _size(kinds.get("plugin")) > 1:
            self._error("multiple providers specified")
        kind = str(next(iter(kinds)))
        if self._providers is not None and kind not in self._providers:
            known = ", ".join(sorted(self._providers))
            self._report.error(("provider", kind), f"cannot be asked here (there is {known})")
        elif not isinstance(kinds[kind], Mapping):
            self._report.error(("provider", kind), "must be a mapping")
        return kind

    def _name(self) -> str:
        name = self._fields.text("name") or ""
        if not name:
            self._fields.error("name", "is missing")
        if len(name) > MAX_NAME:
            self._fields.error("name", f"is longer than {MAX_NAME} characters")
        return name

    def _condition(self, key: str) -> str:
        text = (self._fields.text(key) or "").strip()
        try:
            if text:
                parse(text)
        except ConditionError as error:
            self._fields.error(key, str(error))
        return text

    def _no_data(self, min_requests: int | None) -> NoData | None:
        said = self._fields.choice("noData", NoData) or self._metric.template.no_data
        if said is not None:
            return said
        # Argo knows no sample size: who asks for one asks for our outcome.
        ours = self._metric.template.compat is Compat.ROUTER or min_requests is not None
        return NoData.WAIT if ours else None

    def _bound(self, count: int | None, limits: "_Limits") -> tuple[int | None, bool]:
        """How often to measure, and whether Argo would not end (and refuses the template).

        One more than may fail: the least that can fail the metric.  With a limit of successes in
        a row it ends by itself.
        """
        if count is not None or not self._metric.inline or limits.success:
            return count, False
        return max(limits.failure, 0) + 1, True

    def _error(self, text: str) -> None:
        self._report.error((), text)


class _Limits(msgspec.Struct, frozen=True, kw_only=True):
    failure: int
    inconclusive: int
    error: int
    success: int


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _written(providers: object) -> Document:
    """The kinds of provider that are not null."""
    kinds = providers if isinstance(providers, Mapping) else {}
    return {kind: settings for kind, settings in kinds.items() if settings is not None}


def _size(plugins: object) -> int:
    return len(plugins) if isinstance(plugins, Mapping) else 0


def _only(providers: object) -> dict[str, Any]:
    settings = next(iter(_written(providers).values()), None)
    return dict(settings) if isinstance(settings, Mapping) else {}
