"""What a run is going to do: templates and a reference to them, understood as a whole.

Pure.  Everything that can be wrong is wrong here, before anything is measured; what a run then
needs is in its `Plan`, so that a template that changes later does not change a run.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from router.analysis.arguments import Argument, Values
from router.analysis.fields import Document, Fields, Report
from router.analysis.filling import values_of, written_metrics
from router.analysis.findings import AnalysisSpecError, Finding
from router.analysis.lint import waits_for_ever
from router.analysis.metric import DEFAULT_KEPT, MetricSpec
from router.analysis.metric_document import read_metrics
from router.analysis.phases import OnDeadline
from router.analysis.providers.base import Subject
from router.analysis.rules import dry_run_metrics, kept_measurements
from router.analysis.template import (
    Retention,
    Template,
    flatten,
    read_arguments,
    read_deadline,
    read_dry_run,
    read_references,
    read_retention,
)

# The most careful first: what several templates do not agree about.
_CAREFUL: Final = (OnDeadline.ABORT, OnDeadline.PAUSE, OnDeadline.PROMOTE)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A reference to templates: an analysis that a strategy asks for.

    `background`: it runs beside the steps until they end, so it may go on for ever.
    """

    templates: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    dry_run: tuple[str, ...] = ()
    retention: tuple[Retention, ...] = ()
    deadline_s: float | None = None
    on_deadline: OnDeadline | None = None
    background: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured and how; `warnings` are for people."""

    metrics: tuple[MetricSpec, ...]
    values: Values
    deadline_s: float | None = None
    on_deadline: OnDeadline = OnDeadline.PAUSE
    warnings: tuple[Finding, ...] = ()


def read_order(document: Document, *, background: bool = False) -> Order:
    """Read a reference: `templates`, `args`, `dryRun`, `measurementRetention`, `deadline`, …

    Raises:
        AnalysisSpecError: naming every field that is wrong.
    """
    report = Report()
    fields = Fields(document, (), report)
    order = Order(
        templates=read_references(fields),
        arguments=read_arguments(fields),
        dry_run=read_dry_run(fields),
        retention=read_retention(fields),
        deadline_s=read_deadline(fields),
        on_deadline=fields.choice("onDeadline", OnDeadline),
        background=background,
    )
    if report.errors:
        raise AnalysisSpecError(report.errors)
    return order


def make_plan(
    order: Order,
    templates: Mapping[str, Document],
    subject: Subject,
    *,
    providers: Collection[str] | None = None,
) -> Plan:
    """Understand an order; `templates` are all documents by name, `providers` what can be asked.

    Raises:
        AnalysisSpecError: naming everything that is wrong.
    """
    flat, report = flatten(order.templates, templates)
    _stop_on_errors(report)
    values = values_of(order.arguments, flat, subject, report)
    _stop_on_errors(report)
    written = written_metrics(flat, values, report, inline=not order.background)
    _stop_on_errors(report)
    metrics, of_metrics = read_metrics(written, providers=providers)
    report.add(of_metrics)
    _stop_on_errors(report)
    metrics = _with_rules(order, flat, metrics, report)
    _stop_on_errors(report)
    deadline_s, on_deadline = _deadline(order, flat)
    if deadline_s is None and not order.background:
        _warn_of_waiting(metrics, report)
    return Plan(
        metrics=metrics,
        values=values,
        deadline_s=deadline_s,
        on_deadline=on_deadline,
        warnings=tuple(report.warnings),
    )


def _warn_of_waiting(metrics: Sequence[MetricSpec], report: Report) -> None:
    if any(waits_for_ever(metric) for metric in metrics):
        report.warn(("deadline",), "without a deadline the run waits for data as long as it takes")


def _stop_on_errors(report: Report) -> None:
    if report.errors:
        raise AnalysisSpecError(report.errors)


def _with_rules(
    order: Order, templates: Sequence[Template], metrics: Sequence[MetricSpec], report: Report
) -> tuple[MetricSpec, ...]:
    names = [metric.name for metric in metrics]
    dry_run = (*order.dry_run, *(rule for template in templates for rule in template.dry_run))
    retention = (*order.retention, *(rule for t in templates for rule in t.retention))
    only_shown = dry_run_metrics(dry_run, names, report)
    kept = kept_measurements(retention, names, report)
    return tuple(
        replace(
            metric,
            dry_run=metric.name in only_shown,
            kept=kept.get(metric.name, DEFAULT_KEPT),
        )
        for metric in metrics
    )


def _deadline(order: Order, templates: Sequence[Template]) -> tuple[float | None, OnDeadline]:
    """The reference decides; else the shortest and the most careful that a template asks for."""
    shortest = min((t.deadline_s for t in templates if t.deadline_s is not None), default=None)
    wanted = [template.on_deadline for template in templates]
    careful = next((choice for choice in _CAREFUL if choice in wanted), OnDeadline.PAUSE)
    return (
        shortest if order.deadline_s is None else order.deadline_s,
        order.on_deadline or careful,
    )
