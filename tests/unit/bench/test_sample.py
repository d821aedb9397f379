import math

import pytest

from loadtests.bench.measure import Usage
from loadtests.bench.sample import Sample, Spread, paired_ratio, percentile


def slice_of(cpu_s: float, units: int = 1000, worker_s: float = 0.0) -> Sample:
    usage = Usage(wall_s=1.0, tree_s=cpu_s, worker_s=worker_s, foreign_s=0.1, stolen_s=0.2)
    return Sample(units=units, seconds=1.0, errors=0, latency_us={}, usage=usage)


def test_cpu_is_counted_for_each_unit_and_for_tree_and_worker_apart() -> None:
    sample = slice_of(0.5, units=10_000, worker_s=0.4)
    assert sample.cpu_us == pytest.approx(50)
    assert sample.worker_cpu_us == pytest.approx(40)
    assert sample.busy == pytest.approx(0.5)


def test_noise_is_what_others_and_the_host_took_of_a_core_that_a_proxy_runs_on() -> None:
    assert slice_of(0.5).noise == pytest.approx(0.3)
    assert slice_of(0.0).noise == 0  # `direct` has nothing on that core


def test_a_ratio_compares_slices_of_the_same_round() -> None:
    # The second round is slow for both: no reason to see another ratio in it.
    ratio = paired_ratio([slice_of(0.2), slice_of(0.8)], [slice_of(0.1), slice_of(0.4)])
    assert ratio is not None
    assert (ratio.low, ratio.median, ratio.high) == pytest.approx((2, 2, 2))


def test_nothing_is_compared_with_a_baseline_that_has_no_cpu() -> None:
    assert paired_ratio([slice_of(0.2)], [slice_of(0.0)]) is None


def test_a_spread_is_the_median_with_its_extremes() -> None:
    assert Spread.of([3.0, 1.0, 10.0]) == Spread(3.0, 1.0, 10.0)


def test_a_percentile_of_nothing_is_not_a_number() -> None:
    assert math.isnan(percentile([], 0.5))
    assert percentile([1, 2, 3, 4], 0.5) == 3
    assert percentile([1, 2, 3, 4], 0.99) == 4
