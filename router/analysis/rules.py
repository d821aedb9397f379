"""Rules that pick metrics by a regular expression of their names: dry run and retention.

A rule that picks nothing is an error, as in Argo Rollouts (`utils/analysis/helpers.go`): it is a
typing error in what was meant to protect, or to be spared.  A name is searched, not matched whole.
"""

from collections.abc import Iterable, Sequence

from router.analysis.fields import Report
from router.analysis.template import Retention
from router.pattern import PatternError, text_pattern, utf8


def dry_run_metrics(rules: Sequence[str], names: Sequence[str], report: Report) -> frozenset[str]:
    """The metrics that are measured and shown but never decide."""
    _refuse_repeated("Dry-Run", rules, report)
    return frozenset(
        name
        for index, rule in enumerate(rules)
        for name in _picked(rule, names, ("dryRun", index), report)
    )


def kept_measurements(
    rules: Sequence[Retention], names: Sequence[str], report: Report
) -> dict[str, int]:
    """How many measurements of which metrics are kept; the last rule that picks one holds."""
    _refuse_repeated("Measurement Retention", [rule.metric_name for rule in rules], report)
    return {
        name: rule.limit
        for index, rule in enumerate(rules)
        for name in _picked(rule.metric_name, names, ("measurementRetention", index), report)
    }


def _refuse_repeated(kind: str, rules: Iterable[str], report: Report) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule in seen:
            report.error((), f"two {kind} metric rules have the same name '{rule}'")
        seen.add(rule)


def _picked(
    rule: str, names: Sequence[str], path: tuple[str | int, ...], report: Report
) -> list[str]:
    try:
        pattern = text_pattern(rule)
    except PatternError as error:
        report.error(path, f"not a regular expression (RE2): {error}")
        return []
    picked = [name for name in names if pattern.found_in(utf8(name))]
    if not picked:
        report.error(path, "Rule didn't match any metric name(s)")
    return picked
