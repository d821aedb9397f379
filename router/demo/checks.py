"""What a version on trial is measured by, for the configuration and for people.

Pure.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

TEMPLATE: Final = "quality"
SHADOW_TEMPLATE: Final = "says-the-same"
WINDOW_S: Final = 8.0
MIN_REQUESTS: Final = 12
"""A version that fails one time in five has a failure in 93 % of such windows, and one is too many;
what it survives at 5 % of the traffic it does not survive at 25 %."""

SHADOW_PAIRS: Final = 160
"""So many answers show a tenth of other words beyond a tenth of noise, and come in 3 s."""

INTERVAL_S: Final = 1.0
MEASUREMENTS: Final = 3
SETTLE_S: Final = 1.0
"""How long a new share counts before it is judged: as often as workers tell what they counted."""


class Unit(Enum):
    """How a value is said."""

    SHARE = "share"
    FACTOR = "times stable's"
    DIFFERENCE = "seconds more than stable's"


@dataclass(frozen=True, slots=True)
class Check:
    """One metric: good while below its limit."""

    name: str
    words: str
    limit: float
    unit: Unit
    provider: Mapping[str, Any]
    failure_limit: int = 0
    """So many bad measurements are forgiven."""
    count: int = MEASUREMENTS

    def document(self) -> dict[str, Any]:
        """As an analysis template has it."""
        return {
            "name": self.name,
            "initialDelay": f"{SETTLE_S:g}s",
            "interval": f"{INTERVAL_S:g}s",
            "count": self.count,
            "failureLimit": self.failure_limit,
            "successCondition": f"result[0] < {self.limit:g}",
            "provider": self.provider,
        }

    def say(self, number: float) -> str:
        """A value of it, in its unit."""
        match self.unit:
            case Unit.SHARE:
                return f"{100 * number:.3g} %"
            case Unit.FACTOR:
                return f"{number:.2f} x stable"
            case Unit.DIFFERENCE:
                return f"{1000 * number:+.0f} ms"


def _router(metric: str, **more: Any) -> Mapping[str, Any]:
    window = {"window": f"{WINDOW_S:g}s", "minRequests": MIN_REQUESTS}
    return {"router": {**window, "metric": metric, **more}}


CHECKS: Final = (
    Check("error-ratio", "errors", 0.05, Unit.SHARE, _router("errorRatio")),
    # Far from what the versions do: a busy machine must not decide.
    Check(
        "p95-latency",
        "p95",
        2.0,
        Unit.FACTOR,
        _router("durationQuantile", quantile=0.95, compare="ratio"),
        failure_limit=1,
    ),
    Check(
        "p95-first-token",
        "TTFT p95",
        0.25,
        Unit.DIFFERENCE,
        _router("timeToFirstTokenQuantile", quantile=0.95, compare="difference"),
        failure_limit=1,
    ),
)


# What a model says to one prompt is not always the same: only what goes beyond counts.  Errors
# are for the checks above: they have to be met by users to show how a rollback spares them.
SHADOW_CHECK: Final = Check(
    "other-words",
    "other words than stable's, beyond noise",
    0.15,
    Unit.SHARE,
    {
        "shadow": {
            "metric": "mismatchBeyondNoise",
            "field": "text",
            "minPairs": SHADOW_PAIRS,
            "minTwins": SHADOW_PAIRS,
        }
    },
    count=1,
)


def template(name: str, *checks: Check) -> dict[str, Any]:
    """The analysis template that measures these."""
    return {
        "metadata": {"name": name},
        "spec": {"metrics": [check.document() for check in checks]},
    }


def measured(evidence: Mapping[str, Any], checks: Iterable[Check] = (*CHECKS, SHADOW_CHECK)) -> str:
    """The last values that an audit entry carries, each beside its limit; empty without any."""
    metrics = evidence.get("metrics", {})
    found = ((check, last_value(metrics.get(check.name, {}))) for check in checks)
    return ", ".join(
        f"{check.words} {check.say(number)} "
        f"({'' if number < check.limit else 'NOT '}< {check.say(check.limit)})"
        for check, number in found
        if number is not None
    )


def last_value(metric: Mapping[str, Any]) -> float | None:
    """The newest number of a metric's measurements; None where there is none, or no number."""
    for measurement in reversed(metric.get("measurements", [])):
        number = _number(measurement.get("value", ""))
        if number is not None:
            return number
    return None


def _number(text: str) -> float | None:
    """What the `router` provider answers, a list of one number, as the trail writes it."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    match value:
        case [int() | float() as number] if math.isfinite(number):
            return float(number)
    return None
