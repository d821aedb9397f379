"""What no counters and no phases can make an assessment do."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from router.analysis.assess import assess_metric, assess_run
from router.analysis.measurement import Measurement, MetricResult
from router.analysis.metric import MetricSpec
from router.analysis.phases import BAD, COMPLETED, Compat, Phase

PROPERTY = settings(deadline=None, max_examples=100)
SMALL = st.integers(0, 6)
DONE = [Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR, Phase.NO_DATA]


def measured(*phases: Phase) -> st.SearchStrategy[Measurement]:
    return st.sampled_from(phases).map(
        lambda phase: Measurement(phase=phase, started_s=0.0, finished_s=1.0)
    )


# Only the last can be on its way.
MEASUREMENTS = st.tuples(
    st.lists(measured(*DONE), max_size=2), st.lists(measured(*DONE, Phase.RUNNING), max_size=1)
).map(lambda both: (*both[0], *both[1]))
RESULTS = st.builds(
    MetricResult,
    name=st.just("m"),
    phase=st.sampled_from(sorted(COMPLETED | {Phase.PENDING, Phase.RUNNING})),
    measurements=MEASUREMENTS,
    count=SMALL,
    failed=SMALL,
    inconclusive=SMALL,
    consecutive_error=SMALL,
    consecutive_success=SMALL,
)
SPECS = st.builds(
    MetricSpec,
    name=st.just("m"),
    provider=st.just("web"),
    settings=st.just({}),
    count=st.none() | st.integers(1, 6),
    failure_limit=st.integers(-1, 6),
    inconclusive_limit=SMALL,
    consecutive_error_limit=SMALL,
    consecutive_success_limit=SMALL,
    compat=st.sampled_from(Compat),
    dry_run=st.booleans(),
)
RUNS = st.lists(st.tuples(SPECS, RESULTS), min_size=1, max_size=4)


@PROPERTY
@given(SPECS, RESULTS, st.booleans())
def test_a_completed_phase_never_changes(
    spec: MetricSpec, result: MetricResult, terminating: bool
) -> None:
    phase = assess_metric(result, spec, terminating=terminating)
    if result.phase in COMPLETED:
        assert phase is result.phase
    after = replace(result, phase=phase)
    if phase in COMPLETED:
        assert assess_metric(after, spec, terminating=not terminating) is phase


@PROPERTY
@given(RUNS)
def test_a_terminating_run_is_completed_by_one_assessment(
    run: list[tuple[MetricSpec, MetricResult]],
) -> None:
    assessed = assess_run(*split(run), terminate=True)
    assert assessed.phase in COMPLETED
    assert all(result.phase in COMPLETED for result in assessed.results)


@PROPERTY
@given(RUNS, st.booleans())
def test_a_dry_run_never_decides(
    run: list[tuple[MetricSpec, MetricResult]], terminate: bool
) -> None:
    shown = [(replace(spec, dry_run=True), result) for spec, result in run]
    assessed = assess_run(*split(shown), terminate=terminate)
    assert assessed.phase in {Phase.RUNNING, Phase.SUCCESSFUL}
    # Nor do they change what a metric beside them decides.
    spec, result = replace(run[0][0], dry_run=False), run[0][1]
    alone = assess_run([spec], [result], terminate=True)
    beside = assess_run(*split([*shown, (spec, result)]), terminate=True)
    assert beside.phase is alone.phase


@PROPERTY
@given(RUNS, st.booleans())
def test_a_run_is_bad_only_by_a_bad_metric_that_decides(
    run: list[tuple[MetricSpec, MetricResult]], terminate: bool
) -> None:
    assessed = assess_run(*split(run), terminate=terminate)
    decisive = {
        result.phase
        for (spec, _), result in zip(run, assessed.results, strict=True)
        if not spec.dry_run
    }
    assert assessed.phase not in BAD or assessed.phase in decisive
    assert assessed.phase is not Phase.SUCCESSFUL or not decisive & BAD


@PROPERTY
@given(RUNS, st.booleans())
def test_two_assessments_are_enough(
    run: list[tuple[MetricSpec, MetricResult]], terminate: bool
) -> None:
    specs, results = split(run)
    second = assess_run(
        specs, assess_run(specs, results, terminate=terminate).results, terminate=terminate
    )
    third = assess_run(specs, second.results, terminate=terminate)
    assert third.phase is second.phase
    assert [item.phase for item in third.results] == [item.phase for item in second.results]


def split(
    run: list[tuple[MetricSpec, MetricResult]],
) -> tuple[list[MetricSpec], list[MetricResult]]:
    return [spec for spec, _ in run], [result for _, result in run]
