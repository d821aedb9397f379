"""What a message is in each dialect, whole and streamed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.comparison import Answer, Comparison, Outcome, Rules, compare
from router.comparison.messages import Message, reader_of
from router.comparison.streams import fold
from router.comparison.tool_calls import ToolCall

DONE = b"data: [DONE]\n\n"


def stream(*events: Any, end: bytes = b"") -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + end


def message_of(document: Any) -> Message:
    read = reader_of(document)
    assert read is not None
    return read(document)


def folded(body: bytes) -> Message:
    result = fold(body)
    assert result.problem == ""
    return message_of(result.document)


def message(
    *,
    finish_reasons: dict[str, str] | None = None,
    texts: dict[str, str] | None = None,
    tool_calls: dict[str, list[ToolCall]] | None = None,
    others: dict[str, Any] | None = None,
    tokens: int | None = None,
) -> Message:
    return Message(
        finish_reasons=finish_reasons or {},
        texts=texts or {},
        tool_calls=tool_calls or {},
        others=others or {},
        tokens=tokens,
    )


def chunk(delta: dict[str, Any], index: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": "x", "choices": [{"index": index, "delta": delta, **more}]}


CHAT = message(
    finish_reasons={"$.choices[0].finish_reason": "stop", "$.choices[1].finish_reason": "length"},
    texts={
        "$.choices[0].message.content": "Hello",
        "$.choices[0].message.reasoning_content": "hm",
        "$.choices[1].message.refusal": "No.",
    },
    tokens=7,
)


def test_a_chat_answer_is_its_texts_and_finish_reasons() -> None:
    whole = {
        "id": "a",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "reasoning": "hm"},
                "finish_reason": "stop",
                "logprobs": {"content": []},
            },
            {
                "index": 1,
                "message": {"role": "assistant", "content": None, "refusal": "No."},
                "finish_reason": "length",
            },
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 7},
    }
    assert message_of(whole) == CHAT


def test_a_chat_stream_is_the_message_that_its_deltas_build() -> None:
    body = stream(
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "h"}),
        chunk({"reasoning_content": "m", "reasoning": "m"}),
        chunk({"refusal": "N"}, 1),
        chunk({"content": "Hel"}),
        chunk({"refusal": "o."}, 1),
        chunk({"content": "lo"}),
        chunk({}, 1, finish_reason="length"),
        chunk({}, finish_reason="stop"),
        {"choices": [], "usage": {"completion_tokens": 7}},
        end=DONE,
    )
    assert folded(body) == CHAT


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_comments_and_other_fields_of_a_stream_leave_no_trace(end: str) -> None:
    lines = [
        "\ufeff: hello",
        "",
        "event: message",
        "id: 1",
        "retry: 3",
        'data: {"choices":[{"index":0,',
        'data:"delta":{"content":"a"},"finish_reason":"stop"}],',
        "data",
        ": keep-alive",
        'data: "usage":null}',
        "",
        "data: [DONE]",
        "",
        "",
    ]
    assert folded(end.join(lines).encode()) == message(
        finish_reasons={"$.choices[0].finish_reason": "stop"},
        texts={"$.choices[0].message.content": "a"},
    )


def test_nothing_is_read_after_the_end_mark() -> None:
    body = stream(chunk({"content": "a"}, finish_reason="stop"), end=DONE)
    assert folded(body + stream({"error": "late"})) == folded(body)


def test_a_completion_is_its_text_whole_or_streamed() -> None:
    expected = message(
        finish_reasons={"$.choices[0].finish_reason": "stop"},
        texts={"$.choices[0].text": "one two"},
        tokens=2,
    )
    usage = {"completion_tokens": 2}
    choice = {"index": 0, "text": "one two", "finish_reason": "stop"}
    assert message_of({"choices": [choice], "usage": usage}) == expected
    first = {"choices": [{"index": 0, "text": "one", "finish_reason": None}], "usage": None}
    last = {"choices": [{"index": 0, "text": " two", "finish_reason": "stop"}], "usage": usage}
    assert folded(stream(first, last, end=DONE)) == expected


def test_tool_calls_are_assembled_from_their_deltas() -> None:
    def call(index: int | None, call_id: str | None, **function: str) -> dict[str, Any]:
        told = {"index": index, "id": call_id, "function": function}
        return chunk({"tool_calls": [{k: v for k, v in told.items() if v is not None}]})

    body = stream(
        call(0, "c1", name="weather", arguments=""),
        call(0, None, arguments='{"city":'),
        call(1, "c2", name="time", arguments="{"),
        call(0, None, name="weather", arguments='"Rome"}'),
        call(1, None, arguments="}"),
        chunk({}, finish_reason="tool_calls"),
        end=DONE,
    )
    assert folded(body).tool_calls == {
        "$.choices[0].message.tool_calls": [
            ToolCall("weather", '{"city":"Rome"}'),
            ToolCall("time", "{}"),
        ]
    }
    unnumbered = stream(
        call(None, "c1", name="weather", arguments='{"city":'),
        call(None, None, arguments='"Rome"}'),
        call(None, "c2", name="time", arguments="{}"),
        chunk({}, finish_reason="tool_calls"),
    )
    assert folded(unnumbered).tool_calls == folded(body).tool_calls


def test_a_legacy_function_call_is_a_tool_call() -> None:
    expected = {"$.choices[0].message.tool_calls": [ToolCall("f", "{}")]}
    function = {"name": "f", "arguments": "{}"}
    choice = {"index": 0, "message": {"content": None, "function_call": function}}
    assert message_of({"choices": [choice]}).tool_calls == expected
    body = stream(
        chunk({"function_call": {"name": "f", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}, finish_reason="function_call"),
    )
    assert folded(body).tool_calls == expected


def test_what_speech_says_and_what_an_answer_cites_is_read() -> None:
    spoken = {
        "content": None,
        "audio": {"id": "a", "data": "UklG", "transcript": "Hi there"},
        "annotations": [{"type": "url_citation"}],
    }
    expected = message(
        texts={"$.choices[0].message.audio.transcript": "Hi there"},
        others={"$.choices[0].message.annotations": [{"type": "url_citation"}]},
    )
    assert message_of({"choices": [{"index": 0, "message": spoken}]}) == expected
    body = stream(
        chunk({"audio": {"id": "b", "transcript": "Hi "}}),
        chunk({"audio": {"data": "AAAA", "transcript": "there"}}),
        chunk({"annotations": [{"type": "url_citation"}]}),
        end=DONE,
    )
    assert folded(body) == expected


RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "output": [
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        {
            "type": "message",
            "content": [
                {"type": "output_text", "text": "Hel"},
                {"type": "output_text", "text": "lo"},
                {"type": "refusal", "refusal": "No."},
            ],
        },
        {"type": "function_call", "id": "f", "call_id": "c", "name": "t", "arguments": "{}"},
        {"type": "web_search_call", "id": "w", "status": "completed"},
    ],
    "usage": {"output_tokens": 5},
}
RESPONSE_MESSAGE = message(
    finish_reasons={"$.status": "completed"},
    texts={"$.reasoning": "hm", "$.output_text": "Hello", "$.refusal": "No."},
    tool_calls={"$.output": [ToolCall("t", "{}")]},
    others={"$.output": [{"type": "web_search_call", "status": "completed"}]},
    tokens=5,
)


def test_a_response_is_the_same_whole_and_streamed() -> None:
    assert message_of(RESPONSE) == RESPONSE_MESSAGE
    begun = {"type": "response.created", "response": {**RESPONSE, "output": []}}
    delta = {"type": "response.output_text.delta", "delta": "Hel"}
    ended = {"type": "response.completed", "response": RESPONSE}
    assert folded(stream(begun, delta, ended)) == RESPONSE_MESSAGE


def test_a_response_whose_last_event_has_no_output_is_its_items() -> None:
    items = [{"type": "response.output_item.done", "item": item} for item in RESPONSE["output"]]
    ended = {"type": "response.completed", "response": {**RESPONSE, "output": []}}
    assert folded(stream(*items, ended)) == RESPONSE_MESSAGE


def test_an_incomplete_response_ends_for_its_reason() -> None:
    cut = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_tokens"}}
    assert message_of(cut).finish_reasons == {"$.status": "max_tokens"}
    assert folded(stream({"type": "response.incomplete", "response": cut})) == message_of(cut)


def test_anthropic_messages_are_the_same_whole_and_streamed() -> None:
    whole = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "abc"},
            {"type": "text", "text": "Hello"},
            {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"a": [1]}},
            {"type": "server_tool_use", "id": "s", "name": "web"},
            {"type": "redacted_thinking", "data": "…"},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 9},
    }
    expected = message(
        finish_reasons={"$.stop_reason": "tool_use"},
        texts={"$.content.thinking": "hm", "$.content.text": "Hello"},
        tool_calls={"$.content": [ToolCall("t", {"a": [1]})]},
        others={"$.content": [{"type": "server_tool_use", "name": "web"}]},
        tokens=9,
    )
    assert message_of(whole) == expected

    def delta(index: int, **told: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": told}

    def block(index: int, **told: Any) -> dict[str, Any]:
        return {"type": "content_block_start", "index": index, "content_block": told}

    body = stream(
        {"type": "message_start", "message": {"type": "message", "usage": {"output_tokens": 1}}},
        {"type": "ping"},
        block(0, type="thinking", thinking=""),
        delta(0, type="thinking_delta", thinking="h"),
        delta(0, type="thinking_delta", thinking="m"),
        delta(0, type="signature_delta", signature="xyz"),
        block(1, type="text", text=""),
        delta(1, type="text_delta", text="Hel"),
        delta(1, type="text_delta", text="lo"),
        block(2, type="tool_use", id="toolu_2", name="t", input={}),
        delta(2, type="input_json_delta", partial_json='{"a"'),
        delta(2, type="input_json_delta", partial_json=": [1]}"),
        block(3, type="server_tool_use", id="s2", name="web"),
        block(4, type="redacted_thinking", data="other"),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use"},
            "usage": {"output_tokens": 9},
        },
        {"type": "message_stop"},
    )
    assert folded(body) == expected


def test_tgi_is_the_same_whole_and_streamed() -> None:
    details = {"finish_reason": "eos_token", "generated_tokens": 2, "seed": None}
    expected = message(
        finish_reasons={"$.details.finish_reason": "eos_token"},
        texts={"$.generated_text": "ab"},
        tokens=2,
    )
    assert message_of({"generated_text": "ab", "details": details}) == expected
    body = stream(
        {"index": 1, "token": {"text": "a"}, "generated_text": None, "details": None},
        {"index": 2, "token": {"text": "b"}, "generated_text": "ab", "details": details},
    )
    assert folded(body) == expected
    assert message_of([{"generated_text": "a"}, {"generated_text": "b"}]).texts == {
        "$[0].generated_text": "a",
        "$[1].generated_text": "b",
    }


def test_triton_generate_is_the_same_whole_and_streamed() -> None:
    expected = message(texts={"$.text_output": "one two"})
    assert message_of({"model_name": "m", "text_output": "one two"}) == expected
    assert folded(stream({"text_output": "one"}, {"text_output": " two"})) == expected


def test_sglang_generate_is_the_same_whole_and_streamed() -> None:
    def event(text: str, reason: Any) -> dict[str, Any]:
        return {"text": text, "meta_info": {"finish_reason": reason, "completion_tokens": 3}}

    last = event("abc", {"type": "stop", "matched": 2})
    expected = message(
        finish_reasons={"$.meta_info.finish_reason": "stop"}, texts={"$.text": "abc"}, tokens=3
    )
    assert message_of(last) == expected
    assert folded(stream(event("a", None), event("ab", None), last, end=DONE)) == expected


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the stream ended before its message did"),
        (b": keep-alive\n\n", "the stream ended before its message did"),
        (stream(chunk({"content": "a"})), "the stream ended before its message did"),
        (
            stream(chunk({"content": "a"}))
            + b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n',
            "the stream ended before its message did",
        ),
        (
            stream({"type": "message_start", "message": {}}),
            "the stream ended before its message did",
        ),
        (
            stream({"token": {"text": "a"}, "generated_text": None}),
            "the stream ended before its message did",
        ),
        (
            stream({"type": "response.created", "response": {}}),
            "the stream ended before its message did",
        ),
        (
            stream(chunk({"content": "a"}), {"error": {"message": "m", "code": 500}}, end=DONE),
            "an error in the stream (no type)",
        ),
        (
            stream({"type": "error", "error": {"type": "overloaded_error"}}),
            "an error in the stream (overloaded_error)",
        ),
        (
            stream({"type": "response.failed", "response": {"error": {"code": "server_error"}}}),
            "an error in the stream (server_error)",
        ),
        (
            stream({"error": "out of memory", "error_type": "generation"}),
            "an error in the stream (generation)",
        ),
        (stream({"error": "out of memory"}), "an error in the stream (no type)"),
    ],
)
def test_a_stream_that_fails_or_ends_early_is_no_message(body: bytes, problem: str) -> None:
    assert fold(body).problem == problem


def test_a_stream_of_unknown_events_is_the_list_of_them() -> None:
    assert fold(b'data: {"step": 1}\n\ndata: plain\n\n').document == [{"step": 1}, "plain"]
    assert fold(DONE).document == []


@pytest.mark.parametrize("document", [None, 1, "x", [], {}, {"choices": [1]}, {"error": {}}])
def test_what_has_no_message_is_none(document: Any) -> None:
    assert reader_of(document) is None


def answered(body: bytes, content_type: str) -> Answer:
    return Answer(outcome=Outcome.ANSWERED, status=200, content_type=content_type, body=body)


def compared(one: Any, two: Any, **rules: Any) -> Comparison:
    left, right = (
        answered(each, "text/event-stream")
        if isinstance(each, bytes)
        else answered(json.dumps(each).encode(), "application/json")
        for each in (one, two)
    )
    return compare(left, right, Rules(**rules))


def test_a_streamed_answer_is_the_same_as_the_whole_one() -> None:
    choice = {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}
    body = stream(chunk({"content": "Hel"}), chunk({"content": "lo"}, finish_reason="stop"))
    assert compared({"choices": [choice]}, body).differing == ()


def test_an_ignored_part_of_a_message_makes_no_difference_whole_or_streamed() -> None:
    one = stream(chunk({"reasoning_content": "hm", "content": "a"}, finish_reason="stop"))
    two = stream(chunk({"reasoning_content": "oh", "content": "a"}, finish_reason="length"))
    assert compared(one, two).differing == ("finish_reason", "text")
    paths = ("$.choices[*].message.reasoning_content", "$..finish_reason")
    assert compared(one, two, ignore_paths=paths).differing == ()


def test_another_refusal_is_another_text_and_another_citation_another_part() -> None:
    def answer(refusal: str, url: str) -> dict[str, Any]:
        told = {"content": "a", "refusal": refusal, "annotations": [{"url": url}]}
        return {"choices": [{"index": 0, "message": told, "finish_reason": "stop"}]}

    text, cited = compared(answer("No.", "x"), answer("Never!", "y")).fields[2:]
    assert (text.rule, text.place) == ("text.ratio", "$.choices[0].message.refusal")
    assert (cited.rule, cited.place) == (
        "json.value",
        "$.choices[0].message.annotations[0].url",
    )


def test_a_choice_that_one_side_lacks_is_a_difference() -> None:
    def answer(count: int) -> dict[str, Any]:
        choices = [
            {"index": i, "message": {"content": "a"}, "finish_reason": "stop"} for i in range(count)
        ]
        return {"choices": choices}

    assert compared(answer(1), answer(2)).differing == ("finish_reason", "text")
