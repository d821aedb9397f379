"""One page about a run: what held, what the clients saw, what the router counted beside it.

Pure: values in, Markdown out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.scenarios.figures import Failure, Figures, Kind
from loadtests.scenarios.judge import Verdict
from loadtests.scenarios.memory import Samples, cpu_share
from loadtests.scenarios.plan import Plan
from router.demo.readings import Reading, quantile
from router.demo.table import percent, seconds

MAX_FAILURES: Final = 10
_WORDS: Final = {True: "held", False: "**MISSED**", None: "not judged"}

Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that is known about one."""

    began: str
    target: str
    processes: int
    plan: Plan
    figures: Figures
    verdicts: Sequence[Verdict]
    samples: Samples | None
    counted: Mapping[str, Reading]
    """The router's own numbers by route; empty without an admin address."""

    @property
    def missed(self) -> list[Verdict]:
        """What the run did not keep to."""
        return [verdict for verdict in self.verdicts if verdict.ok is False]


def summary(run: Run) -> str:
    """The page."""
    return "\n".join([*_head(run), *_verdicts(run), *_clients(run), *_router(run), *_memory(run)])


def _head(run: Run) -> Iterator[str]:
    profile, missed = run.plan.profile, len(run.missed)
    verdict = "kept to its thresholds" if not missed else f"**missed {missed} of its thresholds**"
    yield f"# Load test `{profile.name}`: {verdict}"
    yield ""
    yield (
        f"{run.began}, against {run.target}: {run.figures.seconds:.0f} s, at most "
        f"{profile.peak:g} requests/s and {run.plan.streams} open streams, "
        f"from {run.processes} process{'es' if run.processes > 1 else ''} of Locust."
    )
    yield ""


def _verdicts(run: Run) -> Iterator[str]:
    rows = ([each.what, each.found, each.limit, _WORDS[each.ok]] for each in run.verdicts)
    yield from _table(["threshold", "found", "limit", ""], rows)
    yield from (f"* {each.count} times {each.name}: {_line(each.error)}" for each in _failures(run))
    yield from (f"* {_line(complaint)}" for complaint in run.figures.told.complaints)
    yield ""


def _failures(run: Run) -> Sequence[Failure]:
    return run.figures.failures[:MAX_FAILURES]


def _clients(run: Run) -> Iterator[str]:
    yield "## What clients saw"
    yield ""
    rows = (_kind(kind, run.figures.seconds) for kind in run.figures.kinds)
    headings = ["", "number", "failed", "per second", "p50", "p95", "p99", "least", "most"]
    yield from _table(headings, rows)
    yield ""


def _kind(kind: Kind, took_s: float) -> Row:
    values = (kind.p50, kind.p95, kind.p99, kind.least, kind.most)
    return [
        kind.name,
        f"{kind.count}",
        f"{kind.failed}",
        f"{kind.count / took_s:.1f}" if took_s > 0 else "-",
        *(_value(kind, value) for value in values),
    ]


def _value(kind: Kind, value: float) -> str:
    return f"{value:.1f}" if kind.unit == "1/s" else seconds(value / 1000)


def _router(run: Run) -> Iterator[str]:
    if not run.counted:
        return
    yield "## What the router counted in the same time"
    yield ""
    answered = _answered(run.figures)
    rows = (
        _version(route, name, reading, answered[route, name])
        for route, reading in run.counted.items()
        for name in reading.versions
    )
    headings = ["", "answers at clients", "requests", "errors", "answered by stable instead"]
    yield from _table([*headings, "p95", "TTFT p95"], rows)
    yield ""


def _answered(figures: Figures) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for route, _, version, count in (*figures.told.answers, *figures.told.keyed):
        counts[route, version] += count
    return counts


def _version(route: str, name: str, reading: Reading, answered: int) -> Row:
    counts = reading.of(name)
    return [
        f"{route} {name}",
        f"{answered}",
        f"{counts.requests:.0f}",
        f"{counts.errors:.0f}",
        f"{counts.fallbacks:.0f}",
        seconds(quantile(counts.duration, 0.95)),
        seconds(quantile(counts.first_token, 0.95)),
    ]


def _memory(run: Run) -> Iterator[str]:
    if run.samples is None:
        return
    yield "## Memory and CPU of each process"
    yield ""
    rows = (
        [
            name,
            *(f"{size / 1e6:.1f} MB" for size in (rows[0].resident, rows[-1].resident)),
            f"{max(row.resident for row in rows) / 1e6:.1f} MB",
            percent(cpu_share(rows)),
        ]
        for name, rows in run.samples.by_name().items()
    )
    yield from _table(["", "first", "last", "most", "of a core"], rows)
    yield ""


def _table(headings: Row, rows: Iterable[Row]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|---|{'--:|' * (len(headings) - 1)}"
    for row in rows:
        yield f"| {' | '.join(_line(cell) for cell in row)} |"
    yield ""


def _line(text: str) -> str:
    """One line that breaks no table: an answer's text may stand in it."""
    return " ".join(text.replace("|", "\\|").split())
