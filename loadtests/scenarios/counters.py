"""The router's own numbers for every route, beside those of the clients."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

from loadtests.scenarios.errors import LoadTestError
from router.demo.readings import Reading, parse

TIMEOUT_S = 30.0


def read_metrics(admin: str) -> str:
    """The text of `/metrics`.

    Raises:
        LoadTestError: there is none.
    """
    try:
        answer = httpx.get(f"{admin}/metrics", timeout=TIMEOUT_S)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise LoadTestError(f"{admin}/metrics: {error or type(error).__name__}") from None
    return answer.text


def readings(before: str, after: str, routes: Iterable[str]) -> dict[str, Reading]:
    """What was counted between two looks, by route."""
    return {route: parse(after, route).since(parse(before, route)) for route in routes}
