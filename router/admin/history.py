"""`/routes/{route}/history`: a route's last hours on one time axis, with what was done to it."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.responses import Response

from router.admin.operation import Asked
from router.admin.overview import known
from router.admin.reply import json_response
from router.admin.requests import HistoryParameters
from router.audit.entry import Entry
from router.controller.plane import ControlPlane
from router.telemetry.chronicle import Grid, Point, grid

MAX_MARKS: Final = 200
"""Entries of the audit trail that are told, the newest; a chart has no room for more."""

_COLUMNS: Final = {
    "weight": "weight",
    "requestRate": "request_rate",
    "errorRatio": "error_ratio",
    "p50": "p50",
    "p99": "p99",
    "ttftP50": "ttft_p50",
    "ttftP99": "ttft_p99",
    "interChunkP99": "inter_chunk_p99",
    "tokensPerSecond": "tokens_per_second",
}


async def show_history(asked: Asked[HistoryParameters, None]) -> Response:
    """What every version of the route did, moment by moment."""
    plane, name = asked.plane, asked.parameters.route
    plane.route(name)  # raises where there is none
    now = plane.clock.wall()
    over = grid(now, asked.parameters.seconds, asked.parameters.points)
    roles, points = await _read(plane, name, over)
    if len(over.times) > 1 and all(each[-1] is None for each in points.values()):
        # The newest sample is under way: a moment without one is no gap yet.
        over = over._replace(times=over.times[:-1])
        points = {version: each[:-1] for version, each in points.items()}
    start = over.times[0] - over.step_s
    return json_response(
        {
            "now": now,
            "from": start,
            "to": over.times[-1],
            "step": over.step_s,
            "times": over.times,
            "versions": {
                version: {"role": roles[version], **_columns(each)}
                for version, each in points.items()
            },
            "marks": [_mark(entry) for entry in await _marks(plane, name, start)],
        }
    )


async def _read(
    plane: ControlPlane, name: str, over: Grid
) -> tuple[dict[str, str], dict[str, list[Point | None]]]:
    route = next((each for each in plane.snapshot.routes if each.name == name), None)
    versions = () if route is None else route.versions
    roles = {version.name: version.role.value for version in versions}
    points = {}
    for version in roles:
        points[version] = plane.chronicler.chronicle.points((name, version), over)
        await asyncio.sleep(0)  # 720 moments take a few milliseconds
    return roles, points


def _columns(points: Sequence[Point | None]) -> dict[str, list[float | None]]:
    return {
        name: [None if point is None else known(getattr(point, column)) for point in points]
        for name, column in _COLUMNS.items()
    }


async def _marks(plane: ControlPlane, name: str, start_s: float) -> list[Entry]:
    """What was done to the route since then, the oldest first."""
    newest = await plane.store.entries(route=name, limit=MAX_MARKS)
    return [entry for entry in reversed(newest) if entry.time_s >= start_s]


def _mark(entry: Entry) -> dict[str, Any]:
    return {
        "time": entry.time_s,
        "kind": entry.action,
        "text": entry.reason,
        "generation": entry.generation,
        "sequence": entry.sequence,
    }
