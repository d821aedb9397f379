"""What no field can know alone: names that nothing answers to, weights that do not add up, analyses
of which every run would be an Error.

Works on the document as it was written, not on the models made from it: a file with a bad URL in
one line is still told about the unknown version in another.  Values of a wrong shape are skipped
here, because their own field complains about them.

Pure, but for one thing: a file of templates in which something is wrong is read again for its
line numbers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, Final

import msgspec
from pydantic import BaseModel, ValidationError

from router.analysis import findings as analysis
from router.analysis.conditions import ConditionError, parse
from router.analysis.providers.base import Subject
from router.config.address import parse_address
from router.config.models.analysis import (
    AnalysisRef,
    AnalysisTemplate,
    BackgroundAnalysis,
    InlineAnalysis,
    TemplateFile,
)
from router.config.models.match import MatchRule
from router.config.models.strategy import BlueGreen, Canary, Strategy
from router.config.plan import (
    Documents,
    Understanding,
    nested_templates,
    subject_of,
    with_nested,
)
from router.config.problems import ConfigProblems, Finding, Path, Problem, format_path
from router.config.source import Source, read_sources
from router.config.units import format_percent, parse_percent
from router.snapshot import FULL

Document = Mapping[str, Any]
_MANY: Final = 8


def find_contradictions(document: Document) -> Iterator[Finding]:
    """Look at the whole configuration; every finding, in the order of the file's sections."""
    yield from _admin_port(document)
    yield from _repeated(document, "auth", "tokens")
    templates = _template_names(document)
    routes = [_plain(route) for route in _sequence(document.get("routes"))]
    for index, route in enumerate(routes):
        for finding in _route(route, templates):
            yield Finding(("routes", index, *finding.path), finding.message)
    yield from _repeated({"routes": routes}, "routes")
    yield from _ambiguous(routes)
    yield from _repeated_templates(document)
    yield from dict.fromkeys(_analyses(document, routes))


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say which known word was probably meant, or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower().replace("_", ""), by_lower, n=1, cutoff=0.6)
    return f' (did you mean "{by_lower[close[0]]}"?)' if close else ""


def _route(route: Document, templates: frozenset[str] | None) -> Iterator[Finding]:
    versions = list(_mapping(route.get("versions")))
    for path, name in _named_versions(route):
        if name not in versions and versions:
            yield Finding(path, f'unknown version "{name}"; the route has {_listed(versions)}')
    yield from _weights(route)
    yield from _shadow(route, versions)
    canary = _mapping(_mapping(route.get("strategy")).get("canary"))
    for finding in find_in_canary(canary):
        yield Finding(("strategy", "canary", *finding.path), finding.message)
    if templates is not None:
        for path, name in _named_templates(_mapping(route.get("strategy"))):
            if name not in templates:
                message = f'unknown analysis template "{name}"{suggestion(name, templates)}'
                yield Finding(("strategy", *path), message)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MANY]) + (", …" if len(names) > _MANY else "")


def find_in_canary(canary: Document) -> Iterator[Finding]:
    """Look at one canary strategy by itself."""
    steps = _sequence(canary.get("steps"))
    total = _decimal(canary.get("maxTrafficWeight", 100))
    for index, step in enumerate(steps):
        weight = _decimal(_mapping(step).get("setWeight"))
        if weight is not None and total is not None and weight > total:
            message = f"{weight} is more than {total}"
            yield Finding(("steps", index, "setWeight"), message)
    start = _decimal(_mapping(canary.get("analysis")).get("startingStep"))
    if start is not None and start > len(steps):
        message = f"{start} is beyond the last of {len(steps)} steps"
        yield Finding(("analysis", "startingStep"), message)


def _named_versions(route: Document) -> Iterator[tuple[Path, str]]:
    candidates: list[tuple[Path, object]] = [
        (("release",), route.get("release")),
        (("shadow", "version"), _mapping(route.get("shadow")).get("version")),
    ]
    candidates += [
        (("initialWeights", name), name) for name in _mapping(route.get("initialWeights"))
    ]
    for index, item in enumerate(_sequence(route.get("headerRoutes"))):
        candidates.append((("headerRoutes", index, "version"), _mapping(item).get("version")))
    canary = _mapping(_mapping(route.get("strategy")).get("canary"))
    for index, item in enumerate(_sequence(canary.get("steps"))):
        version = _mapping(_mapping(item).get("setShadow")).get("version")
        candidates.append((("strategy", "canary", "steps", index, "setShadow", "version"), version))
    return ((path, name) for path, name in candidates if isinstance(name, str))


