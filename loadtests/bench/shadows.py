"""What a shadow costs the primary: latency with and without one, good, slow, broken or hanging.

One router, one worker, a route for each kind of shadow and one without; the same requests at a
fixed rate go to each route in turn, slice after slice.  Everything is copied (100 %).
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtests.bench import payloads
from loadtests.bench.faulty import KINDS
from loadtests.bench.measure import Cores, resident_bytes
from loadtests.bench.open_loop import RateSample, added_latency
from loadtests.bench.process import Target, running_faulty, running_proxy
from loadtests.bench.proxies import Address, Launch, Router

PLAIN: Final = "none"
GOOD: Final = "good"
ROUTES: Final = (PLAIN, GOOD, *KINDS)
_LANES: Final = 16


class ShadowedRouter(Router):
    """A router with a route for each kind of shadow; the route's model is its name."""

    def __init__(self, faulty: dict[str, Address]) -> None:
        super().__init__("native", routes=len(ROUTES))
        self.name = "native shadows"
        self._faulty = faulty

    def prepare(self, folder: Path, upstream: list[Address]) -> Launch:
        """Write the router's configuration."""
        launch = super().prepare(folder, upstream)
        return Launch(launch.command, launch.address, launch.ready_url, PLAIN, launch.environment)

    def _route(self, number: int, upstream: list[Address]) -> str:
        kind = ROUTES[number]
        route = {
            "name": kind,
            "match": [{"path": payloads.PATH, "model": kind}],
            "versions": {"v1": {"endpoints": [upstream[0].url]}},
        }
        if kind != PLAIN:
            route["versions"]["v2"] = {"endpoints": [self._faulty.get(kind, upstream[0]).url]}
            route |= {"release": "v1", "shadow": {"version": "v2", "noise": {"percent": 5}}}
        return json.dumps(route)


@dataclass(frozen=True, slots=True)
class ShadowSamples:
    """Slices by kind of shadow, and the worker's memory in bytes before and after all."""

    slices: dict[str, list[RateSample]]
    resident: tuple[int, int]


@contextmanager
def _routes(folder: Path, upstream: list[Address], cores: Cores) -> Iterator[list[Target]]:
    with (
        running_faulty(folder) as faulty,
        running_proxy(ShadowedRouter(faulty), folder, upstream, cores) as router,
    ):
        yield [Target(kind, router.address, kind, cores.proxy, router.root) for kind in ROUTES]


def measure_shadows(
    folder: Path,
    upstream: list[Address],
    direct: Target,
    cores: Cores,
    *,
    rate: float,
    seconds: float,
    slices: int,
) -> ShadowSamples:
    """Load each route in turn, `slices` times, at `rate` requests a second."""
    with _routes(folder, upstream, cores) as targets:
        worker = targets[0].worker
        assert worker is not None
        for target in targets:  # code and connections warm
            added_latency(target, direct, rate=rate, lanes=_LANES, seconds=seconds / 4)
        before = resident_bytes(worker)
        samples: dict[str, list[RateSample]] = {kind: [] for kind in ROUTES}
        for turn in range(slices):
            for target in _rotated(targets, turn):
                sample = added_latency(target, direct, rate=rate, lanes=_LANES, seconds=seconds)
                samples[target.name].append(sample)
        return ShadowSamples(samples, (before, resident_bytes(worker)))


def _rotated(targets: Sequence[Target], turn: int) -> Sequence[Target]:
    start = turn % len(targets)
    return [*targets[start:], *targets[:start]]
