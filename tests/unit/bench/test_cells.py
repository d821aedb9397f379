from loadtests.bench.cells import Cell, run_cell
from loadtests.bench.measure import Usage
from loadtests.bench.process import Target
from loadtests.bench.proxies import Address
from loadtests.bench.sample import Sample


class ScriptedLoad:
    """Each slice has the next noise of a script; its units tell which slice it was."""

    def __init__(self, noises: list[float]) -> None:
        self._noises = iter(noises)
        self.asked: list[str] = []

    def run(self, target: Target, seconds: float) -> Sample:
        self.asked.append(target.name)
        usage = Usage(1.0, 0.5, 0.5, foreign_s=next(self._noises), stolen_s=0.0)
        return Sample(len(self.asked), seconds, 0, {}, usage)


def targets(*names: str) -> list[Target]:
    return [Target(name, Address("127.0.0.1", 1), "m", core=0) for name in names]


def cell(load: ScriptedLoad) -> Cell:
    return Cell("test", "request", load, lambda _: None, seconds=0.1)


def test_quiet_targets_take_turns_after_a_warm_up() -> None:
    load = ScriptedLoad([0.0] * 6)
    samples = run_cell(cell(load), targets("a", "b"), slices=2)
    assert load.asked == ["a", "b", "a", "b", "b", "a"]
    assert [sample.units for sample in samples["a"]] == [3, 6]


def test_a_noisy_round_is_made_up_for_and_does_not_count() -> None:
    load = ScriptedLoad([0.0, 0.0, 0.5, 0.0])
    samples = run_cell(cell(load), targets("a"), slices=2)
    assert [sample.units for sample in samples["a"]] == [2, 4]


def test_noise_without_end_does_not_go_on_without_end() -> None:
    load = ScriptedLoad([0.0, 0.9, 0.3, 0.4, 0.8])
    samples = run_cell(cell(load), targets("a"), slices=2)
    assert [sample.units for sample in samples["a"]] == [3, 4]  # the quietest of twice as many
