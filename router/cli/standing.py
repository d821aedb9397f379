"""How a rollout stands, as lines and tables for people.  Pure: `now` is a time like the others."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from typing import Any, Final

from router.cli.metrics import run_blocks
from router.cli.rollout_documents import Rollout
from router.cli.tables import Block
from router.cli.words import duration, percent, time

BEHIND: Final = "✓"
HERE: Final = "▶"

_COMMANDS: Final = {"promote-full": "rollout promote --full", "rollback": "rollback"}


def standing(rollout: Rollout, now: float, *, max_steps: int | None = None) -> Iterator[Block]:
    """Everything about a rollout; `max_steps`: only so many, around the current one."""
    yield headline(rollout)
    if rollout.message:
        yield f"  {rollout.message}"
    yield from _facts(rollout, now)
    if rollout.steps:
        yield "steps" if rollout.in_flight else "steps of the next rollout"
        yield from _around(_steps(rollout), rollout.step or 1, max_steps)
    for run in rollout.analyses:
        yield from run_blocks(run)
    if rollout.number is not None and not rollout.in_flight:
        yield f"what was measured: analysis list --route {shlex.quote(rollout.route)}"
    if rollout.possible:
        yield f"possible: {', '.join(_commands(rollout))}"


def headline(rollout: Rollout) -> str:
    """`chat: Paused (CanaryPauseStep)`."""
    reason = f" ({rollout.reason})" if rollout.reason else ""
    return f"{rollout.route}: {rollout.phase}{reason}"


def summary(rollout: Rollout) -> str:
    """All that matters in one line, the same while nothing has changed but time."""
    parts = [_shares(rollout)]
    if rollout.step is not None:
        step = _told(rollout.steps[rollout.step - 1]) if _has_step(rollout) else ""
        parts.append(f"step {rollout.step} of {len(rollout.steps)} ({step})")
    if rollout.held:
        parts.append("a person holds the weights")
    if rollout.message:
        parts.append(rollout.message)
    return f"{headline(rollout)}: {'; '.join(parts)}"


def _facts(rollout: Rollout, now: float) -> Iterator[str]:
    yield f"  {_shares(rollout)}"
    if rollout.started is not None:
        yield f"  {_course(rollout, rollout.started, now)}"
    if rollout.paused_until is not None:
        yield f"  goes on {_time_left(rollout.paused_until, now)}"
    if rollout.held:
        name = shlex.quote(rollout.route)
        yield (
            f"  a person holds the weights: `routes {name}` says who, "
            f"`weights {name} --release` gives them back"
        )


def _shares(rollout: Rollout) -> str:
    stable = f"stable is {rollout.stable}"
    asked = rollout.release
    if rollout.in_flight:
        other = f", the release is {asked}" if asked not in (None, rollout.target) else ""
        return f"{rollout.target} has {percent(rollout.weight)}, {stable}{other}"
    return stable + (f", the release is {asked}" if asked not in (None, rollout.stable) else "")


def _course(rollout: Rollout, started: float, now: float) -> str:
    attempt = f", attempt {rollout.attempt}" if (rollout.attempt or 1) > 1 else ""
    began = f"rollout {rollout.number} to {rollout.target}{attempt}, begun {time(started)}"
    if rollout.finished is None:
        return f"{began}, {duration(now - started)} ago"
    return f"{began}, ended after {duration(rollout.finished - started)}"


def _time_left(until: float, now: float) -> str:
    return f"in {duration(until - now)}, at {time(until)}" if until > now else "now"


def _steps(rollout: Rollout) -> list[str]:
    """A line for each; where none is under way in a rollout that is, all are behind it."""
    width = len(str(len(rollout.steps)))
    current = rollout.step
    if current is None:
        current = len(rollout.steps) + 1 if rollout.in_flight else 0
    return [
        f"  {_mark(number, current)} {number:>{width}}  {_told(step)}"
        for number, step in enumerate(rollout.steps, start=1)
    ]


def _mark(number: int, current: int) -> str:
    if number == current:
        return HERE
    return BEHIND if number < current else " "


def _around(lines: Sequence[str], current: int, limit: int | None) -> Iterator[str]:
    """The lines, or `limit` of them around the current one (from 1) and how many there are else."""
    if limit is None or len(lines) <= limit:
        yield from lines
        return
    start = min(max(current - 1 - limit // 2, 0), len(lines) - limit)
    if start:
        yield f"    … {start} before"
    yield from lines[start : start + limit]
    if after := len(lines) - start - limit:
        yield f"    … {after} after"


def _has_step(rollout: Rollout) -> bool:
    return rollout.step is not None and 1 <= rollout.step <= len(rollout.steps)


def _told(step: dict[str, Any]) -> str:
    """One step in the words of the configuration; one of a later release as it came."""
    match step:
        case {"setWeight": int() | float() as weight}:
            return f"setWeight {percent(weight)}"
        case {"pause": {"seconds": int() | float() as seconds}}:
            return f"pause {duration(seconds)}"
        case {"pause": _}:
            return "pause until a person resumes"
        case {"analysis": {"templates": [*templates]}}:
            return f"analysis {', '.join(map(str, templates))}"
        case {"setHeaderRoute": {"name": name, "headers": [*headers]}}:
            matches = f"for {', '.join(map(str, headers))}" if headers else "ends"
            return f"setHeaderRoute {name} {matches}"
        case {"setShadow": {"version": version, "percent": int() | float() as share}}:
            return f"setShadow {percent(share)}" + (f" to {version}" if version else "")
    return json.dumps(step, ensure_ascii=False)


def _commands(rollout: Rollout) -> Iterator[str]:
    """What may be said now, as it is typed."""
    for name in rollout.possible:
        yield f"{_COMMANDS.get(name, f'rollout {name}')} {shlex.quote(rollout.route)}"
