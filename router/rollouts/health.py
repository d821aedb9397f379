"""Whether a version may get the traffic of a whole route: enough of its endpoints are healthy.

Health is known or it is not: a version of which nothing was heard is not healthy.
"""

from collections.abc import Iterator
from typing import Final

from router.rollouts.events import EndpointSeen, Observation
from router.rollouts.phases import Happening, IllegalEventError, Phase

MAX_NAMED: Final = 8
"""Failing endpoints that are named in one text."""

MAX_REASON: Final = 200
"""Characters of an endpoint's reason that are told: it comes from outside."""


class NotReadyError(IllegalEventError):
    """A version does not have the healthy endpoints that it needs; nothing was changed.

    `version` is the one, `failing` are its endpoints that are known and not healthy, with why.
    """

    def __init__(
        self,
        phase: Phase,
        happening: Happening,
        why: str,
        version: str,
        failing: tuple[EndpointSeen, ...],
    ) -> None:
        self.version: Final = version
        self.failing: Final = failing
        super().__init__(phase, happening, f"{why}; wait until it has them, or force it")


def check_health(
    phase: Phase, happening: Happening, observation: Observation, version: str, least: int
) -> None:
    """Refuse a version with fewer healthy endpoints than `least`.

    Raises:
        NotReadyError: naming each endpoint that fails, and why.
    """
    lack = lack_of(observation, version, least)
    if lack is not None:
        failing = tuple(_failing(observation, version))
        raise NotReadyError(phase, happening, lack, version, failing)


def lack_of(observation: Observation, version: str, least: int) -> str | None:
    """What a version lacks to have `least` healthy endpoints; None: nothing.

    What stands before the first `;` says how many it has.
    """
    count = observation.count_healthy(version)
    if count is None:
        return f"nothing is known of the endpoints of {version}; {least} must be healthy"
    if count >= least:
        return None
    text = f"{version} has {count} healthy endpoint{'' if count == 1 else 's'}, it needs {least}"
    return "; ".join((text, *_named(observation, version)))


def head_of(lack: str) -> str:
    """The part of a lack that says how many there are."""
    return lack.partition(";")[0]


def _named(observation: Observation, version: str) -> Iterator[str]:
    failing = list(_failing(observation, version))
    for seen in failing[:MAX_NAMED]:
        yield f"{seen.url} fails: {seen.reason[:MAX_REASON] or 'no reason given'}"
    if len(failing) > MAX_NAMED:
        yield f"{len(failing) - MAX_NAMED} more fail"
    if version in observation.endpoints and not failing:
        yield "it has no others"


def _failing(observation: Observation, version: str) -> Iterator[EndpointSeen]:
    return (seen for seen in observation.endpoints.get(version, ()) if not seen.healthy)
