import pytest

from loadtests.bench.absences import Absence, Absences
from loadtests.bench.cells import Cell, run_cell, slice_seconds
from loadtests.bench.measure import Usage
from loadtests.bench.process import BenchError, Target
from loadtests.bench.proxies import Address
from loadtests.bench.sample import Sample


class FailingLoad:
    """Serves everybody, but `victim` only so often."""

    def __init__(self, victim: str, served: int) -> None:
        self._victim = victim
        self._left = served

    def run(self, target: Target, seconds: float) -> Sample:
        if target.name == self._victim:
            self._left -= 1
            if self._left < 0:
                raise ConnectionRefusedError("gone")
        return sample(units=10)


def sample(units: float, seconds: float = 1.0) -> Sample:
    usage = Usage(1.0, 0.5, 0.5, foreign_s=0.0, stolen_s=0.0)
    return Sample(units, seconds, 0, {}, usage)


def targets(*names: str) -> list[Target]:
    return [Target(name, Address("127.0.0.1", 1), "m", core=0) for name in names]


def cell(load: FailingLoad, enough: int = 0) -> Cell:
    return Cell("1kb", "request", load, lambda _: None, seconds=1.0, enough=enough)


@pytest.mark.parametrize("served", [0, 1, 2])
def test_a_peer_that_fails_is_named_at_whatever_point_and_the_others_go_on(served: int) -> None:
    absences = Absences(["peer"])
    load = FailingLoad("peer", served)
    samples = run_cell(cell(load), targets("ours", "peer"), 2, absences)
    assert {name: len(slices) for name, slices in samples.items()} == {"ours": 2}
    assert absences.found == [Absence("peer", "1kb", "gone")]


def test_a_failure_of_ours_ends_the_run() -> None:
    absences = Absences(["peer"])
    with pytest.raises(ConnectionRefusedError):
        run_cell(cell(FailingLoad("ours", 1)), targets("ours", "peer"), 2, absences)
    assert absences.found == []


def test_a_peer_that_does_not_pass_the_check_is_named_before_it_is_loaded() -> None:
    def refuse(target: Target) -> None:
        if target.name == "peer":
            raise BenchError("peer: 200 chunks came lumped, in 3 reads")

    load = FailingLoad("peer", served=0)
    checked = Cell("sse", "chunk", load, refuse, seconds=1.0)
    absences = Absences(["peer"])
    run_cell(checked, targets("ours", "peer"), 1, absences)
    assert absences.found == [Absence("peer", "sse", "peer: 200 chunks came lumped, in 3 reads")]


def test_nobody_left_is_no_samples() -> None:
    assert run_cell(cell(FailingLoad("peer", 0)), targets("peer"), 2, Absences(["peer"])) == {}


def test_the_first_failure_at_a_place_is_the_one_that_is_told() -> None:
    absences = Absences(["peer"])
    for reason in ("first", "second"):
        with absences.noted("peer", "rate"):
            raise BenchError(reason)
    assert absences.found == [Absence("peer", "rate", "first")]


def test_a_reason_is_what_happened_and_the_end_of_the_log_in_bounds() -> None:
    absences = Absences(["peer"])
    with absences.noted("peer", "start"):
        raise BenchError("peer ended with 1:\nTraceback\n  …\nImportError: no module\n")
    with absences.noted("peer", "1kb"):
        raise BenchError("x" * 1000)
    assert [each.reason for each in absences.found] == [
        "peer ended with 1: … ImportError: no module",
        "x" * 200,
    ]


@pytest.mark.parametrize(
    ("units", "ease", "expected"),
    [
        (20_000, 1, 1.0),  # quick: as long as asked
        (320, 1, 2.0),  # twice as long to see 640 answers
        (0, 1, 4.0),  # within bounds, whatever it answers
        (40, 8, 2.0),  # with an eighth of the connections, an eighth of the answers
    ],
)
def test_who_answers_slowly_gets_longer_slices_within_bounds(
    units: float, ease: int, expected: float
) -> None:
    load = FailingLoad("nobody", 0)
    assert slice_seconds(cell(load, enough=640), sample(units), ease) == expected
