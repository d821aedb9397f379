"""A metric is due at the moment that was named, and not before, while its clock is not set back."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from router.analysis.measurement import Measurement, MetricResult
from router.analysis.metric import MetricSpec
from router.analysis.phases import Compat, Phase
from router.analysis.schedule import SET_BACK_S, is_due, next_at

PROPERTY = settings(deadline=None, max_examples=200)
SECONDS = st.floats(0, 1e6, allow_nan=False)
MOMENTS = st.floats(1e9, 2e9)


@PROPERTY
@given(
    st.builds(
        MetricSpec,
        name=st.just("m"),
        provider=st.just("web"),
        settings=st.just({}),
        interval_s=st.none() | SECONDS,
        initial_delay_s=SECONDS,
        count=st.none() | st.integers(1, 3),
        compat=st.sampled_from(Compat),
    ),
    st.none() | st.sampled_from([Phase.SUCCESSFUL, Phase.ERROR, Phase.NO_DATA]),
    st.integers(0, 3),
    MOMENTS,
    SECONDS,
)
def test_a_metric_is_due_at_the_moment_that_was_named_and_not_before(
    spec: MetricSpec, last: Phase | None, count: int, started_s: float, later: float
) -> None:
    measurements: tuple[Measurement, ...] = ()
    if last is not None:
        at = started_s + later
        measurements = (Measurement(phase=last, started_s=at, finished_s=at),)
    result = MetricResult(name="m", measurements=measurements, count=count)
    moment = next_at(result, spec, started_s)
    if moment is None:
        assert not is_due(result, spec, started_s, math.inf)
    else:
        assert is_due(result, spec, started_s, moment)
        assert not is_due(result, spec, started_s, math.nextafter(moment, -math.inf))
        # A clock that was set back, further than clocks are corrected all the time.
        newest = measurements[-1].finished_s if measurements else started_s
        assert newest is not None
        assert is_due(result, spec, started_s, newest - 2 * SET_BACK_S)
