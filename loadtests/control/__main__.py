"""Print the control plane's figures; see the package."""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from loadtests.control.traffic import STREAMS, traffic
from router.audit.entry import SYSTEM, Draft
from router.store import verify_trail
from router.store.base import Commit
from router.store.sqlite import SqliteStore
from tests.support.engines import running_engine
from tests.support.load import load
from tests.support.routers import Document, RouterProcess, document, route, running_router

CHANGES: Final = 200
ENTRIES: Final = 100_000
PAGES: Final = 200
ROLLOUTS: Final = 500
WATCHED_S: Final = 20.0
REQUESTS: Final = 2_000
SWITCHES: Final = 20
PAIRS_PER_S: Final = 200
SLICES: Final = 6
SLICE_S: Final = 5.0
WEIGHTS: Final = "/api/v1/routes/chat/weights"


def watching(interval: str, window: str) -> Document:
    """A background analysis of the router's own error ratio."""
    metric = {
        "name": "errors",
        "interval": interval,
        "successCondition": "result[0] < 0.05",
        "provider": {"router": {"metric": "errorRatio", "window": window, "minRequests": 10}},
    }
    return {"metadata": {"name": "watch"}, "spec": {"metrics": [metric]}}


def walking(name: str, path: str, weight: float, **urls: str) -> Document:
    """A route whose release walks to a share and stays there, watched."""
    canary = {
        "steps": [{"setWeight": weight}, {"pause": {}}],
        "analysis": {"templates": [{"templateName": "watch"}]},
    }
    return {**route(name, path, **urls), "strategy": {"canary": canary}}


