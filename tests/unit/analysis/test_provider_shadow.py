"""What the comparisons of a shadow tell as a provider, over reports of sums that a test gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.analysis.providers.base import ProviderError, Reading, Subject
from router.analysis.providers.registry import Providers
from router.analysis.providers.shadow import ShadowComparisons
from router.clock import ManualClock
from router.comparison import Field
from router.controller.fleet import Fleet
from router.controller.outside import Outside
from router.evaluation.counts import Counts
from router.evaluation.report import Report, report
from router.evaluation.reservoir import Reservoir
from router.evaluation.tally import Tally
from router.telemetry.windows import History

pytestmark = pytest.mark.anyio

SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=60.0)
NOTHING = Reading(value=[], no_data=True, samples=0)
RATIOS = ("mismatchRatio", "mismatchBeyondNoise", "errorRatio")
METRICS = (*RATIOS, "latencyDifference", "firstTokenDifference", "pairs")


def tally(**sums: Any) -> Tally:
    return Tally(stable="v1", shadow="v2", since_s=0.0, **sums)


def told(
    *, twins: int = 200, both: int = 10, only: int = 30, alone: int = 0, failed: int = 0
) -> Report:
    """1000 compared pairs; `both` and `only` of those with a twin differ, of the others `alone`."""
    rest = 1000 - twins - alone
    counts = Counts(
        both=both,
        shadow_only=only,
        neither=twins - both - only,
        alone_differing=alone,
        alone_same=rest,
    )
    later = Reservoir(values=[0.1, 0.2, 0.3, 0.4, 0.5] * 60, seen=300)
    return report(
        tally(
            pairs=1000 + failed,
            compared=1000,
            shadow_failed=failed,
            twins_asked=twins,
            any=counts,
            fields={Field.TEXT: counts, Field.TOOL_CALLS: Counts(shadow_only=3, neither=97)},
            latency=later,
            first_token=Reservoir(values=[-0.05] * 250, seen=250),
        )
    )


async def measure(found: Report | None, **settings: Any) -> Reading:
    def reports(route: str) -> Report | None:
        assert route == "chat"
        return found

    return await ShadowComparisons(reports).measure(settings, SUBJECT)


# -- what is measured ------------------------------------------------------------------------------


async def test_the_mismatch_ratio_is_that_of_all_pairs() -> None:
    reading = await measure(told(alone=60), metric="mismatchRatio")
    assert reading == Reading(value=[0.1], samples=1000)


async def test_beyond_noise_only_pairs_with_a_twin_count() -> None:
    reading = await measure(told(alone=700), metric="mismatchBeyondNoise")
    assert reading.value == [pytest.approx(30 / 200)]


async def test_errors_are_of_the_requests_that_stable_answered() -> None:
    reading = await measure(told(failed=250), metric="errorRatio")
    assert reading == Reading(value=[0.2], samples=1250)


@pytest.mark.parametrize(
    ("metric", "value", "samples"),
    [("latencyDifference", 0.3, 300), ("firstTokenDifference", -0.05, 250)],
)
async def test_a_difference_in_time_is_the_median_in_seconds(
    metric: str, value: float, samples: int
) -> None:
    reading = await measure(told(), metric=metric)
    assert reading.value == [pytest.approx(value)]
    assert reading.samples == samples


async def test_pairs_are_all_that_were_seen() -> None:
    assert await measure(told(failed=7), metric="pairs") == Reading(value=[1007.0], samples=1007)


async def test_one_field_is_judged_by_its_own_pairs() -> None:
    reading = await measure(told(), metric="mismatchRatio", field="tool_calls", minPairs=100)
    assert reading == Reading(value=[0.03], samples=100)


@pytest.mark.parametrize("metric", RATIOS)
async def test_a_bound_is_an_end_of_the_interval(metric: str) -> None:
    low, value, high = [
        (await measure(told(failed=20), metric=metric, bound=bound)).value[0]
        for bound in ("low", "value", "high")
    ]
    assert low < value < high


async def test_without_a_bound_the_number_itself_is_judged() -> None:
    settings = {"metric": "errorRatio"}
    assert await measure(told(), **settings) == await measure(told(), **settings, bound="value")


# -- no data ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", METRICS)
async def test_no_report_is_no_data(metric: str) -> None:
    assert await measure(None, metric=metric) == NOTHING


@pytest.mark.parametrize("metric", METRICS)
async def test_a_report_without_a_pair_is_no_data(metric: str) -> None:
    assert await measure(report(tally()), metric=metric) == NOTHING


@pytest.mark.parametrize("metric", METRICS)
async def test_fewer_pairs_than_wanted_are_no_data(metric: str) -> None:
    found = told(failed=20)
    there = (await measure(found, metric=metric)).samples
    assert there is not None
    assert not (await measure(found, metric=metric, minPairs=there)).no_data
    reading = await measure(found, metric=metric, minPairs=there + 1)
    assert reading == Reading(value=[], no_data=True, samples=there)


async def test_200_pairs_are_wanted_unless_it_is_said_otherwise() -> None:
    few = Counts(shadow_only=1, neither=198)
    found = report(tally(pairs=199, compared=199, twins_asked=199, any=few))
    assert (await measure(found, metric="mismatchRatio")).no_data
    assert not (await measure(found, metric="mismatchRatio", minPairs=199)).no_data


@pytest.mark.parametrize(("wanted", "no_data"), [(200, False), (201, True)])
async def test_fewer_twins_than_wanted_are_no_data(wanted: int, no_data: bool) -> None:
    reading = await measure(told(), metric="mismatchBeyondNoise", minTwins=wanted)
    assert reading.no_data is no_data


async def test_without_a_twin_there_is_nothing_beyond_noise() -> None:
    found = told(twins=0, both=0, only=0, alone=100)
    assert (await measure(found, metric="mismatchBeyondNoise")).no_data
    assert (await measure(found, metric="mismatchRatio")).value == [0.1]


async def test_a_field_that_no_answer_has_is_no_data() -> None:
    assert await measure(told(), metric="mismatchRatio", field="embeddings") == NOTHING


async def test_pairs_that_could_not_be_compared_do_not_count_as_alike() -> None:
    found = report(tally(pairs=500, shadow_failed=500))
    assert await measure(found, metric="mismatchRatio") == NOTHING
    assert (await measure(found, metric="errorRatio")).value == [1.0]


@given(
    cells=st.tuples(*[st.integers(0, 50)] * 6),
    least=st.integers(0, 200),
    metric=st.sampled_from(["mismatchRatio", "mismatchBeyondNoise"]),
    bound=st.sampled_from(["low", "value", "high"]),
)
async def test_a_reading_is_a_number_or_no_data_and_never_of_fewer_pairs(
    cells: tuple[int, ...], least: int, metric: str, bound: str
) -> None:
    both, shadow, twin, neither, differing, same = cells
    counts = Counts(
        both=both,
        shadow_only=shadow,
        twin_only=twin,
        neither=neither,
        alone_differing=differing,
        alone_same=same,
    )
    total = sum(cells)
    found = report(
        tally(pairs=total, compared=total, twins_asked=both + shadow + twin + neither, any=counts)
    )
    reading = await measure(found, metric=metric, bound=bound, minPairs=least)
    assert reading.samples == total
    if not reading.no_data:
        (number,) = reading.value
        assert -1.0 <= number <= 1.0
        assert total >= least


# -- another shadow, and wrong settings ------------------------------------------------------------


@pytest.mark.parametrize(
    ("stable", "shadow", "error"),
    [
        ("v1", "v3", "the shadow of route chat is v3, not v2"),
        ("v0", "v2", "v2 of route chat was compared with v0, not with v1"),
    ],
)
async def test_a_report_about_others_is_an_error(stable: str, shadow: str, error: str) -> None:
    others = report(Tally(stable=stable, shadow=shadow, since_s=0.0))
    with pytest.raises(ProviderError) as caught:
        await measure(others, metric="pairs")
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "metric is missing"),
        ({"metric": "mismatches"}, "metric: input should be 'mismatchRatio'"),
        ({"metric": "mismatchRatio", "field": "texts"}, "field: input should be 'status'"),
        ({"metric": "errorRatio", "field": "text"}, "errorRatio has no field"),
        ({"metric": "errorRatio", "bound": "upper"}, "bound: input should be 'low'"),
        ({"metric": "pairs", "minPairs": -1}, "minPairs: "),
        ({"metric": "pairs", "minTwins": 1}, "minTwins only means something with mismatchBeyond"),
        ({"metric": "pairs", "window": "1m"}, "window is not a field of this provider"),
    ],
)
def test_what_is_wrong_with_settings_is_known_before_any_measurement(
    settings: dict[str, Any], problem: str
) -> None:
    assert any(problem in each for each in ShadowComparisons(lambda _: None).check(settings))


def test_arguments_may_stand_anywhere() -> None:
    settings = {
        "metric": "{{args.metric}}",
        "field": "{{args.field}}",
        "bound": "{{args.bound}}",
        "minPairs": "{{args.pairs}}",
        "minTwins": "{{args.twins}}",
    }
    assert ShadowComparisons(lambda _: None).check(settings) == []


async def test_the_standard_providers_ask_whoever_makes_the_reports() -> None:
    providers = Providers.standard(History(), reports={"chat": told()}.get)
    reading = await providers.measure("shadow", {"metric": "pairs"}, SUBJECT)
    await providers.aclose()
    assert reading.value == [1000.0]


async def test_where_nobody_makes_reports_there_is_no_data() -> None:
    providers = Providers.standard(History())
    assert await providers.measure("shadow", {"metric": "pairs"}, SUBJECT) == NOTHING
    await providers.aclose()


async def test_control_measures_by_the_reports_that_it_is_given() -> None:
    outside = Outside(Fleet(), ManualClock(), reports={"chat": told()}.get)
    reading = await outside.measure("shadow", {"metric": "mismatchRatio"}, SUBJECT)
    await outside.close()
    assert reading == Reading(value=[0.04], samples=1000)
