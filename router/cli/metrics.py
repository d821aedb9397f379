"""Analyses as people read them: what was measured against what it should be.  Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from router.cli.rollout_documents import Evidence, Judged, Measurement, Metric, Run
from router.cli.tables import Block, Grid
from router.cli.words import duration, figure, time

LAST_VALUES: Final = 3
_SHORT: Final = {
    "Successful": "✓",
    "Failed": "✗",
    "Inconclusive": "?",
    "Error": "error",
    "NoData": "no data",
}


def run_blocks(run: Run) -> Iterator[Block]:
    """A run's verdict so far, and a row for each of its metrics."""
    kind = f"{run.kind} " if run.kind else ""
    yield f"{kind}analysis {run.id}: {_because(run.phase, run.message)}"
    if run.metrics:
        headings = ("metric", "provider", "last values", "wanted", "verdict", "counted")
        yield Grid(headings, [_row(metric) for metric in run.metrics], whole="verdict")
    for metric in run.metrics:
        if said := _last_message(metric):
            yield f"  {metric.name}: {said}"


def measurement_blocks(run: Run) -> Iterator[Block]:
    """Every measurement that is kept, metric by metric."""
    for metric in run.metrics:
        each = "measured once" if metric.interval is None else f"each {duration(metric.interval)}"
        yield ""
        yield f"{metric.name} ({metric.provider}), {each}, wanted: {wanted(metric)}"
        rows = [
            (time(one.started_s), one.value, one.samples, one.phase, one.message)
            for one in metric.measurements
        ]
        yield Grid(("time", "value", "samples", "phase", "message"), rows, "samples", "time phase")


def told_evidence(evidence: Any) -> str:
    """What an entry of the trail was decided on: the metrics that are not good, else all."""
    try:
        metrics = msgspec.convert(evidence, Evidence).metrics
    except msgspec.ValidationError:
        return ""  # of another kind, or of another release
    bad = {name: metric for name, metric in metrics.items() if metric.phase != "Successful"}
    return "; ".join(
        f"{name} {metric.phase}: {_last_values(metric)} (wanted: {wanted(metric)})"
        for name, metric in (bad or metrics).items()
    )


def wanted(metric: Judged) -> str:
    """A metric's conditions in one line."""
    conditions = [metric.success_condition or ""]
    if metric.failure_condition:
        conditions.append(f"fails if {metric.failure_condition}")
    return "; ".join(filter(None, conditions)) or "any answer"


def told_value(measurement: Measurement) -> str:
    """`0.012 ✓`, or the word for an answer that has no value."""
    mark = _SHORT.get(measurement.phase, measurement.phase)
    return f"{figure(measurement.value)} {mark}" if measurement.value else mark


def _row(metric: Metric) -> tuple[str, ...]:
    verdict = metric.phase + (" (dry run)" if metric.dry_run else "")
    values = _last_values(metric)
    return (metric.name, metric.provider, values, wanted(metric), verdict, _counted(metric))


def _last_values(metric: Judged) -> str:
    return ", ".join(map(told_value, metric.answered[-LAST_VALUES:])) or "nothing measured"


def _counted(metric: Metric) -> str:
    """`4 of 10: 3 ok, 1 failed`; errors and missing data are no part of the 4."""
    measured = f"{metric.measured}" + ("" if metric.count is None else f" of {metric.count}")
    counters = {
        "ok": metric.successful,
        "failed": metric.failed,
        "inconclusive": metric.inconclusive,
        "without data": metric.no_data,
        "with an error": metric.errors,
    }
    told = ", ".join(f"{number} {word}" for word, number in counters.items() if number)
    return f"{measured}: {told}" if told else measured


def _last_message(metric: Metric) -> str:
    last = metric.answered[-1].message if metric.answered else ""
    return "; ".join(dict.fromkeys(filter(None, (metric.message, last))))


def _because(phase: str, message: str) -> str:
    return f"{phase}, {message}" if message else phase
