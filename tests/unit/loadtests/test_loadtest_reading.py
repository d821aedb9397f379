from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists

from loadtests.scenarios import reading
from loadtests.scenarios.reading import StreamReading
from tests.support.sse import DONE, delta, event, usage

STREAM = b"".join(
    [
        delta(role="assistant"),
        delta("The"),
        delta(" sky"),
        delta(" is"),
        delta(finish="stop"),
        usage(5, 3),
        DONE,
    ]
)


def read(stream: bytes, *cuts: int) -> StreamReading:
    """A second passes before each read."""
    found = StreamReading(sent_at=0.0)
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for second, (begin, end) in enumerate(pairwise(places), 1):
        found.feed(stream[begin:end], float(second))
    return found


@given(cuts=lists(integers(0, 10_000), max_size=20))
def test_how_the_bytes_are_cut_changes_nothing_that_was_said(cuts: list[int]) -> None:
    found = read(STREAM, *cuts)
    assert (found.fault, found.tokens, found.bytes) == (None, 3, len(STREAM))


def test_lines_may_end_with_carriage_return_and_newline() -> None:
    found = read(STREAM.replace(b"\n", b"\r\n"))
    assert (found.fault, found.tokens) == (None, 3)


def test_the_first_token_is_the_first_content_and_not_the_role() -> None:
    found = StreamReading(sent_at=10.0)
    assert not found.feed(delta(role="assistant"), 10.5)
    assert found.first_token_s is None
    assert found.feed(delta("The"), 11.0)
    assert (found.first_token_s, found.last_gap_s) == (1.0, None)
    assert found.feed(delta(" sky"), 11.25)
    assert (found.first_token_s, found.last_gap_s) == (1.0, 0.25)
    assert found.tokens_per_s == 4.0


def test_one_token_has_no_rate() -> None:
    assert read(delta("The") + DONE).tokens_per_s is None


@pytest.mark.parametrize(
    ("stream", "fault"),
    [
        (STREAM.removesuffix(DONE), "without"),
        (event({"error": {"message": "engine died"}}) + DONE, "engine died"),
        (b"data: {not json}\n\n" + DONE, "cannot be read"),
        (b"", "without"),
        (b"<html>no stream</html>", "without"),
    ],
)
def test_a_stream_that_is_not_whole_says_why(stream: bytes, fault: str) -> None:
    found = read(stream).fault
    assert found is not None
    assert fault in found


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_LINE", 100)
    found = StreamReading(0.0)
    for second in range(10):
        found.feed(b"x" * 60, float(second))
    found.feed(b"\n" + DONE, 11.0)
    assert found.fault == "a line of more than 100 bytes"


def test_comments_and_other_fields_are_passed_over() -> None:
    assert read(b": ping\n\nevent: message\n" + STREAM).fault is None
