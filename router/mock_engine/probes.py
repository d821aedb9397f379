"""What a load balancer and a Prometheus ask: health, readiness, metrics.

The metrics have vLLM's names, so that whatever scrapes vLLM can scrape this.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from router.mock_engine.answering import require_model
from router.mock_engine.engine import Engine
from router.mock_engine.exchange import Exchange, Refused


async def health(engine: Engine, exchange: Exchange) -> None:
    """GET /health: 200 with no body, as vLLM answers."""
    await _suffer_health(engine, exchange)
    await exchange.reply(200, b"", b"text/plain; charset=utf-8")


async def live(engine: Engine, exchange: Exchange) -> None:
    """GET /v2/health/live: a live server may well not be ready."""
    if engine.faults.health == "stall":
        await exchange.stay_silent()
    await exchange.reply_json({"live": True})


async def ready(engine: Engine, exchange: Exchange) -> None:
    """GET /v2/health/ready."""
    await _suffer_health(engine, exchange)
    await exchange.reply_json({"ready": True})


async def model_ready(engine: Engine, exchange: Exchange) -> None:
    """GET /v2/models/{model}[/versions/{version}]/ready."""
    model = require_model(engine, exchange, exchange.captured["model"])
    await _suffer_health(engine, exchange)
    await exchange.reply_json({"name": model, "ready": True})


async def metrics(engine: Engine, exchange: Exchange) -> None:
    """GET /metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_EngineCollector(engine))
    await exchange.reply(200, generate_latest(registry), CONTENT_TYPE_LATEST.encode())


async def _suffer_health(engine: Engine, exchange: Exchange) -> None:
    if engine.faults.health == "stall":
        await exchange.stay_silent()
    if engine.faults.health == "refuse":
        raise Refused(503, "the engine is not healthy", kind="service_unavailable")


class _EngineCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        now = self._engine.statistics()
        yield self._gauge("num_requests_running", "Requests in the batch.", now.running)
        yield self._gauge("num_requests_waiting", "Requests in the queue.", now.waiting)
        yield self._gauge("kv_cache_usage_perc", "KV in use; 1 is all of it.", now.kv_usage)
        yield self._counter("prompt_tokens", "Prefill tokens.", now.prompt_tokens)
        yield self._counter("generation_tokens", "Generated tokens.", now.generated_tokens)
        yield self._successes()

    def _gauge(self, name: str, meaning: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"vllm:{name}", meaning, labels=["model_name"])
        family.add_metric([self._model()], value)
        return family

    def _counter(self, name: str, meaning: str, value: float) -> Metric:
        family = CounterMetricFamily(f"vllm:{name}", meaning, labels=["model_name"])
        family.add_metric([self._model()], value)
        return family

    def _successes(self) -> Metric:
        labels = ["model_name", "finished_reason"]
        family = CounterMetricFamily("vllm:request_success", "Ended requests.", labels=labels)
        for reason, count in self._engine.finish_reasons.items():
            family.add_metric([self._model(), reason], count)
        return family

    def _model(self) -> str:
        return self._engine.settings.listed_models[0]
