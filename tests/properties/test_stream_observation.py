"""What is told of a stream does not depend on how its bytes fall into reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from router.http1.events import StreamObserver, read_answer

PROPERTY = settings(deadline=None, max_examples=100)


@dataclass(frozen=True)
class Event:
    """One event and what it tells."""

    payload: str | None
    content: bool = False
    ended: bool = False
    failed: bool = False
    known: bool = True
    finish_reason: str | None = None
    usage: tuple[int, int] | None = None

    def wire(self, end: str, style: int) -> bytes:
        """As a server may write it: with other lines, without a space, over several lines."""
        if self.payload is None:
            return (": ping" + end * 2).encode()
        lines = [f"data: {self.payload}"]
        if style == 1:
            lines = [f"event: x{end}id: 1", f"data:{self.payload}"]
        elif style == 2 and self.payload.startswith("{"):
            lines = ["data: {", f"data:{self.payload[1:]}", ": comment"]
        return (end.join(lines) + end * 2).encode()


def chat(content: str | None, *, compact: bool, ascii_only: bool, **choice: Any) -> str:
    delta = {} if content is None else {"content": content}
    usage = choice.pop("usage", None)
    body: dict[str, Any] = {
        "id": "c",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}],
    }
    if usage is not None:
        body["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    separators = (",", ":") if compact else (", ", ": ")
    return json.dumps(body, separators=separators, ensure_ascii=ascii_only)


TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.sampled_from(
        ["a", " the", '"', "\\", "\n\n", "delta", "[DONE]", '"}}],"usage":{', "\u2028"]
    ),
)
USAGE = st.tuples(st.integers(0, 9_999), st.integers(0, 9_999))
REASONS = st.sampled_from(["stop", "length", "tool_calls"])
BOOLS = st.booleans()


def token(text: str, compact: bool, ascii_only: bool) -> Event:
    return Event(chat(text, compact=compact, ascii_only=ascii_only), content=True)


def finish(reason: str, text: str | None, compact: bool) -> Event:
    payload = chat(text, compact=compact, ascii_only=True, finish_reason=reason)
    return Event(payload, content=bool(text), ended=True, finish_reason=reason)


def counted(text: str, usage: tuple[int, int]) -> Event:
    payload = chat(text, compact=True, ascii_only=True, usage=usage)
    return Event(payload, content=True, usage=usage)


def usage_chunk(usage: tuple[int, int], choices: list[object] | None) -> Event:
    report = {"prompt_tokens": usage[0], "completion_tokens": usage[1]}
    payload = json.dumps({"choices": choices, "usage": report})
    return Event(payload, known=False, usage=usage)


TOKENS = st.builds(token, TEXTS, st.just(True), st.just(False))
EVENTS = st.one_of(
    TOKENS,
    TOKENS,
    st.builds(token, TEXTS, BOOLS, BOOLS),
    st.builds(finish, REASONS, st.none() | TEXTS, BOOLS),
    st.builds(counted, TEXTS, USAGE),
    st.builds(usage_chunk, USAGE, st.sampled_from([[], None])),
    st.sampled_from(
        [
            Event(chat("", compact=True, ascii_only=True)),
            Event(chat(None, compact=True, ascii_only=True)),
            Event('{"error":{"message":"x","code":500}}', failed=True),
            Event("[DONE]", ended=True),
            Event(None, known=False),
            Event("hello", content=True, known=False),
            Event('{"type":"content_block_delta","delta":{"text":"x"}}', content=True),
            Event('{"type":"message_stop"}', ended=True),
            Event('{"type":"response.failed","response":{}}', failed=True),
            Event('{"token":{"id":1},"generated_text":null}', content=True),
            Event('{"token":{"id":1},"generated_text":"x"}', content=True, ended=True),
        ]
    ),
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[at:to] for at, to in pairwise(places)]


def told(observer: StreamObserver) -> tuple[object, ...]:
    return (
        observer.content, observer.ended, observer.failed, observer.truncated,
        observer.finish_reason, observer.prompt_tokens, observer.completion_tokens,
    )  # fmt: skip


def expected(events: list[Event]) -> tuple[object, ...]:
    ended = any(event.ended for event in events)
    failed = any(event.failed for event in events)
    known = any(event.known for event in events)
    reasons = [event.finish_reason for event in events if event.finish_reason]
    usages = [event.usage for event in events if event.usage]
    return (
        any(event.content for event in events), ended, failed, known and not ended and not failed,
        reasons[-1] if reasons else None, *(usages[-1] if usages else (None, None)),
    )  # fmt: skip


STREAMS = st.lists(st.tuples(EVENTS, st.sampled_from([0, 0, 0, 1, 2])), max_size=10)


@PROPERTY
@given(STREAMS, st.sampled_from(["\n", "\n", "\r\n", "\r"]), st.data())
def test_any_split_of_a_stream_tells_the_same(
    stream: list[tuple[Event, int]], end: str, data: st.DataObject
) -> None:
    wires = [event.wire(end, style) for event, style in stream]
    wire = b"".join(wires)
    ends = [0]
    for one in wires:
        ends.append(ends[-1] + len(one))
    cuts = data.draw(st.lists(st.sampled_from(ends) | st.integers(0, len(wire)), max_size=12))
    observer = StreamObserver()
    for read in split(wire, cuts):
        observer.feed(read)
    assert told(observer) == expected([event for event, _ in stream])


@PROPERTY
@given(st.lists(EVENTS, max_size=12), st.data())
def test_reads_of_whole_events_tell_the_same(events: list[Event], data: st.DataObject) -> None:
    # The way in which the wrapping of tokens is recognised: a read begins and ends with an event.
    first = token("one", True, False)
    observer = StreamObserver()
    observer.feed(first.wire("\n", 0))
    left = events
    while left:
        count = data.draw(st.integers(1, len(left)))
        observer.feed(b"".join(event.wire("\n", 0) for event in left[:count]))
        left = left[count:]
    assert told(observer) == expected([first, *events])


@PROPERTY
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_no_bytes_are_too_strange_to_look_at(reads: list[bytes]) -> None:
    observer = StreamObserver()
    for read in reads:
        observer.feed(read)
        observer.feed(b"data: " + read + b"\n\n")
        read_answer(read)
    told(observer)
