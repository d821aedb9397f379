"""How long and how large each cell is: as told in the docs, or only to see that it works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of the cells; times in seconds, rates per second."""

    slow_connections: int = 500
    slow_s: int = 14
    slow_rounds: int = 3
    live_rate: float = 100.0
    live_s: float = 10.0
    gone_samples: int = 200
    overload_s: float = 12.0
    peak_s: float = 6.0
    idle_connections: int = 10_000
    active_connections: int = 2_000
    active_every_s: float = 4.0
    active_s: float = 20.0
    streams: int = 50
    connections: int = 20
    pause_s: float = 0.04
    settle_s: float = 2.0


FULL = Scale()
SMOKE = Scale(
    slow_connections=20,
    slow_s=4,
    slow_rounds=1,
    live_rate=20.0,
    live_s=1.0,
    gone_samples=2,
    overload_s=1.0,
    peak_s=1.0,
    idle_connections=40,
    active_connections=20,
    active_every_s=0.5,
    active_s=1.0,
    streams=2,
    connections=4,
    pause_s=0.04,
    settle_s=0.2,
)
