"""The figures as tables for people and as JSON for tools."""

import json
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from loadtests.bench.absences import Absence
from loadtests.bench.cells import NOISY, Cell
from loadtests.bench.measure import Cores
from loadtests.bench.memory import MemoryFigures
from loadtests.bench.open_loop import RateSample
from loadtests.bench.sample import Sample, Spread, noise, paired_ratio, percentile

DIRECT: Final = "direct"  # the row of the load without a proxy

Row = dict[str, Any]


def cell_rows(cell: Cell, samples: Mapping[str, Sequence[Sample]], yardstick: str) -> list[Row]:
    """Sum up one cell, a row for each target."""
    return [_cell_row(cell, name, samples, yardstick) for name in samples]


def _cell_row(
    cell: Cell, name: str, samples: Mapping[str, Sequence[Sample]], yardstick: str
) -> Row:
    slices = samples[name]
    door = name.split()[0]  # "native 500 endpoints" grows from "native"
    latencies = {
        key: Spread.of([sample.latency_us[key] for sample in slices]).median
        for key in slices[0].latency_us
    }
    return {
        "cell": cell.name,
        "proxy": name,
        "unit": cell.unit,
        "cpu_us": _spread([sample.cpu_us for sample in slices]),
        "worker_cpu_us": _spread([sample.worker_cpu_us for sample in slices]),
        "ratio": _ratio(slices, samples.get(yardstick)),
        "growth": _ratio(slices, samples.get(door)) if door != name else None,
        "per_second": _spread([sample.units / sample.seconds for sample in slices]),
        "latency_us": latencies,
        "busy": Spread.of([sample.busy for sample in slices]).median,
        "noise": Spread.of([sample.noise for sample in slices]).median,
        "errors": sum(sample.errors for sample in slices),
        "units": sum(sample.units for sample in slices),
    }


def rate_row(name: str, rate: float, samples: Sequence[RateSample]) -> Row:
    """Sum up the added latency of one proxy."""
    through = sorted(each for sample in samples for each in sample.through_s)
    direct = sorted(each for sample in samples for each in sample.direct_s)
    row: Row = {"proxy": name, "rate": rate, "requests": len(through)}
    for label, share in (("p50", 0.5), ("p99", 0.99)):
        ours, theirs = percentile(through, share) * 1e6, percentile(direct, share) * 1e6
        row |= {
            f"{label}_us": ours,
            f"direct_{label}_us": theirs,
            f"added_{label}_us": ours - theirs,
        }
    row["cpu_us"] = sum(s.usage.tree_s for s in samples) / max(1, len(through)) * 1e6
    row["noise"] = Spread.of([noise(sample.usage) for sample in samples]).median
    row["errors"] = sum(sample.missing for sample in samples)
    return row


def shadow_rows(rate: float, samples: Mapping[str, Sequence[RateSample]]) -> list[Row]:
    """Sum up the primary's latency beside each kind of shadow; the first kind is no shadow."""
    rows = [rate_row(kind, rate, slices) for kind, slices in samples.items()]
    for row in rows:
        for label in ("p50", "p99"):
            plain = rows[0][f"{label}_us"]
            row[f"{label}_over_bar_us"] = row[f"{label}_us"] - (plain * 1.05 + 200)
    return rows


def memory_row(name: str, figures: MemoryFigures) -> Row:
    """Show one proxy's memory in MB and KB."""
    return {
        "proxy": name,
        "start_mb": figures.start / 1e6,
        "idle_connection_kb": figures.idle_connection / 1e3,
        "open_stream_kb": figures.open_stream / 1e3,
        "drift_mb": figures.drift / 1e6,
        "drift_requests": figures.drift_requests,
        "drift_points": figures.drift_points,
    }


def print_cell(console: Console, rows: Sequence[Row], yardstick: str) -> None:
    """Print one cell as a table."""
    unit = rows[0]["unit"]
    latencies = list(rows[0]["latency_us"])
    grown = any(row["growth"] for row in rows)
    ratios = [f"vs {yardstick}", "growth"] if grown else [f"vs {yardstick}"]
    titles = [f"CPU-µs/{unit}", "low-high", "worker", *ratios, f"{unit}s/s"]
    shown = [key if key.endswith("%") else f"{key} µs" for key in latencies]
    table = _table(f"{rows[0]['cell']}", [*titles, *shown, "busy", "errors"])
    for row in rows:
        cpu, measured = row["cpu_us"], row["cpu_us"]["median"] > 0
        table.add_row(
            row["proxy"],
            f"{cpu['median']:.1f}" if measured else "-",
            f"{cpu['low']:.1f}-{cpu['high']:.1f}" if measured else "-",
            f"{row['worker_cpu_us']['median']:.1f}" if measured else "-",
            *(_times(row[key]) for key in ("ratio", "growth")[: len(ratios)]),
            f"{row['per_second']['median']:,.0f}",
            *(f"{row['latency_us'][key]:,.0f}" for key in latencies),
            f"{row['busy']:.0%}" if measured else "-",
            f"{row['errors']:.0f}",
        )
    console.print(table)
    _print_noise(console, rows)


