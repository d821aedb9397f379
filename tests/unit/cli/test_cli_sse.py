"""Server-sent events, read from bytes however they were cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import DataObject, binary, data, integers, lists, sampled_from

from router.cli.sse import Event, TooLongError, read_events

STREAM = (
    b": a comment\n\n"
    b"id: 7\nevent: weights.set\ndata: {\n\n"
    b"data: \xc3\xa4\r\n\r\n"
    b"id: 9\rdata\rdata:  two\r\r"
    b"retry: 5\n\n"
    b"data: half"
)
EVENTS = [
    Event("7", "weights.set", "{"),
    Event("7", "message", "ä"),
    Event("9", "message", "\n two"),
]


def test_events_are_read_with_their_ids_kinds_and_data() -> None:
    assert list(read_events([STREAM], 100)) == EVENTS


@given(data())
def test_it_does_not_matter_where_a_stream_was_cut(draw: DataObject) -> None:
    places = sorted(draw.draw(lists(integers(0, len(STREAM)))))
    edges = [0, *places, len(STREAM)]
    parts = [STREAM[a:b] for a, b in pairwise(edges)]
    assert list(read_events(parts, 100)) == EVENTS


@given(lists(binary() | sampled_from([b"data:", b"\n", b"\r", b"id:", b":"])))
def test_no_bytes_are_a_fault(parts: list[bytes]) -> None:
    for event in read_events(parts, 10_000):
        assert isinstance(event.data, str)


@pytest.mark.parametrize("parts", [[b"data: " + b"x" * 100], [b"data: x\n"] * 20])
def test_an_event_without_end_is_not_kept(parts: list[bytes]) -> None:
    with pytest.raises(TooLongError, match="longer than 64 bytes"):
        list(read_events(parts, 64))


def test_short_events_may_go_on_for_ever() -> None:
    assert len(list(read_events([b"data: x\n\n"] * 100, 64))) == 100
