"""`make bench`: run the cells against the proxies, print tables, write JSON."""

import argparse
import contextlib
import datetime
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

from rich.console import Console

from loadtests.bench import cells, peers, report
from loadtests.bench.absences import Absences
from loadtests.bench.measure import choose_cores
from loadtests.bench.memory import MemoryLoad, measure_memory
from loadtests.bench.open_loop import RateSample, added_latency
from loadtests.bench.process import BenchError, Target, running_proxy, running_upstream
from loadtests.bench.proxies import Address, Nginx, Proxy, Router
from loadtests.bench.shadows import measure_shadows
from loadtests.bench.side_by_side import side_by_side
from loadtests.bench.upstream import loopback_hosts

YARDSTICK: Final = "nginx"
DOORS: Final = ("native", "asgi")
_SMOKE: Final = cells.Settings(slices=1, seconds=0.2, chunks=20)
_RATE_LANES: Final = 16
_RATE_SECONDS: Final = 4.0
_SHADOW_RATE: Final = 100.0


class Bench:
    """One run: everything that is started ends with it."""

    def __init__(self, options: argparse.Namespace, folder: Path, console: Console) -> None:
        self._options = options
        self._folder = folder
        self._console = console
        self._cores = choose_cores()
        self._settings = _settings(options)
        self._hosts = loopback_hosts(options.endpoints or 1)
        self._peers = peers.choose_peers(options.only or [], mirror=options.mirror)
        self._absences = Absences([peer.name for peer in self._peers])
        self._document: dict[str, Any] = {
            "started": datetime.datetime.now(datetime.UTC).isoformat(),
            "machine": report.machine(self._cores),
            "peers": {peer.name: peer.version() for peer in self._peers},
            "settings": asdict(self._settings),
        }

    def run(self) -> dict[str, Any]:
        """Measure all that was asked for; return it as a document."""
        self._say_where()
        os.sched_setaffinity(0, {self._cores.load})  # children inherit it, proxies excepted
        wanted = self._options
        if not (wanted.memory or wanted.shadows) or wanted.cells or wanted.rate:
            with contextlib.ExitStack() as stack:
                self._run_loads(*self._start_all(stack))
        if wanted.shadows:
            self._run_shadows()
        if wanted.memory:
            self._run_memory()
        self._document["absences"] = [asdict(each) for each in self._absences.found]
        report.print_absences(self._console, self._absences.found)
        return self._document

    def _start_all(self, stack: contextlib.ExitStack) -> tuple[list[Target], Target]:
        settings = self._settings
        upstream = stack.enter_context(
            running_upstream(
                self._folder,
                chunks=settings.chunks,
                interval_s=settings.interval_s,
                hosts=self._hosts,
            )
        )
        direct = Target(report.DIRECT, upstream[0], "bench-0", self._cores.proxy)
        start = partial(self._start, stack, upstream)
        return [target for proxy in self._proxies() for target in start(proxy)], direct

    def _proxies(self) -> list[Proxy]:
        return [*_proxies(self._options), *self._peers]

    def _start(
        self, stack: contextlib.ExitStack, upstream: list[Address], proxy: Proxy
    ) -> list[Target]:
        """Return the running proxy; nothing where it may be absent and is."""
        started = []
        with (
            self._console.status(f"starting {proxy.name}"),
            self._absences.noted(proxy.name, "start"),
        ):
            running = running_proxy(proxy, self._folder, upstream, self._cores)
            started.append(stack.enter_context(running))
        return started

    def _run_loads(self, proxies: list[Target], direct: Target) -> None:
        options = self._options
        names = options.cells or ([] if options.rate else list(cells.NAMES))
        beside = [direct] if not options.only or report.DIRECT in options.only else []
        for name in names:
            self._run_cell(cells.make_cell(name, self._settings, self._folder), proxies + beside)
        if options.rate:
            self._run_rate(proxies, direct)
        rows = [{"proxy": each.name, "peak_mb": each.peak_bytes() / 1e6} for each in proxies]
        report.print_peaks(self._console, rows)
        self._document["peak_memory"] = rows

    def _run_cell(self, cell: cells.Cell, targets: Sequence[Target]) -> None:
        with self._console.status(f"{cell.name}: {len(targets)} targets"):
            samples = cells.run_cell(cell, targets, self._settings.slices, self._absences)
        if not samples:
            return
        yardstick = YARDSTICK if YARDSTICK in samples else next(iter(samples))
        rows = report.cell_rows(cell, samples, yardstick)
        report.print_cell(self._console, rows, yardstick)
        self._document.setdefault("cells", []).extend(rows)

    def _run_rate(self, proxies: Sequence[Target], direct: Target) -> None:
        rate = self._options.rate
        with self._console.status(f"{rate:g} requests/s: {len(proxies)} proxies"):
            samples = {target.name: [] for target in proxies}  # type: dict[str, list[Any]]
            for _ in range(self._settings.slices):
                for target in proxies:
                    with self._absences.noted(target.name, "rate"):
                        samples[target.name].append(self._rate_slice(target, direct))
        rows = [
            report.rate_row(target.name, rate / target.ease, samples[target.name])
            for target in proxies
            if samples[target.name]
        ]
        if not rows:
            return
        report.print_rates(self._console, rows)
        self._document["rate"] = rows

    def _rate_slice(self, target: Target, direct: Target) -> RateSample:
        return added_latency(
            target,
            direct,
            rate=self._options.rate / target.ease,
            lanes=_RATE_LANES,
            seconds=_RATE_SECONDS * self._settings.seconds,
        )

    def _run_shadows(self) -> None:
        rate = self._options.rate or _SHADOW_RATE
        seconds = _RATE_SECONDS * self._settings.seconds
        slices = self._settings.slices
        with running_upstream(
            self._folder, chunks=1, interval_s=0.0, hosts=self._hosts[:1]
        ) as upstream:
            direct = Target(report.DIRECT, upstream[0], "bench-0", self._cores.proxy)
            with self._console.status(f"{rate:g} requests/s beside each kind of shadow"):
                found = measure_shadows(
                    self._folder,
                    upstream,
                    direct,
                    self._cores,
                    rate=rate,
                    seconds=seconds,
                    slices=slices,
                )
        rows = report.shadow_rows(rate, found.slices)
        report.print_shadows(self._console, rows, found.resident)
        self._document["shadows"] = {"rows": rows, "resident_bytes": found.resident}

    def _run_memory(self) -> None:
        load = _memory_load(self._options)
        rows = []
        # Slow and long streams: all of them must be open at the same time.
        with running_upstream(
            self._folder, chunks=300, interval_s=0.1, hosts=self._hosts
        ) as upstream:
            for proxy in self._proxies():
                start = partial(running_proxy, proxy, self._folder, upstream, self._cores)
                with (
                    self._console.status(f"memory of {proxy.name}"),
                    self._absences.noted(proxy.name, "memory"),
                ):
                    figures = measure_memory(start, load, self._folder)
                    rows.append(report.memory_row(proxy.name, figures))
        report.print_memory(self._console, rows)
        self._document["memory"] = rows

    def _say_where(self) -> None:
        cores = self._cores
        where = f"proxy on core {cores.proxy}, everything else on core {cores.load}"
        if cores.shared:
            where = "one core only: proxy, upstream and load share it; compare with care"
        self._console.print(f"{self._document['machine']['cpu']}: {where}")


