"""The fault proxy does what it says, so that what a router does with it means something."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.support.faultproxy import (
    BlackHole,
    Delay,
    Fault,
    FaultProxy,
    Finish,
    Garbage,
    Reset,
    StaleClose,
    Trickle,
    Truncate,
    fault_proxy,
)
from tests.support.faultproxy.faults import draw_fault, name_of
from tests.support.raw import BrokenMessageError, RawClient, post, wait_until
from tests.support.upstreams import Upstream, naming, started_upstreams

pytestmark = pytest.mark.anyio


@pytest.fixture
async def server() -> AsyncIterator[Upstream]:
    async with started_upstreams() as upstreams:
        yield await upstreams.start("v1", naming("v1"))


@pytest.fixture
async def proxy(server: Upstream) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[RawClient]:
    client = await RawClient.connect(proxy.port)
    yield client
    client.reset()
    with contextlib.suppress(OSError):
        await client.writer.wait_closed()


async def ask(client: RawClient, text: str) -> str:
    echo: str = (await client.ask(post("/x", text.encode()))).json()["echo"]
    return echo


@pytest.mark.parametrize("fault", [None, Delay(0.02), Trickle(7, 0.001)], ids=str)
async def test_an_answer_that_is_only_slow_is_whole(
    client: RawClient, proxy: FaultProxy, fault: Fault | None
) -> None:
    proxy.always(fault)
    for text in ("one", "x" * 100_000, "three"):
        assert await ask(client, text) == text
    assert proxy.counts == Counter({name_of(fault): 3} if fault is not None else {})
    assert proxy.exchanges == 3
    client.close()
    await wait_until(lambda: not proxy.open)


@pytest.mark.parametrize(
    ("fault", "reset"), [(Reset(20), True), (Finish(20), False), (Finish(), False)], ids=str
)
async def test_so_many_bytes_of_an_answer_pass_and_no_more(
    client: RawClient, proxy: FaultProxy, fault: Fault, *, reset: bool
) -> None:
    proxy.suffer(None, fault)
    assert await ask(client, "whole") == "whole"
    await client.send(post("/x", b"broken"))
    size = fault.after_bytes if isinstance(fault, Reset | Finish) else 0
    assert len(await client.read_exactly(size)) == size
    if reset:
        with pytest.raises(ConnectionResetError):
            await client.read_some()
    else:
        assert await client.read_some() == b""
    assert proxy.counts == Counter({name_of(fault): 1})


async def test_a_body_is_cut_after_so_many_bytes_of_it(
    client: RawClient, proxy: FaultProxy
) -> None:
    proxy.suffer(Truncate(5))
    await client.send(post("/x", b"cut"))
    head = await client.read_head()
    with pytest.raises(BrokenMessageError) as broken:
        await client.read_body(head)
    assert broken.value.body == b'{"ser'
    assert (head.length or 0) > 5


async def test_an_exchange_too_short_for_its_fault_does_not_suffer_it(
    client: RawClient, proxy: FaultProxy
) -> None:
    proxy.suffer(Reset(10_000), Truncate(10_000), BlackHole(10_000), StaleClose())
    for text in ("a", "b", "c"):
        assert await ask(client, text) == text
    assert proxy.counts == Counter()


@pytest.mark.parametrize("after_bytes", [0, 30])
async def test_a_black_hole_neither_answers_nor_closes(
    client: RawClient, proxy: FaultProxy, server: Upstream, after_bytes: int
) -> None:
    proxy.suffer(BlackHole(after_bytes))
    await client.send(post("/x", b"gone"))
    await client.read_exactly(after_bytes)
    await wait_until(lambda: proxy.counts["BlackHole"])
    await server.stop()
    assert client.silent
    client.close()
    await wait_until(lambda: not proxy.open)


async def test_garbage_is_said_and_the_server_never_asked(
    client: RawClient, proxy: FaultProxy, server: Upstream
) -> None:
    proxy.suffer(Garbage(b"no HTTP"))
    await client.send(post("/x", b"?"))
    assert await client.read_exactly(7) == b"no HTTP"
    assert server.requests == []


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_a_stale_close_meets_only_a_connection_that_has_answered(
    client: RawClient, proxy: FaultProxy, server: Upstream, *, reset: bool
) -> None:
    proxy.always(StaleClose(reset))
    assert await ask(client, "fresh") == "fresh"
    assert client.silent
    await client.send(post("/x", b"stale"))
    await client.wait_closed()
    assert len(server.requests) == 1
    assert proxy.counts == Counter(StaleClose=1)


async def test_a_closed_port_refuses_and_is_the_same_one_when_it_is_open_again(
    client: RawClient,
    proxy: FaultProxy,
) -> None:
    assert await ask(client, "before") == "before"
    for _ in range(3):
        await proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            await RawClient.connect(proxy.port)
        assert await ask(client, "on the old connection") == "on the old connection"
        await proxy.accept()
        other = await RawClient.connect(proxy.port)
        assert await ask(other, "again") == "again"
        other.close()
    await proxy.refuse(reset=True)
    await client.wait_closed()
    assert proxy.counts == Counter(refuse=4)


async def test_a_draw_gives_the_share_every_kind_and_the_same_for_the_same_seed() -> None:
    drawn = [draw_fault(0.25, draw) for draw in [random.Random(1).random] for _ in range(8_000)]
    again = [draw_fault(0.25, draw) for draw in [random.Random(1).random] for _ in range(8_000)]
    assert drawn == again
    kinds = Counter(name_of(fault) for fault in drawn if fault is not None)
    assert 1_800 < kinds.total() < 2_200
    assert len(kinds) == 8
    assert min(kinds.values()) > 180
    assert not any(draw_fault(0, random.Random(1).random) for _ in range(100))
