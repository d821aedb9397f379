"""How measurements are counted and kept."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from router.analysis.measurement import Measurement, MetricResult, take
from router.analysis.metric import MetricSpec
from router.analysis.phases import Phase

PROPERTY = settings(deadline=None, max_examples=100)
OUTCOMES = st.lists(
    st.sampled_from(
        [Phase.SUCCESSFUL, Phase.FAILED, Phase.INCONCLUSIVE, Phase.ERROR, Phase.NO_DATA]
    ),
    max_size=40,
)


def counted(outcomes: list[Phase], kept: int = 10) -> MetricResult:
    spec = MetricSpec(name="m", provider="web", settings={}, kept=kept)
    result = MetricResult(name="m")
    for moment, phase in enumerate(outcomes):
        at = float(moment)
        result = take(result, Measurement(phase=phase, started_s=at, finished_s=at), spec)
    return result


def row_of(phase: Phase, outcomes: list[Phase]) -> int:
    """How many of a phase stand at the end."""
    length = 0
    while length < len(outcomes) and outcomes[-1 - length] is phase:
        length += 1
    return length


@PROPERTY
@given(OUTCOMES)
def test_errors_and_missing_data_bring_a_metric_no_nearer_to_its_end(outcomes: list[Phase]) -> None:
    result = counted(outcomes)
    assert result.successful == outcomes.count(Phase.SUCCESSFUL)
    assert result.failed == outcomes.count(Phase.FAILED)
    assert result.inconclusive == outcomes.count(Phase.INCONCLUSIVE)
    assert result.error == outcomes.count(Phase.ERROR)
    assert result.no_data == outcomes.count(Phase.NO_DATA)
    assert result.count == result.successful + result.failed + result.inconclusive


@PROPERTY
@given(OUTCOMES)
def test_rows_are_those_at_the_end(outcomes: list[Phase]) -> None:
    result = counted(outcomes)
    with_data = [phase for phase in outcomes if phase is not Phase.NO_DATA]
    assert result.consecutive_error == row_of(Phase.ERROR, outcomes)
    assert result.consecutive_success == row_of(Phase.SUCCESSFUL, with_data)


@PROPERTY
@given(OUTCOMES)
def test_a_row_of_errors_knows_when_it_began(outcomes: list[Phase]) -> None:
    result = counted(outcomes)
    row = row_of(Phase.ERROR, outcomes)
    assert result.erroring_since_s == (float(len(outcomes) - row) if row else None)
    assert result.erroring_s == max(row - 1, 0)


@PROPERTY
@given(OUTCOMES, st.integers(1, 12))
def test_the_newest_measurements_are_kept_and_never_more(outcomes: list[Phase], kept: int) -> None:
    measurements = counted(outcomes, kept).measurements
    assert [item.phase for item in measurements] == outcomes[-kept:]
