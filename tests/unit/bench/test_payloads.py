import json

from hypothesis import given
from hypothesis.strategies import integers

from loadtests.bench import payloads


@given(size=integers(200, 60_000))
def test_a_request_is_json_of_exactly_its_size_and_names_its_model_first(size: int) -> None:
    body = payloads.request_body("bench-9999", size)
    assert len(body) == size
    assert next(iter(json.loads(body).items())) == ("model", "bench-9999")


def test_only_a_stream_request_holds_the_mark_that_asks_for_a_stream() -> None:
    assert payloads.STREAM_MARK in payloads.request_body("m", 1000, stream=True)
    assert payloads.STREAM_MARK not in payloads.request_body("m", 1000)


def test_the_answer_is_a_chat_completion_of_600_bytes() -> None:
    answer = payloads.answer()
    assert len(answer) == 600
    assert json.loads(answer)["object"] == "chat.completion"


def test_a_stream_ends_with_finish_reason_usage_and_done() -> None:
    *contents, finish, usage, done = payloads.stream_events(200)
    assert len(contents) == 197
    assert all(b"token" in event and event.count(b"data: ") == 1 for event in contents)
    assert json.loads(finish[6:])["choices"][0]["finish_reason"] == "stop"
    assert json.loads(usage[6:])["usage"]["completion_tokens"] == 197
    assert done == b"data: [DONE]\n\n"
