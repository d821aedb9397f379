"""Figures as people read them, and the table with a row for each version.

It fits 80 columns: that is a test.
"""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from router.demo.readings import Reading, quantile

_HEADINGS: Final = (
    "weight", "requests", "errors", "error ratio", "p95", "TTFT p95", "tokens/s",
)  # fmt: skip


def version_table(total: Reading, speed: Reading, speed_s: float) -> Table:
    """How much of it comes from `total`, how fast it is from `speed`, which took `speed_s`."""
    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold"
    )
    table.add_column("version", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for name, counts in total.versions.items():
        now = speed.of(name)
        table.add_row(
            f"{name} {counts.role}",
            percent(counts.weight),
            f"{counts.requests:.0f}",
            Text(f"{counts.errors:.0f}", style="bold red" if counts.errors else ""),
            percent(now.error_ratio, 1),
            seconds(quantile(now.duration, 0.95)),
            seconds(quantile(now.first_token, 0.95)),
            f"{now.completion_tokens / speed_s:.0f}" if speed_s else "-",
        )
    return table


def percent(part: float | None, decimals: int = 0) -> str:
    """`5 %`, or with so many decimals; a dash for what is not known."""
    if part is None:
        return "-"
    if decimals:
        return f"{100 * part:.{decimals}f} %"
    return f"{100 * part:.2f}".rstrip("0").rstrip(".") + " %"


def seconds(duration: float | None) -> str:
    """`248 ms` or `1.25 s`; a dash for what is not known."""
    if duration is None:
        return "-"
    return f"{1000 * duration:.0f} ms" if duration < 0.9995 else f"{duration:.2f} s"


def clock(elapsed_s: float) -> str:
    """`02:05`."""
    minutes, rest = divmod(int(elapsed_s), 60)
    return f"{minutes:02}:{rest:02}"
