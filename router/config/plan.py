"""What a new release of a route will go through, in words and numbers, before anything happens.

Pure.  Printing is somebody else's.

Times are seconds from the moment when something begins.  A provider's answers are taken to be
immediate and free of errors, and gates and people to be quick: a rollout may take longer than its
plan says, never less.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final

import msgspec

from router.analysis.arguments import Argument
from router.analysis.findings import AnalysisSpecError
from router.analysis.metric import OFF, MetricSpec
from router.analysis.phases import NoData, OnDeadline
from router.analysis.plan import Order, Plan, make_plan
from router.analysis.providers.base import Subject
from router.analysis.template import Retention
from router.config.models import (
    AnalysisRef,
    BackgroundAnalysis,
    BlueGreen,
    Canary,
    Gate,
    InlineAnalysis,
    Route,
    SetHeaderRoute,
    SetShadow,
    Step,
)
from router.config.rollout import analysis_ref, on_deadline_of
from router.config.units import format_duration, format_percent
from router.rollouts.spec import GateKind

Documents = Mapping[str, Mapping[str, Any]]
"""Analysis templates by name, as `router.analysis` reads them."""

Understood = Mapping[tuple[str | int, ...], Plan]
"""What a strategy's analyses will do, by their place in the strategy."""

WIDTH: Final = 98
"""Columns of a plan's lines, so that with some indent they fit into 100."""
_LONGEST: Final = 60
"""Characters of a condition that a plan shows."""
_PERSON: Final = "a person"


@dataclass(frozen=True, slots=True)
class MetricPlan:
    """How one metric is measured.

    `measurements` None: until the run ends.  `at_least_s` and `at_most_s` are the earliest and
    the latest moment of a good verdict; `at_most_s` None: as long as it takes.  `fails_at_s` is
    the earliest moment of a bad one, None: there is none.
    """

    name: str
    provider: str
    success_condition: str
    failure_condition: str
    interval_s: float | None
    measurements: int | None
    at_least_s: float
    at_most_s: float | None
    fails_at_s: float | None
    words: str


@dataclass(frozen=True, slots=True)
class AnalysisPlan:
    """What one analysis measures; all its metrics at the same time."""

    templates: tuple[str, ...]
    metrics: tuple[MetricPlan, ...] = ()
    at_least_s: float = 0.0
    at_most_s: float | None = None
    deadline_s: float | None = None
    on_deadline: str = OnDeadline.PAUSE

    @property
    def names(self) -> str:
        """The templates."""
        return ", ".join(self.templates)

    @property
    def time(self) -> str:
        """How long it takes to be good."""
        if self.at_most_s == self.at_least_s:
            words = format_duration(self.at_least_s) if self.at_least_s else "at once"
        elif self.at_most_s is not None:
            words = f"{format_duration(self.at_least_s)} to {format_duration(self.at_most_s)}"
        else:
            words = f"at least {format_duration(self.at_least_s)}"
        if self.deadline_s is not None:
            words += f"; no verdict after {format_duration(self.deadline_s)}: {self.on_deadline}"
        return words


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One thing that happens.

    `number` counts the strategy's own steps from 1; None: the strategy does not number it.
    `waits_for` names who has to act before it goes on.
    """

    number: int | None
    words: str
    at_least_s: float = 0.0
    waits_for: tuple[str, ...] = ()
    analysis: AnalysisPlan | None = None

    def __str__(self) -> str:
        return self.words if self.number is None else f"{self.number}. {self.words}"


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What a new release of a route will go through.

    `at_least_s` is the sum of its pauses (`pauses_s`) and of the least time of the analyses that
    it waits for; `waits_for` names everybody who has to act, for as long as that takes.
    """

    route: str
    strategy: str
    target: str = ""
    steps: tuple[PlannedStep, ...] = ()
    pauses_s: float = 0.0
    at_least_s: float = 0.0
    waits_for: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [("", f"{self.route}: {self.summary}"), *self._lines()]
        return "\n".join(part for indent, line in lines for part in _wrapped(indent, line))

    def _lines(self) -> Iterator[tuple[str, str]]:
        """Each step, and under it what it measures, with their indents."""
        told: dict[tuple[MetricPlan, ...], int] = {}
        for step in self.steps:
            yield "  ", str(step)
            if step.analysis is None:
                continue
            metrics = step.analysis.metrics
            if metrics in told:
                yield "     ", f"as in step {told[metrics]}"
                continue
            if step.number is not None:
                told[metrics] = step.number
            yield from (("     ", f"{metric.name}: {metric.words}") for metric in metrics)

    @property
    def summary(self) -> str:
        """The whole plan in one line."""
        if not self.steps:
            return self.strategy
        words = f"{self.strategy} to {self.target}, at least {format_duration(self.at_least_s)}"
        measured_s = self.at_least_s - self.pauses_s
        if self.pauses_s and measured_s:
            pauses, measured = format_duration(self.pauses_s), format_duration(measured_s)
            words += f" ({pauses} of pauses, {measured} of analysis)"
        return words + (f", waits for {' and '.join(self.waits_for)}" if self.waits_for else "")


