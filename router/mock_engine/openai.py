"""The OpenAI-style API as vLLM speaks it: chat, completions, embeddings, models.

Streams: each event is one `data:` line and a blank one; the first delta carries the role and
no content; the last choice carries the finish_reason; with `stream_options.include_usage`
one more chunk has `choices: []` and the usage; `[DONE]` ends it. An error inside a stream is
an event with `error`, and `[DONE]` follows it, as in vLLM: `[DONE]` alone proves nothing.
"""

from __future__ import annotations

import base64
import struct
import time
from abc import abstractmethod
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

import orjson

from router.mock_engine.answering import (
    Ask,
    Shape,
    Whole,
    answer_stream,
    answer_whole,
    require_model,
)
from router.mock_engine.engine import Engine
from router.mock_engine.exchange import Exchange, Refused
from router.mock_engine.wording import Answer, estimate_tokens

DONE: Final = b"data: [DONE]\n\n"
TOKENS_PER_MESSAGE: Final = 3  # the template around each chat message

Json = dict[str, Any]


def refusal(refused: Refused) -> Json:
    """An error as the OpenAI API writes it."""
    return {
        "error": {
            "message": refused.message,
            "type": refused.kind,
            "param": refused.param,
            "code": refused.code,
        }
    }


async def chat_completions(engine: Engine, exchange: Exchange) -> None:
    """POST /v1/chat/completions."""
    call = await _read_call(engine, exchange)
    ask = Ask(_chat_prompt_tokens(call.get("messages")), _max_tokens(call))
    await _answer(engine, exchange, ask, call, _ChatWording)


async def completions(engine: Engine, exchange: Exchange) -> None:
    """POST /v1/completions."""
    call = await _read_call(engine, exchange)
    ask = Ask(_text_tokens(_only_prompt(call.get("prompt"))), _max_tokens(call))
    await _answer(engine, exchange, ask, call, _TextWording)


async def embeddings(engine: Engine, exchange: Exchange) -> None:
    """POST /v1/embeddings."""
    call = await _read_call(engine, exchange)
    inputs = _inputs(call.get("input"))
    dimensions = _positive(call, "dimensions") or engine.settings.embedding_dimensions
    in_base64 = call.get("encoding_format") == "base64"
    prompt_tokens = sum(map(_text_tokens, inputs))

    def render(_: Answer) -> Whole:
        vectors = [_embedding(each, dimensions) for each in inputs]
        shown = [_in_base64(vector) if in_base64 else vector for vector in vectors]
        return Whole(_embedding_list(call["model"], shown, prompt_tokens))

    await answer_whole(engine, exchange, Ask(prompt_tokens, max_tokens=1), render)


async def list_models(engine: Engine, exchange: Exchange) -> None:
    """GET /v1/models."""
    models = [_model_card(engine, model) for model in engine.settings.listed_models]
    await exchange.reply_json({"object": "list", "data": models})


async def show_model(engine: Engine, exchange: Exchange) -> None:
    """GET /v1/models/{model}: OpenAI's card, with KServe v1's `name` and `ready` in it."""
    model = require_model(engine, exchange, exchange.captured["model"])
    card = _model_card(engine, model)
    await exchange.reply_json({**card, "name": model, "ready": engine.faults.health == "ok"})


# Reading


async def _read_call(engine: Engine, exchange: Exchange) -> Json:
    call = await exchange.read_json(engine.settings.max_body_bytes)
    require_model(engine, exchange, call.get("model"))
    return call


def _max_tokens(call: Json) -> int | None:
    if call.get("n") not in (None, 1):
        raise Refused(400, "only n=1 is simulated", param="n")
    return _positive(call, "max_completion_tokens") or _positive(call, "max_tokens")


def _positive(call: Json, name: str) -> int | None:
    value = call.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise Refused(400, f"{name} must be a positive integer", param=name)
    return value


def _chat_prompt_tokens(messages: object) -> int:
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages must be a list with at least one message", param="messages")
    return sum(TOKENS_PER_MESSAGE + estimate_tokens(_message_length(each)) for each in messages)


def _message_length(message: object) -> int:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Refused(400, "a message is an object with a role", param="messages")
    content = message.get("content")
    if isinstance(content, list):
        return sum(len(str(part.get("text", ""))) for part in content if isinstance(part, dict))
    return len(content) if isinstance(content, str) else 0


def _only_prompt(prompt: object) -> object:
    if isinstance(prompt, list) and len(prompt) == 1 and not isinstance(prompt[0], int):
        return prompt[0]
    return prompt


def _text_tokens(text: object) -> int:
    if isinstance(text, str):
        return estimate_tokens(len(text))
    if isinstance(text, list) and text and all(type(token) is int for token in text):
        return len(text)
    raise Refused(400, "expected one text or one list of token numbers")


def _inputs(value: object) -> list[object]:
    if isinstance(value, list) and value and not isinstance(value[0], int):
        return value
    return [value]


