"""What a rewriting peer may change: bytes and fields, never a word."""

import json
from typing import Any

import pytest

from loadtests.bench import checks, payloads
from loadtests.bench.checks import check_stream, same_answer_text, same_stream_text
from loadtests.bench.process import BenchError, Target
from loadtests.bench.proxies import Address

ANSWER = payloads.answer()
EVENTS = payloads.stream_events(20)
STREAM = b"".join(EVENTS)


def rewritten(event: bytes) -> bytes:
    """Write an event anew, as a proxy does that parses it: other order, other spaces."""
    if b"[DONE]" in event:
        return event
    fields: dict[str, Any] = json.loads(event.removeprefix(b"data: "))
    return f"data: {json.dumps(dict(reversed(fields.items())))}\r\n\r\n".encode()


def test_an_answer_may_be_written_anew_but_not_say_other_words() -> None:
    assert same_answer_text(ANSWER, json.dumps(json.loads(ANSWER), indent=1).encode())
    assert not same_answer_text(ANSWER, ANSWER.replace(b"brown", b"green", 1))


@pytest.mark.parametrize("body", [b"", b"null", b"{}", b"<html>", b'{"choices":[]}'])
def test_what_is_no_answer_is_not_the_same(body: bytes) -> None:
    assert not same_answer_text(ANSWER, body)


def test_a_stream_may_be_written_anew_and_lack_its_usage() -> None:
    assert same_stream_text(STREAM, b"".join(rewritten(event) for event in EVENTS))
    assert same_stream_text(STREAM, b"".join([*EVENTS[:-2], EVENTS[-1]]))


@pytest.mark.parametrize(
    "events",
    [
        EVENTS[:-1],  # no [DONE]
        EVENTS[1:],  # a token is missing
        [EVENTS[1], EVENTS[0], *EVENTS[2:]],
        [b"data: {broken\n\n", EVENTS[-1]],
        [b'data: {"error":1}\n\n', EVENTS[-1]],
        [],
    ],
)
def test_a_stream_may_not_lack_reorder_or_break_tokens(events: list[bytes]) -> None:
    assert not same_stream_text(STREAM, b"".join(events))


def check_with_reads(monkeypatch: pytest.MonkeyPatch, *reads: int) -> None:
    """Check a stream of 100 chunks that comes in so many reads at each try."""
    tries = iter(reads)
    monkeypatch.setattr(checks, "_stream_reads", lambda *_: next(tries))
    check_stream(Target("peer", Address("127.0.0.1", 1), "m", core=0), 100)


def test_one_stream_of_five_whose_chunks_come_apart_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_with_reads(monkeypatch, 3, 39, 1, 2, 40)


def test_a_proxy_that_lumps_chunks_each_time_does_not_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(BenchError, match="peer: 100 chunks came lumped, in 5 reads"):
        check_with_reads(monkeypatch, 3, 39, 1, 2, 5)
