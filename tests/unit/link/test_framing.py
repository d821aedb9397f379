"""Messages on a byte stream."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.link.framing import MAX_FRAME_BYTES, LinkError, encode, frames_down, frames_up
from router.link.messages import (
    Ack,
    Change,
    Down,
    Drain,
    Draining,
    EndpointHealth,
    Gone,
    Health,
    Hello,
    Install,
    Resync,
    Telemetry,
    Up,
)
from router.snapshot import Endpoint, Role, Route, Rule, Snapshot, SnapshotChange, Version
from router.telemetry.recorder import Series

ROUTE = Route(
    name="chat",
    order=0,
    rules=(Rule(path="/v1/chat/completions", model="llama"),),
    versions=(
        Version(
            name="v1",
            role=Role.STABLE,
            weight_bp=10_000,
            endpoints=(Endpoint(url="http://a:1", host="a", port=1),),
        ),
    ),
)
DOWN: list[Down] = [
    Install(snapshot=Snapshot(generation=3, routes=(ROUTE,))),
    Change(change=SnapshotChange(generation=4, base=3, changed=(ROUTE,), removed=("gone",))),
    Drain(),
]
UP: list[Up] = [
    Hello(worker="w0", pid=1, release="0.1.0", generation=2),
    Ack(generation=4),
    Resync(generation=4),
    Telemetry(series=[Series("f", ("a", "b"), 1.5), Series("h", (), 2.0, [1, 2, 3])]),
    Health(
        endpoints=[
            EndpointHealth("chat", "v1", "http://a:1", False, "refused"),
            EndpointHealth("chat", "v1", "dns://a:1", True, address="10.0.0.1"),
        ],
        gone=[Gone("chat", "v1", "dns://a:1", "10.0.0.2")],
    ),
    Draining(),
]


def stream_of(*pieces: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    return stream


@pytest.mark.anyio
@pytest.mark.parametrize("message", UP, ids=lambda message: type(message).__name__)
async def test_what_a_worker_says_is_what_control_hears(message: Up) -> None:
    frames = frames_up(stream_of(encode(message)))
    assert await frames.receive() == message
    assert await frames.receive() is None


@pytest.mark.anyio
@pytest.mark.parametrize("message", DOWN, ids=lambda message: type(message).__name__)
async def test_what_control_says_is_what_a_worker_hears(message: Down) -> None:
    frames = frames_down(stream_of(encode(message)))
    assert await frames.receive() == message
    assert await frames.receive() is None


@given(st.lists(st.sampled_from(UP), min_size=1), st.data())
def test_messages_come_out_whole_however_the_bytes_are_cut(
    messages: list[Up], data: st.DataObject
) -> None:
    wire = b"".join(map(encode, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    edges = [0, *cuts, len(wire)]
    pieces = [wire[start:end] for start, end in pairwise(edges)]

    async def receive_all() -> list[Up]:
        frames = frames_up(stream_of(*pieces))
        received = []
        while (message := await frames.receive()) is not None:
            received.append(message)
        return received

    assert asyncio.run(receive_all()) == messages


@pytest.mark.anyio
async def test_a_frame_cut_off_in_the_middle_is_the_end_of_the_stream() -> None:
    wire = encode(Ack(generation=7))
    assert await frames_up(stream_of(wire[:-1])).receive() is None


@pytest.mark.anyio
async def test_a_length_beyond_the_bound_is_refused_before_it_is_read() -> None:
    lie = (MAX_FRAME_BYTES + 1).to_bytes(4)
    with pytest.raises(LinkError, match="beyond the bound"):
        await frames_up(stream_of(lie)).receive()


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"", b"\xc1", b"nonsense", b"\x81\xa1t\xa7install"])
async def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(LinkError, match="unreadable"):
        await frames_up(stream_of(len(body).to_bytes(4) + body)).receive()


@pytest.mark.anyio
async def test_a_table_that_contradicts_itself_is_refused() -> None:
    wire = encode(Install(snapshot=Snapshot(generation=3, routes=(ROUTE,))))
    forged = wire.replace((10_000).to_bytes(2), (9_999).to_bytes(2))
    with pytest.raises(LinkError, match="sum to 9999"):
        await frames_down(stream_of(forged)).receive()


def test_a_message_that_fits_no_frame_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.link.framing.MAX_FRAME_BYTES", 100)
    with pytest.raises(LinkError, match="does not fit"):
        encode(DOWN[0])
