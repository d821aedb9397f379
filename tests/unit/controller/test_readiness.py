"""When a router may be sent traffic, and what it says when it may not."""

from __future__ import annotations

from router.controller.readiness import MAX_REASONS, WorkerView, assess
from router.link.messages import EndpointHealth
from router.snapshot import Endpoint, Role, Route, Rule, Snapshot, Version


def table(*, canary_bp: int = 0, routes: int = 1) -> Snapshot:
    def version(name: str, role: Role, weight_bp: int) -> Version:
        endpoint = Endpoint(url=f"http://{name}:1", host=name, port=1)
        return Version(name=name, role=role, weight_bp=weight_bp, endpoints=(endpoint,))

    return Snapshot(
        generation=3,
        routes=tuple(
            Route(
                name=f"r{number}",
                order=number,
                rules=(Rule(),),
                versions=(
                    version("v2", Role.CANARY, canary_bp),
                    version("v1", Role.STABLE, 10_000 - canary_bp),
                ),
            )
            for number in range(routes)
        ),
    )


def worker(
    generation: int = 3, *, healthy: tuple[str, ...] = ("v1",), routes: int = 1
) -> WorkerView:
    return WorkerView(
        1,
        generation,
        {
            (f"r{number}", version): {
                f"http://{version}:1": EndpointHealth(
                    f"r{number}", version, f"http://{version}:1", version in healthy
                )
            }
            for number in range(routes)
            for version in ("v1", "v2")
        },
    )


def test_ready_when_all_workers_serve_the_newest_generation_and_reach_every_version() -> None:
    assert assess(table(), {"w0": worker(), "w1": worker()}).ready


def test_a_version_without_weight_need_not_be_reachable() -> None:
    assert assess(table(canary_bp=0), {"w0": worker(healthy=("v1",))}).ready


def test_one_version_that_cannot_be_reached_is_a_warning_as_long_as_another_can() -> None:
    readiness = assess(table(canary_bp=500), {"w0": worker(healthy=("v1",))})
    assert readiness.ready
    assert readiness.warnings == ("route r0: version v2 has no healthy endpoint",)


def test_a_version_that_one_worker_cannot_reach_is_named_with_the_worker() -> None:
    readiness = assess(table(), {"w0": worker(), "w1": worker(healthy=())})
    assert readiness.ready
    assert readiness.warnings == ("route r0: version v1 has no healthy endpoint in worker w1",)


def test_a_router_that_can_reach_nothing_is_not_ready() -> None:
    readiness = assess(table(canary_bp=500), {"w0": worker(healthy=()), "w1": worker(healthy=())})
    assert readiness.reasons == (
        "route r0: version v2 has no healthy endpoint",
        "route r0: version v1 has no healthy endpoint",
    )


def test_one_dead_route_does_not_make_the_others_unreachable() -> None:
    workers = {"w0": worker(routes=2)}
    workers["w0"].endpoints[("r1", "v1")] = {}
    readiness = assess(table(routes=2), workers)
    assert readiness.ready
    assert readiness.warnings == ("route r1: version v1 has no healthy endpoint",)


def test_a_version_that_nobody_has_looked_at_yet_is_not_reachable() -> None:
    readiness = assess(table(), {"w0": WorkerView(1, generation=3)})
    assert readiness.reasons == ("route r0: version v1 has no healthy endpoint",)


def test_a_worker_with_an_older_generation_is_named() -> None:
    workers = {"w0": worker(), "w1": worker(generation=2), "w2": worker(generation=0)}
    assert assess(table(), workers).reasons == (
        "worker w1 serves generation 2, not generation 3",
        "worker w2 serves nothing yet, not generation 3",
    )


def test_without_workers_nothing_is_ready() -> None:
    assert assess(Snapshot(generation=3), {}).reasons == ("no worker is connected",)


def test_a_worker_that_should_be_there_and_is_not_is_named() -> None:
    readiness = assess(table(), {"w1": worker()}, expected=("w0", "w1"))
    assert readiness.reasons == ("worker w0 is not connected",)


def test_when_all_workers_drain_that_is_the_reason() -> None:
    assert assess(Snapshot(generation=3), {}, draining=True).reasons == ("draining",)


def test_a_table_without_routes_is_ready() -> None:
    assert assess(Snapshot(generation=3), {"w0": worker()}).ready


def test_reasons_are_few_however_many_routes_are_down() -> None:
    readiness = assess(table(routes=1_000), {"w0": worker(healthy=(), routes=1_000)})
    assert len(readiness.reasons) == MAX_REASONS + 1
    assert readiness.reasons[-1] == f"and {1_000 - MAX_REASONS} more"
