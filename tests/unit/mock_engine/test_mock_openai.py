"""The OpenAI-style API over a real socket."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx
import pytest

from tests.support.engines import StartEngine

pytestmark = pytest.mark.anyio

CHAT = "/v1/chat/completions"
HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello, who are you?"}]}


def events(response: httpx.Response) -> list[Any]:
    """The data of each event; `[DONE]` stays a string."""
    blocks = response.text.removesuffix("\n\n").split("\n\n")
    assert all(block.startswith("data: ") for block in blocks)
    data = [block.removeprefix("data: ") for block in blocks]
    return [each if each == "[DONE]" else json.loads(each) for each in data]


async def test_a_chat_completion_names_its_engine(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    response = await client.post(CHAT, json={**HELLO, "max_tokens": 4})
    answer = response.json()
    assert response.headers["x-mock-engine"] == "v1"
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "m"
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "v1 the router sends"}
    assert choice["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 8, "completion_tokens": 4, "total_tokens": 12}


async def test_two_answers_to_one_question_differ_only_in_their_id(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine()).client
    first = (await client.post(CHAT, json=HELLO)).json()
    second = (await client.post(CHAT, json=HELLO)).json()
    assert first["id"] != second["id"]
    assert first["choices"] == second["choices"]


async def test_a_chat_stream_begins_with_the_role_and_ends_with_reason_and_done(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine(name="v1")).client
    response = await client.post(CHAT, json={**HELLO, "stream": True, "max_tokens": 3})
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, done = events(response)
    assert done == "[DONE]"
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert [delta.get("content") for delta in deltas[1:]] == ["v1", " the", " router", None]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None, None, None, None, "length"]


async def test_usage_comes_before_done_when_it_is_wanted(start_engine: StartEngine) -> None:
    client = (await start_engine()).client
    wanted = {"stream": True, "max_tokens": 3, "stream_options": {"include_usage": True}}
    *chunks, usage, done = events(await client.post(CHAT, json={**HELLO, **wanted}))
    assert done == "[DONE]"
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] == 3
    assert all(chunk["usage"] is None for chunk in chunks)


async def test_a_text_stream_is_the_same_text_as_the_whole_answer(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine()).client
    ask = {"model": "m", "prompt": "Once upon a time"}
    whole = (await client.post("/v1/completions", json=ask)).json()
    *chunks, _ = events(await client.post("/v1/completions", json={**ask, "stream": True}))
    assert whole["object"] == chunks[0]["object"] == "text_completion"
    streamed = "".join(chunk["choices"][0]["text"] for chunk in chunks)
    assert streamed == whole["choices"][0]["text"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_an_embedding_depends_on_its_input_alone(start_engine: StartEngine) -> None:
    one, other = (await start_engine(name="v1")).client, (await start_engine(name="v2")).client
    ask = {"model": "m", "input": ["a cat", "a dog"], "dimensions": 4}
    first = (await one.post("/v1/embeddings", json=ask)).json()
    second = (await other.post("/v1/embeddings", json=ask)).json()
    assert first["data"] == second["data"]
    cat, dog = (each["embedding"] for each in first["data"])
    assert len(cat) == 4
    assert cat != dog
    assert sum(value * value for value in cat) == pytest.approx(1.0)


async def test_an_embedding_in_base64_has_the_same_numbers(start_engine: StartEngine) -> None:
    client = (await start_engine()).client
    ask = {"model": "m", "input": "a cat"}
    plain = (await client.post("/v1/embeddings", json=ask)).json()["data"][0]["embedding"]
    packed = await client.post("/v1/embeddings", json={**ask, "encoding_format": "base64"})
    raw = base64.b64decode(packed.json()["data"][0]["embedding"])
    assert struct.unpack(f"<{len(plain)}f", raw) == pytest.approx(plain)


async def test_an_unknown_model_is_not_found(start_engine: StartEngine) -> None:
    client = (await start_engine(models=("llama",))).client
    for response in (await client.post(CHAT, json=HELLO), await client.get("/v1/models/m")):
        assert response.status_code == 404
        error = response.json()["error"]
        assert (error["code"], error["param"]) == ("model_not_found", "model")
        assert error["message"] == "The model `m` does not exist."


async def test_the_models_that_are_served_are_listed(start_engine: StartEngine) -> None:
    client = (await start_engine(models=("llama", "qwen"))).client
    listed = (await client.get("/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["llama", "qwen"]
    assert (await client.get("/v1/models/qwen")).json()["id"] == "qwen"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"",
        b'{"messages":[{"role":"user","content":"hi"}]}',
        b'{"model":7,"messages":[{"role":"user","content":"hi"}]}',
        b'{"model":"m"}',
        b'{"model":"m","messages":[]}',
        b'{"model":"m","messages":["hi"]}',
        b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":0}',
        b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":"9"}',
        b'{"model":"m","messages":[{"role":"user","content":"hi"}],"n":2}',
    ],
)
async def test_a_malformed_call_is_a_client_error(start_engine: StartEngine, body: bytes) -> None:
    client = (await start_engine()).client
    response = await client.post(CHAT, content=body)
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


async def test_an_error_to_a_call_for_a_stream_is_plain_json(start_engine: StartEngine) -> None:
    client = (await start_engine(kv_tokens=20)).client
    response = await client.post(CHAT, json={**HELLO, "stream": True, "max_tokens": 500})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    assert response.json()["error"]["code"] == "context_length_exceeded"


async def test_a_body_over_the_limit_is_refused(start_engine: StartEngine) -> None:
    client = (await start_engine(max_body_bytes=1000)).client
    response = await client.post(CHAT, content=b"x" * 2000)
    assert response.status_code == 413


async def test_an_unknown_path_is_not_found_and_a_wrong_method_names_the_right_one(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine()).client
    assert (await client.get("/nowhere")).status_code == 404
    response = await client.get(CHAT)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "error" in response.json()
