"""Which faults strike; pure."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import floats

from router.mock_engine import Faults
from router.mock_engine.faults import BEFORE, DURING, Fault, FaultPlan, choose_faults


def never_drawn() -> float:
    raise AssertionError("a rate of 0 must draw nothing")


def test_without_rates_nothing_strikes_and_nothing_is_drawn() -> None:
    assert choose_faults(Faults(), never_drawn) == FaultPlan(Faults())


@given(floats(0, 1, exclude_max=True))
def test_a_rate_of_one_always_strikes(point: float) -> None:
    for fault in BEFORE:
        faults = Faults().changed({f"{fault}_rate": 1})
        assert choose_faults(faults, lambda: point).before is fault
    for fault in DURING:
        faults = Faults().changed({f"{fault}_rate": 1})
        assert choose_faults(faults, lambda: point).during is fault


def test_each_rate_is_the_share_that_suffers_it() -> None:
    faults = Faults(reset_rate=0.25, error_rate=0.5, stall_rate=0.125, slow_rate=0.5)
    draw = random.Random(7).random
    plans = [choose_faults(faults, draw) for _ in range(20_000)]
    before = Counter(plan.before for plan in plans)
    assert before[Fault.RESET] / 20_000 == pytest.approx(0.25, abs=0.02)
    assert before[Fault.ERROR] / 20_000 == pytest.approx(0.5, abs=0.02)
    assert sum(plan.slow for plan in plans) / 20_000 == pytest.approx(0.5, abs=0.02)
    assert Counter(plan.during for plan in plans)[Fault.STALL] / 20_000 == pytest.approx(
        0.125, abs=0.02
    )


def test_one_draw_shares_out_the_group() -> None:
    faults = Faults(reset_rate=0.25, error_rate=0.5)
    points = iter((0.1, 0.3, 0.8))
    chosen = [choose_faults(faults, lambda: next(points)).before for _ in range(3)]
    assert chosen == [Fault.RESET, Fault.ERROR, None]


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_rate": 1.5},
        {"error_rate": -0.1},
        {"error_rate": float("nan")},
        {"error_rate": "often"},
        {"error_rate": True},
        {"error_rate": 0.6, "reset_rate": 0.6},
        {"stall_rate": 0.6, "truncate_rate": 0.6},
        {"error_status": 200},
        {"slow_rate": 2},
        {"slow_seconds": -1},
        {"after_tokens": 0},
        {"truncate_by": "magic"},
        {"health": "great"},
        {"no_such_fault": 1},
    ],
)
def test_faults_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Faults().changed(wrong)


def test_changed_keeps_what_is_not_named() -> None:
    faults = Faults(error_rate=0.5, error_status=503).changed({"slow_rate": 1})
    assert faults == Faults(error_rate=0.5, error_status=503, slow_rate=1)


def test_what_is_shown_can_be_set_again() -> None:
    faults = Faults(truncate_rate=0.5, truncate_by="abort")
    assert Faults().changed(faults.to_json()) == faults
