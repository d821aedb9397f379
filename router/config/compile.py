"""Compile a configuration and the routes' states to the snapshot that the data plane serves.

Pure: one configuration, one generation and one set of states always give the same snapshot.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from router import snapshot
from router.config.address import EndpointUrl
from router.config.models import (
    Breaker,
    Circuit,
    HeaderRoute,
    Health,
    Limits,
    Outlier,
    Priority,
    Retry,
    Route,
    StickySource,
    Timeouts,
    Tls,
    Version,
)
from router.config.root import Config
from router.config.shadow import condition_of, is_shadow, rule_of, shadow_of
from router.config.units import format_percent
from router.errors import ConfigError
from router.rollouts.state import RouteState
from router.snapshot import FULL, Role, StickyKind


def compile_snapshot(
    config: Config, generation: int, states: Mapping[str, RouteState] | None = None
) -> snapshot.Snapshot:
    """Make the routing table of one generation.

    A route without a state starts as `initial_state` says.

    Raises:
        ConfigError: a state gives traffic to a version that the configuration does not have.
    """
    known = states or {}
    return snapshot.Snapshot(
        generation=generation,
        routes=tuple(
            compile_route(route, order, known.get(route.name) or initial_state(route))
            for order, route in enumerate(config.routes)
        ),
    )


def initial_state(route: Route) -> RouteState:
    """Say how a route starts about which nothing is stored.

    Stable is the version with the largest initial weight, the first declared of equal ones.
    Without initial weights the release has all traffic, or the first version that is no shadow.
    """
    if route.initial_weights is None:
        first = next(name for name in route.versions if name != _shadow(route))
        weights = {route.release or first: FULL}
    else:
        weights = dict(route.initial_weights)
    stable = max(route.versions, key=lambda name: weights.get(name, 0))  # max keeps the first
    return RouteState(stable=stable, weights=weights, lineage=lineage_of(route))


def lineage_of(route: Route) -> dict[str, dict[str, Any]]:
    """Where each version comes from, as far as the configuration says it."""
    return {
        name: version.lineage.model_dump(mode="json", by_alias=True, exclude_unset=True)
        for name, version in route.versions.items()
        if version.lineage is not None
    }


def compile_route(route: Route, order: int, state: RouteState) -> snapshot.Route:
    """Make one route of the table; `order` is its place in the configuration."""
    _check_fits(route, state)
    return snapshot.Route(
        name=route.name,
        order=order,
        rules=tuple(rule_of(rule) for rule in route.match),
        versions=tuple(_version(route, name, state) for name in _newest_first(route, state)),
        sticky=tuple(_sticky(source) for source in route.sticky.by) if route.sticky else (),
        header_routes=(
            *(_header_route(item) for item in route.header_routes),
            *_header_routes_of_steps(route, state),
        ),
        balance=route.balance,
        timeouts=_timeouts(route.timeouts),
        retry=_retry(route.retry, state),
        health=_health(route.health) if route.health is not None else None,
        limits=_limits(route.limits),
        breaker=_breaker(route.breaker) if route.breaker is not None else None,
        outlier=_outlier(route.outlier) if route.outlier is not None else None,
        slow_start_s=route.slow_start_s,
        shadow=shadow_of(route, state),
    )


def _check_fits(route: Route, state: RouteState) -> None:
    for name, weight in state.shares.items():
        if weight and name not in route.versions:
            raise ConfigError(
                f"route {route.name}: version {name} has {format_percent(weight)} % of the "
                "traffic and cannot leave the configuration: move its traffic away first"
            )
        if weight and name == _shadow(route):
            raise ConfigError(
                f"route {route.name}: version {name} has {format_percent(weight)} % of the "
                "traffic and cannot be its shadow"
            )
    if state.stable not in route.versions:
        raise ConfigError(
            f"route {route.name}: version {state.stable} is stable and cannot leave the "
            "configuration until another one is"
        )


def _shadow(route: Route) -> str | None:
    return route.shadow.version if route.shadow is not None else None


def _role(route: Route, name: str, state: RouteState) -> Role:
    return Role.SHADOW if is_shadow(route, state, name) else state.role(name)


_CANARY_OR_RELEASE: Final = 0
_OTHER: Final = 1
_STABLE: Final = 2


def _newest_first(route: Route, state: RouteState) -> list[str]:
    """Canaries and the release, then the others from the last declared on, then stable."""

    newest_first = list(route.versions)[::-1]
    return sorted(newest_first, key=lambda name: _rank(name, route.release, state))


def _rank(name: str, release: str | None, state: RouteState) -> int:
    role = state.role(name)
    if role is Role.STABLE:
        return _STABLE
    return _CANARY_OR_RELEASE if role is Role.CANARY or name == release else _OTHER


def _version(route: Route, name: str, state: RouteState) -> snapshot.Version:
    version: Version = route.versions[name]
    tls = _tls(version.tls)
    return snapshot.Version(
        name=name,
        role=_role(route, name, state),
        weight_bp=state.share(name),
        endpoints=tuple(_endpoint(url, tls) for url in version.endpoints),
        model=version.model,
        circuit=_circuit(version.limits),
        trial=_trial(name, state),
        drain_until_s=_drain_until_s(route, name, state),
    )


_ATTEMPTS: Final = 10_000
"""Attempts of one rollout that are told apart."""


def _trial(name: str, state: RouteState) -> int:
    rollout = state.rollout
    if rollout is None or not rollout.in_flight or rollout.target != name:
        return 0
    return rollout.number * _ATTEMPTS + rollout.attempt


def _drain_until_s(route: Route, name: str, state: RouteState) -> float | None:
    """When what still runs on a version without traffic ends; None: when it is done."""
    blue_green = route.strategy.blue_green if route.strategy is not None else None
    left_s = state.left.get(name)
    if blue_green is None or blue_green.drain_s is None or left_s is None or state.share(name):
        return None
    return left_s + blue_green.drain_s


def _endpoint(url: EndpointUrl, tls: snapshot.Tls) -> snapshot.Endpoint:
    return snapshot.Endpoint(
        url=url.text,
        host=url.host,
        port=url.port,
        https=url.https,
        base_path=url.base_path,
        dns=url.dns,
        tls=tls,
    )


def _tls(tls: Tls) -> snapshot.Tls:
    return snapshot.Tls(
        verify=tls.verify,
        ca_file=tls.ca_file,
        server_name=tls.server_name,
        certificate_file=tls.certificate_file,
        key_file=tls.key_file,
    )


def _header_route(item: HeaderRoute) -> snapshot.HeaderRoute:
    return snapshot.HeaderRoute(conditions=(condition_of(item.header, item),), version=item.version)


def _header_routes_of_steps(route: Route, state: RouteState) -> Iterator[snapshot.HeaderRoute]:
    """What the rollout's steps have set; any of the headers sends a request to its target."""
    rollout = state.rollout
    if rollout is None or not rollout.in_flight or rollout.target not in route.versions:
        return
    for step in rollout.header_routes:
        for condition in step.matches:
            yield snapshot.HeaderRoute(conditions=(condition,), version=rollout.target)


