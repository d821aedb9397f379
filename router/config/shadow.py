"""Which shadow a route has at this moment, compiled to what the data plane serves.

Three may want one: a person (the admin API), a step of the rollout, the configuration; the first
of them that says anything is heard.  The configuration's `shadow` section gives every limit, also
where somebody else names the version.

Pure.
"""

from msgspec.structs import replace

from router import snapshot
from router.config.models import HeaderTest, MatchRule, OnCancel, Route, Shadow
from router.rollouts.state import RouteState
from router.snapshot import Role


def shadow_of(route: Route, state: RouteState) -> snapshot.Shadow | None:
    """The shadow in force, or None.

    A version with traffic is nobody's shadow: when a rollout gives its target the first weight,
    the copies end.
    """
    wanted = _wanted(route, state)
    if wanted is None or not wanted.percent_bp:
        return None
    name = wanted.version
    is_free = name in route.versions and name != state.stable and not state.share(name)
    return wanted if is_free else None


def is_shadow(route: Route, state: RouteState, version: str) -> bool:
    """Whether a version has no other part in its route than to be its shadow."""
    if route.shadow is not None and version == route.shadow.version:
        return True
    in_force = shadow_of(route, state)
    has_other_part = state.role(version) is not Role.PREVIEW
    return in_force is not None and in_force.version == version and not has_other_part


def _wanted(route: Route, state: RouteState) -> snapshot.Shadow | None:
    configured, rollout, person = route.shadow or Shadow(), state.rollout, state.shadow
    if person is not None:
        wanted = _limits(configured, person.version, person.percent_bp)
        return wanted if person.noise_bp is None else replace(wanted, noise_bp=person.noise_bp)
    if rollout is not None and rollout.in_flight and rollout.shadow is not None:
        step = rollout.shadow
        wanted = _limits(configured, step.version or rollout.target, step.percent_bp)
        return replace(wanted, rules=step.rules) if step.rules else wanted
    if configured.version is not None:
        return _limits(configured, configured.version, int(configured.percent))
    return None


def _limits(shadow: Shadow, version: str, percent_bp: int) -> snapshot.Shadow:
    """Copies of this share to this version, within the configuration's limits."""
    credentials = shadow.credentials
    return snapshot.Shadow(
        version=version,
        percent_bp=percent_bp,
        sample_by=shadow.sample_by,
        rules=tuple(rule_of(rule) for rule in shadow.match),
        stateful=shadow.include_stateful,
        max_concurrency=shadow.max_concurrency,
        max_queue=shadow.max_queue,
        max_body_bytes=shadow.max_body_bytes,
        max_response_bytes=shadow.max_response_bytes,
        max_per_hour=shadow.max_per_hour,
        max_pairs_per_s=shadow.max_pairs_per_second,
        timeout_s=shadow.timeout_s,
        keep=shadow.on_cancel is OnCancel.KEEP,
        credentials=snapshot.Credentials(
            mode=credentials.mode,
            header=credentials.header,
            env=credentials.value_env,
            file=str(credentials.value_file) if credentials.value_file is not None else None,
        ),
        noise_bp=int(shadow.noise.percent),
    )


def rule_of(rule: MatchRule) -> snapshot.Rule:
    """A match rule as the data plane serves it."""
    return snapshot.Rule(
        path=rule.path,
        path_prefix=rule.prefix,
        model=rule.model,
        methods=rule.all_methods,
        headers=tuple(condition_of(header.name, header) for header in rule.headers),
    )


def condition_of(name: str, test: HeaderTest) -> snapshot.HeaderCondition:
    """A header's test as the data plane serves it."""
    match, value = test.comparison
    return snapshot.HeaderCondition(name=name, match=match, value=value)
