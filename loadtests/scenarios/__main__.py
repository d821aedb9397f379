"""`make loadtest`: run a profile, judge it, write CSV, HTML and one page of Markdown.

Exit status: 0 it kept to its thresholds; 1 it did not, or could not run; 2 wrong usage.
"""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

import msgspec
import psutil

from loadtests.ports import free_port
from loadtests.scenarios.child import end, start
from loadtests.scenarios.counters import read_metrics, readings
from loadtests.scenarios.errors import LoadTestError
from loadtests.scenarios.figures import Figures
from loadtests.scenarios.judge import judge
from loadtests.scenarios.memory import LOAD, Samples, sampling
from loadtests.scenarios.plan import (
    ADMIN_TOKEN_VARIABLE,
    EMBEDDING_MODEL,
    KINDS,
    MODEL,
    PLAN_VARIABLE,
    ROUTE,
    STICKY_HEADER,
    TOKEN_VARIABLE,
    Plan,
)
from loadtests.scenarios.profiles import PROFILES, fitted
from loadtests.scenarios.stage import Stage, staged
from loadtests.scenarios.summary import Run, summary
from loadtests.scenarios.thresholds import DEFAULT_FILE, Thresholds, load_thresholds

REPOSITORY: Final = Path(__file__).parents[2]
LOCUSTFILE: Final = Path(__file__).with_name("locustfile.py")
RESULTS: Final = Path("bench-results")

OPEN_END_S: Final = 60
"""How long requests and streams that are open at the end may take."""

LATE_S: Final = 60
"""More than Locust needs to start, to end and to write its report."""

TOLD_S: Final = 2.0
"""Workers tell control every second what they counted."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked."""

    url: str
    admin: str | None
    changes: bool
    """Whether weights are changed."""
    stage: Stage | None = None

    @property
    def words(self) -> str:
        """What it is, for the summary; never with what an address may carry before its `@`."""
        if self.stage is not None:
            return "a router with two mock engines on this machine"
        return urlsplit(self.url).netloc.rpartition("@")[2]


def run(options: argparse.Namespace, thresholds: Thresholds, folder: Path) -> int:
    """From the first process to the last line; the exit status."""
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with _target(options, folder) as target:
        plan = _plan(options, target, folder)
        before = read_metrics(target.admin) if target.admin else ""
        figures, samples = _load(plan, target, options.processes, folder)
        after = _read_again(target)
    counted = readings(before, after, _routes(figures)) if after else {}
    verdicts = judge(plan, figures, samples, thresholds)
    done = Run(began, target.words, options.processes, plan, figures, verdicts, samples, counted)
    if samples is not None:
        samples.write(folder / "processes.csv")
    (folder / "summary.md").write_text(summary(done))
    return _tell(done, folder)


# -- what is asked ---------------------------------------------------------------------------------


@contextmanager
def _target(options: argparse.Namespace, folder: Path) -> Iterator[Target]:
    """The given one, or one of our own for the time of the block."""
    if options.target is not None:
        yield Target(options.target.rstrip("/"), options.admin, options.change_weights)
        return
    # Not the folder of the results: the router's store is nobody's result.
    with tempfile.TemporaryDirectory(prefix="inference-router-load-") as home:
        try:
            with staged(Path(home), dict(options.engine)) as stage:
                yield Target(stage.traffic, stage.admin, changes=True, stage=stage)
        finally:
            for log in Path(home).glob("*.log"):
                (folder / log.name).write_bytes(log.read_bytes())


def _plan(options: argparse.Namespace, target: Target, folder: Path) -> Plan:
    profile = fitted(
        PROFILES[options.profile],
        seconds=options.seconds,
        peak=options.peak,
        streams=options.streams,
    )
    return Plan(
        profile=profile,
        kinds=options.kinds,
        model=options.model,
        embedding_model=options.embedding_model,
        sticky_header=options.sticky_header,
        # A short run has short streams, so that some of them end.
        stream_tokens=20 if profile.seconds < 30 else 100,
        admin=target.admin if target.changes else None,
        route=options.route,
        figures=str((folder / "figures.json").resolve()),
    )


def _read_again(target: Target) -> str:
    if target.admin is None:
        return ""
    time.sleep(TOLD_S)  # workers tell what they counted once a second, and nobody says when
    return read_metrics(target.admin)


def _routes(figures: Figures) -> list[str]:
    return sorted({route for route, *_ in (*figures.told.answers, *figures.told.keyed)})


# -- the load --------------------------------------------------------------------------------------


