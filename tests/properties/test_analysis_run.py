"""Runs under every order of events: answers, errors, silence, restarts, ends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from router.analysis.phases import COMPLETED, Phase
from router.analysis.plan import Order
from router.analysis.providers.base import Reading, Subject
from router.analysis.run import (
    RunState,
    begin,
    due,
    next_at,
    on_error,
    on_reading,
    on_restart,
    on_tick,
    start,
    terminate,
)

PROPERTY = settings(deadline=None, max_examples=40)
SUBJECT = Subject(route="chat", canary="v2", stable="v1", started_s=0.0, now_s=0.0)
NAMES = ("a", "b", "c")
READINGS = {
    "good": Reading(value=0.5),
    "bad": Reading(value=2.0),
    "unsure": Reading(value=1.0),
    "silent": Reading(value=[], no_data=True),
}
METRICS = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(["5s", "1m"]),
        "count": st.integers(0, 4),
        "failureLimit": st.integers(0, 2),
        "inconclusiveLimit": st.integers(0, 2),
        "noData": st.sampled_from(["wait", "inconclusive", "fail", "pass"]),
    }
).filter(
    lambda metric: (
        not 0 < metric["count"] < max(metric["failureLimit"], metric["inconclusiveLimit"])
    )
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([*READINGS, "error", "begin", "tick", "restart", "store"]),
        st.floats(0, 90, allow_nan=False),
    ),
    max_size=25,
)


@st.composite
def runs(draw: st.DrawFn) -> RunState:
    metrics = [
        draw(METRICS)
        | {"name": name, "successCondition": "result < 1", "failureCondition": "result > 1"}
        | {"provider": {"web": {}}}
        for name in NAMES
    ]
    head = {"apiVersion": "argoproj.io/v1alpha1"} if draw(st.booleans()) else {}
    template = head | {"metadata": {"name": "t"}, "spec": {"metrics": metrics}}
    order = Order(
        templates=("t",),
        dry_run=("b",) if draw(st.booleans()) else (),
        deadline_s=draw(st.none() | st.just(300.0)),
        background=draw(st.booleans()),
    )
    run = start(order, {"t": template}, SUBJECT)
    assert run.phase is Phase.RUNNING, run.message
    return run


def stored(run: RunState) -> RunState:
    return msgspec.convert(msgspec.json.decode(msgspec.json.encode(run)), RunState)


def after(run: RunState, name: str, event: str, now: float) -> RunState:
    simple: dict[str, Callable[[], RunState]] = {
        "error": lambda: on_error(run, name, "refused", now),
        "begin": lambda: begin(run, name, now),
        "tick": lambda: on_tick(run, now),
        "restart": lambda: on_restart(run),
        "store": lambda: stored(run),
    }
    if event in simple:
        return simple[event]()
    return on_reading(run, name, READINGS[event], now)


def histories(run: RunState, events: list[tuple[str, str, float]]) -> list[tuple[RunState, float]]:
    now, known = 0.0, [(run, 0.0)]
    for name, event, seconds in events:
        now += seconds
        known.append((after(known[-1][0], name, event, now), now))
    return known


@PROPERTY
@given(runs(), EVENTS)
def test_a_completed_run_or_metric_never_changes(run: RunState, events: Any) -> None:
    history = histories(run, events)
    for (earlier, _), (later, _) in pairwise(history):
        if earlier.completed:
            assert later == earlier
        for name in NAMES:
            if earlier.result(name).phase in COMPLETED:
                assert later.result(name).phase is earlier.result(name).phase


@PROPERTY
@given(runs(), EVENTS)
def test_a_stored_run_goes_on_as_the_same_run(run: RunState, events: Any) -> None:
    for state, _ in histories(run, events):
        assert stored(state) == state


@PROPERTY
@given(runs(), EVENTS)
def test_a_run_is_finished_exactly_when_it_has_a_verdict(run: RunState, events: Any) -> None:
    for state, _ in histories(run, events):
        assert state.completed is (state.finished_s is not None)
        assert state.phase is not Phase.TERMINATED
        if state.completed:
            assert due(state, 1e12) == []
            assert next_at(state) is None
            assert not any(result.in_flight for result in state.results)


@PROPERTY
@given(runs(), EVENTS)
def test_a_running_run_has_something_to_wait_for(run: RunState, events: Any) -> None:
    for state, _ in histories(run, events):
        if not state.completed:
            awaited = any(result.in_flight for result in state.results)
            assert awaited or next_at(state) is not None


@PROPERTY
@given(runs(), EVENTS)
def test_a_run_that_is_ended_has_a_verdict(run: RunState, events: Any) -> None:
    for state, now in histories(run, events):
        assert terminate(state, now).completed


@PROPERTY
@given(runs(), st.lists(st.sampled_from(["good", "bad", "unsure", "error"]), min_size=1))
def test_a_run_with_an_end_that_gets_answers_comes_to_a_verdict(
    run: RunState, answers: list[str]
) -> None:
    now = 0.0
    for turn in range(60):
        if run.completed:
            return
        for name in due(run, now):
            run = after(run, name, answers[turn % len(answers)], now)
        now = next_at(run) or now
        run = on_tick(run, now)
    # Errors with answers between them never add up: only a deadline would end those.
    assert any(metric.count is None for metric in run.metrics) or "error" in answers
