from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import floats, lists

from loadtests.scenarios.memory import (
    WINDOW,
    Sample,
    Samples,
    cpu_share,
    ended,
    flatness,
)

MB = 1_000_000


def samples(*sizes: float, name: str = "worker w0", pid: int = 1) -> list[Sample]:
    """One a second."""
    return [
        Sample(float(second), name, pid, int(size * MB), second / 4)
        for second, size in enumerate(sizes)
    ]


@given(factors=lists(floats(0.97, 1.03), min_size=2 * WINDOW, max_size=100))
def test_memory_within_the_bound_is_flat(factors: list[float]) -> None:
    found = flatness(samples(*(100 * factor for factor in factors)), warm_up_s=0)
    assert found is not None
    assert found.percent <= 100 * (1.03 / 0.97 - 1)


@pytest.mark.parametrize(("later", "percent"), [(110, 10), (90, 10), (100, 0)])
def test_memory_that_leaves_the_bound_once_is_not_flat(later: float, percent: float) -> None:
    rows = samples(*[100] * WINDOW, *[later] * WINDOW, *[100] * WINDOW)
    found = flatness(rows, warm_up_s=0)
    assert found is not None
    assert found.percent == pytest.approx(percent)


def test_one_reading_in_the_middle_of_a_collection_says_nothing() -> None:
    found = flatness(samples(*[100] * 15, 200, *[100] * 14), warm_up_s=0)
    assert found is not None
    assert found.percent == 0


def test_what_comes_before_the_warm_up_is_over_does_not_count() -> None:
    rows = samples(*[10] * 30, *[100] * 30)
    found = flatness(rows, warm_up_s=30)
    assert found is not None
    assert (found.base, found.percent) == (100 * MB, 0)


def test_too_little_after_the_warm_up_is_not_judged() -> None:
    assert flatness(samples(*[100] * 79), warm_up_s=60) is None
    assert flatness(samples(*[100] * 80), warm_up_s=60) is not None
    assert flatness([], warm_up_s=60) is None


def test_a_process_that_is_another_one_or_gone_has_ended() -> None:
    again = samples(100, 100, 100) + samples(*[100] * 10, pid=2)
    gone = samples(100, 100, 100, name="engine v1", pid=3)
    stayed = samples(*[100] * 10, name="control", pid=4)
    assert ended(Samples(again + gone + stayed)) == ["engine v1", "worker w0"]


def test_the_load_itself_is_not_judged() -> None:
    rows = samples(100) + samples(100, name="locust") + samples(100, name="locust worker 1")
    assert list(Samples(rows).of_router().by_name()) == ["worker w0"]


def test_cpu_is_a_part_of_one_core() -> None:
    assert cpu_share(samples(1, 1, 1)) == 0.25
    assert cpu_share(samples(1)) is None


def test_samples_are_written_with_a_heading(tmp_path: Path) -> None:
    Samples(samples(100)).write(tmp_path / "processes.csv")
    assert (tmp_path / "processes.csv").read_text().splitlines() == [
        "elapsed_s,process,pid,resident_bytes,cpu_s",
        "0.0,worker w0,1,100000000,0.00",
    ]
