"""Templates as people write them: one document each, and the templates that it refers to.

Pure.  A document is an Argo AnalysisTemplate as a plain mapping.  With Argo's `apiVersion` it
follows Argo's rules unless `spec.compat` is `router`; without one it follows ours unless
`spec.compat` is `argo`.

Fields of `spec` that are ours, all optional:

compat       `argo` or `router`: whose rules, see `phases.Compat`
noData       `wait`, `inconclusive`, `fail` or `pass`, for every metric that does not say itself;
             default: wait by our rules, by Argo's what the conditions make of an empty result
minRequests  fewer requests behind a value are no data, for every metric that does not say itself
deadline     how long a run waits for a verdict, where the reference to the template does not say
onDeadline   `pause` (default), `abort` or `promote`, the same way
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from router.analysis.arguments import Argument
from router.analysis.fields import Document, Fields, Report
from router.analysis.metric import DEFAULT_KEPT, MAX_KEPT
from router.analysis.phases import Compat, NoData, OnDeadline

_ARGO: Final = "argoproj.io/"


class Retention(msgspec.Struct, frozen=True):
    """How many measurements are kept of the metrics whose names match a regular expression."""

    metric_name: str
    limit: int = DEFAULT_KEPT


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """One template, its metrics still as they are written."""

    name: str = ""
    compat: Compat = Compat.ARGO
    metrics: tuple[Any, ...] = ()
    arguments: tuple[Argument, ...] = ()
    nested: tuple[str, ...] = ()
    dry_run: tuple[str, ...] = ()
    retention: tuple[Retention, ...] = ()
    no_data: NoData | None = None
    min_requests: int | None = None
    deadline_s: float | None = None
    on_deadline: OnDeadline | None = None


def read_template(document: Document) -> tuple[Template, Report]:
    """Read one document; its metrics are read later, when their arguments are known."""
    name = _name(document)
    report = Report(name, ("spec",))
    spec = Fields(document.get("spec"), (), report)
    template = Template(
        name=name,
        compat=spec.choice("compat", Compat) or _compat(document),
        metrics=_metrics(spec),
        arguments=read_arguments(spec),
        nested=read_references(spec),
        dry_run=read_dry_run(spec),
        retention=read_retention(spec),
        no_data=spec.choice("noData", NoData),
        min_requests=read_min_requests(spec),
        deadline_s=read_deadline(spec),
        on_deadline=spec.choice("onDeadline", OnDeadline),
    )
    spec.warn_of_others()
    return template, report


def _name(document: Document) -> str:
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, Mapping) else ""


def _compat(document: Document) -> Compat:
    written_for_argo = str(document.get("apiVersion") or "").startswith(_ARGO)
    return Compat.ARGO if written_for_argo else Compat.ROUTER


def _metrics(spec: Fields) -> tuple[Any, ...]:
    metrics = spec.raw("metrics")
    # By way of JSON: a document may come with tuples, and a stored run comes back with lists.
    return tuple(json.loads(json.dumps(metrics))) if isinstance(metrics, (list, tuple)) else ()


def read_arguments(fields: Fields) -> tuple[Argument, ...]:
    """Read `args`: each a name, and a value or a `valueFrom`."""
    return tuple(filter(None, (_argument(item) for item in fields.items("args"))))


def _argument(item: Fields) -> Argument | None:
    name, value, source = item.text("name"), item.raw("value"), item.raw("valueFrom")
    item.warn_of_others()
    if value is not None and source is not None:
        item.error("valueFrom", "takes value or valueFrom, not both")
    if source is not None and not isinstance(source, Mapping):
        item.error("valueFrom", "must be a mapping")
        source = None
    if name is None:
        item.error("name", "is missing")
        return None
    return Argument(name, _as_text(value), None if source is None else dict(source))


def _as_text(value: object) -> str | None:
    """Argo wants arguments quoted; YAML's bare `5` and `true` are clear enough."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def read_references(fields: Fields) -> tuple[str, ...]:
    """Read `templates`: names of other templates."""
    names = []
    for item in fields.items("templates"):
        item.raw("clusterScope")  # both kinds share one set of names here
        if (name := item.text("templateName")) is None:
            item.error("templateName", "is missing")
        else:
            names.append(name)
        item.warn_of_others()
    return tuple(names)


def read_dry_run(fields: Fields) -> tuple[str, ...]:
    """Read `dryRun`: regular expressions of metric names."""
    return tuple(filter(None, (_metric_name(item) for item in fields.items("dryRun"))))


def _metric_name(item: Fields) -> str | None:
    if (name := item.text("metricName")) is None:
        item.error("metricName", "is missing")
    return name


def read_retention(fields: Fields) -> tuple[Retention, ...]:
    """Read `measurementRetention`."""
    rules = []
    for item in fields.items("measurementRetention"):
        name, limit = _metric_name(item), item.integer("limit")
        if limit is not None and not 1 <= limit <= MAX_KEPT:
            item.error("limit", f"must be from 1 to {MAX_KEPT}")
        elif name is not None:
            rules.append(Retention(name, DEFAULT_KEPT if limit is None else limit))
    return tuple(rules)


def read_min_requests(fields: Fields) -> int | None:
    """Read `minRequests`: at least 1."""
    number = fields.integer("minRequests")
    if number is not None and number < 1:
        fields.error("minRequests", "must be >= 1")
        return None
    return number


def read_deadline(fields: Fields) -> float | None:
    """Read `deadline`: longer than nothing."""
    seconds = fields.duration("deadline")
    if seconds == 0:
        fields.error("deadline", "must be longer than 0")
        return None
    return seconds


def flatten(
    names: Iterable[str], templates: Mapping[str, Document]
) -> tuple[list[Template], Report]:
    """Read the named templates and those that they refer to, each once, outer ones first."""
    found: dict[str, Template] = {}
    report = Report()
    waiting = list(names)[::-1]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if name not in templates:
            report.error(("templates",), f'there is no analysis template "{name}"')
            continue
        found[name], problems = read_template(templates[name])
        report.add(problems)
        waiting += found[name].nested[::-1]
    return list(found.values()), report
