"""Templates with their arguments filled in.

Pure.  Secrets are not known here; a place of a secret stays as it is, and is refused everywhere
but under `provider`, because everything else is recorded.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from router.analysis.arguments import (
    Argument,
    ArgumentError,
    Values,
    evaluate,
    fill,
    flatten_arguments,
    merge_arguments,
    placeholder,
    with_built_in,
)
from router.analysis.fields import Report
from router.analysis.findings import Path
from router.analysis.metric_document import Written
from router.analysis.providers.base import Subject
from router.analysis.template import Template


def values_of(
    given: Sequence[Argument], templates: Sequence[Template], subject: Subject, report: Report
) -> Values:
    """Find the values of every argument that the templates declare, or the router knows."""
    try:
        declared = flatten_arguments(template.arguments for template in templates)
        known = with_built_in(declared, subject)
        _warn_of_dropped(given, known, report)
        return evaluate(merge_arguments(given, known), subject)
    except ArgumentError as error:
        report.error(("args",), str(error))
        return Values()


def _warn_of_dropped(given: Iterable[Argument], known: Iterable[Argument], report: Report) -> None:
    names = {argument.name for argument in known}
    for index, argument in enumerate(given):
        if argument.name not in names:
            report.warn(("args", index), f'no template declares "{argument.name}"; it is dropped')


def written_metrics(
    templates: Sequence[Template], values: Values, report: Report, *, inline: bool
) -> list[Written]:
    """Every metric with its arguments filled in, except secret ones: those keep their place."""
    written = []
    owners: dict[str, str] = {}
    for template in templates:
        for index, document in enumerate(template.metrics):
            own = Report(template.name, ("spec", "metrics", index))
            metric = _written(document, template, values, own, inline=inline)
            name = _name(metric.document)
            if owners.setdefault(name, template.name) != template.name:
                own.error((), f"two metrics have the same name '{name}'")
            report.add(own)
            written.append(metric)
    return written


def _written(
    document: Any, template: Template, values: Values, report: Report, *, inline: bool
) -> Written:
    return Written(
        document=_filled(document, values, report),
        settings=document.get("provider") if isinstance(document, Mapping) else None,
        template=template,
        path=report.path,
        inline=inline,
    )


def _name(document: Any) -> str:
    return str(document.get("name")) if isinstance(document, Mapping) else ""


def _filled(document: Any, values: Values, report: Report) -> Any:
    try:
        filled = fill(document, values.recorded)
    except ArgumentError as error:
        report.error(_place_of(document, values), str(error))
        return document
    _keep_secrets_in_provider(filled, values, report)
    return filled


def _place_of(document: Any, values: Values) -> Path:
    """Find the text that cannot be filled."""
    if isinstance(document, Mapping):
        inside: Iterable[tuple[Any, Any]] = document.items()
    elif isinstance(document, (list, tuple)):
        inside = enumerate(document)
    else:
        return ()
    for key, item in inside:
        try:
            fill(item, values.recorded)
        except ArgumentError:
            return (key, *_place_of(item, values))
    return ()


def _keep_secrets_in_provider(filled: Any, values: Values, report: Report) -> None:
    if not isinstance(filled, Mapping):
        return
    for key, item in filled.items():
        for name in values.secret_sources:
            if key != "provider" and isinstance(item, str) and placeholder(name) in item:
                report.error((key,), f"args.{name} is secret and may stand only under provider")
