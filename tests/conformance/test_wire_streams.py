"""Streams: every event at once and unchanged, what is counted of them, and how they break off."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.dataplanes import RunningDataPlane
from tests.support.raw import RawClient, chunk, get, message, post
from tests.support.sse import DONE, delta, event, read_events, usage
from tests.support.upstreams import Call, Upstream

CHAT = "/v1/chat/completions"
OF_V1 = ("chat", "v1")
ERRORS_OF_V1 = (*OF_V1, "stable")


async def begin_stream(client: RawClient, v1: Upstream) -> Call:
    """A stream whose head has reached the client."""
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.start(stream=True)
    head = await client.read_head()
    assert (head.status, head.field("content-type")) == (200, "text/event-stream")
    return call


async def relay(call: Call, client: RawClient, *events: bytes) -> None:
    """Send events one by one, each when the client has the one before."""
    for each in events:
        await call.send_chunk(each)
        assert await client.read_chunks(len(each)) == each


def error_of(stream: bytes) -> dict[str, Any]:
    """The error event that ends a stream."""
    last = json.loads(read_events(stream)[-1])
    assert set(last) == {"error"}
    assert set(last["error"]) == {"message", "type", "param", "code"}
    error: dict[str, Any] = last["error"]
    return error


# -- every event at once, unchanged ------------------------------------------------------------


async def test_each_event_reaches_the_client_before_the_next_is_sent(
    client: RawClient, v1: Upstream
) -> None:
    call = await begin_stream(client, v1)
    await relay(call, client, delta(role="assistant", text=""))
    await relay(call, client, *(delta(f"token {number}") for number in range(20)))
    await relay(call, client, delta(finish="stop"), DONE)
    await call.end_chunks()
    assert await client.read_chunk() == b""


async def test_the_bytes_of_a_stream_are_not_touched(client: RawClient, v1: Upstream) -> None:
    call = await begin_stream(client, v1)
    odd = b': keep-alive\r\n\r\ndata:{"choices":[]}\rdata: 2\r\revent: x\nid: 7\nretry: 9\n\n'
    await relay(call, client, odd, b": comment\n\n", b"data: \xc3\xa9 \xff\x00\n\n", DONE)
    await call.end_chunks()
    assert await client.read_chunk() == b""


async def test_half_an_event_is_not_held_back(client: RawClient, v1: Upstream) -> None:
    call = await begin_stream(client, v1)
    whole = delta("token")
    await relay(call, client, *(whole[at : at + 7] for at in range(0, len(whole), 7)))
    await relay(call, client, DONE)
    await call.end_chunks()
    assert await client.read_chunk() == b""


async def test_half_a_chunk_is_not_held_back(client: RawClient, v1: Upstream) -> None:
    call = await begin_stream(client, v1)
    framed = chunk(delta("token"))
    await call.send(framed[:40])
    begun = await client.read_chunk()
    assert begun
    assert delta("token").startswith(begun)
    await call.send(framed[40:])
    rest = await client.read_chunks(len(delta("token")) - len(begun))
    assert begun + rest == delta("token")
    await relay(call, client, DONE)
    await call.end_chunks()


async def test_a_stream_that_ends_with_its_connection_arrives_event_by_event(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.read_request()
    await call.send(message("HTTP/1.1 200 OK", "Content-Type: text/event-stream; charset=utf-8"))
    head = await client.read_head()
    assert head.field("content-type") == "text/event-stream; charset=utf-8"
    for each in (delta("a"), delta("b", finish="stop"), DONE):
        await call.send(each)
        assert await client.read_chunks(len(each)) == each
    call.close()
    assert await client.read_chunk() == b""
    assert router.errors == {}


async def test_a_client_of_http_1_0_gets_its_stream_without_chunks(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(message(f"POST {CHAT} HTTP/1.0", "Content-Length: 2", body=b"{}"))
    call = await v1.next_call()
    await call.start(stream=True)
    assert not (await client.read_head()).chunked
    for each in (delta("a"), delta(finish="stop"), DONE):
        await call.send_chunk(each)
        assert await client.read_exactly(len(each)) == each
    await call.end_chunks()
    await client.wait_closed()


async def test_many_streams_run_beside_each_other(router: RunningDataPlane, v1: Upstream) -> None:
    streams = []
    for _ in range(20):
        client = await router.connect()
        streams.append((await begin_stream(client, v1), client))
    assert router.in_flight == 20
    for number in range(3):
        for at, (call, client) in enumerate(streams):
            await relay(call, client, delta(f"{at}/{number}"))
    for call, client in streams:
        await relay(call, client, DONE)
        await call.end_chunks()
        assert await client.read_chunk() == b""
    assert router.answers == {(*ERRORS_OF_V1, "200"): 20}


# -- what is counted ---------------------------------------------------------------------------


async def test_times_of_a_stream_are_counted(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    router.jump(0.5)
    await call.read_request()
    fields = ("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    first = delta(role="assistant", text="")
    await call.send(message("HTTP/1.1 200 OK", *fields, body=chunk(first)))
    await client.read_head()
    assert await client.read_chunk() == first
    assert router.values("model_time_to_first_token_seconds") == {}
    router.jump(1.0)
    await relay(call, client, delta("one"))
    router.jump(0.25)
    await relay(call, client, delta("two"))
    router.jump(0.25)
    await relay(call, client, delta(finish="stop"))
    await call.send(chunk(DONE) + chunk(b""))
    call.finish()
    assert await client.read_chunk() == DONE
    assert await client.read_chunk() == b""

    assert router.sum_of("model_time_to_first_byte_seconds", *OF_V1) == pytest.approx(0.5)
    assert router.sum_of("model_time_to_first_token_seconds", *OF_V1) == pytest.approx(1.5)
    assert router.sum_of("model_inter_chunk_seconds", *OF_V1) == pytest.approx(1.5)
    assert router.values("model_inter_chunk_seconds") == {OF_V1: 4}
    assert router.sum_of("model_request_duration_seconds", *OF_V1) == pytest.approx(2.0)
    for family in ("first_byte", "first_token"):
        assert router.values(f"model_time_to_{family}_seconds") == {OF_V1: 1}
    assert router.values("model_request_duration_seconds") == {OF_V1: 1}


@dataclass(frozen=True)
class Dialect:
    """How one kind of server streams: its events, the first with content, and what they tell."""

    events: tuple[bytes, ...]
    tokens: tuple[int, int] | None
    finish: str | None
    ends: int = 1
    """How many events at the end each tell that it is the end."""


DIALECTS = {
    "chat": Dialect(
        (delta(role="assistant", text=""), delta("a"), delta("b"), delta("c", finish="stop"),
         usage(7, 3), DONE),
        (7, 3), "stop", ends=3,
    ),
    "chat with tools": Dialect(
        (
            event({"choices": [{"delta": {"tool_calls": [{"index": 0}]}, "finish_reason": None}]}),
            event({"choices": [{"delta": {}, "finish_reason": "tool_calls"}], "usage": None}),
            event({"choices": None, "usage": {"prompt_tokens": 4, "completion_tokens": 2}}),
            DONE,
        ),
        (4, 2), "tool_calls", ends=3,
    ),
    "completions": Dialect(
        (
            event({"choices": [{"text": "a", "finish_reason": None}]}),
            event({"choices": [{"text": "b", "finish_reason": "length"}],
                   "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
            DONE,
        ),
        (1, 2), "length", ends=2,
    ),
    "unusual finish": Dialect(
        (delta("a"), delta(finish="because I said so"), DONE), None, "other", ends=2
    ),
    "responses": Dialect(
        (
            event({"type": "response.created", "response": {"usage": None}}, "response.created"),
            event({"type": "response.output_text.delta", "delta": "a"}),
            event({"type": "response.completed",
                   "response": {"usage": {"input_tokens": 5, "output_tokens": 1}}}),
        ),
        (5, 1), None,
    ),
    "messages": Dialect(
        (
            event({"type": "message_start",
                   "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}, "message_start"),
            event({"type": "ping"}, "ping"),
            event({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "a"}}),
            event({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                   "usage": {"output_tokens": 4}}),
            event({"type": "message_stop"}, "message_stop"),
        ),
        (9, 4), None,
    ),
    "tgi": Dialect(
        (
            event({"token": {"id": 1, "text": "a"}, "generated_text": None}),
            event({"token": {"id": 2, "text": "b"}, "generated_text": "ab"}),
        ),
        None, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
async def test_what_a_whole_stream_tells_is_counted(
    router: RunningDataPlane, client: RawClient, v1: Upstream, name: str
) -> None:
    dialect = DIALECTS[name]
    call = await begin_stream(client, v1)
    await relay(call, client, *dialect.events)
    await call.end_chunks()
    assert await client.read_chunk() == b""
    assert router.answers == {(*ERRORS_OF_V1, "200"): 1}
    assert router.errors == {}
    _assert_told(router, dialect)
    assert router.values("model_time_to_first_token_seconds") == {OF_V1: 1}


def _assert_told(router: RunningDataPlane, dialect: Dialect) -> None:
    tokens = router.values("model_tokens_total")
    if dialect.tokens is None:
        assert tokens == {}
    else:
        prompt, completion = dialect.tokens
        assert tokens == {(*OF_V1, "prompt"): prompt, (*OF_V1, "completion"): completion}
    if dialect.finish is not None:
        assert router.values("model_finish_reasons_total") == {(*OF_V1, dialect.finish): 1}


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_stream_may_be_cut_into_reads_anywhere(
    router: RunningDataPlane, client: RawClient, v1: Upstream, name: str
) -> None:
    dialect = DIALECTS[name]
    call = await begin_stream(client, v1)
    whole = b"".join(dialect.events)
    await relay(call, client, *(whole[at : at + 11] for at in range(0, len(whole), 11)))
    await call.end_chunks()
    assert await client.read_chunk() == b""
    assert router.errors == {}
    _assert_told(router, dialect)


async def test_what_a_json_answer_tells_is_counted(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"messages": []}))
    await (await v1.next_call()).answer_json(
        {
            "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        }
    )
    assert (await client.read_answer()).status == 200
    tokens = {(*OF_V1, "prompt"): 11, (*OF_V1, "completion"): 5}
    assert router.values("model_tokens_total") == tokens
    assert router.values("model_finish_reasons_total") == {(*OF_V1, "stop"): 1}
    assert router.values("model_time_to_first_token_seconds") == {}


# -- breaking off ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_stream_that_ends_too_early_gets_an_error_event_and_is_counted_truncated(
    router: RunningDataPlane, client: RawClient, v1: Upstream, name: str
) -> None:
    dialect = DIALECTS[name]
    call = await begin_stream(client, v1)
    begun = dialect.events[: -dialect.ends]
    await relay(call, client, *begun)
    await call.end_chunks()
    assert error_of(await client.read_broken_chunks())["code"] == "upstream_truncated"
    assert router.answers == {(*ERRORS_OF_V1, "200"): 1}
    assert router.errors == {(*ERRORS_OF_V1, "truncated"): 1}


@pytest.mark.parametrize("how", ["close", "reset", "broken chunk", "silence"])
@pytest.mark.parametrize("at", ["between events", "within an event", "before any event"])
async def test_a_stream_that_breaks_off_gets_an_error_event(
    router: RunningDataPlane, client: RawClient, v1: Upstream, how: str, at: str
) -> None:
    call = await begin_stream(client, v1)
    if at != "before any event":
        await relay(call, client, delta("one"))
    if at == "within an event":
        await relay(call, client, delta("two")[:-9])
    if how == "close":
        call.close()
    elif how == "reset":
        call.reset()
    elif how == "broken chunk":
        await call.send(b"nonsense\r\n")
    else:
        router.jump(61)
    stream = await client.read_broken_chunks()
    expected = {
        "close": ("upstream_truncated", {"truncated"}),
        "reset": ("upstream_truncated", {"truncated", "reset"}),
        "broken chunk": ("upstream_protocol", {"reset"}),
        "silence": ("upstream_timeout", {"timeout"}),
    }[how]
    assert error_of(stream)["code"] == expected[0]
    assert b"nonsense" not in stream
    assert router.answers == {(*ERRORS_OF_V1, "200"): 1}
    ((labels, number),) = router.errors.items()
    assert labels[:3] == ERRORS_OF_V1
    assert labels[3] in expected[1]
    assert number == 1
    await call.read_to_end()  # the upstream connection has been closed


async def test_a_stream_of_events_that_nobody_knows_may_end_at_any_time(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    call = await begin_stream(client, v1)
    await relay(call, client, b"data: tick\n\n", b'data: {"n": 1}\n\n')
    await call.end_chunks()
    assert await client.read_chunk() == b""
    assert router.errors == {}


@pytest.mark.parametrize("ended", [True, False])
async def test_an_error_inside_a_stream_is_passed_on_and_counted(
    router: RunningDataPlane, client: RawClient, v1: Upstream, ended: bool
) -> None:
    call = await begin_stream(client, v1)
    await relay(call, client, delta("a"), event({"error": {"message": "out of memory"}}))
    if ended:
        await relay(call, client, DONE)
    await call.end_chunks()
    assert await client.read_chunk() == b""
    assert router.answers == {(*ERRORS_OF_V1, "200"): 1}
    assert router.errors == {(*ERRORS_OF_V1, "stream_error"): 1}


async def test_no_byte_is_sent_behind_the_length_of_a_stream(
    client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.read_request()
    stream = delta("a") + delta("b")
    fields = ("Content-Type: text/event-stream", f"Content-Length: {len(stream)}")
    await call.send(message("HTTP/1.1 200 OK", *fields, body=stream))
    call.finish()
    head = await client.read_head()
    body = await client.read_to_end()
    assert len(body) <= (head.length if head.length is not None else len(body))


async def test_an_early_end_that_comes_with_the_head_is_seen(
    router: RunningDataPlane, client: RawClient, v1: Upstream
) -> None:
    await client.send(post(CHAT, {"stream": True}))
    call = await v1.next_call()
    await call.read_request()
    fields = ("Content-Type: text/event-stream", "Transfer-Encoding: chunked")
    body = chunk(delta("a")) + chunk(b"")
    await call.send(message("HTTP/1.1 200 OK", *fields, body=body))
    call.finish()
    await client.read_head()
    stream = await client.read_broken_chunks()
    assert stream.startswith(delta("a"))
    assert error_of(stream)["code"] == "upstream_truncated"
    assert router.errors == {(*ERRORS_OF_V1, "truncated"): 1}


async def test_a_json_error_to_a_stream_request_stays_json(client: RawClient, v1: Upstream) -> None:
    await client.send(post(CHAT, {"stream": True}))
    await (await v1.next_call()).answer_json({"error": {"message": "bad"}}, status="400 Bad")
    answer = await client.read_answer()
    assert (answer.status, answer.field("content-type")) == (400, "application/json")


async def test_a_connection_may_be_used_again_after_a_whole_stream(
    client: RawClient, v1: Upstream
) -> None:
    for _ in range(3):
        call = await begin_stream(client, v1)
        await relay(call, client, delta("a"), DONE)
        await call.end_chunks()
        assert await client.read_chunk() == b""
    await client.send(get("/plain"))
    await (await v1.next_call()).answer()
    assert (await client.read_answer()).body == b"ok"
    assert len(v1.connections) == 1
