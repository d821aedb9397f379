"""The API of Hugging Face's text-generation-inference.

Streams: `data:` without a space, one event a token, `generated_text` null but for the last
event, which has the whole text and the details. No `[DONE]`.
"""

from __future__ import annotations

from typing import Any

import orjson

from router.mock_engine.answering import Ask, Whole, answer_stream, answer_whole
from router.mock_engine.engine import Engine
from router.mock_engine.exchange import Exchange, Refused
from router.mock_engine.wording import Answer, estimate_tokens

Json = dict[str, Any]

ERROR_TYPES = {400: "validation", 413: "validation", 422: "validation", 429: "overloaded"}


def refusal(refused: Refused) -> Json:
    """An error as TGI writes it."""
    return {
        "error": refused.message,
        "error_type": ERROR_TYPES.get(refused.status, "generation"),
    }


async def generate(engine: Engine, exchange: Exchange) -> None:
    """POST /generate."""
    ask, parameters = await _read_ask(engine, exchange)

    def render(answer: Answer) -> Whole:
        payload: Json = {"generated_text": answer.text}
        if parameters.get("details"):
            payload["details"] = {**_details(answer), "tokens": _tokens(answer)}
        return Whole(orjson.dumps(payload))

    await answer_whole(engine, exchange, ask, render)


async def generate_stream(engine: Engine, exchange: Exchange) -> None:
    """POST /generate_stream."""
    ask, _ = await _read_ask(engine, exchange)
    await answer_stream(engine, exchange, ask, _Stream())


async def info(engine: Engine, exchange: Exchange) -> None:
    """GET /info."""
    await exchange.reply_json(
        {
            "model_id": engine.settings.listed_models[0],
            "max_concurrent_requests": engine.settings.max_running,
            "max_total_tokens": engine.settings.kv_tokens,
            "version": "mock-engine",
        }
    )


async def _read_ask(engine: Engine, exchange: Exchange) -> tuple[Ask, Json]:
    call = await exchange.read_json(engine.settings.max_body_bytes)
    inputs = call.get("inputs")
    parameters = call.get("parameters") or {}
    if not isinstance(inputs, str) or not inputs:
        raise Refused(422, "Input validation error: `inputs` cannot be empty")
    if not isinstance(parameters, dict):
        raise Refused(422, "Input validation error: `parameters` must be an object")
    return Ask(estimate_tokens(len(inputs)), _max_new_tokens(parameters)), parameters


def _max_new_tokens(parameters: Json) -> int | None:
    count = parameters.get("max_new_tokens")
    if count is not None and (type(count) is not int or count < 1):
        raise Refused(422, "Input validation error: `max_new_tokens` must be strictly positive")
    return count


class _Stream:
    def opening(self) -> bytes:
        return b""

    def token(self, answer: Answer, index: int) -> bytes:
        # The last token comes with the whole text, in `closing`.
        return b"" if index + 1 == len(answer.tokens) else _event(answer, index)

    def closing(self, answer: Answer) -> bytes:
        return _event(answer, len(answer.tokens) - 1, text=answer.text, details=_details(answer))

    def error(self, message: str) -> bytes:
        return b"data:" + orjson.dumps(refusal(Refused(500, message))) + b"\n\n"


def _event(
    answer: Answer, index: int, *, text: str | None = None, details: Json | None = None
) -> bytes:
    event = {
        "index": index + 1,
        "token": _token(answer, index),
        "generated_text": text,
        "details": details,
    }
    return b"data:" + orjson.dumps(event) + b"\n\n"


def _details(answer: Answer) -> Json:
    return {
        "finish_reason": "length" if answer.finish_reason == "length" else "eos_token",
        "generated_tokens": len(answer.tokens),
        "seed": None,
    }


def _tokens(answer: Answer) -> list[Json]:
    return [_token(answer, index) for index in range(len(answer.tokens))]


def _token(answer: Answer, index: int) -> Json:
    return {"id": index, "text": answer.tokens[index], "logprob": -0.5, "special": False}