def _weights(route: Document) -> Iterator[Finding]:
    weights = _basis_points(route)
    if weights is not None and (total := sum(weights.values())) != FULL:
        message = f"weights sum to {format_percent(total)}, not 100"
        yield Finding(("initialWeights",), message)


def _shadow(route: Document, versions: list[str]) -> Iterator[Finding]:
    name = _mapping(route.get("shadow")).get("version")
    if not isinstance(name, str):
        return
    path: Path = ("shadow", "version")
    weights = _basis_points(route)
    if weights is not None and weights.get(name):
        share = format_percent(weights[name])
        yield Finding(path, f'"{name}" has {share} % of the traffic; a shadow has none')
    elif name == route.get("release"):
        message = f'"{name}" is the release; a shadow has no traffic of its own'
        yield Finding(path, f"{message} (a setShadow step copies to a release before it has any)")
    elif versions == [name]:
        yield Finding(path, f'"{name}" is the only version; a shadow has no traffic of its own')


def _basis_points(route: Document) -> dict[str, int] | None:
    """The initial weights, or None where there are none or one of them is wrong by itself."""
    weights = route.get("initialWeights")
    if not isinstance(weights, Mapping):
        return None
    try:
        return {name: parse_percent(value) for name, value in weights.items()}
    except ValueError:
        return None


def _admin_port(document: Document) -> Iterator[Finding]:
    server = _mapping(document.get("server"))
    try:
        admin = parse_address(server.get("admin", "127.0.0.1:8081"))
        listen = parse_address(server.get("listen", "0.0.0.0:8080"))  # the default
    except ValueError:
        return
    path: Path = ("server", "admin")
    if not admin.loopback and not _mapping(document.get("auth")).get("tokens"):
        message = f"{admin} can be reached from outside, so auth.tokens must name somebody"
        yield Finding(path, message)
    if admin == listen and admin.port:
        yield Finding(path, f"{admin} is the traffic port already")


def _repeated(document: Document, *way: str) -> Iterator[Finding]:
    """Find things in a list that share one name."""
    items: Any = document
    for key in way:
        items = _mapping(items).get(key)
    first: dict[str, int] = {}
    for index, item in enumerate(_sequence(items)):
        name = _mapping(item).get("name")
        if not isinstance(name, str):
            continue
        if name in first:
            message = f'"{name}" is the name of {format_path((*way, first[name]))} already'
            yield Finding((*way, index, "name"), message)
        first.setdefault(name, index)


def _ambiguous(routes: list[Document]) -> Iterator[Finding]:
    """Find rules of different routes that match the very same requests."""
    first: dict[tuple[object, ...], tuple[int, int]] = {}
    for index, route in enumerate(routes):
        for rule_index, item in enumerate(_sequence(route.get("match"))):
            if (rule := _rule(item)) is None:
                continue
            owner, owner_rule = first.setdefault(rule.meaning, (index, rule_index))
            if owner != index:
                place = format_path(("routes", owner, "match", owner_rule))
                message = f'is the same rule as {place} of route "{routes[owner].get("name")}"'
                yield Finding(("routes", index, "match", rule_index), message)


def _rule(item: object) -> MatchRule | None:
    try:
        return MatchRule.model_validate(item)
    except ValidationError:
        return None


def _template_names(document: Document) -> frozenset[str] | None:
    """Every template's name; None where a file of them has not been read."""
    names: set[str] = set()
    for item in _sequence(document.get("analysisTemplates")):
        if isinstance(item, str) or (isinstance(item, TemplateFile) and item.templates is None):
            return None
        names.update(_names_in(item))
    return frozenset(names)


def _repeated_templates(document: Document) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, item in enumerate(_sequence(document.get("analysisTemplates"))):
        for name in _names_in(item):
            if name in first:
                place = format_path(("analysisTemplates", first[name]))
                message = f'"{name}" is the name of a template in {place} already'
                yield Finding(("analysisTemplates", index), message)
            first.setdefault(name, index)


def _names_in(item: object) -> list[str]:
    if isinstance(item, TemplateFile):
        return [template.name for template in item.templates or ()]
    if isinstance(item, AnalysisTemplate):
        return [item.name]
    name = _mapping(_mapping(item).get("metadata")).get("name")
    return [name] if isinstance(name, str) else []


