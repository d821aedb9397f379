"""How the copies of a route's requests have ended so far, as of the workers' last reports."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from router.controller.fleet import Fleet
from router.telemetry import families
from router.telemetry.merge import Rows, Value

_DROPPED: Final = "dropped_"


def copies_of(route: str, versions: Iterable[str], fleet: Fleet) -> list[dict[str, Any]]:
    """What became of the copies, for each version that got any; twins are the stable version's."""
    keys = [(route, version) for version in versions]
    view = fleet.look(set(keys))
    sampled, ended = view.merged(families.SHADOW_SAMPLED), view.merged(families.SHADOW_REQUESTS)
    in_flight = view.merged(families.SHADOW_IN_FLIGHT)
    return [
        {
            "version": key[1],
            "sampled": number,
            "inFlight": _number(in_flight.get(key, 0)),
            **_outcomes(dict(_of(ended, *key))),
        }
        for key in keys
        if (number := _number(sampled.get(key, 0)))
    ]


def _of(ended: Rows, route: str, version: str) -> Iterator[tuple[str, int]]:
    for labels, value in ended.items():
        if labels[:2] == (route, version):
            yield labels[2], _number(value)


def _outcomes(outcomes: dict[str, int]) -> dict[str, Any]:
    return {
        "answered": outcomes.get("answered", 0),
        "error": outcomes.get("error", 0),
        "timeout": outcomes.get("timeout", 0),
        "dropped": {
            outcome.removeprefix(_DROPPED): number
            for outcome, number in sorted(outcomes.items())
            if outcome.startswith(_DROPPED)
        },
    }


def _number(value: Value) -> int:
    return int(value) if isinstance(value, int | float) else 0
