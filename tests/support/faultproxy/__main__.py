"""The proxy in a process of its own, for loads: `python -m tests.support.faultproxy`.

    {"target": 8000, "seed": 7, "share": 0.3}        the first line in: begin
    {"url": "http://127.0.0.1:41234"}                the first line out: it listens
    {"do": "refuse", "reset": true}                  close the port, and what is open
    {"do": "accept"}                                 open it again
    {"do": "share", "share": 0}                      so many exchanges suffer from now on
    {"do": "counts"}                                 only tell

Each line is answered with one: `{"exchanges": …, "open": …, "counts": {…}}`.  It ends with its
standard input, so nothing outlives who started it.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from typing import Any

from tests.support.faultproxy.faults import Fault, draw_fault
from tests.support.faultproxy.proxy import FaultProxy


class SeededChooser:
    """Draws a fault for each exchange; the order of exchanges is the load's."""

    def __init__(self, seed: int, share: float) -> None:
        self.share = share
        self._draw = random.Random(seed).random

    def __call__(self) -> Fault | None:
        return draw_fault(self.share, self._draw)


async def main() -> None:
    """Serve until standard input ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin
    )
    begin = json.loads(await lines.readline())
    chooser = SeededChooser(begin["seed"], begin["share"])
    proxy = FaultProxy(begin["target"], chooser)
    await proxy.start()
    _say({"url": proxy.url})
    try:
        while line := await lines.readline():
            await _obey(proxy, chooser, json.loads(line))
            counts = dict(sorted(proxy.counts.items()))
            _say({"exchanges": proxy.exchanges, "open": proxy.open, "counts": counts})
    finally:
        await proxy.stop()


async def _obey(proxy: FaultProxy, chooser: SeededChooser, order: dict[str, Any]) -> None:
    match order["do"]:
        case "refuse":
            await proxy.refuse(reset=order.get("reset", False))
        case "accept":
            await proxy.accept()
        case "share":
            chooser.share = order["share"]
        case "counts":
            pass
        case other:
            raise ValueError(f"nobody knows how to {other!r}")


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
