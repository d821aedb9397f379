"""The engine as a process, through the helper that other tests use."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.support.engines import EngineProcess, running_engine, start_engine


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    with running_engine("v1", models=("llama", "qwen"), varied=False) as engine:
        yield engine


def post(engine: EngineProcess, model: str = "llama") -> httpx.Response:
    ask = {"model": model, "prompt": "hi"}
    return httpx.post(f"{engine.url}/v1/completions", json=ask, trust_env=False)


def test_the_process_tells_its_address_and_serves_its_models(engine: EngineProcess) -> None:
    assert engine.url == f"http://127.0.0.1:{engine.port}"
    assert post(engine).headers["x-mock-engine"] == "v1"
    assert post(engine, "gpt").status_code == 404


def test_the_helper_sets_faults_and_reads_requests_and_counts(engine: EngineProcess) -> None:
    engine.forget_requests()
    engine.faults(error_rate=1, error_status=529)
    assert post(engine).status_code == 529
    engine.faults()
    assert post(engine).status_code == 200
    outcomes = [request["outcome"] for request in engine.requests("/v1/completions")]
    assert outcomes == ["error", "ok"]
    assert engine.stats()["by_outcome"]["error"] >= 1


def test_a_refused_setting_is_an_error_of_the_test(engine: EngineProcess) -> None:
    with pytest.raises(ValueError, match="no fault setting"):
        engine.faults(eror_rate=1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_with_status_zero_even_in_a_stalled_stream(
    number: signal.Signals,
) -> None:
    engine = start_engine(stall_rate=1.0)
    ask = {"inputs": "hi"}
    try:
        with (
            httpx.Client(trust_env=False) as client,
            client.stream("POST", f"{engine.url}/generate_stream", json=ask) as response,
        ):
            next(response.iter_raw())
            engine.process.send_signal(number)
            assert engine.process.wait(5) == 0
    finally:
        assert engine.stop() == 0


def test_a_killed_engine_refuses_connections() -> None:
    with running_engine() as engine:
        engine.kill()
        with pytest.raises(httpx.ConnectError):
            post(engine)


def test_a_frozen_engine_answers_when_it_thaws() -> None:
    with running_engine() as engine:
        engine.freeze()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{engine.url}/health", timeout=0.05, trust_env=False)
        engine.thaw()
        assert httpx.get(f"{engine.url}/health", trust_env=False).status_code == 200


def test_an_engine_that_cannot_start_is_an_error_of_the_test() -> None:
    with running_engine() as engine, pytest.raises(RuntimeError, match="status 1"):
        start_engine(port=engine.port)
