"""Three times what the model server can do: it stays busy with good answers, the rest hears "no".

The capacity is measured first (a closed loop with one request per slot), then 0.9 of it and 3 times
it are asked in an open loop, which no refusal slows down.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx

from loadtests.edge.figure import Figure, percentile
from loadtests.edge.rated import Rated, ask_at_rate
from loadtests.edge.scale import Scale
from tests.support.engines import running_engine
from tests.support.load import load
from tests.support.routers import document, route, running_router

SLOTS: Final = 16
QUEUED: Final = 16
TOKENS: Final = 16
STEP_S: Final = 0.008
GOODPUT: Final = 90.0
REFUSAL_MS: Final = 50.0
ADMIN_S: Final = 1.0
ADMIN: Final = ("/livez", "/readyz", "/metrics", "/api/v1/routes")
_LANES: Final = 256
_EVERY_S: Final = 0.1


class AdminWatch:
    """Asks the admin port again and again, from a thread of its own."""

    def __init__(self, url: str) -> None:
        self.took_s: dict[str, list[float]] = {path: [] for path in ADMIN}
        self.failed = 0
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> AdminWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=10.0, trust_env=False) as client:
            client.get(ADMIN[0])  # a client's first call takes 0.1 s to load its own parts
            while not self._stop.wait(_EVERY_S):
                for path, took in self.took_s.items():
                    began = time.monotonic()
                    try:
                        self.failed += client.get(path).status_code != 200
                    except httpx.HTTPError:
                        self.failed += 1
                    took.append(time.monotonic() - began)


async def overload(folder: Path, scale: Scale) -> list[Figure]:
    """The peak, 0.9 of it, 3 times it."""
    engine_options: dict[str, Any] = {
        "time_scale": 1.0,
        "step_seconds": STEP_S,
        "prefill_tokens_per_second": 1e9,  # prompts of the two loads differ in length
        "max_running": SLOTS,
        "default_output_tokens": TOKENS,
    }
    with ExitStack() as stack:
        engine = stack.enter_context(running_engine("v1", **engine_options))
        chat = {**route(v1=engine.url), "limits": {"maxInFlight": SLOTS, "maxQueue": QUEUED}}
        router = stack.enter_context(running_router(folder, document(chat, workers=1)))
        port = int(router.traffic.rpartition(":")[2])
        peak = await _peak(router.traffic, scale)
        nine = await ask_at_rate(
            "127.0.0.1", port, rate=0.9 * peak, seconds=scale.overload_s, lanes=_LANES
        )
        with AdminWatch(router.admin) as admin:
            three = await ask_at_rate(
                "127.0.0.1", port, rate=3 * peak, seconds=scale.overload_s, lanes=_LANES
            )
    return _judge(peak, nine, three, admin)


async def _peak(url: str, scale: Scale) -> float:
    """Good answers per second with every slot taken all the time."""
    async with load(url, connections=SLOTS + QUEUED // 2) as running:
        await asyncio.sleep(scale.settle_s)
        before, began = len(running.answers), time.monotonic()
        await asyncio.sleep(scale.peak_s)
        return (len(running.answers) - before) / (time.monotonic() - began)


def _judge(peak: float, nine: Rated, three: Rated, admin: AdminWatch) -> list[Figure]:
    refused = [each * 1000 for each in three.refused_s]
    answered = [each * 1000 for each in three.answered_s]
    figures = [
        Figure("overload", "peak", peak, "requests/s"),
        Figure("overload", "goodput at 0.9 x", nine.goodput / peak * 100, "% of the peak"),
        Figure(
            "overload", "goodput at 3 x", three.goodput / peak * 100, "% of the peak", GOODPUT, True
        ),
        Figure("overload", "refused at 3 x", len(refused) / three.seconds, "requests/s"),
        Figure("overload", "a refusal takes: p99", percentile(refused, 0.99), "ms", REFUSAL_MS),
        Figure("overload", "a good answer takes: p99", percentile(answered, 0.99), "ms"),
        Figure("overload", "never answered", nine.missing + three.missing, "", 0),
        Figure("overload", "admin answers that failed", admin.failed, "", 0),
    ]
    return figures + [
        Figure("overload", f"admin {path}: longest", max(took, default=float("nan")), "s", ADMIN_S)
        for path, took in admin.took_s.items()
    ]
