"""Figures as people read them.  Pure; times are UTC."""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from router.cli.documents import Override, Shadow

BAR_CELLS: Final = 10
MAX_VALUE: Final = 24
"""Characters of a measured value; `analysis show` has all of it."""

_BY: Final = {
    "person": "a person",
    "rollout": "a step of the rollout",
    "configuration": "the configuration",
}


def percent(weight: float | None) -> str:
    """`5 %`; a dash for a version that is not there."""
    return "-" if weight is None else f"{weight:.2f}".rstrip("0").rstrip(".") + " %"


def bar(weight: float) -> str:
    """A weight as up to ten cells: none only for 0, all only for 100."""
    cells = round(weight / 100 * BAR_CELLS)
    if 0 < weight < 100:
        cells = min(max(cells, 1), BAR_CELLS - 1)
    return "█" * cells


def weights(shares: Mapping[str, float]) -> str:
    """`v1 95 %, v2 5 %`."""
    return ", ".join(f"{name} {percent(weight)}" for name, weight in shares.items())


def moved(before: Mapping[str, float] | None, after: Mapping[str, float] | None) -> str:
    """`v1 100 % → 95 %, v2 0 % → 5 %`, of the versions that changed."""
    if before is None or after is None:
        return "is new" if before is None else "is gone"
    names = dict.fromkeys([*before, *after])
    changed = [name for name in names if before.get(name, 0) != after.get(name, 0)]
    return ", ".join(
        f"{name} {percent(before.get(name, 0))} → {percent(after.get(name, 0))}" for name in changed
    )


def change(before: Any, after: Any) -> str:
    """What an audit entry changed about weights, if anything."""
    old, new = _shares(before), _shares(after)
    return "" if old is None and new is None else moved(old, new)


def _shares(state: Any) -> Mapping[str, float] | None:
    shares = state.get("weights") if isinstance(state, Mapping) else None
    return shares if isinstance(shares, Mapping) else None


def time(seconds: float) -> str:
    """`2026-11-22 22:35:09Z`."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g}"


def duration(seconds: float) -> str:
    """`1h30m`, in whole seconds; a part of one is told only below a second."""
    if not isfinite(seconds) or 0 < seconds < 1:
        return f"{seconds:.3g}s"
    left, text = max(int(seconds), 0), ""
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def figure(value: str) -> str:
    """A measured value, short: a number with six digits, of a longer text its beginning.

    A list of one number, which is what most queries return, stays such a list.
    """
    alone = value.removeprefix("[").removesuffix("]")
    try:
        return value.replace(alone, f"{float(alone):.6g}")
    except ValueError:
        return value if len(value) <= MAX_VALUE else f"{value[: MAX_VALUE - 1]}…"


def override(held: Override) -> str:
    """Who holds a route, since when, for how long and why."""
    until = "until it is released" if held.expires is None else f"until {time(held.expires)}"
    return f"held by {held.holder} since {time(held.since)} {until}: {held.reason}"


def shadow(told: Shadow) -> str:
    """Which version gets copies, and who wants it."""
    by = f" (set by {_BY.get(told.by, told.by)})" if told.by else ""
    return f"shadow: {told.version} gets copies of {percent(told.percent)} of the requests{by}"
