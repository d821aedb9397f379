"""Both ends of the link over a real socket: what control publishes, what workers serve."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router import __version__
from router.link.client import FAULT_PAUSE_S, LinkClient
from router.link.framing import Frames, encode, frames_down
from router.link.messages import (
    Ack,
    Change,
    Down,
    Draining,
    EndpointHealth,
    Health,
    Hello,
    Install,
    Resync,
    Telemetry,
    Up,
)
from router.link.server import Applied, LinkServer
from router.snapshot import Endpoint, Role, Route, Rule, Snapshot, SnapshotChange, Version, apply
from router.telemetry.merge import Incarnation
from router.telemetry.recorder import Series

pytestmark = pytest.mark.anyio

DEADLINE_S = 15.0


def route(name: str, canary_bp: int = 0) -> Route:
    def version(label: str, role: Role, weight_bp: int) -> Version:
        endpoint = Endpoint(url=f"http://{label}:1", host=label, port=1)
        return Version(name=label, role=role, weight_bp=weight_bp, endpoints=(endpoint,))

    return Route(
        name=name,
        order=int(name[1:]),
        rules=(Rule(path=f"/{name}"),),
        versions=(
            version("v2", Role.CANARY, canary_bp),
            version("v1", Role.STABLE, 10_000 - canary_bp),
        ),
    )


def snapshot(generation: int, *canary_bp: int) -> Snapshot:
    routes = tuple(route(f"r{number}", weight) for number, weight in enumerate(canary_bp))
    return Snapshot(generation=generation, routes=routes)


class FakeTable:
    """A data plane that only remembers; it is its own reporter."""

    def __init__(self, serves: Snapshot | None = None) -> None:
        self.serves = serves or Snapshot(generation=0)
        self.history: list[int] = []
        self.installs = 0
        self.refuses_changes = False
        self.fails = False
        self.counted: list[Series] = []
        self.asked_for_everything: list[bool] = []
        self.endpoints: list[EndpointHealth] = []

    @property
    def generation(self) -> int:
        return self.serves.generation

    def install(self, table: Snapshot) -> None:
        if self.fails:
            raise RuntimeError("a fault in the data plane")
        self.installs += 1
        self._serve(table)

    def change(self, change: SnapshotChange) -> bool:
        if self.refuses_changes or change.base != self.generation:
            return False
        self._serve(apply(self.serves, change))
        return True

    def _serve(self, table: Snapshot) -> None:
        self.serves = table
        self.history.append(table.generation)

    def series(self, *, everything: bool = False) -> list[Series]:
        self.asked_for_everything.append(everything)
        return self.counted

    def health(self) -> Health:
        return Health(endpoints=self.endpoints, complete=True)


class FakeControl:
    """Remembers what the link tells; numbers on above a worker that is ahead."""

    def __init__(self) -> None:
        self.news: list[tuple[str, str]] = []
        self.series: list[Series] = []
        self.health: list[Health] = []
        self.ahead: list[int] = []
        self.when_ahead: Callable[[int], None] = lambda _: None
        self.changed = asyncio.Event()

    def _tell(self, event: str, who: Incarnation) -> None:
        self.news.append((event, who.worker))
        self.changed.set()

    def on_ahead(self, generation: int) -> None:
        self.ahead.append(generation)
        self.when_ahead(generation)

    def on_joined(self, who: Incarnation) -> None:
        self._tell("joined", who)

    def on_left(self, who: Incarnation) -> None:
        self._tell("left", who)

    def on_draining(self, who: Incarnation) -> None:
        self._tell("draining", who)

    def on_applied(self, who: Incarnation, generation: int) -> None:
        self._tell(f"applied {generation}", who)

    def on_telemetry(self, who: Incarnation, series: list[Series]) -> None:
        self.series += series
        self._tell("telemetry", who)

    def on_health(self, who: Incarnation, health: Health) -> None:
        self.health.append(health)
        self._tell("health", who)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Link:
    """A control and its workers, on one path."""

    def __init__(self, path: Path, expected: tuple[str, ...]) -> None:
        self.path = path
        self.control = FakeControl()
        self.expected = expected
        self.server = LinkServer(path, self.control, expected=expected)
        self.tasks: list[asyncio.Task[None]] = []
        self.peers: list[RawWorker] = []

    async def restart_control(self) -> None:
        await self.server.close()
        self.control = FakeControl()
        self.server = LinkServer(self.path, self.control, expected=self.expected)

    def worker(self, name: str, table: FakeTable) -> LinkClient:
        client = LinkClient(self.path, name, table, table, interval_s=0.05)
        self.tasks.append(asyncio.create_task(client.run()))
        return client

    async def raw_worker(self, name: str, generation: int = 0, pid: int = 1) -> RawWorker:
        peer = RawWorker(*await asyncio.open_unix_connection(self.path))
        self.peers.append(peer)
        peer.send(Hello(worker=name, pid=pid, release=__version__, generation=generation))
        return peer

    async def wait_applied(self, generation: int) -> Applied:
        return await self.server.wait_applied(generation, DEADLINE_S)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        for peer in self.peers:
            await peer.close()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.server.close()


class RawWorker:
    """A worker that does only what the test says."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.frames: Frames[Down] = frames_down(reader)
        self.writer = writer

    def send(self, message: Up) -> None:
        self.writer.write(encode(message))

    async def receive(self) -> Down | None:
        async with asyncio.timeout(DEADLINE_S):
            return await self.frames.receive()

    async def receives_nothing(self) -> bool:
        try:
            async with asyncio.timeout(0.1):
                await self.frames.receive()
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def new_link(path: Path, *expected: str) -> AsyncIterator[Link]:
    link = Link(path, expected)
    await link.server.start()
    try:
        yield link
    finally:
        await link.close()


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[Link]:
    async with new_link(tmp_path / "control.sock") as link:
        yield link