async def change_weights(folder: Path) -> None:
    """From the call to the answer, which comes when every worker serves the new split."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(running_engine(name)).url for name in ("v1", "v2")}
        config = document(route(**urls), workers=4)
        router = stack.enter_context(running_router(folder, config))
        async with httpx.AsyncClient(base_url=router.admin, trust_env=False) as admin:
            took = []
            for number in range(CHANGES):
                weights = {"v1": 100 - number % 100, "v2": number % 100}
                began = time.perf_counter()
                body = {"weights": weights, "reason": "bench"}
                answer = await admin.put(WEIGHTS, json=body)
                took.append((time.perf_counter() - began) * 1000)
                assert len(answer.json()["applied"]["workers"]) == 4
    took.sort()
    print(
        f"weight change, 4 workers, {CHANGES} in a row: median {statistics.median(took):.1f} ms, "
        f"p99 {took[int(len(took) * 0.99)]:.1f} ms (from call to every worker's acknowledgement)"
    )


async def switch_sides(folder: Path) -> None:
    """From the call of a switch until every worker has it, under requests and open streams."""
    speed: dict[str, Any] = {
        "time_scale": 1.0,
        "step_seconds": 0.05,
        "default_output_tokens": 1,
    }
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(running_engine(name, **speed)) for name in ("v1", "v2")
        }
        urls = {name: engine.url for name, engine in engines.items()}
        router = stack.enter_context(running_router(folder, document(route(**urls), workers=2)))
        with traffic(router.traffic) as running:
            took = await _switch_again_and_again(router.admin)
    told = running.told
    print(
        f"switch, 2 workers, {told['rate']:.0f} requests/s, {STREAMS} open streams, {SWITCHES} in "
        f"a row: median {statistics.median(took):.1f} ms, worst {took[-1]:.1f} ms; failed "
        f"requests: {len(told['failed'])}, broken streams: {len(told['broken'])}"
    )


async def _switch_again_and_again(url: str) -> list[float]:
    """How long each call took, in milliseconds, the shortest first."""
    took = []
    async with httpx.AsyncClient(base_url=url, trust_env=False) as admin:
        await admin.get("/livez")  # a client's first call of all takes 0.1 s to load its own parts
        for number in range(SWITCHES):
            body = {"to": ("v2", "v1")[number % 2], "reason": "bench"}
            called = time.perf_counter()
            answer = await admin.post("/api/v1/routes/chat/switch", json=body)
            took.append((time.perf_counter() - called) * 1000)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(0.5)
    return sorted(took)


async def read_audit(folder: Path) -> None:
    """A page of a long trail, and all of it verified, through the API."""
    file = folder / "inference-router.db"
    await _fill(file)
    with ExitStack() as stack:
        v1 = stack.enter_context(running_engine("v1")).url
        router = stack.enter_context(running_router(folder, document(route(v1=v1), workers=1)))
        async with httpx.AsyncClient(base_url=router.admin, trust_env=False, timeout=120) as admin:
            took = []
            for number in range(PAGES):
                before = ENTRIES - number * (ENTRIES // PAGES)
                began = time.perf_counter()
                answer = await admin.get(f"/api/v1/audit?route=chat&before={before}&limit=100")
                took.append((time.perf_counter() - began) * 1000)
                assert len(answer.json()["entries"]) == 100 or number > PAGES - 2
            began = time.perf_counter()
            verdict = (await admin.get("/api/v1/audit/verify")).json()
            verified = time.perf_counter() - began
    took.sort()
    print(
        f"audit, {ENTRIES} entries: page of 100 median {statistics.median(took):.1f} ms, "
        f"p99 {took[int(len(took) * 0.99)]:.1f} ms; verify {verified:.1f} s "
        f"({verdict['entries']} entries, ok: {verdict['ok']})"
    )


async def _fill(file: Path) -> None:
    store = SqliteStore(file)
    await store.open()
    block = 1_000
    for revision, start in enumerate(range(0, ENTRIES, block)):
        drafts = [
            Draft(
                time_s=float(start + number),
                actor=SYSTEM,
                action="weights.set",
                route="chat" if number % 2 else "other",
                reason="bench",
                before={"weights": {"v1": 100}},
                after={"weights": {"v1": 95, "v2": 5}},
            )
            for number in range(block)
        ]
        await store.commit(Commit(revision=revision, entries=drafts))
    assert (await verify_trail(store)).fault is None
    await store.close()


async def catch(folder: Path, errors: float, weight: float, requests_per_s: int, why: str) -> None:
    """From the first share of a bad version until it has none."""
    with ExitStack() as stack:
        v1 = stack.enter_context(running_engine("v1")).url
        v2 = stack.enter_context(running_engine("v2", error_rate=errors)).url
        chat = walking("chat", "/v1/chat/completions", weight, v1=v1, v2=v2)
        config = {**document(chat, workers=2), "analysisTemplates": [watching("2s", "10s")]}
        router = stack.enter_context(running_router(folder, config))
        async with (
            load(router.traffic, connections=10, pause_s=10 / requests_per_s) as running,
            httpx.AsyncClient(base_url=router.admin, trust_env=False) as admin,
        ):
            await running.wait_answers(requests_per_s * 2)
            began, sent = time.monotonic(), len(running.answers)
            config["routes"][0]["release"] = "v2"
            router.write_config(config)
            while (await admin.get("/api/v1/routes/chat/rollout")).json()["finished"] is None:
                await asyncio.sleep(0.02)
            rate = (len(running.answers) - sent) / (time.monotonic() - began)
            entries = (await admin.get("/api/v1/audit?route=chat&after=0&limit=1000")).json()
        failures = len(running.failures)
    at = {entry["action"]: entry for entry in entries["entries"]}
    lasted = at["rollout.aborted"]["time"] - at["rollout.weightSet"]["time"]
    print(
        f"{why}: canary at {weight:g} % of {rate:.0f} requests/s lost its share after "
        f"{lasted:.2f} s ({at['rollout.aborted']['reason'][:90]}); "
        f"client requests that failed: {failures}"
    )


async def watch_many(folder: Path) -> None:
    """Control's share of a core while many rollouts are watched, one metric every 5 s each."""
    with ExitStack() as stack:
        urls = {name: stack.enter_context(running_engine(name)).url for name in ("v1", "v2")}
        routes = [walking(f"r{n}", f"/r{n}", 5, **urls) for n in range(ROLLOUTS)]
        config = {**document(*routes, workers=1), "analysisTemplates": [watching("5s", "10s")]}
        router = stack.enter_context(running_router(folder, config))
        before = await _latency(router.traffic)
        idle = await _share(router)
        for each in config["routes"]:
            each["release"] = "v2"
        router.write_config(config)
        while (runs := router.metric("router_analysis_runs")) < ROLLOUTS:
            await asyncio.sleep(0.5)
        during = await _latency(router.traffic)
        busy = await _share(router)
    print(
        f"{runs:.0f} rollouts with a background analysis: control uses {busy:.1f} % of a core "
        f"({idle:.1f} % before); requests, one after the other: {during} ({before} before)"
    )


