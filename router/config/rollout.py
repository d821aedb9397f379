"""What a route's configuration asks of the rollout machine.

Pure: one route always gives the same spec.
"""

import msgspec

from router import snapshot
from router.analysis.phases import OnDeadline
from router.config.models import AnalysisRef, Canary, Route, Step, Strategy
from router.config.models.analysis import Argument, InlineAnalysis
from router.config.models.strategy import (
    BlueGreen,
    HeaderRouteMatch,
    PreviewHeader,
    SetHeaderRoute,
    SetShadow,
    Warmup,
)
from router.config.shadow import rule_of
from router.rollouts import spec
from router.snapshot import HeaderMatch


def rollout_spec(route: Route) -> spec.RouteSpec:
    """Compile a route.

    The shadow is left out of its versions: it never has traffic.
    """
    shadow = route.shadow.version if route.shadow is not None else None
    strategy = route.strategy if route.strategy is not None else Strategy.model_construct()
    window = strategy.rollback_window
    return spec.RouteSpec(
        route=route.name,
        versions=tuple(name for name in route.versions if name != shadow),
        release=route.release,
        strategy=_strategy(strategy),
        progress_deadline_s=strategy.progress_deadline_s,
        progress_deadline_abort=strategy.progress_deadline_abort,
        rollback_window=window.revisions if window is not None else 0,
        gates=tuple(dict.fromkeys(gate.type for gate in strategy.gates)),
    )


def _strategy(strategy: Strategy) -> spec.CanarySpec | spec.BlueGreenSpec | None:
    if strategy.canary is not None:
        return _canary(strategy.canary)
    if strategy.blue_green is not None:
        return _blue_green(strategy.blue_green)
    return None


def _blue_green(strategy: BlueGreen) -> spec.BlueGreenSpec:
    preview = strategy.preview_header
    return spec.BlueGreenSpec(
        min_healthy_endpoints=strategy.min_healthy_endpoints,
        health_check_retries=strategy.health_check_retries,
        health_check_interval_s=strategy.health_check_interval_s,
        warmup=_warmup(strategy.warmup) if strategy.warmup is not None else None,
        auto_promotion_enabled=strategy.auto_promotion_enabled,
        auto_promotion_s=strategy.auto_promotion_s,
        pre_promotion=_analysis(strategy.pre_promotion_analysis),
        post_promotion=_analysis(strategy.post_promotion_analysis),
        keep_warm_s=strategy.keep_warm_s,
        preview=_preview(preview) if preview is not None else None,
    )


def _warmup(warmup: Warmup) -> spec.Warmup:
    body = warmup.body
    text = body if isinstance(body, str) or body is None else msgspec.json.encode(body).decode()
    return spec.Warmup(
        path=warmup.path,
        requests=warmup.requests,
        method=warmup.method,
        body=text,
        first_byte_s=warmup.first_byte_s,
        require_model=warmup.require_model,
    )


def _preview(preview: PreviewHeader) -> snapshot.HeaderCondition:
    match, value = preview.comparison
    return snapshot.HeaderCondition(name=preview.header, match=match, value=value)


def _analysis(analysis: InlineAnalysis | None) -> spec.Analysis | None:
    if analysis is None:
        return None
    return spec.Analysis(
        ref=analysis_ref(analysis),
        deadline_s=analysis.deadline_s,
        on_deadline=on_deadline_of(analysis),
    )


def _canary(canary: Canary) -> spec.CanarySpec:
    background = canary.analysis
    return spec.CanarySpec(
        steps=tuple(_step(step, canary) for step in canary.steps),
        background=spec.Background(
            ref=analysis_ref(background), starting_step=background.starting_step
        )
        if background is not None
        else None,
    )


def _step(step: Step, canary: Canary) -> spec.Step:
    if step.set_weight is not None:
        return spec.SetWeight(weight_bp=canary.weight_bp(step.set_weight))
    if step.pause is not None:
        return spec.Pause(duration_s=step.pause.duration_s)
    if (analysis := _analysis(step.analysis)) is not None:
        return analysis
    if step.set_header_route is not None:
        return _header_route(step.set_header_route)
    assert step.set_shadow is not None, "a step is exactly one thing"
    return _shadow(step.set_shadow)


def analysis_ref(analysis: AnalysisRef) -> spec.AnalysisRef:
    """Compile a reference to templates."""
    return spec.AnalysisRef(
        templates=tuple(template.template_name for template in analysis.templates),
        args=tuple(_argument(argument) for argument in analysis.args),
        dry_run=tuple(rule.metric_name for rule in analysis.dry_run),
        retention=tuple((rule.metric_name, rule.limit) for rule in analysis.measurement_retention),
    )


def on_deadline_of(analysis: InlineAnalysis) -> OnDeadline | None:
    """What a strategy says of its analysis' deadline; None: the template decides."""
    return OnDeadline(analysis.on_deadline) if analysis.on_deadline is not None else None


def _argument(argument: Argument) -> spec.Argument:
    source = argument.value_from
    return spec.Argument(
        name=argument.name,
        value=argument.value,
        value_from=dict(source) if source is not None else None,
    )


def _header_route(step: SetHeaderRoute) -> spec.SetHeaderRoute:
    return spec.SetHeaderRoute(
        name=step.name, matches=tuple(_header_match(match) for match in step.match)
    )


def _header_match(match: HeaderRouteMatch) -> snapshot.HeaderCondition:
    value = match.header_value
    for kind in (HeaderMatch.EXACT, HeaderMatch.PREFIX, HeaderMatch.REGEX):
        text: str | None = getattr(value, kind.value)
        if text is not None:
            return snapshot.HeaderCondition(name=match.header_name, match=kind, value=text)
    raise AssertionError("unreachable: a HeaderValue has exactly one of the three")


def _shadow(step: SetShadow) -> spec.SetShadow:
    return spec.SetShadow(
        percent_bp=int(step.percent),
        version=step.version,
        rules=tuple(rule_of(rule) for rule in step.match),
    )