# -- what workers serve ------------------------------------------------------------------------


async def test_a_worker_that_connects_serves_the_newest_table(link: Link) -> None:
    link.server.publish(snapshot(1, 500))
    table = FakeTable()
    link.worker("w0", table)
    await link.control.wait_for(lambda: ("applied 1", "w0") in link.control.news)
    assert table.serves == snapshot(1, 500)


async def test_a_worker_that_came_first_is_sent_the_table_when_there_is_one(link: Link) -> None:
    table = FakeTable()
    client = link.worker("w0", table)
    await link.control.wait_for(lambda: ("joined", "w0") in link.control.news)
    link.server.publish(snapshot(1, 500))
    async with asyncio.timeout(DEADLINE_S):
        await client.wait_installed()
    assert table.generation == 1


async def test_after_the_first_table_only_routes_that_differ_are_sent(link: Link) -> None:
    link.server.publish(snapshot(1, 0, 0, 0))
    worker = await link.raw_worker("w0")
    assert await worker.receive() == Install(snapshot=snapshot(1, 0, 0, 0))
    worker.send(Ack(generation=1))
    link.server.publish(snapshot(2, 0, 500, 0))
    change = SnapshotChange(generation=2, base=1, changed=(route("r1", 500),))
    assert await worker.receive() == Change(change=change)


async def test_a_slow_worker_gets_the_newest_table_and_none_of_those_between(link: Link) -> None:
    link.server.publish(snapshot(1, 0, 0))
    worker = await link.raw_worker("w0")
    assert isinstance(await worker.receive(), Install)
    for generation in range(2, 100):
        link.server.publish(snapshot(generation, generation, 0))
    assert await worker.receives_nothing()
    worker.send(Ack(generation=1))
    change = SnapshotChange(generation=99, base=1, changed=(route("r0", 99),))
    assert await worker.receive() == Change(change=change)
    worker.send(Ack(generation=99))
    assert await worker.receives_nothing()


