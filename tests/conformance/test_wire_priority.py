"""Classes of requests: who is served first, who is refused first, and what a model server sees."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from router.routing.shedding import MAX_SHARE
from router.snapshot import Circuit, Limits, Priority
from tests.support.dataplanes import RunningDataPlane, route, version
from tests.support.raw import RawClient, get, wait_until
from tests.support.upstreams import Upstream, Upstreams, naming

CLASSES = Priority(
    header="x-request-priority", classes=("interactive", "normal", "batch"), default="normal"
)


def prio(target: str, value: str | None = None) -> bytes:
    return get(target) if value is None else get(target, f"X-Request-Priority: {value}")


async def install(
    router: RunningDataPlane, upstreams: Upstreams, *, queue: int = 3, by: str = "route"
) -> Upstream:
    """One place, of the route or of its version, and a line before it."""
    v1 = await upstreams.start("v1")
    spec = version("v1", v1)
    limits = Limits(max_in_flight=1, max_queue=queue, queue_timeout_s=5, priority=CLASSES)
    if by == "version":
        circuit = Circuit(max_in_flight=1, max_pending=queue)
        spec = msgspec.structs.replace(spec, circuit=circuit)
        limits = msgspec.structs.replace(limits, max_in_flight=100)
    router.install(route("chat", spec, limits=limits))
    return v1


async def ask_all(router: RunningDataPlane, *requests: bytes) -> list[RawClient]:
    """Clients that have asked one after the other; each request has arrived."""
    active, clients = router.plane.active, []
    for each in requests:
        number = len(active) + 1
        client = await router.connect()
        await client.send(each)
        await wait_until(partial(lambda wanted: len(active) == wanted, number))
        clients.append(client)
    return clients


@pytest.mark.parametrize("by", ["route", "version"])
async def test_a_higher_class_is_served_first_and_a_class_in_its_order(
    router: RunningDataPlane, upstreams: Upstreams, by: str
) -> None:
    v1 = await install(router, upstreams, queue=6, by=by)
    requests = [
        prio("/first"), prio("/b1", "batch"), prio("/n1"), prio("/i1", "interactive"),
        prio("/b2", "batch"), prio("/n2", "unheard-of"), prio("/i2", "interactive"),
    ]  # fmt: skip
    clients = await ask_all(router, *requests)
    served = []
    for _ in clients:
        call = await v1.next_call()
        served.append(call.request.target)
        await call.answer()
    assert served == ["/first", "/i1", "/i2", "/n1", "/n2", "/b1", "/b2"]
    for client in clients:
        assert (await client.read_answer()).status == 200


@pytest.mark.parametrize(
    ("by", "code"), [("route", "overloaded"), ("version", "version_overloaded")]
)
async def test_a_higher_class_takes_the_waiting_place_of_the_newest_of_the_lowest(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, by: str, code: str
) -> None:
    v1 = await install(router, upstreams, by=by)
    first, old, new, normal = await ask_all(
        router, prio("/first"), prio("/old", "batch"), prio("/new", "batch"), prio("/normal")
    )
    call = await v1.next_call()
    urgent = await router.connect()
    await urgent.send(prio("/urgent", "interactive"))
    answer = await new.read_answer()
    assert (answer.status, answer.error["code"]) == (503, code)
    assert answer.field("x-should-retry") == "true"
    assert int(answer.field("retry-after") or "0") >= 1
    family = "router_queue_refusals_total" if by == "route" else "router_circuit_refusals_total"
    place = ("chat",) if by == "route" else ("chat", "v1")
    assert router.values(family) == {(*place, "displaced"): 1}
    assert (router.answers, router.errors) == ({}, {})

    assert (await client.ask(prio("/too-low", "batch"))).status == 503
    assert router.values(family)[*place, "full"] == 1
    for wanted, waiting in (
        ("/first", first), ("/urgent", urgent), ("/normal", normal), ("/old", old),
    ):  # fmt: skip
        assert call.request.target == wanted
        await call.answer()
        assert (await waiting.read_answer()).status == 200
        if waiting is not old:
            call = await v1.next_call()


async def test_nobody_takes_the_waiting_place_of_its_own_class(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await install(router, upstreams, queue=1)
    clients = await ask_all(router, prio("/1"), prio("/2", "interactive"))
    assert (await client.ask(prio("/3", "interactive"))).status == 503
    for each in clients:
        await (await v1.next_call()).answer()
        assert (await each.read_answer()).status == 200


@pytest.mark.parametrize("forward", [False, True])
async def test_the_priority_header_reaches_the_model_server_only_where_it_is_wanted(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams, forward: bool
) -> None:
    v1 = await upstreams.named("v1")
    priority = msgspec.structs.replace(CLASSES, forward=forward)
    router.install(route("chat", version("v1", v1), limits=Limits(priority=priority)))
    assert (await client.ask(prio("/", "batch"))).status == 200
    (seen,) = v1.requests
    assert seen.field("x-request-priority") == ("batch" if forward else None)


async def test_without_classes_the_header_is_the_model_servers_own(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named("v1")
    router.install(route("chat", version("v1", v1)))
    assert (await client.ask(prio("/", "batch"))).status == 200
    assert v1.requests[0].field("x-request-priority") == "batch"


# -- shedding ------------------------------------------------------------------------------------


def stall(router: RunningDataPlane, share: float) -> None:
    """The event loop has run late for so long that this share is refused."""
    shedder = router.plane.shedder
    while shedder.share < share:
        shedder.observe(10 * shedder.target_s, 0.01)


async def test_a_loop_that_runs_late_refuses_what_is_new_and_finishes_what_was_begun(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1")
    router.install(route("chat", version("v1", v1)))
    (begun,) = await ask_all(router, get("/begun"))
    call = await v1.next_call()
    router.plane.draw = lambda: 0.0  # type: ignore[misc]  # the least lucky one
    stall(router, MAX_SHARE)
    answer = await client.ask(get("/new"))
    assert (answer.status, answer.error["code"]) == (503, "router_overloaded")
    assert answer.field("x-should-retry") == "true"
    assert int(answer.field("retry-after") or "0") > 1
    assert router.values("router_shed_total") == {("chat", "all"): 1}
    assert router.values("router_unrouted_requests_total") == {("router_overloaded",): 1}
    assert router.errors == {}
    shares = [row.value for row in router.plane.gauges() if row.family == "router_shed_share"]
    assert 0 < shares[0] <= MAX_SHARE
    await call.answer()
    assert (await begun.read_answer()).status == 200


async def test_a_loop_that_runs_late_refuses_the_lowest_class_first(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.start("v1", naming("v1"))
    router.install(route("chat", version("v1", v1), limits=Limits(priority=CLASSES)))
    router.plane.draw = lambda: 0.0  # type: ignore[misc]  # the least lucky one
    stall(router, 0.2)
    assert (await client.ask(prio("/", "batch"))).status == 503
    assert (await client.ask(prio("/"))).status == 200
    assert (await client.ask(prio("/", "interactive"))).status == 200
    assert router.values("router_shed_total") == {("chat", "batch"): 1}


@pytest.mark.parametrize("settings", [{"shed_delay_s": 0.0}])
async def test_a_worker_that_shall_not_shed_never_does(
    router: RunningDataPlane, client: RawClient, upstreams: Upstreams
) -> None:
    v1 = await upstreams.named("v1")
    router.install(route("chat", version("v1", v1)))
    router.plane.draw = lambda: 0.0  # type: ignore[misc]  # the least lucky one
    for _ in range(100):
        router.plane.shedder.observe(60.0, 60.0)
    assert (await client.ask(get())).status == 200
