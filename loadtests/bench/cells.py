"""The cells: one kind of load each, with the check that must pass before it is measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from loadtests.bench.checks import check_stream, check_unary
from loadtests.bench.payloads import KB
from loadtests.bench.process import Target
from loadtests.bench.sample import Sample
from loadtests.bench.streams import StreamLoad
from loadtests.bench.unary import UnaryLoad

SIZES: Final = {"1kb": KB, "50kb": 50 * KB, "1mb": 1000 * KB}
NAMES: Final = (*SIZES, "sse")
NOISY: Final = 0.05  # a round's noise from which on another one is tried

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
    return Cell(name, "request", unary, lambda t: check_unary(t, size), seconds)


def run_cell(cell: Cell, targets: Sequence[Target], slices: int) -> dict[str, list[Sample]]:
    """Check every target, warm it up, then let them take turns, slice by slice.

    Noisy rounds are made up for by as many more; the quietest ones count. They are chosen
    by what others took of the proxy's core, never by the figures themselves.
    """
    for target in targets:
        cell.check(target)
        cell.load.run(target, min(cell.seconds, 0.3))
    rounds: list[Round] = []
    while sum(_noise(each) <= NOISY for each in rounds) < slices and len(rounds) < 2 * slices:
        turn = _rotated(targets, len(rounds))
        rounds.append({target.name: cell.load.run(target, cell.seconds) for target in turn})
    chosen = sorted(rounds, key=_noise)[:slices]
    return {target.name: [each[target.name] for each in chosen] for target in targets}


def _noise(samples: Round) -> float:
    return max(sample.noise for sample in samples.values())


def _rotated(targets: Sequence[Target], turn: int) -> Sequence[Target]:
    """Begin with another one each time: nobody always follows the same neighbour."""
    first = turn % len(targets)
    return [*targets[first:], *targets[:first]]
