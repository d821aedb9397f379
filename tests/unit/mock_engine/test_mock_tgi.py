"""text-generation-inference's API over a real socket."""

from __future__ import annotations

import json

import pytest

from tests.support.engines import StartEngine

pytestmark = pytest.mark.anyio

ASK = {"inputs": "Hello", "parameters": {"max_new_tokens": 3}}


async def test_generation_gives_the_text(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    assert (await client.post("/generate", json=ASK)).json() == {"generated_text": "v1 the router"}


async def test_details_come_when_they_are_wanted(start_engine: StartEngine) -> None:
    client = (await start_engine()).client
    wanted = {"inputs": "Hello", "parameters": {"max_new_tokens": 3, "details": True}}
    details = (await client.post("/generate", json=wanted)).json()["details"]
    assert details["finish_reason"] == "length"
    assert details["generated_tokens"] == len(details["tokens"]) == 3


async def test_the_last_event_of_a_stream_has_the_whole_text(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    response = await client.post("/generate_stream", json=ASK)
    blocks = response.text.removesuffix("\n\n").split("\n\n")
    assert all(block.startswith("data:{") for block in blocks)
    events = [json.loads(block.removeprefix("data:")) for block in blocks]
    assert [event["token"]["text"] for event in events] == ["v1", " the", " router"]
    assert [event["generated_text"] for event in events] == [None, None, "v1 the router"]
    assert events[-1]["details"]["finish_reason"] == "length"


async def test_a_stream_of_one_token_is_one_event(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    ask = {"inputs": "Hello", "parameters": {"max_new_tokens": 1}}
    response = await client.post("/generate_stream", json=ask)
    assert response.text.count("data:") == 1
    assert json.loads(response.text.removeprefix("data:"))["generated_text"] == "v1"


@pytest.mark.parametrize(
    "call",
    [{}, {"inputs": ""}, {"inputs": "x", "parameters": {"max_new_tokens": 0}}],
)
async def test_a_wrong_call_is_a_validation_error(
    start_engine: StartEngine, call: dict[str, object]
) -> None:
    client = (await start_engine()).client
    response = await client.post("/generate", json=call)
    assert response.status_code == 422
    assert response.json()["error_type"] == "validation"


async def test_info_names_the_model(start_engine: StartEngine) -> None:
    client = (await start_engine(models=("llama",))).client
    assert (await client.get("/info")).json()["model_id"] == "llama"
