"""`/generations`: why did a response come from this version?"""

from typing import Any, Final

from starlette.responses import Response

from router.admin.entries import told_entry
from router.admin.operation import Asked
from router.admin.problems import Problem, ProblemType
from router.admin.reply import json_response
from router.admin.requests import GenerationParameters, GenerationsParameters
from router.controller.changes import percent
from router.store.base import Generation, RouteShares, Store

ROUTES_IN_LIST: Final = 10


async def list_generations(asked: Asked[GenerationsParameters, None]) -> Response:
    """A page of the history, the newest first."""
    store, wanted = asked.plane.store, asked.parameters
    found = await store.generations(before=wanted.before, limit=wanted.limit + 1)
    page = found[: wanted.limit]
    return json_response(
        {
            "generations": [await _told(each, store, ROUTES_IN_LIST) for each in page],
            "next": page[-1].number if len(found) > len(page) else None,
        }
    )


async def show_generation(asked: Asked[GenerationParameters, None]) -> Response:
    """One generation: what it changed, who did it, and why."""
    number = asked.parameters.number
    found = await asked.plane.store.generation(number)
    if found is None:
        raise Problem(ProblemType.NOT_FOUND, f"there is no generation {number}")
    return json_response(await _told(found, asked.plane.store))


async def _told(generation: Generation, store: Store, routes: int | None = None) -> dict[str, Any]:
    return {
        "number": generation.number,
        "time": generation.time_s,
        "routesChanged": generation.routes_changed,
        "routes": [_moved(each) for each in generation.routes[:routes]],
        "entries": await _entries(generation, store),
    }


async def _entries(generation: Generation, store: Store) -> list[dict[str, Any]]:
    if not generation.entries:
        return []
    # One commit writes its entries in one row.
    first = min(generation.entries)
    found = await store.entries(after=first - 1, limit=len(generation.entries))
    return [told_entry(each) for each in found]


def _moved(shares: RouteShares) -> dict[str, Any]:
    return {
        "route": shares.route,
        "before": None if shares.before is None else percent(shares.before),
        "after": None if shares.after is None else percent(shares.after),
    }
