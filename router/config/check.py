"""Judge configuration files before anything runs on them: problems, warnings, plans.

A problem means that the file is refused.  A warning is something that works and that its author
probably did not mean.  The plans are in `router.config.plan`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from os import PathLike
from pathlib import Path as FilePath
from typing import Any, Final

from router.analysis import findings as analysis
from router.analysis.arguments import BUILT_IN, Argument
from router.analysis.lint import lint_samples
from router.analysis.plan import Order, Plan, make_plan
from router.analysis.template import flatten
from router.config.compile import initial_state
from router.config.contradictions import (
    WrittenTemplate,
    find_in_template,
    place_in_reference,
    with_column,
    written_templates,
)
from router.config.crowding import find_crowding
from router.config.load import Inspection, inspect
from router.config.models import BlueGreen, Canary, Route, Strategy, Tls
from router.config.models.strategy import Warmup
from router.config.plan import (
    Documents,
    RoutePlan,
    Understanding,
    Understood,
    copies_to_target,
    plan_of,
    soonest_good,
    subject_of,
    target_of,
    weights_before,
    with_nested,
)
from router.config.problems import Finding, Path, Problem, format_path
from router.config.root import Config
from router.config.source import Source
from router.config.tls import find_in_server, find_in_version
from router.config.units import format_duration, format_percent, format_size
from router.rollouts.spec import GateKind
from router.snapshot import FULL

_NO_NOISE_FLOOR: Final = (
    "without a noise floor, differences cannot be told from the model's own randomness"
)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What there is to say about one file; without problems it can be used."""

    file: str
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    plans: tuple[RoutePlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say about several files."""

    files: tuple[FileReport, ...]

    @property
    def ok(self) -> bool:
        """Whether every file can be used."""
        return not any(report.problems for report in self.files)


def check(paths: Iterable[str | PathLike[str]], *, requests_per_s: float | None = None) -> Report:
    """Read each file as `serve` would, and judge it; raises nothing.

    `requests_per_s` is what each route is expected to get: with it, thresholds that so few
    requests cannot resolve are warned about.
    """
    return Report(tuple(_check_file(inspect(path), requests_per_s) for path in paths))


def _check_file(inspection: Inspection, requests_per_s: float | None) -> FileReport:
    config, source = inspection.config, inspection.source
    if config is None or source is None:
        return FileReport(inspection.file, problems=tuple(inspection.problems))
    templates = _Templates(config, source)
    analyses = Understanding(templates.documents)
    routes = {route.name: analyses.of(route) for route in config.routes}
    if found := [source.problem(item.path, item.message) for item in _bad_tls(config)]:
        return FileReport(inspection.file, problems=tuple(found))
    warnings = [source.problem(item.path, item.message) for item in _warnings(config)]
    for index, route in enumerate(config.routes):
        warnings += templates.warnings(index, route, routes[route.name], requests_per_s)
    warnings += templates.warnings_of_unused(config)
    warnings.sort(key=lambda warning: (warning.file != source.file, warning.file, warning.line))
    for route in config.routes:
        manifest = route.strategy.from_manifest if route.strategy is not None else None
        warnings += (manifest.warnings or ()) if manifest is not None else ()
    return FileReport(
        inspection.file,
        warnings=tuple(dict.fromkeys(warnings)),  # routes may share a manifest, or a template
        plans=tuple(
            plan_of(route, routes[route.name])
            for route in config.routes
            if route.strategy is not None
        ),
    )


def _bad_tls(config: Config) -> Iterator[Finding]:
    """Certificates that are here and cannot be used; those that are not here are warned of."""
    if (found := find_in_server(config.server, missing=False)) is not None:
        yield found
    known: dict[Tls, Finding | None] = {}
    for index, route in enumerate(config.routes):
        for name, version in route.versions.items():
            tls = version.tls
            if not tls.model_fields_set:
                continue
            if tls not in known:
                known[tls] = find_in_version(tls)
            if (bad := known[tls]) is not None:
                yield Finding(("routes", index, "versions", name, "tls", *bad.path), bad.message)


def _warnings(config: Config) -> Iterator[Finding]:
    if not config.routes:
        yield Finding(("routes",), "there is no route: every request will be answered with 404")
    for index, route in enumerate(config.routes):
        for warn in _ROUTE_WARNINGS:
            for finding in warn(route):
                yield Finding(("routes", index, *finding.path), finding.message)
    if unused := _unused_templates(config):
        yield Finding(("analysisTemplates",), f"no strategy uses {', '.join(unused)}")
    yield from _warn_of_missing_files(config)


def _warn_of_missing_release(route: Route) -> Iterator[Finding]:
    if len(route.versions) > 1 and route.release is None:
        start = initial_state(route).stable
        message = f'none is given, so the route stays on "{start}" until it is told otherwise'
        yield Finding(("release",), message)


def _warn_of_weak_strategy(route: Route) -> Iterator[Finding]:
    if route.strategy is None:
        if len(route.versions) > 1:
            message = "none is given: a new release waits for a person, who starts it unproven"
            yield Finding(("strategy",), message)
        return
    if route.strategy.canary is not None:
        place: Path = ("strategy", "canary")
        if route.strategy.from_manifest is not None:
            place = ("strategy", "fromManifest")
        yield from _warn_of_weak_canary(route.strategy.canary, place)
    if route.strategy.blue_green is not None:
        yield from _warn_of_weak_switch(route, route.strategy.blue_green)


def _warn_of_weak_canary(canary: Canary, place: Path) -> Iterator[Finding]:
    if not canary.steps:
        yield Finding(place, "has no steps: a new release gets all traffic at once")
        return
    if canary.analysis is None and not any(step.analysis for step in canary.steps):
        yield Finding(place, "has no analysis: only the breaker stops a bad version")
    weight, waited = Decimal(0), True
    for index, step in enumerate(canary.steps):
        if step.set_weight is None:
            waited = waited or step.pause is not None or step.analysis is not None
            continue
        here: Path = place if place[-1] == "fromManifest" else (*place, "steps", index, "setWeight")
        if step.set_weight < weight:
            yield Finding(here, f"weight falls from {weight} to {step.set_weight}")
        if not waited:
            yield Finding(here, f"follows weight {weight} without a pause or an analysis")
        weight, waited = step.set_weight, False


def _warn_of_weak_switch(route: Route, strategy: BlueGreen) -> Iterator[Finding]:
    if route.health is None:
        message = "has no health probes to count healthy endpoints by: set `health`"
        yield Finding(("strategy", "blueGreen"), message)
    for name, version in route.versions.items():
        few = len(version.endpoints) < strategy.min_healthy_endpoints
        if few and not any(endpoint.dns for endpoint in version.endpoints):
            message = f'version "{name}" has {len(version.endpoints)} and can never be switched to'
            yield Finding(("strategy", "blueGreen", "minHealthyEndpoints"), message)
    if not strategy.auto_promotion_enabled and strategy.auto_promotion_s is not None:
        message = "means nothing with autoPromotionEnabled: false"
        yield Finding(("strategy", "blueGreen", "autoPromotionSeconds"), message)
    if strategy.warmup is not None:
        yield from _warn_of_unnamed_models(route, strategy.warmup)


def _warn_of_unnamed_models(route: Route, warmup: Warmup) -> Iterator[Finding]:
    if not warmup.require_model or (isinstance(warmup.body, Mapping) and "model" in warmup.body):
        return
    for name, version in route.versions.items():
        if version.model is None:
            message = f'version "{name}" names no `model`, and the body none either: never warm'
            yield Finding(("strategy", "blueGreen", "warmup", "requireModel"), message)


def _warn_of_unseen_keys(route: Route) -> Iterator[Finding]:
    """A sticky field or a model that a long body hides behind what is inspected."""
    limits = route.limits
    given = limits.model_fields_set
    raised = "max_body_bytes" in given and "max_inspect_bytes" not in given
    if limits.max_inspect_bytes >= limits.max_body_bytes:
        return
    if not raised and "max_inspect_bytes" not in given:
        return  # the defaults are a decision of ours, not of the file's author
    seen = f"maxInspectBytes ({format_size(limits.max_inspect_bytes)})"
    for index, source in enumerate(route.sticky.by if route.sticky is not None else ()):
        if source.body is not None:
            message = f'"{source.body}" is only found within {seen} of bodies that may be longer'
            yield Finding(("sticky", "by", index, "body"), message)


def _warn_of_shadow_steps(route: Route) -> Iterator[Finding]:
    strategy = route.strategy
    if strategy is None or strategy.canary is None:
        return
    target = target_of(list(route.versions), route.release)
    weights = weights_before(strategy.canary)
    for index, (step, weight) in enumerate(zip(strategy.canary.steps, weights, strict=True)):
        if step.set_shadow is None or not step.set_shadow.percent:
            continue
        place: Path = ("strategy", "canary", "steps", index, "setShadow")
        if strategy.from_manifest is not None:
            place = ("strategy", "fromManifest")
        if reason := _uncopied(step.set_shadow.version or target, target, weight, route):
            yield Finding(place, f"{reason}, nothing is copied")
        elif route.shadow is None:
            yield Finding(place, f"{_NO_NOISE_FLOOR}: set `shadow.noise.percent`")


def _uncopied(version: str, target: str, weight: int, route: Route) -> str:
    """Why a step copies nothing to this version, as far as the configuration can tell."""
    if version == target and weight:
        had = f'"{target}" has {format_percent(weight)} % of the traffic by then'
        return f"{had}: a version with traffic is nobody's shadow"
    if version != target and len(route.versions) == 2:
        return f'"{version}" is stable then: it cannot be its own shadow'
    return ""


def _warn_of_idle_gates(route: Route) -> Iterator[Finding]:
    if route.strategy is None:
        return
    for index, gate in enumerate(route.strategy.gates):
        if reason := _idle(gate.type, route.strategy):
            yield Finding(("strategy", "gates", index), f"{gate.type} is never asked: {reason}")


def _idle(kind: GateKind, strategy: Strategy) -> str:
    if strategy.canary is None:
        return ""
    steps, before = strategy.canary.steps, weights_before(strategy.canary)
    rises = any(
        step.set_weight is not None and strategy.canary.weight_bp(step.set_weight) > weight
        for step, weight in zip(steps, before, strict=True)
    )
    if kind is GateKind.CONFIRM_TRAFFIC_INCREASE and not rises:
        return "no step raises the weight"
    return ""


def _warn_of_idle_shadow(route: Route) -> Iterator[Finding]:
    limits, shadow = route.limits, route.shadow
    if shadow is None:
        return
    if shadow.version is None and "percent" in shadow.model_fields_set:
        yield Finding(("shadow", "percent"), "says nothing without a version: steps say their own")
    if not shadow.percent and not _has_copying_steps(route):
        yield Finding(("shadow", "percent"), "is 0: nothing is copied")
    elif not shadow.noise.percent:
        yield Finding(("shadow", "noise", "percent"), f"is 0: {_NO_NOISE_FLOOR}")
    if (
        shadow.max_body_bytes > limits.max_body_bytes
        and "max_body_bytes" in shadow.model_fields_set
    ):
        message = f"the route itself refuses more than {format_size(limits.max_body_bytes)}"
        yield Finding(("shadow", "maxBodyBytes"), message)


def _has_copying_steps(route: Route) -> bool:
    canary = route.strategy.canary if route.strategy is not None else None
    return canary is not None and any(
        step.set_shadow is not None and step.set_shadow.percent for step in canary.steps
    )


def _warn_of_tls(route: Route) -> Iterator[Finding]:
    for name, version in route.versions.items():
        place: Path = ("versions", name, "tls")
        if not version.tls.verify:
            yield Finding(place, "does not verify: anybody on the way can be the model server")
        if version.tls.model_fields_set and not any(item.https for item in version.endpoints):
            yield Finding(place, "no endpoint of this version is https")


def _warn_of_repeated_rules(route: Route) -> Iterator[Finding]:
    first: dict[tuple[object, ...], int] = {}
    for index, rule in enumerate(route.match):
        earlier = first.setdefault(rule.meaning, index)
        if earlier != index:
            yield Finding(("match", index), f"says the same as {format_path(('match', earlier))}")


_ROUTE_WARNINGS: Final[tuple[Callable[[Route], Iterator[Finding]], ...]] = (
    _warn_of_repeated_rules,
    _warn_of_missing_release,
    _warn_of_tls,
    _warn_of_weak_strategy,
    _warn_of_unseen_keys,
    find_crowding,
    _warn_of_idle_shadow,
    _warn_of_shadow_steps,
    _warn_of_idle_gates,
)


def _unused_templates(config: Config) -> list[str]:
    used = {
        reference.template_name
        for route in config.routes
        if route.strategy is not None
        for analysis in route.strategy.analyses.values()
        for reference in analysis.templates
    }
    documents = {name: template.document for name, template in config.templates.items()}
    return [name for name in documents if name not in with_nested(used, documents)]


def _warn_of_missing_files(config: Config) -> Iterator[Finding]:
    """Files that are only opened later, and that may be mounted only where the router runs."""
    for path, file in _files(config):
        if not _exists(file):
            yield Finding(path, f"{file} does not exist here")


def _exists(file: str) -> bool:
    try:
        return FilePath(file).exists()
    except OSError:  # a name that no file can have, or a folder that nobody may enter
        return False


def _files(config: Config) -> Iterator[tuple[Path, str]]:
    if config.server.tls is not None:
        listener: Mapping[str, Any] = {
            "certificateFile": config.server.tls.certificate_file,
            "keyFile": config.server.tls.key_file,
            "clientCaFile": config.server.tls.client_ca_file,
        }
        for field, file in listener.items():
            if file is not None:
                yield ("server", "tls", field), file
    for index, token in enumerate(config.auth.tokens):
        if token.sha256_file is not None:
            yield ("auth", "tokens", index, "sha256File"), token.sha256_file
    for index, route in enumerate(config.routes):
        for name, version in route.versions.items():
            files: Mapping[str, Any] = {
                "caFile": version.tls.ca_file,
                "certificateFile": version.tls.certificate_file,
                "keyFile": version.tls.key_file,
            }
            for field, file in files.items():
                if file is not None:
                    yield ("routes", index, "versions", name, "tls", field), file
        value_file = route.shadow.credentials.value_file if route.shadow is not None else None
        if value_file is not None:
            yield ("routes", index, "shadow", "credentials", "valueFile"), value_file


# -- analyses --------------------------------------------------------------------------------------


class _Templates:
    """The analysis templates of a configuration, and what to tell about them."""

    def __init__(self, config: Config, source: Source) -> None:
        self._source: Final = source
        self._written: Final[Mapping[str, WrittenTemplate]] = written_templates(
            {"analysisTemplates": config.analysis_templates}
        )
        self.documents: Final[Documents] = {
            name: template.document for name, template in self._written.items()
        }

    def warnings(
        self, index: int, route: Route, understood: Understood, requests_per_s: float | None
    ) -> Iterator[Problem]:
        """What is right in form in a route's analyses, and probably not meant."""
        manifest = route.strategy is not None and route.strategy.from_manifest is not None
        for place, plan in understood.items():
            here: Path = ("fromManifest",) if manifest else place
            for finding in (
                *plan.warnings,
                *_late(plan),
                *_without_shadow(route, place, plan),
                *self._samples(route, place, plan, requests_per_s),
            ):
                yield self._placed(
                    finding, ("routes", index, "strategy", *here), place if manifest else ()
                )

    def warnings_of_unused(self, config: Config) -> Iterator[Problem]:
        """What would be wrong if somebody used them."""
        prometheus = config.providers.prometheus
        address = prometheus.address if prometheus is not None else None
        for name in _unused_templates(config):
            template = self._written[name]
            for path, message in find_in_template(name, self.documents, address):
                yield template.problem(self._source, path, message)
            for finding in _understood_alone(name, self.documents):
                yield self._placed(finding, template.place, ())

    def _placed(self, finding: analysis.Finding, place: Path, at: Path) -> Problem:
        if finding.template in self._written:
            template = self._written[finding.template]
            return template.problem(self._source, finding.path, finding.text)
        placed = place_in_reference(finding, place, at)
        return self._source.problem(placed.path, placed.message)

    def _samples(
        self, route: Route, place: Path, plan: Plan, requests_per_s: float | None
    ) -> Iterator[analysis.Finding]:
        share = _share_bp(route, place) / FULL
        if not requests_per_s or not share:
            return
        for metric in plan.metrics:
            for _, text in lint_samples(metric, requests_per_s * share):
                yield analysis.Finding("", (), f"{metric.name}: {text}")


def _share_bp(route: Route, place: Path) -> int:
    """The smallest share that an analysis has to judge by, in basis points; 0: none is known."""
    canary = route.strategy.canary if route.strategy is not None else None
    if canary is None:
        return 0
    before = weights_before(canary)
    if len(place) > 2 and isinstance(place[2], int):
        return before[place[2]]
    start = canary.analysis.starting_step if canary.analysis is not None else 0
    return min((weight for weight in before[start:] if weight), default=0)


def _late(plan: Plan) -> Iterator[analysis.Finding]:
    deciding = [metric for metric in plan.metrics if not metric.dry_run]
    good_s = soonest_good(deciding, plan.deadline_s)
    if plan.deadline_s is not None and plan.deadline_s < good_s:
        text = (
            f"{format_duration(plan.deadline_s)} is over before the {format_duration(good_s)} that "
            f"a good verdict takes: for a good version, too, it comes to {plan.on_deadline}"
        )
        yield analysis.Finding("", ("deadline",), text)


def _without_shadow(route: Route, place: Path, plan: Plan) -> Iterator[analysis.Finding]:
    """Metrics of the shadow that have nothing to judge by, whatever the traffic is."""
    target = target_of(list(route.versions), route.release)
    for metric in plan.metrics:
        if metric.provider != "shadow":
            continue
        if not _is_copied_to(route, target, place):
            text = f'nothing copies requests to "{target}" before it is measured'
            yield analysis.Finding("", (), f"{metric.name}: {text}: {_how_to_copy(route)}")
        elif metric.settings.get("metric") == "mismatchBeyondNoise" and not _noise_bp(route):
            text = "is never measured, because no request goes to stable once more"
            yield analysis.Finding("", (), f"{metric.name}: {text}: set `shadow.noise.percent`")


def _how_to_copy(route: Route) -> str:
    if route.strategy is not None and route.strategy.canary is not None:
        return "put a setShadow step and a pause before the first setWeight"
    return f"only `inference-router shadow set {route.name}` does"


def _is_copied_to(route: Route, target: str, place: Path) -> bool:
    """Whether steps copy requests to the new version before this analysis asks, or beside it."""
    canary = route.strategy.canary if route.strategy is not None else None
    if canary is None:
        return False
    copied = copies_to_target(canary, target)
    match place:
        case ("canary", "steps", int(index), *_):
            return any(copied[:index])
    return any(copied)


def _noise_bp(route: Route) -> int:
    return route.shadow.noise.percent if route.shadow is not None else 0


def _understood_alone(name: str, documents: Documents) -> Iterator[analysis.Finding]:
    """What the analysis core says of a template, as far as it does not hang on its arguments."""
    templates, _ = flatten([name], documents)
    given = {a.name for t in templates for a in t.arguments if not a.is_set} - set(BUILT_IN)
    order = Order(
        templates=(name,), arguments=tuple(Argument(a, "1") for a in sorted(given)), background=True
    )
    try:
        found = make_plan(
            order, documents, subject_of("route", ["stable", "canary"], None)
        ).warnings
    except analysis.AnalysisSpecError as error:
        found = tuple(with_column(finding, documents) for finding in error.findings)
    for finding in found:
        metric = _metric_at(finding.path, documents.get(finding.template, {}))
        if finding.template and not any(f"args.{argument}" in metric for argument in given):
            yield finding


def _metric_at(path: Path, document: Mapping[str, Any]) -> str:
    """The text of the metric that a path leads into, if it does."""
    match path:
        case ("spec", "metrics", int(index), *_):
            return repr(document["spec"]["metrics"][index])
    return ""