async def test_a_slow_worker_delays_no_other(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    await link.raw_worker("slow")
    table = FakeTable()
    link.worker("quick", table)
    for generation in range(2, 20):
        link.server.publish(snapshot(generation, generation))
    await link.control.wait_for(lambda: ("applied 19", "quick") in link.control.news)


async def test_a_change_that_does_not_fit_brings_the_whole_table(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    table = FakeTable()
    link.worker("w0", table)
    await link.wait_applied(1)
    await link.control.wait_for(lambda: ("applied 1", "w0") in link.control.news)
    table.refuses_changes = True
    link.server.publish(snapshot(2, 500))
    await link.control.wait_for(lambda: ("applied 2", "w0") in link.control.news)
    assert table.installs == 2
    assert table.serves == snapshot(2, 500)


async def test_a_worker_survives_a_table_that_breaks_it_and_tries_again(link: Link) -> None:
    table = FakeTable()
    table.fails = True
    link.worker("w0", table)
    link.server.publish(snapshot(1, 0))
    await link.control.wait_for(lambda: ("left", "w0") in link.control.news)
    table.fails = False
    await link.control.wait_for(lambda: ("applied 1", "w0") in link.control.news)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("publish"), st.integers(0, 3), st.integers(0, 10_000)),
            st.just(("yield",)),
            st.just(("restart control",)),
            st.just(("cut",)),
        ),
        max_size=25,
    )
)
def test_every_worker_ends_with_the_newest_table_and_never_goes_back(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str | int, ...]]
) -> None:
    asyncio.run(_play(tmp_path_factory.mktemp("link") / "control.sock", steps))


async def _play(path: Path, steps: list[tuple[str | int, ...]]) -> None:
    weights = [0, 0, 0, 0]
    newest = 1

    def publish() -> None:
        link.server.publish(snapshot(newest, *weights))

    def number_on_above(generation: int) -> None:
        nonlocal newest
        newest = max(newest, generation + 1)
        publish()

    async with new_link(path, "w0", "w1") as link:
        tables = {name: FakeTable() for name in ("w0", "w1")}
        link.control.when_ahead = number_on_above
        publish()
        for name, table in tables.items():
            link.worker(name, table)
        for step in steps:
            match step:
                case ("publish", int(which), int(weight)):
                    weights[which] = weight
                    newest += 1
                    publish()
                case ("yield",):
                    await asyncio.sleep(0.002)
                case ("restart control",):
                    await link.restart_control()
                    link.control.when_ahead = number_on_above
                    newest = 1
                    publish()
                    await link.server.start()
                case _:
                    for peer in list(link.server._peers.values()):
                        peer.stream.close()
        # A new control only learns from the workers how far they are.
        await link.control.wait_for(lambda: {"w0", "w1"} <= {who for _, who in link.control.news})
        async with asyncio.timeout(DEADLINE_S):
            while (await link.server.wait_applied(newest, 0.05)).missing:
                pass
        for table in tables.values():
            assert table.serves == snapshot(newest, *weights)
            assert table.history == sorted(set(table.history))


# -- what control knows ------------------------------------------------------------------------


async def test_applied_names_who_serves_the_generation_and_who_is_missing(tmp_path: Path) -> None:
    async with new_link(tmp_path / "control.sock", "w0", "w1", "w2") as link:
        link.server.publish(snapshot(1, 0))
        link.worker("w0", FakeTable())
        await link.raw_worker("w1")  # connected, but does not acknowledge
        await link.control.wait_for(lambda: ("applied 1", "w0") in link.control.news)
        assert await link.server.wait_applied(1, 0.05) == Applied(("w0",), ("w1", "w2"))


