"""How full routes and versions are: places, lines, and who was refused, as of the last reports.

Read once for a call, whatever number of routes it tells of.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from router.controller.fleet import Fleet
from router.snapshot import Route, Version
from router.telemetry import families
from router.telemetry.merge import Rows, Value

_Refused = dict[tuple[str, ...], dict[str, int]]
"""How many by reason or class, for what stands before it in the labels."""


@dataclass(frozen=True, slots=True)
class Pressure:
    """The numbers of one moment, all workers together."""

    workers: int
    queued: Rows
    refused: _Refused
    shed: _Refused
    shed_share: float
    circuit_in_flight: Rows
    circuit_pending: Rows
    circuit_refused: _Refused

    def admission(self, route: Route, versions: list[dict[str, Any]]) -> dict[str, Any]:
        """What is told of a route; `versions` are the documents of its versions."""
        key = (route.name,)
        waiting = (each["circuit"]["pending"] for each in versions if each["circuit"] is not None)
        return {
            "maxInFlight": route.limits.max_in_flight,
            "maxQueue": route.limits.max_queue,
            "workers": self.workers,
            "inFlight": sum(each["inFlight"] for each in versions) + sum(waiting),
            "queued": _number(self.queued.get(key, 0)),
            "refused": self.refused.get(key, {}),
            "shed": self.shed.get(key, {}),
            "shedShare": self.shed_share,
        }

    def circuit(self, route: Route, version: Version) -> dict[str, Any] | None:
        """What is told of a version that has bounds of its own."""
        limits, key = version.circuit, (route.name, version.name)
        if limits is None:
            return None
        return {
            "maxInFlight": limits.max_in_flight,
            "maxPending": limits.max_pending,
            "inFlight": _number(self.circuit_in_flight.get(key, 0)),
            "pending": _number(self.circuit_pending.get(key, 0)),
            "refused": self.circuit_refused.get(key, {}),
        }


def pressure(fleet: Fleet, routes: Iterable[Route]) -> Pressure:
    """What the live workers have last said of these routes, and what was counted of all."""
    bounded = {
        (route.name, version.name)
        for route in routes
        for version in route.versions
        if version.circuit is not None
    }
    view = fleet.look(bounded)
    shares = view.merged(families.SHED_SHARE).values()
    return Pressure(
        workers=len(fleet.workers),
        queued=view.merged(families.QUEUED),
        refused=_by_last_label(view.merged(families.QUEUE_FULL)),
        shed=_by_last_label(view.merged(families.SHED)),
        shed_share=max((each for each in shares if isinstance(each, int | float)), default=0.0),
        circuit_in_flight=view.merged(families.CIRCUIT_IN_FLIGHT),
        circuit_pending=view.merged(families.CIRCUIT_PENDING),
        circuit_refused=_by_last_label(view.merged(families.CIRCUIT_REFUSALS)),
    )


def _by_last_label(rows: Rows) -> _Refused:
    found: _Refused = {}
    for labels, value in rows.items():
        found.setdefault(labels[:-1], {})[labels[-1]] = _number(value)
    return found


def _number(value: Value) -> int:
    return int(value) if isinstance(value, int | float) else 0
