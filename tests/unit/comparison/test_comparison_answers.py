"""Statuses, failures and kinds of bodies: what is compared at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router.comparison import Answer, Comparison, Difference, Field, Outcome, Rules, compare

JSON = "application/json"
SSE = "text/event-stream"


def answered(body: Any, content_type: str = JSON, status: int = 200) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(outcome=Outcome.ANSWERED, status=status, content_type=content_type, body=raw)


def chat(text: str, **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"object": "chat.completion", "choices": [choice], **more}


def rules_of(comparison: Comparison) -> list[str]:
    return [each.rule for each in comparison.fields]


def test_the_same_chat_answer_is_the_same_in_every_field() -> None:
    one = chat("Hello", id="a", created=1, model="m", usage={"completion_tokens": 2})
    two = chat("Hello", id="b", created=2, model="n", usage={"completion_tokens": 3})
    comparison = compare(answered(one), answered(two), Rules())
    assert rules_of(comparison) == ["status.exact", "finish_reason.exact", "text.exact"]
    assert comparison.differing == ()
    assert comparison.tokens == (2, 3)


@pytest.mark.parametrize("status", [400, 429, 500, 503])
def test_a_status_of_another_class_is_the_one_difference(status: int) -> None:
    error = {"error": {"message": "no"}}
    comparison = compare(answered(chat("a")), answered(error, status=status), Rules())
    assert comparison.fields == (
        Difference(
            field=Field.STATUS,
            same=False,
            rule="status.value",
            primary="200",
            other=str(status),
        ),
    )
    assert comparison.error == ""


def test_two_statuses_of_one_class_differ_and_their_bodies_are_compared() -> None:
    one = answered({"error": {"message": "a"}}, status=400)
    two = answered({"error": {"message": "b"}}, status=422)
    assert rules_of(compare(one, two, Rules())) == ["status.value", "json.value"]


@pytest.mark.parametrize(
    ("outcome", "reason", "told"),
    [
        (Outcome.TIMEOUT, "", "timeout"),
        (Outcome.ERROR, "connect", "error (connect)"),
        (Outcome.CANCELLED, "", "cancelled"),
    ],
)
def test_a_side_that_did_not_answer_leaves_nothing_to_compare(
    outcome: Outcome, reason: str, told: str
) -> None:
    failed = Answer(outcome=outcome, reason=reason)
    assert compare(answered(chat("a")), failed, Rules()) == Comparison(error=f"other: {told}")
    assert compare(failed, answered(chat("a")), Rules()) == Comparison(error=f"primary: {told}")


def test_an_error_inside_a_stream_is_an_error_of_its_side_and_repeats_no_message() -> None:
    good = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    bad = b'data: {"error":{"message":"my secret prompt","type":"InternalServerError"}}\n\n'
    comparison = compare(answered(good, SSE), answered(bad, SSE), Rules())
    assert comparison == Comparison(error="other: an error in the stream (InternalServerError)")


def test_a_truncated_stream_is_an_error_of_its_side() -> None:
    good = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    cut = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    comparison = compare(answered(cut, SSE), answered(good, SSE), Rules())
    assert comparison.error == "primary: the stream ended before its message did"


def test_answers_of_two_kinds_are_compared_as_the_json_that_both_are() -> None:
    error = {"id": "a", "error": {"message": "no"}}
    difference = compare(answered(chat("a")), answered(error), Rules()).fields[1]
    assert (difference.rule, difference.place) == ("json.missing", "$.object")


def test_json_and_plain_text_are_two_kinds() -> None:
    difference = compare(answered(chat("a")), answered(b"oh", "text/plain"), Rules()).fields[1]
    assert difference.rule == "body.kind"
    assert (difference.primary, difference.other) == ("a message", "text")


def test_unreadable_json_is_compared_as_bytes() -> None:
    one, two = answered(b'{"a": 1'), answered(b'{"a": 2')
    difference = compare(one, two, Rules()).fields[1]
    assert (difference.rule, difference.place) == ("body.bytes", "byte 6")
    assert compare(one, one, Rules()).fields[1].rule == "body.exact"


def test_plain_text_is_compared_as_text() -> None:
    one, two = answered(b"a  b", "text/plain"), answered(b"a b\n", "text/plain; charset=utf-8")
    assert rules_of(compare(one, two, Rules())) == ["status.exact", "text.normalised"]


def test_text_that_is_no_utf_8_is_compared_as_bytes() -> None:
    one = answered(b"\xff\xfe", "text/plain")
    assert rules_of(compare(one, one, Rules())) == ["status.exact", "body.exact"]


def test_two_empty_bodies_are_no_field() -> None:
    empty = answered(b"", "", 204)
    assert rules_of(compare(empty, empty, Rules())) == ["status.exact"]


def test_an_empty_body_is_another_kind_than_a_message() -> None:
    difference = compare(answered(chat("a")), answered(b""), Rules()).fields[1]
    assert (difference.rule, difference.other) == ("body.kind", "nothing")


def test_audio_is_compared_as_bytes() -> None:
    one, two = answered(b"RIFF\0\1", "audio/wav"), answered(b"RIFF\0\2", "audio/wav")
    assert rules_of(compare(one, two, Rules())) == ["status.exact", "body.bytes"]


def test_a_path_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r'not a JSON path from "\[-1\]" on: "\$\.a\[-1\]"'):
        compare(answered({}), answered({}), Rules(ignore_paths=("$.a[-1]",)))
