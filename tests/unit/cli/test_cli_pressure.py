"""`routes ROUTE`: what waits, what was refused, and how full a version's own bounds are."""

from __future__ import annotations

from typing import Any

from tests.support.admin_api import canned_api, route, run, version

CALM = {"maxInFlight": 8, "maxQueue": 4, "workers": 2, "inFlight": 3, "queued": 0}
CIRCUIT = {"maxInFlight": 4, "maxPending": 2, "inFlight": 5, "pending": 1}


def lines_of(admission: dict[str, Any] | None, **of_v1: Any) -> list[str]:
    """What is told of places when they are like this."""
    more = {} if admission is None else {"admission": admission}
    with canned_api() as api:
        sides = [version("v1", "stable", 100, **of_v1)]
        api.answer("GET", "/routes/chat", route(stable="v1", versions=sides, **more))
        result = run(api, "routes", "chat")
    assert result.exit_code == 0, result.output
    return [line for line in result.stdout.splitlines() if line.startswith(("admission", "limits"))]


def test_a_route_with_free_places_that_has_refused_nobody_is_not_spoken_of() -> None:
    assert lines_of(CALM) == []


def test_who_waits_is_told_with_the_places_of_all_workers() -> None:
    busy = {**CALM, "inFlight": 16, "queued": 5}
    assert lines_of(busy) == ["admission: 16 of 16 places taken, 5 of 8 wait"]


def test_who_was_refused_is_told_by_reason_and_by_class() -> None:
    busy = {
        **CALM,
        "refused": {"full": 7, "deadline": 2},
        "shed": {"batch": 9},
        "shedShare": 0.25,
    }
    assert lines_of(busy) == [
        "admission: 3 of 16 places taken, 0 of 8 wait; refused: 2 deadline, 7 full; shed: 9 batch;"
        " now refusing up to 25% of what is new"
    ]


def test_a_version_with_bounds_of_its_own_is_always_told_of() -> None:
    assert lines_of(CALM, circuit=CIRCUIT) == ["limits of v1: 5 of 8 places taken, 1 of 4 wait"]
    refused = {**CIRCUIT, "refused": {"displaced": 1}}
    assert lines_of(CALM, circuit=refused) == [
        "limits of v1: 5 of 8 places taken, 1 of 4 wait; refused: 1 displaced"
    ]


def test_a_router_that_tells_nothing_of_places_is_told_as_before() -> None:
    assert lines_of(None) == []
