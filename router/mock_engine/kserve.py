"""KServe: the Open Inference Protocol (v2), with Triton's binary tensors, and v1 `:predict`.

The simulated model is the identity: every input comes back as an output of the same shape and
type, byte for byte where it is binary. One more output, `engine`, names the server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from router.mock_engine.answering import Ask, Whole, answer_whole, require_model
from router.mock_engine.engine import Engine
from router.mock_engine.exchange import Exchange, Refused, parse_object
from router.mock_engine.wording import estimate_tokens

Json = dict[str, Any]

# Triton: the length of the JSON head; the binary tensors follow it in the same body.
HEAD_LENGTH: Final = b"inference-header-content-length"
BINARY: Final = b"application/octet-stream"
DEFAULT_VERSION: Final = "1"


def refusal(refused: Refused) -> Json:
    """An error as KServe and Triton write it: the message alone."""
    return {"error": refused.message}


async def server_metadata(engine: Engine, exchange: Exchange) -> None:
    """GET /v2."""
    name = engine.settings.name
    await exchange.reply_json(
        {"name": name, "version": "mock-engine", "extensions": ["binary_tensor_data"]}
    )


async def model_metadata(engine: Engine, exchange: Exchange) -> None:
    """GET /v2/models/{model} and /v2/models/{model}/versions/{version}."""
    model = require_model(engine, exchange, exchange.captured["model"])
    await exchange.reply_json(
        {
            "name": model,
            "versions": [_version(exchange)],
            "platform": "mock",
            "inputs": [],
            "outputs": [{"name": "engine", "datatype": "BYTES", "shape": [1]}],
        }
    )


async def infer(engine: Engine, exchange: Exchange) -> None:
    """POST /v2/models/{model}[/versions/{version}]/infer."""
    body = await exchange.read_body(engine.settings.max_body_bytes)
    model = require_model(engine, exchange, exchange.captured["model"])
    question = _parse_infer(body, exchange.header(HEAD_LENGTH))
    head: Json = {"model_name": model, "model_version": _version(exchange)}
    if "id" in question.head:
        head["id"] = question.head["id"]
    head["outputs"] = [*question.inputs, _engine_output(engine)]
    ask = Ask(estimate_tokens(len(body)), max_tokens=1)
    await answer_whole(engine, exchange, ask, lambda _: _render(head, question.binary))


async def predict(engine: Engine, exchange: Exchange) -> None:
    """POST /v1/models/{model}:predict."""
    call = await exchange.read_json(engine.settings.max_body_bytes)
    require_model(engine, exchange, exchange.captured["model"])
    instances = call.get("instances")
    if not isinstance(instances, list):
        raise Refused(400, 'Expected "instances" to be a list')
    predictions = [{"engine": engine.settings.name, "instance": each} for each in instances]
    whole = Whole(orjson.dumps({"predictions": predictions}))
    ask = Ask(estimate_tokens(exchange.entry.body_bytes), max_tokens=1)
    await answer_whole(engine, exchange, ask, lambda _: whole)


@dataclass(frozen=True, slots=True)
class _Question:
    head: Json
    inputs: list[Json]
    binary: bytes


def _parse_infer(body: bytes, head_length: bytes | None) -> _Question:
    length = len(body) if head_length is None else _parse_length(head_length, len(body))
    head = parse_object(body[:length])
    inputs = head.get("inputs")
    if not isinstance(inputs, list) or not all(map(_is_tensor, inputs)):
        raise Refused(400, "inputs must be a list of tensors with name, shape and datatype")
    binary = body[length:]
    _require_sizes(inputs, len(binary))
    return _Question(head, inputs, binary)


def _parse_length(head_length: bytes, body_bytes: int) -> int:
    if not head_length.isdigit() or int(head_length) > body_bytes:
        raise Refused(400, "Inference-Header-Content-Length is not within the body")
    return int(head_length)


def _is_tensor(value: object) -> bool:
    return isinstance(value, dict) and {"name", "shape", "datatype"} <= value.keys()


def _require_sizes(inputs: list[Json], binary_bytes: int) -> None:
    announced = sum(_binary_size(tensor) for tensor in inputs)
    if announced != binary_bytes:
        raise Refused(400, f"{announced} binary bytes are announced and {binary_bytes} came")


def _binary_size(tensor: Json) -> int:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size", 0) if isinstance(parameters, dict) else 0
    if type(size) is not int or size < 0:
        raise Refused(400, "binary_data_size must be a number of bytes")
    return size


def _engine_output(engine: Engine) -> Json:
    return {"name": "engine", "datatype": "BYTES", "shape": [1], "data": [engine.settings.name]}


def _render(head: Json, binary: bytes) -> Whole:
    encoded = orjson.dumps(head)
    if not binary:
        return Whole(encoded)
    length = str(len(encoded)).encode()
    return Whole(encoded + binary, BINARY, [(HEAD_LENGTH, length)])


def _version(exchange: Exchange) -> str:
    return exchange.captured.get("version", DEFAULT_VERSION)
