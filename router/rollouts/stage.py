"""How far a blue-green rollout has come: its stages, in their order.

A canary has steps of its own choosing; these are always the same, and one that the configuration
does not ask for passes at once.
"""

from enum import StrEnum
from typing import Final


class Stage(StrEnum):
    """What a blue-green rollout waits for."""

    HEALTH = "health"
    """Enough healthy endpoints of the new version."""
    WARM_UP = "warmUp"
    """Every endpoint has answered the synthetic requests."""
    PRE_PROMOTION = "prePromotionAnalysis"
    """The analysis before the switch."""
    PROMOTION = "promotion"
    """Time, or a person."""
    SWITCH = "switch"
    """Gates, and health once more; passing it moves all traffic."""
    SERVED = "served"
    """The switch is decided: every worker has to serve it."""
    POST_PROMOTION = "postPromotionAnalysis"
    """The analysis after the switch; passing it makes the new version stable."""


SWITCHED: Final = frozenset({Stage.SERVED, Stage.POST_PROMOTION})
"""Stages in which the new version has all traffic and is not stable yet."""

_ORDER: Final = tuple(Stage)


def stage_after(stage: Stage) -> Stage:
    """The next one.

    Raises:
        IndexError: it was the last.
    """
    return _ORDER[_ORDER.index(stage) + 1]


def wait_of(stage: Stage, target: str) -> str:
    """What a rollout to `target` waits for, in words."""
    return _WAITS[stage].format(target)


_WAITS: Final = {
    Stage.HEALTH: "waits for healthy endpoints of {}",
    Stage.WARM_UP: "every endpoint of {} is warmed up",
    Stage.PRE_PROMOTION: "{} is measured before it gets the traffic",
    Stage.PROMOTION: "{} is ready for the traffic",
    Stage.SWITCH: "{} is about to get the traffic",
    Stage.SERVED: "{} gets all traffic as soon as every worker has heard of it",
    Stage.POST_PROMOTION: "{} has all traffic and is measured once more",
}
