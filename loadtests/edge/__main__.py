"""Measure the edge, print the table, write JSON; see the package."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import json
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import psutil
from rich.console import Console
from rich.table import Table

from loadtests.bench.process import BenchError
from loadtests.edge.figure import Figure, share_met
from loadtests.edge.gone import clients_gone
from loadtests.edge.many import many_connections
from loadtests.edge.overload import overload
from loadtests.edge.restarts import restarts
from loadtests.edge.scale import FULL, SMOKE, Scale
from loadtests.edge.slow import slow_clients

Cell = Callable[[Path, Scale], Awaitable[list[Figure]]]
CELLS: Final[dict[str, Cell]] = {
    "slow": slow_clients,
    "gone": clients_gone,
    "overload": overload,
    "many": many_connections,
    "restarts": restarts,
}


def table(figures: Sequence[Figure]) -> Table:
    """Every figure, its bar, and whether it is met."""
    found = Table("cell", "what", "figure", "bar", "", box=None)
    for each in figures:
        bar = "" if each.bar is None else f"{'>=' if each.at_least else '<='} {_number(each.bar)}"
        found.add_row(each.cell, each.what, f"{_number(each.value)} {each.unit}", bar, each.verdict)
    return found


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _measure(name: str, scale: Scale) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-edge-") as folder:
        return asyncio.run(CELLS[name](Path(folder), scale))  # type: ignore[arg-type]  # a coroutine


def _machine() -> dict[str, Any]:
    """What else the figures depend on."""
    return {"cores": psutil.cpu_count(), "load before": psutil.getloadavg()[0]}


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.edge", description=__doc__)
    parser.add_argument("--only", choices=CELLS, action="append", help="a cell; may be repeated")
    parser.add_argument(
        "--smoke", action="store_true", help="very small: proves that it works, nothing else"
    )
    parser.add_argument("--json", type=Path, help="where to write (default bench-results/…)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure what is asked for, everything by default; the exit status judges no figure."""
    options = _options(arguments)
    scale = SMOKE if options.smoke else FULL
    console = Console(width=None if sys.stdout.isatty() else 140)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    started = datetime.datetime.now(datetime.UTC).isoformat()
    machine = _machine()
    figures: list[Figure] = []
    try:
        for name in options.only or CELLS:
            found = _measure(name, scale)
            console.print(table(found))
            figures += found
    except BenchError as error:
        print(f"bench-edge: {error}", file=sys.stderr)
        return 1
    met, bars = share_met(figures)
    console.print(
        f"{met} of {bars} bars met; {machine['cores']} cores, load {machine['load before']:.1f}"
    )
    path = options.json or Path("bench-results") / f"edge-{started[:19].replace(':', '')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [figure.document() for figure in figures]
    path.write_text(json.dumps({"started": started, "machine": machine, "figures": rows}, indent=2))
    console.print(f"figures: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