# Writing


async def _answer(
    engine: Engine, exchange: Exchange, ask: Ask, call: Json, wording: type[_Wording]
) -> None:
    frame = {
        "id": f"{wording.id_prefix}-{engine.next_answer_id()}",
        "created": int(time.time()),
        "model": call["model"],
        "system_fingerprint": engine.settings.name,
    }
    speaks = wording(frame, ask.prompt_tokens, _wants_usage(call))
    if call.get("stream"):
        await answer_stream(engine, exchange, ask, speaks)
    else:
        await answer_whole(engine, exchange, ask, speaks.whole)


def _wants_usage(call: Json) -> bool:
    options = call.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))


@dataclass(frozen=True, slots=True)
class _Wording(Shape):
    """What chat and text completions have in common; they differ in the choice."""

    frame: Json
    prompt_tokens: int
    wants_usage: bool

    id_prefix = "mock"
    whole_object = "mock"
    chunk_object = "mock"

    def whole(self, answer: Answer) -> Whole:
        """The answer in one piece."""
        choice = {"index": 0, **self.message(answer.text), "logprobs": None}
        choice["finish_reason"] = answer.finish_reason
        return Whole(
            orjson.dumps(
                {
                    **self.frame,
                    "object": self.whole_object,
                    "choices": [choice],
                    "usage": self._usage(answer),
                }
            )
        )

    def opening(self) -> bytes:
        """Nothing, where there is no role to tell."""
        return b""

    def token(self, answer: Answer, index: int) -> bytes:
        """One chunk with one token's text."""
        return self._chunk(self.delta(answer.tokens[index]), None)

    def closing(self, answer: Answer) -> bytes:
        """The finish_reason, the usage if it is wanted, and the end mark."""
        last = self._chunk(self.delta(None), answer.finish_reason)
        return last + (self._usage_chunk(answer) if self.wants_usage else b"") + DONE

    def error(self, message: str) -> bytes:
        """An error event, then the end mark."""
        refused = Refused(500, message, kind="InternalServerError", code="injected")
        return _event(refusal(refused)) + DONE

    @abstractmethod
    def message(self, text: str) -> Json:
        """The choice's part that holds a whole text."""

    @abstractmethod
    def delta(self, text: str | None) -> Json:
        """The choice's part that holds one token; None: the stream has ended."""

    def _chunk(self, part: Json, finish_reason: str | None) -> bytes:
        choice = {"index": 0, **part, "logprobs": None, "finish_reason": finish_reason}
        chunk = {**self.frame, "object": self.chunk_object, "choices": [choice]}
        if self.wants_usage:
            chunk["usage"] = None
        return _event(chunk)

    def _usage_chunk(self, answer: Answer) -> bytes:
        usage = self._usage(answer)
        chunk = {**self.frame, "object": self.chunk_object, "choices": [], "usage": usage}
        return _event(chunk)

    def _usage(self, answer: Answer) -> Json:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(answer.tokens),
            "total_tokens": self.prompt_tokens + len(answer.tokens),
        }


class _ChatWording(_Wording):
    id_prefix = "chatcmpl"
    whole_object = "chat.completion"
    chunk_object = "chat.completion.chunk"

    def opening(self) -> bytes:
        return self._chunk({"delta": {"role": "assistant", "content": ""}}, None)

    def message(self, text: str) -> Json:
        return {"message": {"role": "assistant", "content": text}}

    def delta(self, text: str | None) -> Json:
        return {"delta": {} if text is None else {"content": text}}


class _TextWording(_Wording):
    id_prefix = "cmpl"
    whole_object = "text_completion"
    chunk_object = "text_completion"

    def message(self, text: str) -> Json:
        return {"text": text}

    def delta(self, text: str | None) -> Json:
        return {"text": text or ""}


def _event(payload: Json) -> bytes:
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def _model_card(engine: Engine, model: str) -> Json:
    return {
        "id": model,
        "object": "model",
        "created": 0,
        "owned_by": engine.settings.name,
        "root": model,
        "max_model_len": engine.settings.kv_tokens,
    }


def _embedding_list(model: str, shown: list[Any], prompt_tokens: int) -> bytes:
    return orjson.dumps(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": embedding}
                for index, embedding in enumerate(shown)
            ],
            "model": model,
            "usage": {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens},
        }
    )


def _embedding(text: object, dimensions: int) -> list[float]:
    """A unit vector that the input alone decides."""
    seed = orjson.dumps(text)
    digests = (
        blake2b(seed, digest_size=8, salt=index.to_bytes(8, "big")).digest()
        for index in range(dimensions)
    )
    raw = [int.from_bytes(digest, "big") / 2**63 - 1 for digest in digests]
    norm = sum(value * value for value in raw) ** 0.5
    return [value / norm for value in raw]


def _in_base64(vector: list[float]) -> str:
    # Little-endian 32-bit floats: what the OpenAI SDK asks for where numpy is installed.
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
