"""Warn where the limits of a route's versions and those of the route do not fit each other.

Who waits for a version holds a place of the route (`limits.maxInFlight`).  So a version whose
places and line together are more than that never gets them all, and one that stands still can
take the places of the others.

Pure.  All bounds are those of one worker, so how many workers there are changes nothing.
"""

from collections.abc import Iterator
from typing import Final

from router.config.models import Route
from router.config.problems import Finding

_MANY: Final = 8


def find_crowding(route: Route) -> Iterator[Finding]:
    """Versions that cannot have what their limits say, or that starve the others of the route."""
    alone = [*_each_alone(route)]
    yield from alone or _together(route)


def _each_alone(route: Route) -> Iterator[Finding]:
    total = route.limits.max_in_flight
    for name, version in route.versions.items():
        limits = version.limits
        if limits is None:
            continue
        held = limits.max_in_flight + limits.max_pending
        place = ("versions", name, "limits")
        if limits.max_in_flight > total:
            message = f"{limits.max_in_flight} cannot be reached: {_has(total)}"
            yield Finding((*place, "maxInFlight"), message)
        elif held > total:
            message = f"{_has(total)}, and who waits for a version holds one of them"
            yield Finding(place, f"maxInFlight + maxPending = {held} cannot be reached: {message}")
        elif held == total and len(route.versions) > 1:
            message = f"{_has(total)}: if this version stands still, the others get none"
            yield Finding(place, f"maxInFlight + maxPending = {held}, and {message}")


def _together(route: Route) -> Iterator[Finding]:
    total = route.limits.max_in_flight
    held = {
        name: version.limits.max_in_flight + version.limits.max_pending
        for name, version in route.versions.items()
        if version.limits is not None
    }
    unbounded = len(route.versions) - len(held)
    if len(held) > 1 and sum(held.values()) + bool(unbounded) > total:
        names = ", ".join(f'"{name}" {number}' for name, number in [*held.items()][:_MANY])
        message = (
            f"{total} places, but maxInFlight + maxPending of the versions are "
            f"{sum(held.values())} ({names}): those that stand still take the places of the others"
        )
        yield Finding(("limits", "maxInFlight"), message)


def _has(total: int) -> str:
    return f"the route has {total} places (limits.maxInFlight)"
