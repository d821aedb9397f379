"""`python -m loadtests.chaos`: run it, print a table, write JSON; status 1 if a bar was missed."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import httpx
import uvloop

from loadtests.chaos.client import Client
from loadtests.chaos.judge import Verdict, judge
from loadtests.chaos.load import Ends, Load
from loadtests.chaos.resources import Holding, Watch, ended, growth, hold
from loadtests.chaos.stage import ROUTE, FaultProxyProcess, staged
from loadtests.scenarios.errors import LoadTestError
from loadtests.scenarios.stage import Stage

SHARE: Final = 0.3
"""Of the exchanges with the faulty endpoint; each of its faults is as likely."""

REST_S: Final = 7.0
"""Idle connections to model servers are closed after 4 s, workers report every second."""

GAUGES_DEADLINE_S: Final = 10.0
WARM_S: Final = 4.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; the exit status."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    print(f"seed {options.seed}, {options.seconds:g} s; logs in {options.out}", flush=True)
    try:
        with staged(options.out, options.seed) as (stage, proxy):
            figures, verdicts = uvloop.run(_run(stage, proxy, options))
    except LoadTestError as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    (options.out / "chaos.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(_table(figures, verdicts))
    return 1 if any(verdict.kept is False for verdict in verdicts) else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.chaos")
    parser.add_argument("--seconds", type=float, default=600.0, help="of load with faults")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--streams", type=int, default=100, help="streams that are open")
    parser.add_argument("--share", type=float, default=SHARE, help="of exchanges that suffer")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="of all chance")
    default = Path("bench-results") / time.strftime("chaos-%Y%m%dT%H%M%S")
    parser.add_argument("--out", type=Path, default=default, help="where logs and figures go")
    return parser.parse_args(arguments)


async def _run(
    stage: Stage, proxy: FaultProxyProcess, options: argparse.Namespace
) -> tuple[dict[str, Any], list[Verdict]]:
    main_task = asyncio.current_task()
    assert main_task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, main_task.cancel)
    host, port = stage.traffic.removeprefix("http://").split(":")
    client = Client(host, int(port))
    load = Load(client, options.seed)
    warm = await load.run(WARM_S, options.rate, options.streams)  # modules, caches, buffers
    before = await _rest(stage, client)
    proxy.tell("share", share=options.share)
    watch = Watch(stage.processes)
    beside = [
        asyncio.ensure_future(watch.run()),
        asyncio.ensure_future(_open_and_close(proxy, options.seed)),
    ]
    began = time.monotonic()
    ends = await load.run(options.seconds, options.rate, options.streams)
    took_s = time.monotonic() - began
    for task in beside:
        task.cancel()
    told = await asyncio.gather(*beside, return_exceptions=True)
    for error in told:
        if not isinstance(error, asyncio.CancelledError):
            raise LoadTestError(f"beside the load: {error!r}")
    proxy.tell("share", share=0.0)
    faults = proxy.tell("accept")
    gauges = await _wait_gauges(stage)
    after = await _rest(stage, client)
    grown = growth(watch.rows)
    gone = ended(watch.rows)
    verdicts = judge(ends, faults["counts"], gauges, (before, after), grown, gone)
    figures = {
        "seed": options.seed,
        "seconds": round(took_s, 1),
        "ends": _lines_of(ends),
        "warm_up": _lines_of(warm),
        "flaws": ends.flaws,
        "faults": faults,
        "router": await _counters(stage),
        "gauges": gauges,
        "rest": {
            name: {"before": asdict(before[name]), "after": asdict(held)}
            for name, held in after.items()
            if name in before
        },
        "growth": [asdict(each) for each in grown],
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
    return figures, verdicts


async def _open_and_close(proxy: FaultProxyProcess, seed: int) -> None:
    """Every few seconds the faulty endpoint's port is closed for one to three."""
    chance = random.Random(seed + 1)
    while True:
        await asyncio.sleep(chance.uniform(5.0, 15.0))
        proxy.tell("refuse", reset=chance.random() < 0.5)
        try:
            await asyncio.sleep(chance.uniform(1.0, 3.0))
        finally:
            proxy.tell("accept")


async def _rest(stage: Stage, client: Client) -> dict[str, Holding]:
    """What the router holds when nobody asks anything."""
    client.close()
    await asyncio.sleep(REST_S)
    return hold(stage.processes())


# -- what the router tells ---------------------------------------------------------------------


async def _wait_gauges(stage: Stage) -> dict[str, float]:
    """What is in flight, as soon as it is nothing, or after a while in any case."""
    until = time.monotonic() + GAUGES_DEADLINE_S
    while any((gauges := await _gauges(stage)).values()) and time.monotonic() < until:
        await asyncio.sleep(0.5)
    return gauges


async def _gauges(stage: Stage) -> dict[str, float]:
    metrics = await _get(f"{stage.admin}/metrics")
    document = json.loads(await _get(f"{stage.admin}/api/v1/routes/{ROUTE}"))
    return {
        "model_requests_in_flight": _sum(metrics, "model_requests_in_flight"),
        "router_upstream_connections busy": _sum(metrics, "router_upstream_connections", "busy"),
        "GET /routes inFlight": sum(each["inFlight"] for each in document["versions"]),
    }


async def _counters(stage: Stage) -> dict[str, float]:
    metrics = await _get(f"{stage.admin}/metrics")
    names = ("router_retries_total", "router_endpoint_ejections_total", "model_errors_total")
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith(names) and not line.endswith(" 0.0")
    }


async def _get(url: str) -> str:
    async with httpx.AsyncClient(timeout=30.0, trust_env=False) as client:
        try:
            answer = await client.get(url)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise LoadTestError(f"{url}: {error or type(error).__name__}") from None
        return answer.text


def _sum(metrics: str, family: str, label: str = "") -> float:
    """The sum of a family's series, of those with this label value."""
    pattern = re.compile(rf"^{family}(?:\{{[^}}]*{label}[^}}]*\}})? (\S+)", re.MULTILINE)
    return sum(map(float, pattern.findall(metrics)))


# -- the page ----------------------------------------------------------------------------------


def _lines_of(ends: Ends) -> dict[str, int]:
    return {" / ".join(filter(None, key)): number for key, number in sorted(ends.counts.items())}


def _table(figures: dict[str, Any], verdicts: list[Verdict]) -> str:
    counts = {
        **figures["ends"],
        **{f"fault {k}": n for k, n in figures["faults"]["counts"].items()},
    }
    lines = [f"{name:<58} {number:>9}" for name, number in (counts | figures["router"]).items()]
    lines.append("")
    for each in verdicts:
        word = {True: "kept", False: "MISSED", None: "-"}[each.kept]
        lines.append(f"{word:<7} {each.name:<52} {each.found:<30} {each.bar}")
    return "\n".join([*lines, *(f"  {flaw}" for flaw in figures["flaws"][:20])])


if __name__ == "__main__":
    sys.exit(main())
