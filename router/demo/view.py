"""What the terminal shows while it plays: a table in place, or lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from router.demo.readings import Counts, Reading, quantile
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
    """Of the last seconds, for how fast things are now."""
    recent_s: float
    tally: Tally


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
        over = Text(f"{clock(moment.elapsed_s)}   {client_line(moment.tally)}")
        table = version_table(moment.total, moment.recent, moment.recent_s)
        under = Text(
            f"p50 to tokens/s: the last {moment.recent_s:.0f} s.  Conversations stay where they "
            "began, so that shares are only near the weights.  Ctrl-C ends the demo.",
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
        parts = [
            _sentence(name, counts, moment.total.share(name))
            for name, counts in moment.total.versions.items()
        ]
        line = "; ".join([*parts, client_line(moment.tally)])
        self._console.print(f"{clock(moment.elapsed_s)}  {line}", soft_wrap=True, highlight=False)


def client_line(tally: Tally) -> str:
    """What the clients saw, in a few words."""
    line = f"clients: {tally.sent} sent, {tally.open} open, {tally.failed} failed"
    reasons = ", ".join(f"{reason} {count}" for reason, count in tally.failures.most_common(3))
    return f"{line} ({reasons})" if reasons else line


def _sentence(name: str, counts: Counts, share: float | None) -> str:
    return (
        f"{name} {counts.requests:.0f} requests ({percent(share, 2)} for {percent(counts.weight)})"
        f", {counts.errors:.0f} errors"
        f", p50 {seconds(quantile(counts.duration, 0.5))}"
        f", p99 {seconds(quantile(counts.duration, 0.99))}"
        f", TTFT {seconds(quantile(counts.first_token, 0.5))}"
    )