async def test_applied_returns_as_soon_as_the_last_worker_acknowledges(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    tables = [FakeTable() for _ in range(4)]
    for number, table in enumerate(tables):
        link.worker(f"w{number}", table)
    await link.control.wait_for(lambda: len(link.server._peers) == 4)
    for generation in range(2, 30):
        link.server.publish(snapshot(generation, generation))
        applied = await link.wait_applied(generation)
        assert applied == Applied(("w0", "w1", "w2", "w3"))
        assert {table.generation for table in tables} == {generation}


async def test_a_newer_generation_counts_as_applied(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    link.worker("w0", FakeTable())
    link.server.publish(snapshot(5, 0))
    await link.control.wait_for(lambda: ("applied 5", "w0") in link.control.news)
    assert await link.wait_applied(3) == Applied(("w0",))


async def test_a_draining_worker_is_followed_by_a_successor_and_still_heard(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    worker = await link.raw_worker("w0", pid=1)
    assert isinstance(await worker.receive(), Install)
    worker.send(Draining())
    await link.control.wait_for(lambda: ("draining", "w0") in link.control.news)
    successor = await link.raw_worker("w0", pid=2)
    assert isinstance(await successor.receive(), Install)
    worker.send(Ack(generation=1))
    worker.send(Telemetry(series=[Series("f", (), 7.0)]))
    await link.control.wait_for(lambda: link.control.series == [Series("f", (), 7.0)])


async def test_a_draining_worker_must_apply_too_because_it_still_takes_requests(
    link: Link,
) -> None:
    link.server.publish(snapshot(1, 0))
    worker = await link.raw_worker("w0")
    assert isinstance(await worker.receive(), Install)
    worker.send(Ack(generation=1))
    worker.send(Draining())
    await link.control.wait_for(lambda: ("draining", "w0") in link.control.news)
    link.server.publish(snapshot(2, 500))
    assert isinstance(await worker.receive(), Change)
    assert await link.server.wait_applied(2, 0.05) == Applied((), ("w0",))
    worker.send(Ack(generation=2))
    assert await link.wait_applied(2) == Applied(("w0",))


async def test_a_new_connection_of_a_worker_replaces_the_old_one(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    old = await link.raw_worker("w0", pid=1)
    assert isinstance(await old.receive(), Install)
    new = await link.raw_worker("w0", pid=1)
    assert isinstance(await new.receive(), Install)
    assert await old.receive() is None
    assert [event for event, _ in link.control.news] == ["joined", "left", "joined"]


async def test_a_worker_that_lost_its_link_is_not_sent_again_what_it_serves(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    worker = await link.raw_worker("w0")
    assert isinstance(await worker.receive(), Install)
    worker.send(Ack(generation=1))
    await link.control.wait_for(lambda: ("applied 1", "w0") in link.control.news)
    again = await link.raw_worker("w0", generation=1)
    assert await again.receives_nothing()
    assert link.control.ahead == []
    assert await link.wait_applied(1) == Applied(("w0",))


@pytest.mark.parametrize("serves", [3, 4, 900])
async def test_a_worker_that_an_earlier_control_numbered_makes_control_number_on(
    link: Link, serves: int
) -> None:
    link.control.when_ahead = lambda seen: link.server.publish(snapshot(seen + 1, 500))
    link.server.publish(snapshot(3, 500))
    worker = await link.raw_worker("w0", generation=serves)
    assert await worker.receive() == Install(snapshot=snapshot(serves + 1, 500))
    assert link.control.ahead == [serves]


async def test_a_worker_keeps_its_table_when_it_is_offered_an_older_one(tmp_path: Path) -> None:
    async with new_link(tmp_path / "control.sock") as link:
        table = FakeTable(snapshot(5, 0))
        link.worker("w0", table)
        await link.control.wait_for(lambda: ("joined", "w0") in link.control.news)
        peer = link.server._peers["w0"]
        peer.stream.write(encode(Install(snapshot=snapshot(4, 500))))
        peer.stream.write(
            encode(Change(change=SnapshotChange(generation=4, base=5, changed=(route("r0", 1),))))
        )
        link.control.when_ahead = lambda seen: link.server.publish(snapshot(seen + 1, 7))
        link.server.publish(snapshot(1, 0))
        await link.control.wait_for(lambda: ("applied 6", "w0") in link.control.news)
        assert table.history == [6]


# -- what workers report -----------------------------------------------------------------------


async def test_telemetry_comes_whole_after_a_connect_and_then_what_changed(link: Link) -> None:
    table = FakeTable()
    table.counted = [Series("f", (str(number),), 1.0) for number in range(2_500)]
    link.worker("w0", table)
    await link.control.wait_for(lambda: len(link.control.series) >= 5_000)
    assert link.control.series[:2_500] == table.counted
    assert table.asked_for_everything[:2] == [True, False]


async def test_after_a_reconnect_control_knows_everything_again(link: Link) -> None:
    table = FakeTable()
    table.counted = [Series("f", (), 1.0)]
    table.endpoints = [EndpointHealth("r0", "v1", "http://v1:1", True)]
    link.worker("w0", table)
    await link.control.wait_for(lambda: bool(link.control.series))
    await link.restart_control()
    await link.server.start()
    await link.control.wait_for(lambda: bool(link.control.series))
    assert link.control.health[0] == Health(endpoints=table.endpoints, complete=True)
    assert table.asked_for_everything.count(True) == 2


async def test_a_health_transition_is_told_at_once_and_all_of_it_after_a_new_table(
    link: Link,
) -> None:
    table = FakeTable()
    client = link.worker("w0", table)
    await link.control.wait_for(lambda: bool(link.control.health))
    transition = EndpointHealth("r0", "v1", "http://v1:1", False, "refused")
    client.report_health(Health(endpoints=[transition]))
    await link.control.wait_for(lambda: Health(endpoints=[transition]) in link.control.health)
    table.endpoints = [transition]
    link.server.publish(snapshot(1, 0))
    whole = Health(endpoints=[transition], complete=True)
    await link.control.wait_for(lambda: whole in link.control.health)


async def test_health_that_changes_while_control_is_away_is_told_when_it_is_back(
    link: Link,
) -> None:
    await link.server.close()
    table = FakeTable()
    client = link.worker("w0", table)
    table.endpoints = [EndpointHealth("r0", "v1", "http://v1:1", False, "refused")]
    client.report_health(Health(endpoints=table.endpoints))
    await link.restart_control()
    await link.server.start()
    whole = Health(endpoints=table.endpoints, complete=True)
    await link.control.wait_for(lambda: whole in link.control.health)


async def test_a_control_that_does_not_read_costs_the_worker_bounded_memory(
    tmp_path: Path,
) -> None:
    over = asyncio.Event()

    async def never_read(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_unix_server(never_read, tmp_path / "deaf.sock", limit=1)
    table = FakeTable()
    table.counted = [Series("f" * 1_000, (str(number),), 1.0) for number in range(1_000)]
    client = LinkClient(tmp_path / "deaf.sock", "w0", table, table, interval_s=0.001)
    running = asyncio.create_task(client.run())
    await asyncio.sleep(0.3)
    flapping = [EndpointHealth("r0", "v1", "http://v1:1", False, "x" * 1_000)]
    for _ in range(20_000):
        client.report_health(Health(endpoints=flapping))
    assert client._stream is not None
    assert client._stream.transport.get_write_buffer_size() < 4 * 1024 * 1024
    assert len(table.asked_for_everything) < 5
    async with asyncio.timeout(2):
        await client.close()  # its farewell has a deadline
        await running
    over.set()
    server.close()
    await server.wait_closed()


async def test_a_worker_says_its_last_numbers_before_it_leaves(link: Link) -> None:
    table = FakeTable()
    client = link.worker("w0", table)
    await link.control.wait_for(lambda: ("joined", "w0") in link.control.news)
    client.report_draining()
    table.counted = [Series("last words", (), 1.0)]
    await client.close()
    await link.control.wait_for(lambda: ("left", "w0") in link.control.news)
    assert table.counted[0] in link.control.series
    assert ("draining", "w0") in link.control.news
    async with asyncio.timeout(DEADLINE_S):
        await link.tasks[0]  # it does not connect again


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The long pauses that anything here makes: they are jumped, and remembered."""
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def jump(delay_s: float) -> None:
        if delay_s >= FAULT_PAUSE_S:
            pauses.append(delay_s)
        await sleep(0 if delay_s >= FAULT_PAUSE_S else delay_s)

    monkeypatch.setattr(asyncio, "sleep", jump)
    return pauses


UNTELLABLE = Series("f", (), 2**64)


def times(link: Link, event: str) -> int:
    return link.control.news.count((event, "w0"))


async def test_a_report_that_cannot_be_made_begins_the_link_anew_and_not_at_once(
    link: Link, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    link.server.publish(snapshot(1, 0))
    table = FakeTable()
    table.counted = [UNTELLABLE]
    link.worker("w0", table)
    await link.control.wait_for(lambda: times(link, "left") >= 3)
    assert len(pauses) >= times(link, "joined") - 1
    assert "a report could not be made" in caplog.text
    assert "OverflowError" in caplog.text


async def test_health_gets_through_and_reports_go_on_after_one_that_could_not_be_made(
    link: Link, pauses: list[float]
) -> None:
    table = FakeTable()
    table.counted = [Series("g", (), 1.0)]
    link.worker("w0", table)
    await link.control.wait_for(lambda: times(link, "telemetry") >= 1)
    table.counted = [UNTELLABLE]
    await link.control.wait_for(lambda: times(link, "left") >= 1)
    table.endpoints = [EndpointHealth("r0", "v1", "http://v1:1", False, "refused")]
    sick = Health(endpoints=table.endpoints, complete=True)
    await link.control.wait_for(lambda: sick in link.control.health)
    table.counted = [Series("f", (), 1.0)]
    await link.control.wait_for(lambda: table.counted[0] in link.control.series)
    assert pauses


async def test_a_worker_whose_last_numbers_cannot_be_told_leaves_all_the_same(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    table = FakeTable()
    client = link.worker("w0", table)
    await link.control.wait_for(lambda: ("joined", "w0") in link.control.news)
    table.counted = [UNTELLABLE]
    await client.close()
    await link.control.wait_for(lambda: ("left", "w0") in link.control.news)
    assert "OverflowError" in caplog.text


async def test_control_can_ask_workers_to_drain(link: Link) -> None:
    table = FakeTable()
    asked = asyncio.Event()
    client = LinkClient(link.path, "w0", table, table, on_drain=asked.set)
    link.tasks.append(asyncio.create_task(client.run()))
    await link.control.wait_for(lambda: ("joined", "w0") in link.control.news)
    link.server.drain()
    async with asyncio.timeout(DEADLINE_S):
        await asked.wait()


# -- who may speak -----------------------------------------------------------------------------


async def test_only_the_owner_can_reach_the_socket(link: Link) -> None:
    assert stat.S_IMODE(link.path.stat().st_mode) == 0o600


async def test_a_worker_of_another_release_is_refused(link: Link) -> None:
    worker = RawWorker(*await asyncio.open_unix_connection(link.path))
    link.peers.append(worker)
    worker.send(Hello(worker="w0", pid=1, release="0.0.0"))
    assert await worker.receive() is None
    assert link.control.news == []


async def test_a_worker_that_nobody_started_is_refused(tmp_path: Path) -> None:
    async with new_link(tmp_path / "control.sock", "w0") as link:
        stranger = await link.raw_worker("w7")
        assert await stranger.receive() is None


@pytest.mark.parametrize(
    "message",
    [Ack(generation=9), Hello(worker="w0", pid=1, release=__version__)],
    ids=["an acknowledgement of what was not sent", "a second hello"],
)
async def test_a_worker_that_breaks_the_protocol_is_hung_up_on(link: Link, message: Up) -> None:
    worker = await link.raw_worker("w0")
    await link.control.wait_for(lambda: ("joined", "w0") in link.control.news)
    worker.send(message)
    assert await worker.receive() is None
    await link.control.wait_for(lambda: ("left", "w0") in link.control.news)


async def test_a_resync_brings_the_whole_table(link: Link) -> None:
    link.server.publish(snapshot(1, 0))
    worker = await link.raw_worker("w0")
    assert isinstance(await worker.receive(), Install)
    worker.send(Ack(generation=1))
    worker.send(Resync(generation=0))
    assert await worker.receive() == Install(snapshot=snapshot(1, 0))