async def compare_pairs(folder: Path) -> None:
    """What comparing costs the clients: all is copied, in every second slice nothing compared."""
    most = {"uncompared": 0.001, "compared": 1_000}
    words = {"text": "so that a bad one is found while few can see it " * 40}
    took: dict[str, list[float]] = {name: [] for name in most}
    control = dict.fromkeys(most, 0.0)
    with ExitStack() as stack:
        engines = {
            name: stack.enter_context(running_engine(name, **words, changed_share=0.05))
            for name in ("v1", "v2")
        }
        chat = {**route(**{name: engine.url for name, engine in engines.items()}), "release": "v1"}
        chat["shadow"] = {"version": "v2", "maxPairsPerSecond": 1_000}
        config = document(chat, workers=2)
        router = stack.enter_context(running_router(folder, config))
        for number in range(2 * SLICES):
            name = tuple(most)[number % 2]
            chat["shadow"]["maxPairsPerSecond"] = most[name]
            router.write_config(config)
            await asyncio.sleep(2.0)  # it is served, and the slice before is compared to its end
            before = sum(router.children()["control"].cpu_times()[:2])
            async with load(router.traffic, connections=20, pause_s=20 / PAIRS_PER_S) as running:
                await asyncio.sleep(SLICE_S)
            assert running.failures == []
            took[name] += [(one.answered_at - one.sent_at) * 1000 for one in running.answers]
            control[name] += sum(router.children()["control"].cpu_times()[:2]) - before
        await asyncio.sleep(2.0)
        row = 'model_shadow_comparisons_total{route="chat",verdict="%s",version="v2"}'
        pairs = sum(router.metric(row % verdict) for verdict in ("match", "mismatch"))
    seconds = SLICES * SLICE_S
    print(
        f"shadow, 2 workers, all of {len(took['compared']) / seconds:.0f} requests/s copied, 2 KB "
        f"answers; compared: {pairs / seconds:.0f} pairs/s"
    )
    for name, each in took.items():
        each.sort()
        p50, p99 = statistics.median(each), each[len(each) * 99 // 100]
        used = f"control uses {control[name] / seconds:.1%} of a core"
        print(f"  {name}: p50 {p50:.2f} ms, p99 {p99:.1f} ms; {used}")


async def _latency(url: str) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    took = []
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for _ in range(REQUESTS):
            began = time.perf_counter()
            assert (await client.post("/r0", json=body)).status_code in (200, 404)
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return f"p50 {statistics.median(took):.2f} ms, p99 {took[int(len(took) * 0.99)]:.2f} ms"


async def _share(router: RouterProcess) -> float:
    control = router.children()["control"]
    control.cpu_percent()
    await asyncio.sleep(WATCHED_S)
    return float(control.cpu_percent())


Cell = Callable[[Path], Awaitable[None]]
CELLS: Final[dict[str, Cell]] = {
    "weights": change_weights,
    "switch": switch_sides,
    "audit": read_audit,
    "breaker": lambda folder: catch(folder, 1.0, 20, 200, "100 % errors"),
    "errors": lambda folder: catch(folder, 0.2, 25, 100, "20 % errors, measured every 2 s"),
    "many": watch_many,
    "shadow": compare_pairs,
}


def main(arguments: list[str]) -> int:
    """Measure what is asked for, everything by default."""
    parser = argparse.ArgumentParser(prog="loadtests.control")
    parser.add_argument("--only", choices=CELLS, action="append")
    chosen: Any = parser.parse_args(arguments)
    print(f"{psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}")
    for name in chosen.only or CELLS:
        with tempfile.TemporaryDirectory(prefix="bench-control-") as folder:
            asyncio.run(CELLS[name](Path(folder)))  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
