"""What is told of a generation by the events of its stream, dialect by dialect."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from router.http1.events import MAX_EVENT, StreamObserver, error_event, read_answer


def data(event: object) -> bytes:
    return b"data: " + json.dumps(event).encode() + b"\n\n"


def chunk(
    content: str | None = None, finish: str | None = None, *, index: int = 0, **more: Any
) -> bytes:
    """A chat completion chunk as vLLM writes it."""
    delta = {} if content is None else {"content": content}
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    head = {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return data({**head, "choices": [choice], **more})


ROLE = data({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
USAGE = data({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 9}})
DONE = b"data: [DONE]\n\n"


def observe(*reads: bytes) -> StreamObserver:
    observer = StreamObserver()
    for read in reads:
        observer.feed(read)
    return observer


def tokens(observer: StreamObserver) -> tuple[int | None, int | None]:
    return observer.prompt_tokens, observer.completion_tokens


# -- OpenAI ------------------------------------------------------------------------------------


def test_a_whole_chat_stream_tells_everything() -> None:
    stream = ROLE + chunk("Hel") + chunk("lo") + chunk(finish="stop") + USAGE + DONE
    seen = observe(stream)
    assert (seen.content, seen.ended, seen.failed, seen.truncated) == (True, True, False, False)
    assert (seen.finish_reason, *tokens(seen)) == ("stop", 7, 9)


def test_nothing_is_told_of_a_stream_that_has_not_begun() -> None:
    seen = observe()
    assert (seen.content, seen.ended, seen.failed, seen.truncated) == (False,) * 4
    assert (seen.finish_reason, *tokens(seen)) == (None, None, None)
    assert seen.at_event_start


def test_a_role_alone_is_no_content() -> None:
    assert not observe(ROLE).content
    assert not observe(data({"choices": [{"delta": {"role": "assistant"}}]})).content
    assert not observe(data({"choices": [{"delta": {"content": None}}]})).content
    assert observe(ROLE, chunk("a")).content


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "a"},
        {"reasoning_content": "a"},
        {"reasoning": "a"},
        {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]},
    ],
)
def test_text_reasoning_and_tool_calls_are_content(delta: dict[str, object]) -> None:
    assert observe(data({"choices": [{"index": 0, "delta": delta}]})).content


def test_a_call_of_a_tool_ends_a_stream_with_its_finish_reason() -> None:
    call = {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}
    seen = observe(data({"choices": [{"delta": call, "finish_reason": None}]}))
    assert (seen.content, seen.truncated) == (True, True)
    seen.feed(data({"choices": [{"delta": call, "finish_reason": "tool_calls"}]}))
    assert (seen.finish_reason, seen.truncated) == ("tool_calls", False)


def test_the_text_of_a_completion_is_content() -> None:
    seen = observe(data({"choices": [{"index": 0, "text": "a", "finish_reason": None}]}))
    assert seen.content
    assert not seen.ended
    assert not observe(data({"choices": [{"text": "", "finish_reason": None}]})).content


def test_a_finish_reason_ends_a_stream() -> None:
    seen = observe(chunk("a"), chunk(finish="length"))
    assert (seen.ended, seen.finish_reason, seen.truncated) == (True, "length", False)


@pytest.mark.parametrize(
    "done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE] \r\n\r\n"]
)
def test_done_ends_a_stream(done: bytes) -> None:
    assert observe(chunk("a"), done).ended
    assert observe(done).ended


def test_done_within_content_ends_nothing() -> None:
    assert not observe(chunk("[DONE]"), chunk("data: [DONE]\n\n")).ended


def test_a_stream_with_neither_done_nor_a_finish_reason_is_truncated() -> None:
    assert observe(ROLE).truncated
    assert observe(ROLE, chunk("a"), chunk("b")).truncated
    assert not observe(b": only a comment\n\n").truncated


@pytest.mark.parametrize("choices", [[], None])
def test_a_usage_chunk_has_no_content(choices: list[object] | None) -> None:
    seen = observe(
        data({"choices": choices, "usage": {"prompt_tokens": 3, "completion_tokens": 0}})
    )
    assert (seen.content, tokens(seen)) == (False, (3, 0))


def test_a_usage_chunk_may_have_no_choices_at_all() -> None:
    seen = observe(data({"usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}}))
    assert (seen.content, tokens(seen)) == (False, (3, 4))


def test_the_last_usage_of_several_counts() -> None:
    def usage(number: int) -> dict[str, int]:
        return {"prompt_tokens": 5, "completion_tokens": number}

    seen = observe(chunk("a", usage=usage(1)), chunk("b", usage=usage(2)), chunk("c", usage=None))
    assert tokens(seen) == (5, 2)


def test_a_usage_of_null_takes_nothing_back() -> None:
    seen = observe(USAGE, data({"choices": [], "usage": None}), data({"usage": {}, "choices": []}))
    assert tokens(seen) == (7, 9)


@pytest.mark.parametrize(
    "event",
    [
        {"error": {"message": "out of memory", "type": "server_error", "code": 500}},
        {"error": "Request failed during generation", "error_type": "generation"},
        {"error": {"message": "x"}, "choices": []},
        {"error": {"message": "x"}, "choices": [{"delta": {"content": "a"}}]},
    ],
)
def test_an_error_fails_a_stream(event: dict[str, object]) -> None:
    seen = observe(chunk("a"), data(event))
    assert (seen.failed, seen.truncated) == (True, False)


@pytest.mark.parametrize("more", [{"message": "x"}, {"type": 500}, {"usage": "none"}, {"token": 1}])
def test_an_error_fails_a_stream_whatever_stands_beside_it(more: dict[str, object]) -> None:
    # OpenAI's client raises for any chunk with a truthy `error`.
    assert observe(data({"error": {"message": "x"}, **more})).failed


def test_an_error_of_null_fails_nothing() -> None:
    seen = observe(chunk("a", error=None), chunk("b", error=None))
    assert (seen.failed, seen.content) == (False, True)


# -- other dialects ----------------------------------------------------------------------------


def typed(kind: str, **fields: object) -> bytes:
    return b"event: " + kind.encode() + b"\n" + data({"type": kind, **fields})


def test_a_responses_stream_tells_everything() -> None:
    seen = observe(typed("response.created", response={"id": "r", "usage": None}))
    assert (seen.content, seen.ended) == (False, False)
    seen.feed(typed("response.output_text.delta", delta="Hel"))
    assert (seen.content, seen.truncated) == (True, True)
    usage = {"input_tokens": 4, "output_tokens": 6, "total_tokens": 10}
    seen.feed(typed("response.completed", response={"status": "completed", "usage": usage}))
    assert (seen.ended, seen.failed, seen.truncated, tokens(seen)) == (True, False, False, (4, 6))


def test_an_incomplete_response_has_ended() -> None:
    seen = observe(typed("response.output_text.delta"), typed("response.incomplete", response={}))
    assert (seen.ended, seen.failed) == (True, False)


@pytest.mark.parametrize("kind", ["response.failed", "error"])
def test_a_failed_response_has_failed(kind: str) -> None:
    seen = observe(typed("response.output_text.delta"), typed(kind, response={"error": {}}))
    assert (seen.failed, seen.truncated) == (True, False)


ANTHROPIC_START = typed(
    "message_start", message={"id": "m", "usage": {"input_tokens": 11, "output_tokens": 1}}
)


def test_a_messages_stream_tells_everything() -> None:
    seen = observe(
        ANTHROPIC_START, typed("content_block_start", content_block={"type": "text", "text": ""})
    )
    seen.feed(typed("ping"))
    assert (seen.content, tokens(seen)) == (False, (11, 1))
    seen.feed(typed("content_block_delta", delta={"type": "text_delta", "text": "Hi"}))
    assert (seen.content, seen.truncated) == (True, True)
    seen.feed(typed("content_block_stop"))
    seen.feed(typed("message_delta", delta={"stop_reason": "x"}, usage={"output_tokens": 15}))
    seen.feed(typed("message_stop"))
    assert (seen.ended, seen.failed, seen.truncated, tokens(seen)) == (True, False, False, (11, 15))


def test_an_error_fails_a_messages_stream() -> None:
    seen = observe(ANTHROPIC_START, typed("error", error={"type": "overloaded_error"}))
    assert (seen.failed, seen.truncated) == (True, False)


@pytest.mark.parametrize(
    "start", [ANTHROPIC_START, typed("response.created", response={"id": "r"})]
)
def test_a_typed_stream_that_breaks_off_behind_its_first_event_is_truncated(start: bytes) -> None:
    assert observe(start).truncated


def test_the_closing_report_of_a_message_is_no_content() -> None:
    seen = observe(ANTHROPIC_START, typed("message_delta", delta={}, usage={"output_tokens": 0}))
    assert not seen.content


def tgi(text: str, generated: str | None = None) -> bytes:
    token = {"id": 1, "text": text, "logprob": -0.1, "special": False}
    return data({"index": 1, "token": token, "generated_text": generated, "details": None})


def test_a_tgi_stream_ends_with_its_generated_text() -> None:
    seen = observe(tgi("Hel"))
    assert (seen.content, seen.truncated) == (True, True)
    seen.feed(tgi("lo", "Hello"))
    assert (seen.ended, seen.truncated) == (True, False)


def test_an_empty_generated_text_ends_a_tgi_stream_too() -> None:
    assert observe(tgi("", "")).ended


@pytest.mark.parametrize(
    "payload", [b"hello", b'{"text_output":"a"}', b"[1,2]", b"{", b"1", b'"a"', b"{}"]
)
def test_any_event_of_an_unknown_dialect_is_content_and_never_truncated(payload: bytes) -> None:
    seen = observe(b"data: " + payload + b"\n\n")
    assert (seen.content, seen.ended, seen.failed, seen.truncated) == (True, False, False, False)


# -- lines and events --------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines_end_in_lf_crlf_or_cr(end: bytes) -> None:
    stream = (chunk("a") + chunk(finish="stop") + USAGE + DONE).replace(b"\n", end)
    for reads in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        seen = observe(*reads)
        assert (seen.content, seen.finish_reason, tokens(seen)) == (True, "stop", (7, 9))


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_the_last_event_of_a_stream_counts_however_its_lines_end(end: bytes) -> None:
    seen = observe((chunk("a") + DONE).replace(b"\n", end))
    assert (seen.ended, seen.truncated) == (True, False)


@pytest.mark.parametrize(
    "event",
    [
        b'data:{"choices":[{"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":\ndata: [{"delta":\ndata:{"content":"a"}}]}\n\n',
        b': hello\nid: 7\nevent: x\nretry: 5\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"a"}}]}\nid: 7\n\n',
        b'\n\n\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\n',
    ],
)
def test_the_data_lines_of_an_event_are_joined_and_the_others_ignored(event: bytes) -> None:
    seen = observe(event)
    assert (seen.content, seen.truncated) == (True, True)


@pytest.mark.parametrize(
    "event",
    [b": keep-alive\n\n", b":\n\n", b"\n\n", b"event: ping\n\n", b"id: 1\n\n", b"data:\n\n",
     b"datax: a\n\n", b" data: a\n\n", b"retry: 10\n\n"],
)  # fmt: skip
def test_an_event_without_data_tells_nothing(event: bytes) -> None:
    seen = observe(event)
    assert (seen.content, seen.ended, seen.failed, seen.truncated) == (False,) * 4


def test_it_is_told_whether_an_event_has_begun() -> None:
    seen = observe(chunk("a"))
    assert seen.at_event_start
    seen.feed(chunk("b")[:-1])
    assert not seen.at_event_start
    seen.feed(b"\n")
    assert seen.at_event_start
    seen.feed(b"d")
    assert not seen.at_event_start


# -- robust against any upstream ---------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"type":"\xff\xfe"}',
        b'{"choices":[{"delta":{"content":"\\ud800"}}]}',
        b'{"choices":[{"delta":{"content":7}}]}',
        b'{"choices":"x"}',
        b'{"choices":[null]}',
        b'{"usage":{"prompt_tokens":1e400}}',
        b'{"usage":{"prompt_tokens":123456789012345678901234567890}}',
        b'{"x":' + b"[" * 100_000,
        b'{"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b"\x00",
    ],
)
def test_no_event_is_too_strange_to_look_at(payload: bytes) -> None:
    seen = observe(b"data: " + payload + b"\n\n", chunk("a"), chunk(finish="stop"))
    assert (seen.content, seen.ended, seen.finish_reason) == (True, True, "stop")


def test_a_huge_event_is_content_and_takes_bounded_memory() -> None:
    read = b"x" * 65_536
    seen = observe(chunk("a"), b'data: {"choices":[{"delta":{"content":"')
    tracemalloc.start()
    try:
        for _ in range(200):
            seen.feed(read)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MAX_EVENT
    assert seen.content
    assert not seen.at_event_start


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\n\r\n"])
@pytest.mark.parametrize("cut", range(5))
def test_the_event_behind_a_huge_one_is_read(end: bytes, cut: int) -> None:
    huge = b"data: " + b"x" * (2 * MAX_EVENT) + end
    half = MAX_EVENT + 10
    reads = [huge[:half], huge[half : len(huge) - cut], huge[len(huge) - cut :] + USAGE, DONE]
    seen = observe(*reads)
    assert (tokens(seen), seen.ended, seen.at_event_start) == ((7, 9), True, True)


def test_a_stream_whose_last_event_is_huge_is_not_called_truncated() -> None:
    # response.completed repeats the whole answer with its instructions and tools: it may well be
    # longer than what is kept of one event.
    usage = {"input_tokens": 1, "output_tokens": 2}
    last = typed("response.completed", response={"output": "x" * 200_000, "usage": usage})
    reads = [last[at : at + 16_384] for at in range(0, len(last), 16_384)]
    assert not observe(typed("response.output_text.delta", delta="x"), *reads).truncated


# -- the learnt wrapping -----------------------------------------------------------------------

REPORTS = {
    "finish_reason": chunk(finish="length"),
    "usage": USAGE,
    "error": data({"error": {"message": "x"}}),
    "done": DONE,
}


def told(observer: StreamObserver, report: str) -> bool:
    return {
        "finish_reason": observer.finish_reason == "length",
        "usage": tokens(observer) == (7, 9),
        "error": observer.failed,
        "done": observer.ended,
    }[report]


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_behind_many_tokens_is_seen(report: str) -> None:
    assert told(observe(*[chunk("tok")] * 50, REPORTS[report]), report)


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_that_comes_in_one_read_with_tokens_is_seen(report: str) -> None:
    first = [chunk("one"), chunk("two")]
    assert told(observe(*first, chunk("a") + REPORTS[report]), report)
    assert told(observe(*first, REPORTS[report] + chunk("a")), report)
    assert told(observe(*first, chunk("a") + REPORTS[report] + chunk("b")), report)


def test_a_finish_reason_written_as_a_token_is_seen() -> None:
    # The same beginning and the same end, but the value in between closes its own string.
    token = chunk("one")
    before, after = token.split(b"one")
    ending = b'x"}, "finish_reason": "stop"}, {"delta": {"content": "y'
    seen = observe(token, before + ending + after)
    assert seen.finish_reason == "stop"


@pytest.mark.parametrize("first", ["content", "delta", "choices", "m", "null", "finish_reason"])
def test_a_first_token_that_repeats_a_word_of_the_wrapping_hides_nothing(first: str) -> None:
    seen = observe(chunk(first), chunk("a"), chunk("b", finish="length"), USAGE)
    assert (seen.finish_reason, tokens(seen)) == ("length", (7, 9))


def test_tokens_with_escapes_hide_nothing() -> None:
    texts = ["a", '"', "\\", '\\"', "\n\n", "é", "data: [DONE]\n\n", '"}],"usage":{}', "\u2028"]
    seen = observe(*map(chunk, texts))
    assert (seen.content, seen.ended, seen.failed) == (True, False, False)
    seen.feed(chunk('"', finish="stop"))
    assert seen.finish_reason == "stop"


# -- answers in one piece ----------------------------------------------------------------------


def test_tokens_and_finish_reason_of_an_answer_are_read() -> None:
    text = {
        "choices": [{"message": {"content": "x", "tool_calls": [{}]}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }
    answer = read_answer(json.dumps(text).encode())
    assert answer is not None
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 2)
    assert [choice.finish_reason for choice in answer.choices or ()] == ["stop"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ({"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, (8, None)),
        ({"type": "message", "usage": {"input_tokens": 3, "output_tokens": 4}}, (3, 4)),
        ({"usage": None}, (None, None)),
        ({"object": "list"}, (None, None)),
        ({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}, (0, 0)),
    ],
)
def test_what_an_answer_does_not_report_is_unknown(
    text: dict[str, object], expected: tuple[int | None, int | None]
) -> None:
    answer = read_answer(json.dumps(text).encode())
    assert answer is not None
    usage = answer.usage
    seen = (None, None)
    if usage is not None:
        prompt = usage.prompt_tokens if usage.prompt_tokens is not None else usage.input_tokens
        completion = usage.completion_tokens
        seen = (prompt, usage.output_tokens if completion is None else completion)
    assert seen == expected
    assert not answer.choices


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b"{",
        b"<html>",
        b'{"usage":{"prompt_tokens":"many"}}',
        b'{"choices":[{"finish_reason":"\xff"}]}',
        b'{"a":' + b"[" * 100_000,
    ],
)
def test_what_is_no_such_answer_reports_nothing(body: bytes) -> None:
    assert read_answer(body) is None


def test_an_error_is_framed_as_an_event() -> None:
    frame = error_event(b'{"error":{"message":"x"}}')
    assert frame == b'data: {"error":{"message":"x"}}\n\n'
    assert observe(frame).failed
