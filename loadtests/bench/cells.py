"""The cells: one kind of load each, with the check that must pass before it is measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from loadtests.bench.absences import Absences
from loadtests.bench.checks import check_stream, check_unary
from loadtests.bench.payloads import KB
from loadtests.bench.process import BenchError, Target
from loadtests.bench.sample import Sample
from loadtests.bench.streams import StreamLoad
from loadtests.bench.unary import UnaryLoad

SIZES: Final = {"1kb": KB, "50kb": 50 * KB, "1mb": 1000 * KB}
NAMES: Final = (*SIZES, "sse")
NOISY: Final = 0.05  # a round's noise from which on another one is tried
_STRETCH: Final = 4

Round = dict[str, Sample]  # one slice of each target, one right after the other


class Load(Protocol):
    """One way to load a target."""

    def run(self, target: Target, seconds: float) -> Sample:
        """Load a target for one slice."""
        ...


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of load."""

    name: str
    unit: str
    load: Load
    check: Callable[[Target], None]
    seconds: float
    enough: int = 0  # answers that make the requests which a slice's end cuts off few


@dataclass(frozen=True, slots=True)
class Settings:
    """How much load, for how long."""

    slices: int = 5
    seconds: float = 1.0
    connections: int = 32
    streams: int = 64
    chunks: int = 200
    interval_s: float = 0.005


def make_cell(name: str, settings: Settings, folder: Path) -> Cell:
    """Return the cell of this name."""
    if name == "sse":
        load = StreamLoad(settings.streams, settings.chunks, settings.interval_s)
        seconds = settings.chunks * settings.interval_s
        return Cell(name, "chunk", load, lambda t: check_stream(t, settings.chunks), seconds)
    size = SIZES[name]
    # 1 MB twice as long: requests cut off by a slice's end are 32 of some thousand there.
    seconds = settings.seconds * (2 if size >= 1000 * KB else 1)
    unary = UnaryLoad(folder, size, settings.connections)
    enough = 20 * settings.connections
    return Cell(name, "request", unary, lambda t: check_unary(t, size), seconds, enough)


def run_cell(
    cell: Cell, targets: Sequence[Target], slices: int, absences: Absences | None = None
) -> dict[str, list[Sample]]:
    """Check every target, warm it up, then let them take turns, slice by slice.

    Noisy rounds are made up for by as many more; the quietest ones count. They are chosen
    by what others took of the proxy's core, never by the figures themselves. Whoever may be
    absent and fails, at whatever point, has no samples.
    """
    absences = absences or Absences()
    seconds = _warm(cell, targets, absences)
    left = [target for target in targets if target.name in seconds]
    rounds: list[Round] = []
    while left and _quiet(rounds) < slices and len(rounds) < 2 * slices:
        rounds.append(_run_round(cell, _rotated(left, len(rounds)), seconds, absences))
        left = [target for target in left if target.name in rounds[-1]]
    chosen = sorted(rounds, key=_noise)[:slices]
    return {target.name: [each[target.name] for each in chosen] for target in left}


def _warm(cell: Cell, targets: Sequence[Target], absences: Absences) -> dict[str, float]:
    """Return how long the slices of each target are that has passed the check."""
    seconds = {}
    for target in targets:
        with absences.noted(target.name, cell.name):
            cell.check(target)
            warm = cell.load.run(target, min(cell.seconds, 0.3))
            seconds[target.name] = slice_seconds(cell, warm, target.ease)
    return seconds


def slice_seconds(cell: Cell, warm: Sample, ease: int) -> float:
    """Return how long a slice takes: longer, within bounds, for who answers slowly.

    The requests that a slice's end cuts off cost and do not count: 32 of 20 000 are
    nothing, 32 of 150 are a fifth.
    """
    per_second = max(1, warm.units) / warm.seconds
    return min(max(cell.seconds, cell.enough / ease / per_second), _STRETCH * cell.seconds)


def _run_round(
    cell: Cell, turn: Sequence[Target], seconds: Mapping[str, float], absences: Absences
) -> Round:
    samples = {}
    for target in turn:
        with absences.noted(target.name, cell.name):
            sample = cell.load.run(target, seconds[target.name])
            if not sample.units:
                raise BenchError(f"no {cell.unit} answered in {seconds[target.name]:g} s")
            samples[target.name] = sample
    return samples


def _quiet(rounds: Sequence[Round]) -> int:
    return sum(_noise(each) <= NOISY for each in rounds)


def _noise(samples: Round) -> float:
    return max((sample.noise for sample in samples.values()), default=0.0)


def _rotated(targets: Sequence[Target], turn: int) -> Sequence[Target]:
    """Begin with another one each time: nobody always follows the same neighbour."""
    first = turn % len(targets)
    return [*targets[first:], *targets[:first]]
