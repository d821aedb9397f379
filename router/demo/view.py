"""What the terminal shows while it plays: a table in place, or lines where there is no terminal.

What happens is a line in both; the table stays below it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from router.demo.readings import Counts, Reading, quantile
from router.demo.rollout import Progress
from router.demo.table import clock, percent, seconds, version_table
from router.demo.traffic import Tally

LINE_EVERY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything known at one moment of a play."""

    elapsed_s: float
    total: Reading
    """Since the beginning."""
    recent: Reading
    """Of the last seconds, for how things are now."""
    recent_s: float
    tally: Tally
    progress: Progress


class View(Protocol):
    """Shows moments as they come."""

    def show(self, moment: Moment) -> None:
        """Show what is known now."""


def view_for(console: Console) -> AbstractContextManager[View]:
    """The view that fits the console, for the time of the block."""
    in_place = console.is_terminal and not console.is_dumb_terminal
    return _live(console) if in_place else _lines(console)


@contextmanager
def _live(console: Console) -> Iterator[View]:
    # No refresh thread: a moment is drawn when it comes.  The table goes when it is over, for
    # the summary takes its place.
    with Live(console=console, auto_refresh=False, transient=True) as live:
        yield LiveView(live)


@contextmanager
def _lines(console: Console) -> Iterator[View]:
    yield LineView(console)


class LiveView:
    """A table that stays in place."""

    def __init__(self, live: Live) -> None:
        self._live: Final = live

    def show(self, moment: Moment) -> None:
        """See `View`."""
        over = Text(f"\n{clock(moment.elapsed_s)}  {moment.progress.sentence}")
        table = version_table(moment.total, moment.recent, moment.recent_s)
        under = Text(
            f"{client_line(moment.tally)}\n"
            f"error ratio to tokens/s: the last {moment.recent_s:.0f} s.  Ctrl-C ends the demo.",
            style="dim",
        )
        self._live.update(Group(over, table, under), refresh=True)


class LineView:
    """A line every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console: Final = console
        self._next_s = LINE_EVERY_S

    def show(self, moment: Moment) -> None:
        """See `View`."""
        if moment.elapsed_s < self._next_s:
            return
        self._next_s += LINE_EVERY_S
        busy = [
            _sentence(name, now) for name, now in moment.recent.versions.items() if now.requests
        ]
        line = "; ".join([moment.progress.sentence, *busy, client_line(moment.tally)])
        say(self._console, f"{clock(moment.elapsed_s)}    {line}")


def say(console: Console, line: str = "") -> None:
    """Print a line as it is, of any length, so that it can be copied."""
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def client_line(tally: Tally) -> str:
    """What the clients saw, in a few words."""
    line = f"clients: {tally.sent} sent, {tally.open} open, {tally.failed} failed"
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.failures.most_common(3))
    return f"{line} ({reasons})" if reasons else line


def _sentence(name: str, now: Counts) -> str:
    return (
        f"{name} errors {percent(now.error_ratio, 1)}"
        f", p95 {seconds(quantile(now.duration, 0.95))}"
        f", TTFT p95 {seconds(quantile(now.first_token, 0.95))}"
    )