def _wrapped(indent: str, line: str) -> list[str]:
    return wrap(
        line,
        WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def target_of(versions: Sequence[str], release: str | None) -> str:
    """The version that a rollout would bring in."""
    return release or versions[-1]


def subject_of(route: str, versions: Sequence[str], release: str | None) -> Subject:
    """Whom a rollout would measure, as far as the configuration can tell."""
    canary = target_of(versions, release)
    stable = next((name for name in versions if name != canary), canary)
    return Subject(route=route, canary=canary, stable=stable, started_s=0.0, now_s=0.0)


def order_of(analysis: AnalysisRef) -> Order:
    """What control will ask for when this analysis begins."""
    ref = analysis_ref(analysis)
    inline = analysis if isinstance(analysis, InlineAnalysis) else None
    return Order(
        templates=ref.templates,
        arguments=tuple(Argument(a.name, a.value, a.value_from) for a in ref.args),
        dry_run=ref.dry_run,
        retention=tuple(Retention(name, limit) for name, limit in ref.retention),
        deadline_s=inline.deadline_s if inline is not None else None,
        on_deadline=on_deadline_of(inline) if inline is not None else None,
        background=inline is None,
    )


class Understanding:
    """Analyses, understood; equal ones once (1 ms), however many of 10 000 routes share them."""

    def __init__(self, templates: Documents) -> None:
        self.templates: Final = templates
        self._varying: Final = {name for name, each in templates.items() if _hangs_on_names(each)}
        self._known: Final[dict[bytes, Plan | AnalysisSpecError]] = {}

    def plan(self, analysis: AnalysisRef, subject: Subject) -> Plan:
        """What a run will do.

        Raises:
            AnalysisSpecError: it can only be an Error.
        """
        order = order_of(analysis)
        varies = self._varying & with_nested(order.templates, self.templates).keys()
        key = msgspec.json.encode((order, subject if varies else None))
        if key not in self._known:
            self._known[key] = self._make(order, subject)
        known = self._known[key]
        if isinstance(known, AnalysisSpecError):
            raise AnalysisSpecError(known.findings)
        return known

    def of(self, route: Route) -> Understood:
        """Every analysis of a route; raises like `plan`, but not for a route of a `Config`."""
        strategy = route.strategy
        subject = subject_of(route.name, list(route.versions), route.release)
        return {
            place: self.plan(analysis, subject)
            for place, analysis in (strategy.analyses if strategy is not None else {}).items()
        }

    def _make(self, order: Order, subject: Subject) -> Plan | AnalysisSpecError:
        try:
            return make_plan(order, self.templates, subject)
        except AnalysisSpecError as error:
            return error


def with_nested(names: Iterable[str], templates: Documents) -> dict[str, None]:
    """These templates and all that they refer to, known or not."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = None
            waiting += nested_templates(templates.get(name, {}))
    return found


def nested_templates(template: Mapping[str, Any]) -> list[str]:
    """The names that a template refers to."""
    return [
        reference["templateName"] for reference in template.get("spec", {}).get("templates", ())
    ]


def _hangs_on_names(template: Mapping[str, Any]) -> bool:
    """Whether a route's or version's name can stand in more than the providers' settings."""
    fields = [
        value
        for metric in template["spec"].get("metrics", ())
        for key, value in metric.items()
        if key != "provider"
    ]
    return "{{" in repr(fields)


def plan_of(route: Route, understood: Understood) -> RoutePlan:
    """Say what a new release of this route will go through."""
    strategy = route.strategy
    if strategy is not None and strategy.canary is not None:
        steps = tuple(_canary_steps(route, strategy.canary, strategy.gates, understood))
        return _plan(route, "canary", steps)
    if strategy is not None and strategy.blue_green is not None:
        steps = tuple(_blue_green_steps(route, strategy.blue_green, strategy.gates, understood))
        return _plan(route, "blue-green", steps)
    return RoutePlan(route.name, "no strategy")


def _plan(route: Route, strategy: str, steps: tuple[PlannedStep, ...]) -> RoutePlan:
    at_least_s = sum(step.at_least_s for step in steps)
    pauses_s = sum(step.at_least_s for step in steps if step.analysis is None)
    waits_for = dict.fromkeys(who for step in steps for who in step.waits_for)
    target = target_of(list(route.versions), route.release)
    return RoutePlan(
        route.name, strategy, target, steps, pauses_s, at_least_s, waits_for=tuple(waits_for)
    )


# -- canary ----------------------------------------------------------------------------------------


def _canary_steps(
    route: Route, canary: Canary, gates: Sequence[Gate], understood: Understood
) -> Iterator[PlannedStep]:
    target = target_of(list(route.versions), route.release)
    if asked := _asked_first(gates):
        yield asked
    yield from _configured_copies(route)
    if canary.analysis is not None:
        yield _background_step(canary.analysis, understood["canary", "analysis"])
    weights, copies = weights_before(canary), _copies(route, canary, target)
    for index, step in enumerate(canary.steps):
        plan = understood.get(("canary", "steps", index, "analysis"))
        planned = _step(index + 1, step, canary, target, plan, copies[index])
        raises = step.set_weight is not None and canary.weight_bp(step.set_weight) > weights[index]
        yield _gated(planned, gates, GateKind.CONFIRM_TRAFFIC_INCREASE) if raises else planned
    stable = f"{'then ' if canary.steps else ''}{target} is stable and has all traffic"
    yield _gated(PlannedStep(None, stable), gates, GateKind.CONFIRM_PROMOTION)


def _asked_first(gates: Sequence[Gate]) -> PlannedStep | None:
    asked = _gate(gates, GateKind.CONFIRM_ROLLOUT)
    if not asked:
        return None
    every = min(gate.interval_s for gate in gates if gate.type is GateKind.CONFIRM_ROLLOUT)
    words = f"begins when {asked} opens (asked every {format_duration(every)})"
    return PlannedStep(None, words, waits_for=(asked,))


def _background_step(analysis: BackgroundAnalysis, plan: Plan) -> PlannedStep:
    planned = _analysis(analysis, plan)
    start = f"from step {analysis.starting_step + 1} on, " if analysis.starting_step else ""
    words = f"{start}beside the steps: roll back as soon as {planned.names} is bad"
    return PlannedStep(None, words, analysis=planned)


def weights_before(canary: Canary) -> list[int]:
    """The new version's share when each step begins, in basis points; control begins at 0."""
    weights, weight = list[int](), 0
    for step in canary.steps:
        weights.append(weight)
        if step.set_weight is not None:
            weight = canary.weight_bp(step.set_weight)
    return weights


def _shadows_before(canary: Canary) -> list[SetShadow | None]:
    """The setShadow in force when each step begins; None: the steps have nothing copied."""
    shadows, shadow = list[SetShadow | None](), None
    for step in canary.steps:
        shadows.append(shadow)
        if step.set_shadow is not None:
            shadow = step.set_shadow if step.set_shadow.percent else None
    return shadows


def copies_to_target(canary: Canary, target: str) -> list[bool]:
    """Whether each step is a setShadow by which requests are copied to the new version."""
    return [
        step.set_shadow is not None
        and bool(step.set_shadow.percent)
        and step.set_shadow.version in (None, target)
        and not weight  # a version with traffic is nobody's shadow
        for step, weight in zip(canary.steps, weights_before(canary), strict=True)
    ]


def _gated(step: PlannedStep, gates: Sequence[Gate], kind: GateKind) -> PlannedStep:
    asked = _gate(gates, kind)
    if not asked:
        return step
    words = f"{step.words}, when {asked} opens"
    return PlannedStep(step.number, words, step.at_least_s, (*step.waits_for, asked), step.analysis)


def _gate(gates: Sequence[Gate], kind: GateKind) -> str:
    count = sum(gate.type is kind for gate in gates)
    return f"gate {kind}" + (f" ({count} webhooks)" if count > 1 else "") if count else ""


def _step(
    number: int, step: Step, canary: Canary, target: str, plan: Plan | None, copies: str
) -> PlannedStep:
    if step.analysis is not None and plan is not None:
        analysis = _analysis(step.analysis, plan)
        words = f"go on if {analysis.names} is good, else roll back ({analysis.time})"
        return _analysis_step(number, words, analysis)
    if step.pause is not None:
        return _pause_step(number, step.pause.duration_s)
    return PlannedStep(number, _change(step, canary, target, copies))


def _change(step: Step, canary: Canary, target: str, copies: str) -> str:
    if step.set_weight is not None:
        share = format_percent(canary.weight_bp(step.set_weight))
        return f"{share} % of the traffic to {target}" + (f"; {copies}" if copies else "")
    if step.set_header_route is not None:
        return _header_route(step.set_header_route, target)
    assert step.set_shadow is not None, "a step is exactly one thing"
    return copies


def _pause_step(number: int | None, duration_s: float | None) -> PlannedStep:
    if duration_s is None:
        return PlannedStep(number, "wait until a person resumes", waits_for=(_PERSON,))
    return PlannedStep(number, f"wait {format_duration(duration_s)}", duration_s)


def _analysis_step(number: int | None, words: str, analysis: AnalysisPlan) -> PlannedStep:
    return PlannedStep(number, words, analysis.at_least_s, analysis=analysis)


def _header_route(step: SetHeaderRoute, target: str) -> str:
    if not step.match:
        return f"header route {step.name} ends"
    headers = " or ".join(match.header_name for match in step.match)
    return f"requests with header {headers} to {target} ({step.name})"


# -- copies ----------------------------------------------------------------------------------------


def _copies(route: Route, canary: Canary, target: str) -> list[str]:
    """What each step changes about the copies; nothing: it changes nothing."""
    weights, shadows = weights_before(canary), _shadows_before(canary)
    words = list[str]()
    for step, weight, before in zip(canary.steps, weights, shadows, strict=True):
        is_targets = before is not None and before.version in (None, target)
        if step.set_shadow is not None:
            words.append(_set_shadow(route, step.set_shadow, target, weight))
        elif step.set_weight is not None and is_targets:
            words.append(_weighed(bool(weight), bool(canary.weight_bp(step.set_weight))))
        else:
            words.append("")
    return words


def _set_shadow(route: Route, step: SetShadow, target: str, weight: int) -> str:
    version = step.version or target
    if not step.percent:
        again = _configured(route)
        return f"no more copies to {version}" + (f"; again {again}" if again else "")
    if version == target and weight:
        return f"no copies: {target} has {format_percent(weight)} % of the traffic"
    is_partial = bool(step.match or (route.shadow is not None and route.shadow.match))
    return _copied(route, step.percent, version, is_partial=is_partial)


def _weighed(had_traffic: bool, has_traffic: bool) -> str:
    if had_traffic == has_traffic:
        return ""
    return "the copies to it end" if has_traffic else "the copies to it begin again"


def _configured(route: Route) -> str:
    """The copies that need no step, as `shadow` says; nothing: there are none."""
    shadow = route.shadow
    if shadow is None or shadow.version is None or not shadow.percent:
        return ""
    return _copied(route, shadow.percent, shadow.version, is_partial=bool(shadow.match))


def _copied(route: Route, percent: int, version: str, *, is_partial: bool) -> str:
    which = "matching requests" if is_partial else "requests"
    words = f"copies of {format_percent(percent)} % of the {which} to {version}"
    noise = route.shadow.noise.percent if route.shadow is not None else 0
    return words + (f", {format_percent(noise)} % of them to stable once more" if noise else "")


def _configured_copies(route: Route) -> Iterator[PlannedStep]:
    if not (words := _configured(route)):
        return
    strategy = route.strategy
    steps = strategy.canary.steps if strategy is not None and strategy.canary is not None else ()
    is_changed = any(step.set_shadow is not None for step in steps)
    when = "until a step changes that" if is_changed else "all the while"
    yield PlannedStep(None, f"{when}, {words}")


# -- blue-green ------------------------------------------------------------------------------------


def _blue_green_steps(
    route: Route, strategy: BlueGreen, gates: Sequence[Gate], understood: Understood
) -> Iterator[PlannedStep]:
    target = target_of(list(route.versions), route.release)
    if asked := _asked_first(gates):
        yield asked
    yield from _configured_copies(route)
    if strategy.preview_header is not None:
        header = strategy.preview_header.header
        words = f"until the switch, requests with header {header} reach {target}"
        yield PlannedStep(None, words)
    steps = _blue_green_in_order(target, strategy, gates, understood)
    for number, step in enumerate(steps, 1):
        yield PlannedStep(number, step.words, step.at_least_s, step.waits_for, step.analysis)


def _blue_green_in_order(
    target: str, strategy: BlueGreen, gates: Sequence[Gate], understood: Understood
) -> Iterator[PlannedStep]:
    endpoints = _count(strategy.min_healthy_endpoints, "healthy endpoint")
    patience = format_duration(strategy.health_check_retries * strategy.health_check_interval_s)
    yield PlannedStep(None, f"wait until {target} has {endpoints}, give up after {patience}")
    if strategy.warmup is not None:
        requests = _count(strategy.warmup.requests, "warm-up request")
        listed = ", which must list its model" if strategy.warmup.require_model else ""
        yield PlannedStep(None, f"{requests} to each endpoint{listed}")
    if strategy.pre_promotion_analysis is not None:
        plan = understood["blueGreen", "prePromotionAnalysis"]
        analysis = _analysis(strategy.pre_promotion_analysis, plan)
        words = f"go on if {analysis.names} is good, else give up ({analysis.time})"
        yield _analysis_step(None, words, analysis)
    if not strategy.auto_promotion_enabled:
        yield _pause_step(None, None)
    elif strategy.auto_promotion_s:
        yield _pause_step(None, strategy.auto_promotion_s)
    switch = PlannedStep(None, f"all traffic to {target}")
    for kind in (GateKind.CONFIRM_TRAFFIC_INCREASE, GateKind.CONFIRM_PROMOTION):
        switch = _gated(switch, gates, kind)
    yield switch
    if strategy.post_promotion_analysis is not None:
        plan = understood["blueGreen", "postPromotionAnalysis"]
        analysis = _analysis(strategy.post_promotion_analysis, plan)
        words = f"switch back unless {analysis.names} is good ({analysis.time})"
        yield _analysis_step(None, words, analysis)
    if strategy.keep_warm_s:
        warm = format_duration(strategy.keep_warm_s)
        yield PlannedStep(None, f"keep the old version warm for {warm}")


# -- analyses --------------------------------------------------------------------------------------


def _analysis(analysis: AnalysisRef, plan: Plan) -> AnalysisPlan:
    metrics = tuple(_metric(spec) for spec in plan.metrics)
    at_most = [math.inf if m.at_most_s is None else m.at_most_s for m in metrics]
    longest_s = min(max(at_most), math.inf if plan.deadline_s is None else plan.deadline_s)
    return AnalysisPlan(
        templates=tuple(reference.template_name for reference in analysis.templates),
        metrics=metrics,
        at_least_s=soonest_good(plan.metrics, plan.deadline_s),
        at_most_s=longest_s if math.isfinite(longest_s) else None,
        deadline_s=plan.deadline_s,
        on_deadline=plan.on_deadline,
    )


def soonest_good(metrics: Iterable[MetricSpec], deadline_s: float | None) -> float:
    """When all of these can be good at the earliest; the deadline may come before."""
    return max((_soonest(spec, deadline_s) for spec in metrics), default=0.0)


def _soonest(spec: MetricSpec, deadline_s: float | None) -> float:
    at_s = _at(spec, spec.consecutive_success_limit or spec.count or 1)
    # Whatever a metric without an end of its own has measured by the deadline is enough.
    return min(at_s, deadline_s) if spec.open_ended and deadline_s is not None else at_s


def _at(spec: MetricSpec, number: int) -> float:
    """The moment of a measurement, counted from 1."""
    return spec.initial_delay_s + (number - 1) * (spec.interval_s or 0.0)


def _metric(spec: MetricSpec) -> MetricPlan:
    endless = spec.count is None or spec.no_data is NoData.WAIT
    return MetricPlan(
        name=spec.name,
        provider=spec.provider,
        success_condition=spec.success_condition,
        failure_condition=spec.failure_condition,
        interval_s=spec.interval_s,
        measurements=spec.count,
        at_least_s=_soonest(spec, None),
        at_most_s=None if endless else _at(spec, spec.count or 1),
        fails_at_s=_fails_at(spec),
        words=f"{_condition(spec)}; {_how_often(spec)}; {_fails(spec)}",
    )


def _fails_at(spec: MetricSpec) -> float | None:
    if spec.failure_limit == OFF:
        return None if spec.count is None else _at(spec, spec.count)
    if spec.count is not None and spec.count <= spec.failure_limit:
        return None
    return _at(spec, spec.failure_limit + 1)


def _condition(spec: MetricSpec) -> str:
    good, bad = (_short(text) for text in (spec.success_condition, spec.failure_condition))
    if good and bad:
        return f"good: {good}, bad: {bad}, else undecided"
    if bad:
        return f"bad: {bad}"
    return good or "every answer is good"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _how_often(spec: MetricSpec) -> str:
    if spec.interval_s is None or spec.count == 1:
        words = "once"
    else:
        every = f"every {format_duration(spec.interval_s)}"
        words = every if spec.count is None else f"{spec.count} times {every}"
    if spec.initial_delay_s:
        words += f", first after {format_duration(spec.initial_delay_s)}"
    if spec.consecutive_success_limit:
        words += f", until {spec.consecutive_success_limit} good ones in a row"
    return words


def _fails(spec: MetricSpec) -> str:
    if spec.dry_run:
        return "only shown, decides nothing"
    errors = _count(spec.consecutive_error_limit + 1, "straight error")
    at_s = _fails_at(spec)
    if at_s is None:
        return f"bad only at {errors}"
    after = f" ({format_duration(at_s)})" if at_s else ""
    if spec.failure_limit == OFF:
        return f"bad without them{after} or at {errors}"
    return f"bad at {_count(spec.failure_limit + 1, 'failure')}{after} or {errors}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