def print_rates(console: Console, rows: Sequence[Row]) -> None:
    """Print the added latencies."""
    titles = ["added p50 µs", "added p99 µs", "p50 µs", "p99 µs", "direct p50", "direct p99"]
    table = _table("open loop", ["requests/s", *titles, "CPU-µs", "errors"])
    keys = ["added_p50_us", "added_p99_us", "p50_us", "p99_us", "direct_p50_us", "direct_p99_us"]
    for row in rows:
        figures = [f"{row[key]:,.0f}" for key in [*keys, "cpu_us", "errors"]]
        table.add_row(row["proxy"], f"{row['rate']:g}", *figures)
    console.print(table)
    _print_noise(console, rows)


def print_shadows(console: Console, rows: Sequence[Row], resident: tuple[int, int]) -> None:
    """Print what the primary's clients saw beside each kind of shadow."""
    titles = ["p50 µs", "p99 µs", "p50 over bar", "p99 over bar", "CPU-µs", "errors"]
    title = f"{rows[0]['rate']:g} requests/s, 100 % copied; bar: 5 % + 0.2 ms over no shadow"
    table = _table(title, titles)
    keys = ["p50_us", "p99_us", "p50_over_bar_us", "p99_over_bar_us", "cpu_us", "errors"]
    for row in rows:
        table.add_row(row["proxy"], *(f"{row[key]:,.0f}" for key in keys))
    console.print(table)
    before, after = (bytes_ / 1e6 for bytes_ in resident)
    console.print(f"worker's memory: {before:.1f} MB before, {after:.1f} MB after")
    _print_noise(console, rows)


def print_peaks(console: Console, rows: Sequence[Row]) -> None:
    """Print what each process tree held at most."""
    table = _table("peak memory of the process tree (RSS)", ["MB"])
    for row in rows:
        table.add_row(row["proxy"], f"{row['peak_mb']:.0f}")
    console.print(table)


def print_absences(console: Console, absences: Sequence[Absence]) -> None:
    """Name who is missing, and why."""
    for each in absences:
        console.print(f"[yellow]without {each.proxy} ({each.where}):[/]", markup=True, end=" ")
        console.print(each.reason, markup=False)


def print_memory(console: Console, rows: Sequence[Row]) -> None:
    """Print the workers' memory."""
    titles = ["start MB", "KB/idle connection", "KB/open stream", "drift MB", "over requests"]
    table = _table("memory of the worker (RSS)", titles)
    for row in rows:
        table.add_row(
            row["proxy"],
            f"{row['start_mb']:.1f}",
            f"{row['idle_connection_kb']:.1f}",
            f"{row['open_stream_kb']:.1f}",
            f"{row['drift_mb']:+.2f}",
            f"{row['drift_requests']:,}",
        )
    console.print(table)


def machine(cores: Cores) -> Row:
    """Say where the figures come from."""
    return {
        "cpu": _cpu_model(),
        "cores": {"proxy": cores.proxy, "load": cores.load},
        "kernel": platform.release(),
        "python": platform.python_version(),
        "nginx": _first_line(["nginx", "-v"]),
        "wrk": _first_line(["wrk", "-v"]),
    }


def write_json(path: Path, document: Row) -> None:
    """Write everything that was measured."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n")


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("proxy", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _print_noise(console: Console, rows: Sequence[Row]) -> None:
    noisy = [f"{row['proxy']} {row['noise']:.0%}" for row in rows if row["noise"] > NOISY]
    if noisy:
        taken = "the proxy's core went in part to other processes or to the machine's host"
        console.print(f"[yellow]noisy: {taken}: {', '.join(noisy)}[/]")


def _spread(values: Sequence[float]) -> dict[str, float]:
    return _spread_row(Spread.of(values))


def _ratio(samples: Sequence[Sample], base: Sequence[Sample] | None) -> dict[str, float] | None:
    ratio = paired_ratio(samples, base) if base else None
    return None if ratio is None else _spread_row(ratio)


def _times(ratio: dict[str, float] | None) -> str:
    return f"{ratio['median']:.2f}" if ratio and ratio["median"] else "-"


def _spread_row(spread: Spread) -> dict[str, float]:
    return {"median": spread.median, "low": spread.low, "high": spread.high}


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()


def _first_line(command: list[str]) -> str:
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not installed"
    return (result.stdout or result.stderr).strip().splitlines()[0]
