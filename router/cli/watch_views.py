"""What `rollout watch` shows: a screen on a terminal, lines in a pipe, documents for programs."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import typer

from router.cli.metrics import told_evidence, told_value, wanted
from router.cli.output import Output, plain, print_json_line
from router.cli.standing import standing, summary
from router.cli.tables import Grid, folded
from router.cli.watching import HISTORY, Sight
from router.cli.words import time

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from router.cli.documents import Entry
    from router.cli.rollout_documents import Measurement, Metric, Run

MIN_STEPS: Final = 3
_DUMB: Final = frozenset({"dumb", "unknown"})  # nothing is drawn in place there, says rich too
_COLOURS: Final = {
    "Healthy": "bold green",
    "Progressing": "bold cyan",
    "Paused": "bold yellow",
    "Degraded": "bold red",
}


class View(Protocol):
    """Shows sights as they come."""

    def show(self, sight: Sight) -> None:
        """Show what is known now."""


@contextmanager
def view_for(output: Output) -> Iterator[View]:
    """The view that fits the reader, for the time of the block."""
    if output is Output.JSON:
        yield Documents()
    elif sys.stdout.isatty() and os.environ.get("TERM", "").lower() not in _DUMB:
        from rich.console import Console
        from rich.live import Live

        # No refresh thread: a sight is drawn when it comes, each second at least.
        with Live(console=Console(), auto_refresh=False) as live:
            yield Screen(live)
    else:
        yield Lines()


class Screen:
    """Everything, in place, with what has happened lately."""

    def __init__(self, live: Live) -> None:
        self._live: Final = live
        self._recent: Final[deque[Entry]] = deque(maxlen=HISTORY)

    def show(self, sight: Sight) -> None:
        """See `View`."""
        from rich.console import Group

        self._recent.extend(sight.entries)
        self._live.update(Group(*self._parts(sight)), refresh=True)

    def _parts(self, sight: Sight) -> Iterator[RenderableType]:
        from rich.text import Text

        # What is most wanted must not be below the end of a low terminal.
        max_steps = max(MIN_STEPS, self._live.console.height // 3)
        for block in standing(sight.rollout, sight.now_s, max_steps=max_steps):
            yield folded(block) if isinstance(block, Grid) else _coloured(block, sight)
        if self._recent:
            yield Text("lately")
        for entry in self._recent:
            yield Text(f"  {plain(_told(entry))}", overflow="fold")
        if sight.trouble is not None:
            yield Text(plain(_away(sight.trouble)), style="bold red")


class Lines:
    """A line for each change: a measurement, an entry of the trail, another standing."""

    def __init__(self) -> None:
        self._summary: str | None = None
        self._measured: dict[tuple[str, str], float] = {}
        self._trouble = _Trouble()

    def show(self, sight: Sight) -> None:
        """See `View`."""
        self._trouble.tell(sight.trouble)
        first = self._summary is None
        for line in [*self._measurements(sight), *map(_told, sight.entries)]:
            if not first:  # what was before is no change
                typer.echo(plain(line))
        if (told := summary(sight.rollout)) != self._summary:
            typer.echo(plain(f"{time(sight.now_s)} {told}"))
            self._summary = told

    def _measurements(self, sight: Sight) -> list[str]:
        """Those that have come; afterwards only metrics of this moment are remembered."""
        lines, known = [], {}
        for run in sight.rollout.analyses:
            for metric in run.metrics:
                key = run.id, metric.name
                after = self._measured.get(key, 0.0)
                new = [one for one in metric.answered if one.started_s > after]
                lines += [_measured(run, metric, one) for one in new]
                known[key] = new[-1].started_s if new else after
        self._measured = known
        return lines


class Documents:
    """The server's answer on one line, whenever it is another one."""

    def __init__(self) -> None:
        self._last: Any = None
        self._trouble = _Trouble()

    def show(self, sight: Sight) -> None:
        """See `View`."""
        self._trouble.tell(sight.trouble)
        if sight.document != self._last:
            print_json_line(sight.document)
            self._last = sight.document


class _Trouble:
    """Says once on standard error that the server is away, and that it is back."""

    def __init__(self) -> None:
        self._away = False

    def tell(self, trouble: str | None) -> None:
        if trouble is not None and not self._away:
            typer.echo(plain(_away(trouble)), err=True)
        elif trouble is None and self._away:
            typer.echo("the server answers again", err=True)
        self._away = trouble is not None


def _away(trouble: str) -> str:
    return f"{trouble}; looking again each second"


def _told(entry: Entry) -> str:
    told = f"{time(entry.time)} {entry.action}: {entry.reason} ({entry.actor.name})"
    measured = told_evidence(entry.evidence)
    return f"{told}; {measured}" if measured else told


def _measured(run: Run, metric: Metric, measurement: Measurement) -> str:
    said = f": {measurement.message}" if measurement.message else ""
    where = f"{time(measurement.started_s)} {run.kind} analysis, {metric.name}"
    return f"{where}: {told_value(measurement)} (wanted: {wanted(metric)}){said}"


def _coloured(line: str, sight: Sight) -> RenderableType:
    from rich.text import Text

    text = Text(plain(line), overflow="fold")
    if line.startswith(f"{sight.rollout.route}: "):
        phase = sight.rollout.phase
        text.highlight_words([phase], _COLOURS.get(phase, "bold"))
    return text
