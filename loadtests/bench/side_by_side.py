"""One table of everything, for docs/benchmarks.md: a row for each proxy, a column for each cell.

Guarantees (tests/unit/bench/test_bench_peers_side_by_side.py):
  * every proxy of the run has a row, the absent ones too;
  * a figure that was not measured is a dash, and the reason stands under the table.
"""

from collections.abc import Iterable
from typing import Any, Final

_DASH: Final = "-"
_CELLS: Final = {"1kb": "1 KB", "50kb": "50 KB", "1mb": "1 MB", "sse": "chunk"}

Document = dict[str, Any]


def side_by_side(document: Document) -> str:
    """Return a bench's document as a table in Markdown."""
    figures = _figures(document)
    titles = [_title(key, document) for key in figures]
    head = [_line(["CPU-µs (ratio to nginx)", *titles]), _line(["---", *["--:"] * len(titles)])]
    rows = [
        _line([_label(name, document), *(column.get(name, _DASH) for column in figures.values())])
        for name in _names(document)
    ]
    return "\n".join([*head, *rows, *_reasons(document)]) + "\n"


def _figures(document: Document) -> dict[str, dict[str, str]]:
    """Return each column's figures by proxy."""
    figures: dict[str, dict[str, str]] = {}
    for row in document.get("cells", []):
        if row["cpu_us"]["median"] > 0:  # `direct` has none
            figures.setdefault(row["cell"], {})[row["proxy"]] = _cost(row)
    if rows := document.get("rate"):
        most = max(row["rate"] for row in rows)
        figures["rate"] = {row["proxy"]: _added(row, most) for row in rows}
        figures["rate_cpu"] = {row["proxy"]: f"{row['cpu_us']:,.0f}" for row in rows}
    if rows := document.get("peak_memory"):
        figures["peak"] = {row["proxy"]: f"{row['peak_mb']:.0f}" for row in rows}
    return figures


def _cost(row: Document) -> str:
    cpu, ratio = row["cpu_us"]["median"], row["ratio"]
    shown = f"{cpu:,.0f}" if cpu >= 100 else f"{cpu:.1f}"
    return f"{shown} ({ratio['median']:.2f})" if ratio else shown


def _added(row: Document, most: float) -> str:
    added = f"{row['added_p50_us']:,.0f}"
    return added if row["rate"] == most else f"{added} (at {row['rate']:g}/s)"


def _title(key: str, document: Document) -> str:
    if key in _CELLS:
        return _CELLS[key]
    if key == "peak":
        return "peak MB"
    rate = max(row["rate"] for row in document["rate"])
    return f"added p50 µs at {rate:g}/s" if key == "rate" else f"CPU-µs at {rate:g}/s"


def _names(document: Document) -> list[str]:
    """Return all proxies in the order of the run: those that ran, then the absent."""
    sources = ("cells", "rate", "peak_memory", "absences")
    names = [row["proxy"] for source in sources for row in document.get(source, [])]
    return [name for name in dict.fromkeys(names) if name != "direct"]


def _label(name: str, document: Document) -> str:
    version = document.get("peers", {}).get(name)
    return f"{name} ({version})" if version else name


def _reasons(document: Document) -> list[str]:
    absent = document.get("absences", [])
    told = [f"* without {a['proxy']} ({a['where']}): {a['reason']}" for a in absent]
    return ["", *told] if told else []


def _line(fields: Iterable[str]) -> str:
    return f"| {' | '.join(fields)} |"