def _load(
    plan: Plan, target: Target, processes: int, folder: Path
) -> tuple[Figures, Samples | None]:
    """Run Locust to its end.

    Raises:
        LoadTestError: it ended without figures, or did not end.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{os.getenv('PYTHONPATH', '')}",
        PLAN_VARIABLE: msgspec.json.encode(plan).decode(),
    }
    log = folder / "locust.log"
    with log.open("wb") as output:
        process = start(
            _command(target, processes, folder),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    watch = sampling(_watched(target.stage, process.pid)) if target.stage else nullcontext()
    with watch as samples:
        try:
            process.wait(plan.profile.seconds + OPEN_END_S + LATE_S)
        except subprocess.TimeoutExpired:
            raise LoadTestError(f"Locust has not ended: {_last_line(log)}") from None
        finally:
            end(process)
    return _figures(plan, process.returncode, log), samples


def _command(target: Target, processes: int, folder: Path) -> list[str]:
    options = [
        "--headless",
        f"--locustfile={LOCUSTFILE}",
        f"--host={target.url}",
        f"--csv={folder / 'locust'}",
        f"--html={folder / 'report.html'}",
        f"--stop-timeout={OPEN_END_S}",
        "--exit-code-on-error=0",  # failures are judged here
        "--only-summary",
    ]
    if processes > 1:
        # Its default is one fixed port on all addresses of this machine.
        port = free_port()
        options += [
            f"--processes={processes}",
            "--master-bind-host=127.0.0.1",
            f"--master-bind-port={port}",
            f"--master-port={port}",
        ]
    return [sys.executable, "-m", "locust", *options]


def _watched(stage: Stage, locust: int) -> Callable[[], Mapping[str, int]]:
    def processes() -> dict[str, int]:
        try:
            children = psutil.Process(locust).children()
        except psutil.NoSuchProcess:
            children = []
        load = {f"{LOAD} worker {number}": each.pid for number, each in enumerate(children, 1)}
        return {**stage.processes(), LOAD: locust, **load}

    return processes


def _figures(plan: Plan, status: int, log: Path) -> Figures:
    assert plan.figures is not None, "every run wants its figures"
    try:
        figures = msgspec.json.decode(Path(plan.figures).read_bytes(), type=Figures)
    except FileNotFoundError:
        raise LoadTestError(f"Locust ended with {status}: {_last_line(log)}; see {log}") from None
    if status != 0:
        raise LoadTestError(f"Locust ended with {status}: {_last_line(log)}; see {log}")
    return figures


def _last_line(log: Path) -> str:
    return log.read_text(errors="replace").strip().rpartition("\n")[2]


# -- what is said ----------------------------------------------------------------------------------


def _tell(done: Run, folder: Path) -> int:
    figures = done.figures
    print(
        f"{done.plan.profile.name}: {figures.asked} requests and {figures.streams} streams in "
        f"{figures.seconds:.0f} s, {figures.failed} failed; {figures.told.changes} changes of "
        f"weights"
    )
    for verdict in done.missed:
        print(f"MISSED {verdict}")
    for failure in figures.failures[:5]:
        print(f"  {failure.count} x {failure.name}: {failure.error}")
    for complaint in figures.told.complaints[:5]:
        print(f"  {complaint}")
    held = "missed" if done.missed else "kept to"
    print(f"thresholds {held}; {folder / 'summary.md'}, {folder / 'report.html'}")
    return 1 if done.missed else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.scenarios",
        description=__doc__,
        epilog=f"Tokens come from the environment: {TOKEN_VARIABLE} is sent with every request, "
        f"{ADMIN_TOKEN_VARIABLE} with every call of the admin API.",
    )
    add = parser.add_argument
    add("--profile", choices=PROFILES, default="steady", help="how much load over time")
    add("--seconds", type=_positive, help="stretch the profile to this length")
    add("--peak", type=_positive, help="scale it to at most this many requests/s")
    add("--streams", type=int, help="streams open at any time")
    add("--kinds", type=_kinds, default=KINDS, help=f"who asks: {','.join(KINDS)} (default: all)")
    add("--processes", type=int, default=1, help="processes of Locust (default 1)")
    add("--target", metavar="URL", help="a router that runs (default: one is started)")
    add("--admin", metavar="URL", help="its admin port: for its metrics, and to change weights")
    add("--change-weights", action="store_true", help="change the weights of the target's route")
    add("--route", default=ROUTE, help=f"whose weights (default {ROUTE})")
    add("--model", default=MODEL, help=f"of chat and streams (default {MODEL})")
    add("--embedding-model", default=EMBEDDING_MODEL, help=f"(default {EMBEDDING_MODEL})")
    add("--sticky-header", default=STICKY_HEADER, help=f"(default {STICKY_HEADER})")
    add(
        "--engine",
        type=_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the mock engines, such as error-rate=0.1: does the run notice?",
    )
    add("--thresholds", type=Path, default=DEFAULT_FILE, help="what the run must keep to (YAML)")
    add("--out", type=Path, help=f"folder of the results (default {RESULTS}/loadtest-…)")
    options = parser.parse_args(arguments)
    if options.change_weights and (options.target is None or options.admin is None):
        parser.error("--change-weights needs --target and --admin")
    if options.admin is not None and options.target is None:
        parser.error("--admin needs --target: a router that is started here has its own")
    if options.target is not None and options.engine:
        parser.error("--engine is for the engines that are started here, not for a --target")
    if options.processes < 1 or (options.streams or 0) < 0:
        parser.error("--processes must be at least 1, --streams at least 0")
    return options


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be more than 0, not {text}")
    return value


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not one of {', '.join(KINDS)}")
    return kinds


def _option(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _on_term(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a load test; return the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, _on_term)  # ends like Ctrl-C: nothing is left running
    try:
        thresholds = load_thresholds(options.thresholds, options.profile)
        folder = options.out or RESULTS / f"loadtest-{options.profile}-{time.strftime('%FT%H%M%S')}"
        folder.mkdir(parents=True, exist_ok=True)
        return run(options, thresholds, folder.resolve())
    except LoadTestError as error:
        print(f"loadtest: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("loadtest: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
