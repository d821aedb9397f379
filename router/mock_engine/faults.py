"""What goes wrong on demand: the rates, and the draw that decides for one request.

Pure: chance comes in as a function. No clock, no I/O.

Faults come in two groups of which a request suffers at most one each: `BEFORE` instead of
an answer, `DURING` in the middle of one. One draw decides a group, so each rate is exactly
the share of requests that suffers it, and a rate of 0 draws nothing.
Seconds here are real ones: the time scale of the engine does not touch them.

Guarantees (tests/unit/mock_engine/test_mock_faults.py):
  * a rate of 0 never strikes, a rate of 1 always does;
  * rates of one group that sum to more than 1 are refused;
  * an unknown name or a wrong type in JSON is refused whole, and nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from router.mock_engine.options import option, require_at_least, require_type

Draw = Callable[[], float]


class Fault(StrEnum):
    """One thing that goes wrong."""

    RESET = "reset"
    """The TCP connection is reset before the first byte of the answer."""
    ERROR = "error"
    """An error status with a JSON body, as the protocol writes it."""
    STALL = "stall"
    """After some tokens nothing more comes; slot and KV stay taken."""
    TRUNCATE = "truncate"
    """The answer ends early: no finish_reason, no [DONE]."""
    MID_STREAM_RESET = "mid_stream_reset"
    """The TCP connection is reset after some tokens."""
    STREAM_ERROR = "stream_error"
    """An error event inside a stream that began with 200."""


BEFORE: Final = (Fault.RESET, Fault.ERROR)
DURING: Final = (Fault.STALL, Fault.TRUNCATE, Fault.MID_STREAM_RESET, Fault.STREAM_ERROR)


@dataclass(frozen=True, slots=True)
class Faults:
    """The rates at which inference requests fail, and how. The default: nothing fails."""

    error_rate: float = option(0.0, "share of requests answered with the error status")
    error_status: int = option(500, "HTTP status of those errors")
    slow_rate: float = option(0.0, "share of requests that wait before they are queued")
    slow_seconds: float = option(1.0, "how long they wait, in real seconds")
    stall_rate: float = option(0.0, "share of answers that hang in the middle")
    stall_seconds: float = option(0.0, "how long they hang; 0: until the client goes away")
    truncate_rate: float = option(0.0, "share of answers that end too early")
    truncate_by: str = option(
        "end",
        "end: the body ends cleanly; abort: the connection closes inside the body",
        choices=("end", "abort"),
    )
    reset_rate: float = option(0.0, "share of requests whose connection is reset at once")
    mid_stream_reset_rate: float = option(0.0, "share of answers reset in the middle")
    stream_error_rate: float = option(0.0, "share of streams with an error event inside")
    after_tokens: int = option(2, "tokens that come before a fault in the middle")
    health: str = option(
        "ok",
        "ok; refuse: health checks get 503; stall: they get no answer",
        choices=("ok", "refuse", "stall"),
    )

    def __post_init__(self) -> None:
        for each in fields(self):
            require_type(each, getattr(self, each.name))
        require_at_least(0, ((name, getattr(self, name)) for name in self._rate_names()))
        require_at_least(0, [("slow_seconds", self.slow_seconds)])
        require_at_least(0, [("stall_seconds", self.stall_seconds)])
        require_at_least(1, [("after_tokens", self.after_tokens)])
        self._require_shares()
        if not 400 <= self.error_status <= 599:
            raise ValueError(f"error_status must be 400 to 599, not {self.error_status}")

    def rate(self, fault: Fault) -> float:
        """The share of requests that suffers this fault."""
        rate: float = getattr(self, f"{fault}_rate")
        return rate

    def to_json(self) -> dict[str, Any]:
        """Every field by its name."""
        return asdict(self)

    def changed(self, changes: Mapping[str, object]) -> Faults:
        """These faults with some fields replaced.

        Raises:
            ValueError: a name is unknown, a type is wrong or a value makes no sense.
        """
        unknown = set(changes) - {each.name for each in fields(self)}
        if unknown:
            raise ValueError(f"there is no fault setting {', '.join(sorted(unknown))}")
        return replace(self, **changes)  # type: ignore[arg-type]  # checked by __post_init__

    def _rate_names(self) -> list[str]:
        return [each.name for each in fields(self) if each.name.endswith("_rate")]

    def _require_shares(self) -> None:
        if self.slow_rate > 1:
            raise ValueError(f"slow_rate must be at most 1, not {self.slow_rate}")
        for group in (BEFORE, DURING):
            if sum(map(self.rate, group)) > 1 + 1e-9:
                raise ValueError(f"the rates of {', '.join(group)} sum to more than 1")


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """What one request will suffer, by the settings of the moment it came."""

    settings: Faults
    slow: bool = False
    before: Fault | None = None
    during: Fault | None = None


def choose_faults(faults: Faults, draw: Draw) -> FaultPlan:
    """Decide what one request suffers; `draw` gives numbers in [0, 1)."""
    return FaultPlan(
        settings=faults,
        slow=bool(faults.slow_rate) and draw() < faults.slow_rate,
        before=_choose_one(faults, BEFORE, draw),
        during=_choose_one(faults, DURING, draw),
    )


@lru_cache(maxsize=64)
def _rates(faults: Faults, group: tuple[Fault, ...]) -> list[tuple[Fault, float]]:
    return [(fault, rate) for fault in group if (rate := faults.rate(fault))]


def _choose_one(faults: Faults, group: tuple[Fault, ...], draw: Draw) -> Fault | None:
    rates = _rates(faults, group)
    if not rates:
        return None
    point = draw()
    for fault, rate in rates:
        if point < rate:
            return fault
        point -= rate
    return None
