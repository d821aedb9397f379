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

from router.config.compile import initial_state
from router.config.load import Inspection, inspect
from router.config.models import BlueGreen, Canary, Route
from router.config.plan import RoutePlan, plan_of
from router.config.problems import Finding, Path, Problem, format_path
from router.config.root import Config
from router.config.units import format_size
from router.snapshot import Role


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


def check(paths: Iterable[str | PathLike[str]]) -> Report:
    """Read each file as `serve` would, and judge it; raises nothing."""
    return Report(tuple(_check_file(inspect(path)) for path in paths))


def _check_file(inspection: Inspection) -> FileReport:
    config, source = inspection.config, inspection.source
    if config is None or source is None:
        return FileReport(inspection.file, problems=tuple(inspection.problems))
    warnings = [source.problem(item.path, item.message) for item in _warnings(config)]
    warnings.sort(key=lambda warning: warning.line)
    for route in config.routes:
        manifest = route.strategy.from_manifest if route.strategy is not None else None
        warnings += (manifest.warnings or ()) if manifest is not None else ()
    return FileReport(
        inspection.file,
        warnings=tuple(dict.fromkeys(warnings)),  # routes may share a manifest
        plans=tuple(plan_of(route) for route in config.routes if route.strategy is not None),
    )


def _warnings(config: Config) -> Iterator[Finding]:
    if not config.routes:
        yield Finding(("routes",), "there is no route: every request will be answered with 404")
    for index, route in enumerate(config.routes):
        for warn in _ROUTE_WARNINGS:
            for finding in warn(route):
                yield Finding(("routes", index, *finding.path), finding.message)
    yield from _warn_of_unused_templates(config)
    yield from _warn_of_missing_files(config)


def _warn_of_missing_release(route: Route) -> Iterator[Finding]:
    if len(route.versions) > 1 and route.release is None:
        start = next(
            name for name, role in initial_state(route).roles.items() if role is Role.STABLE
        )
        message = f'none is given, so the route stays on "{start}" until it is told otherwise'
        yield Finding(("release",), message)


def _warn_of_weak_strategy(route: Route) -> Iterator[Finding]:
    if route.strategy is None:
        if len(route.versions) > 1:
            message = "none is given: a new release gets all traffic at once, unproven"
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


def _warn_of_idle_shadow(route: Route) -> Iterator[Finding]:
    limits, shadow = route.limits, route.shadow
    if shadow is None:
        return
    if not shadow.percent:
        yield Finding(("shadow", "percent"), "is 0: nothing is copied")
    if (
        shadow.max_body_bytes > limits.max_body_bytes
        and "max_body_bytes" in shadow.model_fields_set
    ):
        message = f"the route itself refuses more than {format_size(limits.max_body_bytes)}"
        yield Finding(("shadow", "maxBodyBytes"), message)


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
    _warn_of_idle_shadow,
)


def _warn_of_unused_templates(config: Config) -> Iterator[Finding]:
    used = {
        reference.template_name
        for route in config.routes
        if route.strategy is not None
        for analysis in route.strategy.analyses.values()
        for reference in analysis.templates
    }
    for template in config.templates.values():
        used |= {reference.template_name for reference in template.spec.templates}
    if unused := [name for name in config.templates if name not in used]:
        yield Finding(("analysisTemplates",), f"no strategy uses {', '.join(unused)}")


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
