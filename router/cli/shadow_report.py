"""A shadow's report for people: a table of the fields, what was counted, and sentences.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from router.cli.shadow_documents import Estimate, FieldReport, Report
from router.cli.tables import Block, Grid
from router.cli.words import time

ANY: Final = "any field"
_CONCLUSIONS: Final = {
    "differs": "differs",
    "within_noise": "within noise",
    "not_enough": "not enough pairs",
    "no_noise_floor": "no noise floor",
}
_FINE: Final = 0.01
"""Shares below this are told with two decimals."""


def report_blocks(report: Report) -> Iterator[Block]:
    """Everything that people are told of a report."""
    yield (
        f"{report.route}: {report.shadow} beside {report.stable} since {time(report.since)}, "
        f"{report.pairs} pairs, {report.compared} of them compared, {report.twins} with a twin"
    )
    yield ""
    yield _fields(report)
    yield ""
    if report.verdicts:
        yield f"verdicts: {_counted(report.verdicts)}"
    if report.errors:
        yield f"errors: {_counted(report.errors)}"
    yield from report.summary


def _fields(report: Report) -> Grid:
    parts = {ANY: report.any, **report.fields}
    return Grid(
        ("field", "shadow differs", "noise", "beyond noise", "conclusion"),
        [(name, *_row(part)) for name, part in parts.items()],
        whole="field",
    )


def _row(field: FieldReport) -> tuple[str, ...]:
    conclusion = _CONCLUSIONS.get(field.conclusion, field.conclusion)
    return (*map(share, (field.shadow, field.twin, field.beyond_noise)), conclusion)


def share(estimate: Estimate | None) -> str:
    """`2.9 % (1.5 to 4.3)`; a dash for what nothing tells."""
    if estimate is None:
        return "-"
    value, low, high = map(_percent, (estimate.value, estimate.low, estimate.high))
    return f"{value} % ({low} to {high})"


def _percent(share: float) -> str:
    return f"{100 * share:.{2 if 0 < abs(share) < _FINE else 1}f}"


def _counted(counts: Mapping[str, int]) -> str:
    """`3400 match, 12 mismatch`, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{number} {what}" for what, number in ordered)