def _proxies(options: argparse.Namespace) -> list[Proxy]:
    """Return the chosen proxies; asked for many routes or endpoints, each door again so."""
    wanted = options.only or [YARDSTICK, *DOORS]
    found: list[Proxy] = [Nginx()] if YARDSTICK in wanted else []
    if found and options.mirror:
        found.append(Nginx(mirror=True))
    for door in (door for door in DOORS if door in wanted):
        found.append(Router(door))
        if options.routes:
            found.append(Router(door, routes=options.routes))
        if options.endpoints:
            found.append(Router(door, endpoints=options.endpoints))
        if options.mirror:
            found.append(Router(door, mirror=True))
    return found


def _settings(options: argparse.Namespace) -> cells.Settings:
    base = _SMOKE if options.smoke else cells.Settings()
    given = {"slices": options.slices, "seconds": options.seconds}
    return replace(base, **{name: value for name, value in given.items() if value is not None})


def _memory_load(options: argparse.Namespace) -> MemoryLoad:
    if options.smoke:
        return MemoryLoad(connections=50, streams=20, requests=1000, warm_s=0.2)
    requests = 1_000_000 if options.million else 100_000
    return MemoryLoad(connections=2000, streams=500, requests=requests, warm_s=1.0)


def _names(known: Sequence[str]) -> Any:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown} not among {list(known)}")
        return names

    return parse


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench", description=__doc__)
    add = parser.add_argument
    known = [YARDSTICK, *DOORS, *peers.NAMES, report.DIRECT]
    add("--only", type=_names(known), help=f"proxies, comma-separated: {','.join(known)}")
    add("--cells", type=_names(cells.NAMES), help="cells: 1kb,50kb,1mb,sse")
    add("--slices", type=int, help="slices of each proxy in each cell (default 5)")
    add("--seconds", type=float, help="seconds of one slice (default 1)")
    add("--routes", type=int, help="each door also with this many routes")
    add("--endpoints", type=int, help="each door also with this many endpoints in v1")
    add(
        "--shadows",
        action="store_true",
        help="latency beside shadows that hang, refuse, reset or are slow; alone: only this",
    )
    add("--mirror", action="store_true", help="each proxy also copying every request to a shadow")
    add(
        "--rate",
        type=float,
        help="added latency at this many requests/s; without --cells: only this",
    )
    add(
        "--memory",
        action="store_true",
        help="memory of the workers; without --cells or --rate: only this",
    )
    add("--million", action="store_true", help="memory drift over 1 000 000 requests")
    add("--smoke", action="store_true", help="very short: proves that it works, nothing else")
    add("--json", type=Path, help="where to write the figures (default bench-results/…)")
    return parser.parse_args(arguments)


def _refuse_missing_tools() -> None:
    missing = [tool for tool in ("nginx", "wrk") if shutil.which(tool) is None]
    if missing:
        raise BenchError(f"not installed: {' '.join(missing)} (Debian: apt install nginx wrk)")


def _on_term(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench; return the exit code."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 200)
    signal.signal(signal.SIGTERM, _on_term)  # ends like Ctrl-C: nothing is left running
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        _refuse_missing_tools()
        with tempfile.TemporaryDirectory(prefix="inference-router-bench-") as folder:
            document = Bench(options, Path(folder), console).run()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    path = options.json or _default_path(document["started"])
    report.write_json(path, document)
    console.print(f"figures: {path}")
    if document["peers"]:
        path.with_suffix(".md").write_text(side_by_side(document))
        console.print(f"side by side: {path.with_suffix('.md')}")
    return 0


def _default_path(started: str) -> Path:
    return Path("bench-results") / f"bench-{started[:19].replace(':', '')}.json"


if __name__ == "__main__":
    sys.exit(main())
