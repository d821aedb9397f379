"""What the tests of the store commit."""

from __future__ import annotations

from typing import Any

from router.audit.entry import Actor, Draft
from router.rollouts.state import RouteState
from router.snapshot import FULL, Endpoint, Role, Route, Snapshot, Version

ALICE = Actor("alice", "operator", "10.0.0.1")
BOB = Actor("bob", "admin")


def route(name: str, canary_bp: int = 0, order: int = 0) -> Route:
    """A route with two versions, `canary_bp` of it on the newer one."""
    return Route(
        name=name,
        order=order,
        rules=(),
        versions=(
            _version("v2", Role.CANARY, canary_bp),
            _version("v1", Role.STABLE, FULL - canary_bp),
        ),
    )


def _version(name: str, role: Role, weight_bp: int) -> Version:
    endpoint = Endpoint(url=f"http://{name}:1", host=name, port=1)
    return Version(name=name, role=role, weight_bp=weight_bp, endpoints=(endpoint,))


def table(generation: int, **canaries_bp: int) -> Snapshot:
    """A routing table of such routes."""
    routes = (
        route(name, canary_bp, order) for order, (name, canary_bp) in enumerate(canaries_bp.items())
    )
    return Snapshot(generation=generation, routes=tuple(routes))


def state(canary_bp: int = 0) -> RouteState:
    """The state that such a route is compiled from."""
    return RouteState(stable="v1", weights={"v1": FULL - canary_bp, "v2": canary_bp})


def draft(route: str | None = "chat", action: str = "weights.set", **more: Any) -> Draft:
    """What Alice did at second 1 000."""
    told: dict[str, Any] = {"time_s": 1_000.0, "actor": ALICE}
    return Draft(action=action, route=route, **told | more)