def _sticky(source: StickySource) -> snapshot.StickySource:
    if source.header is not None:
        return snapshot.StickySource(kind=StickyKind.HEADER, name=source.header)
    if source.cookie is not None:
        return snapshot.StickySource(kind=StickyKind.COOKIE, name=source.cookie)
    if source.body is not None:
        return snapshot.StickySource(kind=StickyKind.BODY, name=source.body)
    return snapshot.StickySource(kind=StickyKind.API_KEY)


def _timeouts(timeouts: Timeouts) -> snapshot.Timeouts:
    return snapshot.Timeouts(
        connect_s=timeouts.connect_s,
        first_byte_s=timeouts.first_byte_s,
        idle_s=timeouts.idle_s,
    )


def _retry(retry: Retry, state: RouteState) -> snapshot.Retry:
    # After a blue-green switch the old version gets nothing new, not even a replay: the two may
    # not mix.
    switched = state.rollout is not None and state.rollout.switched
    return snapshot.Retry(
        attempts=retry.attempts,
        on_connect="connect" in retry.on,
        on_reset="reset" in retry.on,
        on_timeout="timeout" in retry.on,
        statuses=retry.statuses,
        budget_percent=retry.budget_percent,
        canary_fallback=retry.canary_fallback and not switched,
        methods=retry.methods,
    )


def _health(health: Health) -> snapshot.Health:
    return snapshot.Health(
        path=health.path,
        interval_s=health.interval_s,
        timeout_s=health.timeout_s,
        unhealthy_after=health.unhealthy_after,
        healthy_after=health.healthy_after,
        statuses=health.expected_status,
        body=health.expected_body,
    )


def _limits(limits: Limits) -> snapshot.Limits:
    return snapshot.Limits(
        max_in_flight=limits.max_in_flight,
        max_queue=limits.max_queue,
        queue_timeout_s=limits.queue_timeout_s,
        max_body_bytes=limits.max_body_bytes,
        max_replay_bytes=limits.max_replay_bytes,
        max_inspect_bytes=limits.max_inspect_bytes,
        priority=_priority(limits.priority),
    )


def _priority(priority: Priority | None) -> snapshot.Priority | None:
    if priority is None:
        return None
    return snapshot.Priority(
        header=priority.header,
        classes=priority.classes,
        default=priority.default,
        forward=priority.forward,
    )


def _circuit(limits: Circuit | None) -> snapshot.Circuit | None:
    if limits is None:
        return None
    return snapshot.Circuit(max_in_flight=limits.max_in_flight, max_pending=limits.max_pending)


def _outlier(outlier: Outlier) -> snapshot.Outlier:
    return snapshot.Outlier(
        failures=_breaker(outlier),
        eject_s=outlier.ejection_s,
        max_eject_s=outlier.max_ejection_s,
        max_ejected_percent=outlier.max_ejected_percent,
        panic_percent=outlier.panic_percent,
    )


def _breaker(breaker: Breaker) -> snapshot.BreakerLimits:
    return snapshot.BreakerLimits(
        consecutive=breaker.consecutive,
        error_percent=breaker.error_percent,
        min_requests=breaker.min_requests,
        window_s=breaker.window_s,
    )