def _named_templates(strategy: Document) -> Iterator[tuple[Path, str]]:
    """Every `templateName` of a strategy; those of a manifest stand where it is named."""
    for key in ("canary", "blueGreen"):
        value = strategy.get(key)
        if isinstance(value, BaseModel):
            found = _search(value.model_dump(by_alias=True), ())
            yield from ((("fromManifest",), name) for _, name in found)
        else:
            yield from _search(value, (key,))


def _search(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "templateName" and isinstance(item, str):
                yield (*path, key), item
            else:
                yield from _search(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _search(item, (*path, index))


# -- analyses --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WrittenTemplate:
    """A template, and where it stands: in the configuration, or in a file named there."""

    name: str
    document: Document
    place: Path
    file: str | None = None

    def problem(self, source: Source, path: Path, message: str) -> Problem:
        """Say something about a part of it; `source` is the configuration's."""
        if self.file is None:
            return source.problem((*self.place, *path), message)
        return _problem_in_file(self.file, self.name, path, message)

    def finding(self, path: Path, message: str) -> Finding:
        """The same, before anyone knows the configuration's lines."""
        if self.file is None:
            return Finding((*self.place, *path), message)
        return Finding(self.place, str(_problem_in_file(self.file, self.name, path, message)))


def _problem_in_file(file: str, name: str, path: Path, message: str) -> Problem:
    try:
        sources = read_sources(file)
    except ConfigProblems:  # it has just been changed
        return Problem(file, 0, format_path(path), message)
    for source in sources:
        if _mapping(_mapping(source.value).get("metadata")).get("name") == name:
            return source.problem(path, message)
    return Problem(file, 0, format_path(path), message)


def written_templates(document: Document) -> dict[str, WrittenTemplate]:
    """Every template by its name, except those of a wrong shape."""
    found: dict[str, WrittenTemplate] = {}
    for index, item in enumerate(_sequence(document.get("analysisTemplates"))):
        place: Path = ("analysisTemplates", index)
        file = item.path if isinstance(item, TemplateFile) else None
        for template in _templates_in(item):
            written = WrittenTemplate(template.name, template.document, place, file)
            found.setdefault(template.name, written)
    return found


def _templates_in(item: object) -> tuple[AnalysisTemplate, ...]:
    if isinstance(item, TemplateFile):
        return item.templates or ()
    if isinstance(item, AnalysisTemplate):
        return (item,)
    try:
        return (AnalysisTemplate.model_validate(item),)
    except ValidationError:
        return ()


def _analyses(document: Document, routes: list[Document]) -> Iterator[Finding]:
    """Find what would make every run of an analysis an Error; a template nobody uses has no run."""
    if not (templates := written_templates(document)):
        return
    analyses = Understanding({name: template.document for name, template in templates.items()})
    used: dict[str, None] = {}
    for index, route in enumerate(routes):
        for place, at, reference in _references(_mapping(route.get("strategy"))):
            names = [template.template_name for template in reference.templates]
            closure = with_nested(names, analyses.templates)
            used |= closure
            if not closure.keys() <= templates.keys():
                continue  # the name that is unknown is told of where it stands
            for finding in _errors_of(reference, analyses, _subject(route)):
                yield _placed(finding, ("routes", index, "strategy", *place), at, templates)
    address = _default_address(document)
    for name in [name for name in used if name in templates]:
        for path, message in find_in_template(name, analyses.templates, address):
            yield templates[name].finding(path, message)


def _references(strategy: Document) -> Iterator[tuple[Path, Path, AnalysisRef]]:
    """Every analysis: its place in the configuration, and further inside a manifest, if it is."""
    canary, blue_green = strategy.get("canary"), strategy.get("blueGreen")
    if isinstance(canary, Canary) or isinstance(blue_green, BlueGreen):
        read = Strategy.model_construct(canary=canary, blue_green=blue_green)
        yield from ((("fromManifest",), place, item) for place, item in read.analyses.items())
        return
    for place, document in _written_references(_mapping(canary), _mapping(blue_green)):
        if document is None:
            continue
        inline = place != ("canary", "analysis")
        try:
            model = InlineAnalysis if inline else BackgroundAnalysis
            yield place, (), model.model_validate(document)
        except ValidationError:
            continue


def _written_references(canary: Document, blue_green: Document) -> Iterator[tuple[Path, object]]:
    yield ("canary", "analysis"), canary.get("analysis")
    for index, step in enumerate(_sequence(canary.get("steps"))):
        yield ("canary", "steps", index, "analysis"), _mapping(step).get("analysis")
    for key in ("prePromotionAnalysis", "postPromotionAnalysis"):
        yield ("blueGreen", key), blue_green.get(key)


def _subject(route: Document) -> Subject:
    release = route.get("release")
    versions = list(_mapping(route.get("versions"))) or [""]
    return subject_of(str(route.get("name")), versions, str(release) if release else None)


def _errors_of(
    reference: AnalysisRef, analyses: Understanding, subject: Subject
) -> list[analysis.Finding]:
    try:
        analyses.plan(reference, subject)
    except analysis.AnalysisSpecError as error:
        return [with_column(finding, analyses.templates) for finding in error.findings]
    return []


def with_column(finding: analysis.Finding, documents: Documents) -> analysis.Finding:
    """Say where in a condition it cannot be read; the text alone is Argo's, and does not."""
    match finding.path:
        case ("spec", "metrics", int(index), "successCondition" | "failureCondition" as key):
            condition = documents[finding.template]["spec"]["metrics"][index][key]
        case _:
            return finding
    try:
        # A condition with arguments in it is not the one that was read: it has other columns.
        if isinstance(condition, str) and "{{" not in condition:
            parse(condition.strip())
    except ConditionError as error:
        if error.column is not None:
            return msgspec.structs.replace(finding, text=f"column {error.column}: {finding.text}")
    return finding


def _placed(
    finding: analysis.Finding, place: Path, at: Path, templates: Mapping[str, WrittenTemplate]
) -> Finding:
    """Say where a finding stands: in a template, in the reference to it, or at its manifest."""
    if finding.template in templates:
        return templates[finding.template].finding(finding.path, finding.text)
    return place_in_reference(finding, place, at)


def place_in_reference(finding: analysis.Finding, place: Path, at: Path) -> Finding:
    """Say where a finding about a reference stands."""
    text = finding.text
    if text.endswith("was not resolved"):  # Argo's words
        text += ": give it a value in `args`, or a default in the template"
    if at:
        return Finding(place, f"{format_path((*at, *finding.path))}: {text}")
    return Finding((*place, *finding.path), text)


def find_in_template(
    name: str, documents: Documents, default_address: str | None
) -> Iterator[tuple[Path, str]]:
    """What is wrong with a template whatever its arguments are: names, and providers' settings."""
    for index, nested in enumerate(nested_templates(documents[name])):
        if nested not in documents:
            message = f'unknown analysis template "{nested}"{suggestion(nested, documents)}'
            yield ("spec", "templates", index, "templateName"), message
    for index, metric in enumerate(_sequence(documents[name]["spec"].get("metrics"))):
        for path, message in _provider(_mapping(metric), default_address):
            yield ("spec", "metrics", index, "provider", *path), message


def _provider(metric: Document, default_address: str | None) -> Iterator[tuple[Path, str]]:
    written = _mapping(metric.get("provider"))
    kinds = [kind for kind, settings in written.items() if settings is not None]
    if len(kinds) != 1 or not isinstance(written[kinds[0]], Mapping):
        return  # told of by whoever reads the metric
    kind, settings = kinds[0], written[kinds[0]]
    if kind == "prometheus" and not (settings.get("address") or default_address):
        message = "has no address: give it one, or set providers.prometheus.address for all"
        yield (kind,), message
    yield from (((kind,), message) for message in _wrong_settings(kind, settings))


def _wrong_settings(kind: str, settings: Document) -> list[str]:
    # Why here: it imports httpx (0.5 s), which a configuration without templates never needs.
    from router.analysis.providers.registry import Providers
    from router.telemetry.windows import History

    somewhere = {"address": "http://prometheus"}  # that there is none has been said
    return Providers.standard(History(), somewhere).check(kind, settings)


def _default_address(document: Document) -> str | None:
    prometheus = _plain(_plain(document.get("providers")).get("prometheus"))
    address = prometheus.get("address")
    return str(address) if address else None


def _decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _plain(value: object) -> Document:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return _mapping(value)


def _mapping(value: object) -> Document:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: object) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, (list, tuple)) else ()
