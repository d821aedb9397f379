"""KServe v2 and v1 over a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.engines import StartEngine

pytestmark = pytest.mark.anyio

TENSOR = {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2.5]}
ENGINE_OUTPUT = {"name": "engine", "datatype": "BYTES", "shape": [1], "data": ["v1"]}


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v2", {"name": "v1"}),
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/m", {"name": "m", "versions": ["1"]}),
        ("/v2/models/m/versions/7", {"name": "m", "versions": ["7"]}),
        ("/v2/models/m/ready", {"name": "m", "ready": True}),
        ("/v2/models/m/versions/7/ready", {"name": "m", "ready": True}),
        ("/v2/models/org%2Fm", {"name": "org/m"}),
        ("/v1/models/m", {"name": "m", "ready": True}),
    ],
)
async def test_the_server_tells_about_itself_and_its_models(
    start_engine: StartEngine, path: str, shown: dict[str, Any]
) -> None:
    client = (await start_engine(name="v1")).client
    response = await client.get(path)
    assert response.status_code == 200
    assert shown.items() <= response.json().items()


async def test_inference_returns_its_inputs_and_names_the_engine(
    start_engine: StartEngine,
) -> None:
    client = (await start_engine(name="v1")).client
    call = {"id": "42", "inputs": [TENSOR]}
    response = await client.post("/v2/models/m/versions/3/infer", json=call)
    assert response.json() == {
        "model_name": "m",
        "model_version": "3",
        "id": "42",
        "outputs": [TENSOR, ENGINE_OUTPUT],
    }


async def test_binary_tensors_come_back_byte_for_byte(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    size = {"binary_data_size": 8}
    tensor = {"name": "x", "shape": [2], "datatype": "FP32", "parameters": size}
    head = json.dumps({"inputs": [tensor]}).encode()
    raw = bytes([0, 255, 10, 13, 1, 2, 3, 4])
    response = await client.post(
        "/v2/models/m/infer",
        content=head + raw,
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    length = int(response.headers["inference-header-content-length"])
    assert json.loads(response.content[:length])["outputs"] == [tensor, ENGINE_OUTPUT]
    assert response.content[length:] == raw


@pytest.mark.parametrize(
    ("body", "head_length"),
    [
        (b"{}", None),
        (b"{", None),
        (b'{"inputs":[{"name":"x"}]}', None),
        (b'{"inputs":[]}extra', "13"),
        (b'{"inputs":[]}', "14"),
        (b'{"inputs":[]}', "-1"),
    ],
)
async def test_a_malformed_inference_gets_an_error_as_kserve_writes_it(
    start_engine: StartEngine, body: bytes, head_length: str | None
) -> None:
    client = (await start_engine()).client
    headers = {} if head_length is None else {"Inference-Header-Content-Length": head_length}
    response = await client.post("/v2/models/m/infer", content=body, headers=headers)
    assert response.status_code == 400
    assert isinstance(response.json()["error"], str)


async def test_prediction_answers_each_instance(start_engine: StartEngine) -> None:
    client = (await start_engine(name="v1")).client
    response = await client.post("/v1/models/m:predict", json={"instances": [[1, 2], [3, 4]]})
    assert response.json() == {
        "predictions": [
            {"engine": "v1", "instance": [1, 2]},
            {"engine": "v1", "instance": [3, 4]},
        ]
    }
    wrong = await client.post("/v1/models/m:predict", json={"instances": 7})
    assert wrong.status_code == 400


async def test_an_unknown_model_is_not_found_in_both_versions(start_engine: StartEngine) -> None:
    client = (await start_engine(models=("llama",))).client
    for method, path in [
        ("GET", "/v2/models/m"),
        ("GET", "/v2/models/m/ready"),
        ("POST", "/v2/models/m/infer"),
        ("POST", "/v1/models/m:predict"),
    ]:
        response = await client.request(method, path, json={})
        assert response.status_code == 404
        assert response.json() == {"error": "The model `m` does not exist."}
