"""What a new release of a route will go through, in words, before anything happens.

Pure.  Printing is somebody else's.
"""

from dataclasses import dataclass

from router.config.models import (
    AnalysisRef,
    BlueGreen,
    Canary,
    InlineAnalysis,
    Route,
    SetHeaderRoute,
    SetShadow,
    Step,
)
from router.config.units import format_duration, format_percent


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """What a new release of a route will go through, one line for each step.

    `pauses_s` is the sum of the pauses with a duration; `waits_for_person` tells whether it also
    waits for somebody, for as long as that takes.
    """

    route: str
    strategy: str
    steps: tuple[str, ...] = ()
    pauses_s: float = 0.0
    waits_for_person: bool = False

    def __str__(self) -> str:
        return "\n".join([f"{self.route}: {self.summary}", *(f"  {step}" for step in self.steps)])

    @property
    def summary(self) -> str:
        """The whole plan in one line."""
        pauses = f", {format_duration(self.pauses_s)} of pauses" if self.steps else ""
        person = ", waits for a person" if self.waits_for_person else ""
        return f"{self.strategy}{pauses}{person}"


def plan_of(route: Route) -> RoutePlan:
    """Say what a new release of this route will go through."""
    strategy = route.strategy
    if strategy is not None and strategy.canary is not None:
        return _canary_plan(route, strategy.canary)
    if strategy is not None and strategy.blue_green is not None:
        return _blue_green_plan(route, strategy.blue_green)
    return RoutePlan(route.name, "no strategy")


def _canary_plan(route: Route, canary: Canary) -> RoutePlan:
    target = route.release or next(reversed(list(route.versions)))
    lines = [f"{n}. {_step_line(step, canary, target)}" for n, step in enumerate(canary.steps, 1)]
    if canary.analysis is not None:
        start = canary.analysis.starting_step + 1
        lines.append(f"from step {start} on, beside the steps: {_names(canary.analysis)}")
    lines.append(f"then {target} is stable")
    pauses = [step.pause for step in canary.steps if step.pause is not None]
    return RoutePlan(
        route.name,
        "canary",
        tuple(lines),
        pauses_s=sum(pause.duration_s or 0.0 for pause in pauses),
        waits_for_person=any(pause.duration_s is None for pause in pauses),
    )


def _step_line(step: Step, canary: Canary, target: str) -> str:
    if step.set_weight is not None:
        return f"{format_percent(canary.weight_bp(step.set_weight))} % of the traffic to {target}"
    if step.pause is not None:
        duration = step.pause.duration_s
        return "wait for a person" if duration is None else f"wait {format_duration(duration)}"
    if step.analysis is not None:
        return _analysis_line(step.analysis)
    if step.set_header_route is not None:
        return _header_route_line(step.set_header_route, target)
    assert step.set_shadow is not None, "a step is exactly one thing"
    return _shadow_line(step.set_shadow, target)


def _analysis_line(analysis: InlineAnalysis) -> str:
    if analysis.deadline_s is None:
        return f"go on if good: {_names(analysis)}"
    deadline = format_duration(analysis.deadline_s)
    return f"go on if good: {_names(analysis)} (after {deadline}: {analysis.on_deadline})"


def _header_route_line(step: SetHeaderRoute, target: str) -> str:
    if not step.match:
        return f"header route {step.name} ends"
    headers = " or ".join(match.header_name for match in step.match)
    return f"requests with header {headers} to {target} ({step.name})"


def _shadow_line(step: SetShadow, target: str) -> str:
    version = step.version or target
    if not step.percent:
        return f"no more copies to {version}"
    return f"copies of {format_percent(step.percent)} % of the requests to {version}"


def _blue_green_plan(route: Route, strategy: BlueGreen) -> RoutePlan:
    target = route.release or next(reversed(list(route.versions)))
    lines = [f"wait until {strategy.min_healthy_endpoints} endpoints of {target} are healthy"]
    if strategy.warmup is not None:
        lines.append(f"{strategy.warmup.requests} warm-up requests to each endpoint")
    if strategy.pre_promotion_analysis is not None:
        lines.append(_analysis_line(strategy.pre_promotion_analysis))
    if not strategy.auto_promotion_enabled:
        lines.append("wait for a person")
    elif strategy.auto_promotion_s:
        lines.append(f"wait {format_duration(strategy.auto_promotion_s)}")
    lines.append(f"all traffic to {target}")
    if strategy.post_promotion_analysis is not None:
        lines.append(f"switch back unless good: {_names(strategy.post_promotion_analysis)}")
    lines.append(f"keep the old version warm for {format_duration(strategy.keep_warm_s)}")
    automatic = strategy.auto_promotion_enabled
    return RoutePlan(
        route.name,
        "blue-green",
        tuple(f"{number}. {line}" for number, line in enumerate(lines, 1)),
        pauses_s=(strategy.auto_promotion_s or 0.0) if automatic else 0.0,
        waits_for_person=not automatic,
    )


def _names(analysis: AnalysisRef) -> str:
    return ", ".join(reference.template_name for reference in analysis.templates)
